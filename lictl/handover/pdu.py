# SPDX-License-Identifier: Apache-2.0
"""What the formats made of protocol data units (PDUs) offer to links, receivers and `lictl decode`.

A format of this kind is a `PduFormat`: it finds the first PDU in a buffer and reads one. Reading is liberal (any valid
BER length is taken) and bounded: an answer comes for any bytes at all, or a `DecodeError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

from lictl.handover.decoded import DecodeError

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig
    from lictl.handover.decoded import Loss, Record

MAX_PDU = 1 << 18
"""Octets of the longest PDU that is taken; the longest frame is 65,600."""

PduKind = Literal[
    "cc", "iri", "sealed", "integrity", "keepalive", "keepalive-response", "acknowledgement", "test", "other"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """One field of a PDU for people: a leaf has a value, an inner one has parts."""

    name: str
    value: str = ""
    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """What an integrity PDU vouches for (TS 102 232-1, clause 7.2).

    Attributes:
        numbers: `sequence` of each PDU that it covers, in the order in which they are hashed or signed over. They are
            PDUs of the check's own `liid` and `stream`: of kind `of`, or integrity PDUs where this is a signature.
        of: "cc" or "iri".
        signature: a signature; else a digest.
        algorithm: of hashlib ("sha256") for a digest; "ecdsa" or "eddsa" for a signature, "" where it is unknown.
        hash: of hashlib, that the signature goes with ("" where it names none).
        value: digest or signature.
    """

    numbers: tuple[int, ...]
    of: Literal["cc", "iri"]
    signature: bool
    algorithm: str
    value: bytes
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a sender says of all of a stream until then, in a format that cannot tell each loss at its place.

    Attributes:
        delivered: packets that it has sent.
        lost: packets that it has not.
        last: number of the last one of either, as the format counts.
    """

    delivered: int
    lost: int
    last: int


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU as read.

    Attributes:
        format: name of the format.
        kind: "cc": content of communication; "iri": everything about it (header reports, events); "sealed": either of
            them, which cannot be told without its key; else of the session.
        raw: its octets.
        message: the format's own name of the message, such as "IPCC" or "PDHR".
        liid: LIID, case id or XID that it names, "" where it names none.
        stream: with `liid` and `kind` the numbering that `sequence` belongs to (CIN, content identifier), "" for one.
        sequence: its number as the format counts, None where it has none.
        utc_ns: its time, None where it has none.
        record: the packet or header report in it.
        event: the event in it, such as "begin" or "sessionEnd"; "" for none.
        loss: the loss that it declares; `first_sequence` counts as `sequence` does.
        totals: what it says of its stream as a whole.
        check: of an integrity PDU.
        tree: all fields.
    """

    format: str
    kind: PduKind
    raw: bytes
    message: str
    liid: str = ""
    stream: str = ""
    sequence: int | None = None
    utc_ns: int | None = None
    record: Record | None = None
    event: str = ""
    loss: Loss | None = None
    totals: Totals | None = None
    check: Check | None = None
    tree: tuple[Node, ...] = field(default=())


class PduFormat(Protocol):
    """A format that is a sequence of PDUs."""

    name: ClassVar[str]

    def length(self, data: memoryview) -> int:
        """Octets of the first PDU in `data`; 0 where more octets are needed to tell.

        Raises:
            DecodeError: no PDU of this format can begin like this, or it would be longer than MAX_PDU.
        """
        ...

    def decode(self, pdu: bytes) -> Pdu:
        """Reads one whole PDU.

        Raises:
            DecodeError: it is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agency said on a connection of ours.

    Attributes:
        alive: it answered a keep-alive.
        acknowledged: it has confirmed so many of the PDUs that ask for it, since the connection began.
    """

    alive: bool = False
    acknowledged: int | None = None


class Dialect(Protocol):
    """What a connection in a format's own protocol needs beside the PDUs of the spool. One object a connection."""

    keepalive_s: float
    """Idle seconds after which a keep-alive is due; 0: the format has none."""
    response_s: float
    """Seconds in which its answer has to come (TIME3 of TS 102 232-1); 0: no answer comes."""

    def connected(self) -> bytes:
        """What is sent first."""
        ...

    def keepalive(self) -> bytes:
        """The next keep-alive."""
        ...

    def test(self) -> bytes:
        """A test PDU, which delivers nothing; b"" where the format has none."""
        ...

    def received(self, data: bytes) -> list[Answer]:
        """Takes what the agency sent, in pieces of any size; keeps at most one PDU.

        Raises:
            DecodeError: the agency speaks another protocol.
        """
        ...


@runtime_checkable
class Asking(Dialect, Protocol):
    """A dialect whose agency may confirm PDUs: where it agreed to, a block that asks counts once it is confirmed."""

    agreed: bool
    """The agency has said on this connection that it will confirm."""

    def asks(self, payload: memoryview) -> int:
        """How many PDUs of a block's payload ask to be acknowledged."""
        ...


class Silent:
    """The dialect of formats that hear nothing: whatever comes is dropped."""

    keepalive_s = 0.0
    response_s = 0.0

    def __init__(self, stream: StreamConfig) -> None:
        del stream

    def connected(self) -> bytes:
        """Nothing."""
        return b""

    def keepalive(self) -> bytes:
        """Never asked for."""
        return b""

    def test(self) -> bytes:
        """None."""
        return b""

    def received(self, data: bytes) -> list[Answer]:
        """Nothing is expected."""
        return []


def split(format_: PduFormat, data: bytes) -> list[bytes]:
    """The PDUs in `data`, which holds whole ones only.

    Raises:
        DecodeError: it does not.
    """
    view, found, at = memoryview(data), [], 0
    while at < len(view):
        size = format_.length(view[at:])
        if not size or size > len(view) - at:
            raise DecodeError("the last PDU is cut short")
        found.append(bytes(view[at : at + size]))
        at += size
    return found
