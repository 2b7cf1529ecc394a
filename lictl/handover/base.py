# SPDX-License-Identifier: Apache-2.0
"""What a handover format is: an encoder for one stream, in one of two kinds that never meet.

An order for headers can only be given a `HeadersEncoder`, an order for content only a `ContentEncoder`
(18 USC 3121(c): a pen register order may not be able to record content).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from lictl.errors import UsageError
from lictl.probe.abi import REC_HEADER, REC_PACKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lictl.keys.agency import AgencyKeys
    from lictl.probe.batch import Batch, Selection

Mode = Literal["headers", "content"]
GapReason = Literal["ring", "matches", "frame", "quota", "disk", "restart", "fault"]  # as of EventKind
EventKind = Literal["begin", "resume", "continue", "change", "suspend", "end"]  # spools hold the places: append only
Framing = Literal["stream", "ber", "length"]
MAX_STATE = 4096
"""Bytes of an encoder's state: it lies beside each block of the spool."""

# Visible ASCII without the backslash: stands unescaped in every format. ETSI TS 102 232-1 allows 25 octets.
_LIID = re.compile(r"[!-\[\]-~]{1,255}")


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One order's delivery to one agency, as the formats name it.

    Attributes:
        liid: lawful interception identifier, visible ASCII without backslash, 1 to 255 characters.
        case_id: the agency's own name of the case.
        mode: "headers" or "content".
        operator: operator identifier of this site.
        element: network element identifier of this machine.
        country: ISO 3166-1 alpha-2.
        agency: name of the agency.
        interfaces: gives the name of an interface index; may raise LookupError or OSError for one that is gone.
        options: of the format, each checked by the encoder.
        uuid: of the order, random; the XID of TS 103 221.
        keys: the agency's, for signatures and for sealed payloads; None: formats that need one refuse.
        datagrams: each PDU travels in a UDP datagram and has to fit.
    """

    liid: str
    case_id: str
    mode: Mode
    operator: str
    element: str
    country: str
    agency: str
    interfaces: Callable[[int], str]
    options: Mapping[str, str] = field(default_factory=dict)
    uuid: str = ""
    keys: AgencyKeys | None = field(default=None, repr=False)
    datagrams: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for an LIID that a format could not carry."""
        if not _LIID.fullmatch(self.liid):
            raise UsageError(
                "an LIID cannot stand in the handover formats.", "Use 1 to 255 visible ASCII characters, no backslash."
            )

    def interface_name(self, ifindex: int) -> str:
        """The interface's name, or `if<index>` where it has none any more."""
        try:
            return self.interfaces(ifindex)
        except (LookupError, OSError):
            return f"if{ifindex}"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some whole records in the agency's format.

    Attributes:
        payload: the bytes; valid until the next step of any encoder in this thread.
        records: number of records in it.
        first_sequence: first number accounted for: the first record's, less the losses before it.
        last_sequence: the last record's number, so `records + lost == last_sequence - first_sequence + 1`.
        lost: losses before its records.
        first_ns: UTC ns of the first record.
        last_ns: UTC ns of the last one.
        unfit: records of the selection that the format cannot carry; they are among `lost`, not among `records`.
    """

    payload: memoryview | bytes
    records: int
    first_sequence: int
    last_sequence: int
    lost: int
    first_ns: int
    last_ns: int
    unfit: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """Packets that a stream does not have and no later record tells of.

    Attributes:
        lost: how many; 0 with reason "restart" where the machine was down and nobody counted.
        first_sequence: number of the first one.
        reason: "ring", "matches", "frame": the kernel's classes; "quota": the spool was full; "disk": it could not be
            written; "restart": the kernel's state was gone; "fault": a defect of lictl.
        from_ns: UTC ns of the earliest that can be missing.
        to_ns: UTC ns of the latest.
    """

    lost: int
    first_sequence: int
    reason: GapReason
    from_ns: int
    to_ns: int

    @property
    def last_sequence(self) -> int:
        """Number of the last one lost; one less than the first where none is."""
        return self.first_sequence + self.lost - 1


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to the interception itself: what HI2 and CmII tell beside the packets. It never holds content.

    Attributes:
        kind: "begin": in force for the first time; "suspend" and "resume"; "continue": lictl was restarted; "change":
            its targets or its window are others; "end": over, for whatever reason.
        ns: UTC ns of the event.
        addresses: of the target, as far as the order names them now: IP addresses and prefixes as text.
        starts_ns: of the window, UTC ns.
        ends_ns: likewise, first instant outside.
        records: packets delivered until then.
        lost: packets lost until then.
        suspended: nothing was intercepted when it happened, and with "change" nothing is afterwards either.
        before: the addresses that the agency was told of last; with "change" some of them may be gone.
    """

    kind: EventKind
    ns: int
    addresses: tuple[str, ...] = field(default=(), repr=False)
    starts_ns: int = 0
    ends_ns: int = 0
    records: int = 0
    lost: int = 0
    suspended: bool = False
    before: tuple[str, ...] = field(default=(), repr=False)


class Encoder(ABC):
    """One stream's encoder. Called once a batch; it never loops over packets in Python.

    An encoder may count things of its own (sequence numbers of IRI, digests that wait for a signature). That state is
    stored with each block it belongs to: `state` gives it, `resume` takes back what the spool's newest block holds.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    mode: ClassVar[Mode]
    kind: ClassVar[int]
    """LI_REC_*: the only kind of record that it takes."""
    framing: ClassVar[Framing] = "stream"
    """How a payload falls apart into datagrams: "stream" not at all; "ber" into elements (X.690, definite lengths);
    "length" into parts behind a big-endian u32 of their length, which itself is not sent."""
    too_long: int = 0
    """Records that no datagram can hold, since the encoder was made; they are among `Encoded.unfit`."""

    def resume(self, state: bytes) -> None:  # noqa: B027  most encoders have no state
        """Continues from the state beside the newest block; b"": a new stream. Comes before each `opening`."""

    def state(self) -> bytes:
        """What `resume` needs behind the bytes that were given last, at most MAX_STATE."""
        return b""

    def event(self, event: Event) -> bytes:
        """What the format tells the agency of an event; b"" where it has nothing to say. `opening` comes first."""
        return b""

    def due(self, now_ns: int) -> bytes:
        """What time alone demands (a signature over digests); b"" nearly always. Asked about once a second."""
        return b""

    @abstractmethod
    def opening(self) -> bytes:
        """What a receiver needs before the first record; begins anew, so also after a restart or a lost chunk."""

    @abstractmethod
    def encode(self, batch: Batch, selection: Selection) -> Iterator[Encoded]:
        """Chunks of whole records, in the selection's order; `opening` comes first.

        Raises:
            RefusedError: a record is not of `kind`; nothing of the chunk leaves.
        """

    @abstractmethod
    def gap(self, gap: Gap) -> bytes:
        """A loss at its place in the stream; b"" where the format has no place for it."""


class ContentEncoder(Encoder):
    """Takes packet records: frames cut at the IP packet's own length."""

    mode: Final = "content"  # type: ignore[misc]  # narrows the class variable for good
    kind: Final = REC_PACKET  # type: ignore[misc]


class HeadersEncoder(Encoder):
    """Takes header records: parsed fields; it is never given a packet's bytes."""

    mode: Final = "headers"  # type: ignore[misc]
    kind: Final = REC_HEADER  # type: ignore[misc]
