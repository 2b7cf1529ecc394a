# SPDX-License-Identifier: Apache-2.0
"""The delivery protocol: frames over one TCP connection a stream. Byte by byte in docs/formats/delivery-protocol.md."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

from lictl.delivery.blocks import HEADER_BYTES, MAX_PAYLOAD
from lictl.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOL = "lictl-delivery"
TEST_SPOOL = "0" * 32
"""In a HELLO: only a greeting (`lictl agency test`); the receiver answers it and opens nothing."""
VERSIONS = (1,)
MAX_TALK = 65_536
MAX_TEXT = 512
_KEEP_BYTES = 4 << 20
_FRAME = struct.Struct("<BBHI")
_U64 = struct.Struct("<Q")
_DAMAGED = struct.Struct("<QQQ")
FRAME_BYTES = _FRAME.size


class FrameType(enum.IntEnum):
    """What a frame carries."""

    HELLO = 1
    WELCOME = 2
    BLOCK = 3
    ACK = 4
    PING = 5
    PONG = 6
    END = 7
    DAMAGED = 8
    REFUSE = 9


_LIMITS: dict[int, tuple[int, int]] = {
    FrameType.HELLO: (1, MAX_TALK),
    FrameType.WELCOME: (1, MAX_TALK),
    FrameType.BLOCK: (HEADER_BYTES, HEADER_BYTES + MAX_PAYLOAD),
    FrameType.ACK: (_U64.size, _U64.size),
    FrameType.PING: (_U64.size, _U64.size),
    FrameType.PONG: (_U64.size, _U64.size),
    FrameType.END: (0, 0),
    FrameType.DAMAGED: (_DAMAGED.size, _DAMAGED.size),
    FrameType.REFUSE: (1, MAX_TALK),
}


class ProtocolError(IntegrityError):
    """The peer sent something that the protocol does not allow."""


class Frame(NamedTuple):
    """One frame; `body` is valid until the parser is fed again."""

    type: FrameType
    body: memoryview


class DamagedRange(NamedTuple):
    """The sender's spool lost these blocks; the stream's numbers up to `last_sequence` went with them."""

    first_block: int
    last_block: int
    last_sequence: int


@dataclass(frozen=True, slots=True)
class Hello:
    """What a sender says first.

    Attributes:
        liid: of the order.
        stream: name of the stream, unique for the sender's operator and liid.
        spool: 32 hex digits; another one means that block numbers began anew.
        format: name of the payload's format.
        suffix: of the file that the payloads make up.
        mode: "headers" or "content".
        operator: who delivers.
        element: which network element.
        first: oldest block that the sender still has, 0 for none.
        versions: of this protocol that the sender speaks.
    """

    liid: str
    stream: str
    spool: str
    format: str
    suffix: str
    mode: str = ""
    operator: str = ""
    element: str = ""
    first: int = 0
    versions: tuple[int, ...] = VERSIONS


def frame_head(kind: FrameType, length: int) -> bytes:
    """The eight bytes before a body of `length` bytes."""
    return _FRAME.pack(kind, 0, 0, length)


def number_frame(kind: FrameType, number: int) -> bytes:
    """An ACK, PING or PONG."""
    return _FRAME.pack(kind, 0, 0, _U64.size) + _U64.pack(number)


def damaged_frame(damaged: DamagedRange) -> bytes:
    """A DAMAGED frame."""
    return _FRAME.pack(FrameType.DAMAGED, 0, 0, _DAMAGED.size) + _DAMAGED.pack(*damaged)


def hello_frame(hello: Hello) -> bytes:
    """A HELLO frame."""
    body = {name: getattr(hello, name) for name in Hello.__dataclass_fields__}
    return _talk(FrameType.HELLO, {"protocol": PROTOCOL, **body})


def welcome_frame(version: int, block: int) -> bytes:
    """A WELCOME frame: the version to speak and the last block that the receiver holds durably, 0 for none."""
    return _talk(FrameType.WELCOME, {"version": version, "block": block})


def refuse_frame(reason: str) -> bytes:
    """A REFUSE frame: why the receiver closes the connection."""
    return _talk(FrameType.REFUSE, {"reason": reason[:MAX_TEXT]})


def _talk(kind: FrameType, body: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(body)
    return frame_head(kind, len(packed)) + packed


def parse_number(body: memoryview) -> int:
    """The number in an ACK, PING or PONG."""
    return int(_U64.unpack(body)[0])


def parse_damaged(body: memoryview) -> DamagedRange:
    """The range in a DAMAGED frame."""
    damaged = DamagedRange._make(_DAMAGED.unpack(body))
    if not 0 < damaged.first_block <= damaged.last_block:
        raise ProtocolError("A DAMAGED frame names an impossible range.")
    return damaged


def _parse_talk(body: memoryview) -> dict[str, Any]:
    try:
        talk = msgpack.unpackb(
            body, max_map_len=64, max_array_len=64, max_str_len=MAX_TEXT, max_bin_len=0, max_ext_len=0
        )
    except Exception as error:  # msgpack raises many kinds; all mean the same here
        raise ProtocolError("A frame does not hold the msgpack map that it should.") from error
    if not isinstance(talk, dict):
        raise ProtocolError("A frame does not hold the msgpack map that it should.")
    return talk


def _number(talk: dict[str, Any], name: str) -> int:
    value = talk.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ProtocolError(f"The field {name!r} is missing or is no number.")
    return value


def parse_hello(body: memoryview) -> Hello:
    """Reads a HELLO; unknown fields are ignored, so that a later version can add some."""
    talk = _parse_talk(body)
    if talk.get("protocol") != PROTOCOL:
        raise ProtocolError("The sender speaks another protocol.")
    texts: dict[str, str] = {}
    for name in ("liid", "stream", "spool", "format", "suffix", "mode", "operator", "element"):
        value = talk.get(name)
        if not isinstance(value, str):
            raise ProtocolError(f"The field {name!r} is missing or is no text.")
        texts[name] = value
    versions = talk.get("versions")
    if not isinstance(versions, list) or not all(type(version) is int for version in versions):
        raise ProtocolError("The field 'versions' is missing or is no list of numbers.")
    return Hello(**texts, first=_number(talk, "first"), versions=tuple(versions))


def parse_welcome(body: memoryview) -> tuple[int, int]:
    """Version and last durable block of a WELCOME."""
    talk = _parse_talk(body)
    return _number(talk, "version"), _number(talk, "block")


def parse_refuse(body: memoryview) -> str:
    """The reason of a REFUSE, printable."""
    reason = _parse_talk(body).get("reason")
    text = reason if isinstance(reason, str) else "no reason given"
    return "".join(char if char.isprintable() else "?" for char in text)


class FrameParser:
    """Takes bytes as they come, gives whole frames; never holds more than one frame of the largest allowed size.

    Args:
        allowed: the frame types that this side accepts; the limit of its buffer follows from them.
        buffer_bytes: size of the receive buffer while frames are small.
    """

    def __init__(self, allowed: frozenset[FrameType], buffer_bytes: int = 1 << 16) -> None:
        self._allowed = allowed
        self._small = buffer_bytes
        self._buffer = bytearray(buffer_bytes)
        self._begin = 0
        self._end = 0

    @property
    def capacity(self) -> int:
        """Bytes of memory that the buffer takes."""
        return len(self._buffer)

    def allow(self, allowed: frozenset[FrameType], buffer_bytes: int) -> None:
        """Changes which frame types are accepted from now on, and the size of the buffer."""
        self._allowed = allowed
        self._small = buffer_bytes

    def _expected(self) -> int:
        """Whole length of the frame at the beginning of the buffer; 0 while its head is not there."""
        if self._end - self._begin < FRAME_BYTES:
            return 0
        kind, flags, zero, length = _FRAME.unpack_from(self._buffer, self._begin)
        low, high = _LIMITS.get(kind, (1, 0))
        if kind not in self._allowed or flags or zero or not low <= length <= high:
            raise ProtocolError(f"Frame type {kind} with {length} bytes is not allowed here.")
        return FRAME_BYTES + int(length)

    def space(self) -> memoryview:
        """Where to receive into; invalidates frames given out before.

        Raises:
            ProtocolError: the frame that has begun is not allowed.
        """
        need = self._expected()
        held = self._end - self._begin
        size = max(need, self._small)
        if size > len(self._buffer) or (not held and len(self._buffer) > _KEEP_BYTES):
            fresh = bytearray(size)
            fresh[:held] = memoryview(self._buffer)[self._begin : self._end]
            self._buffer, self._begin, self._end = fresh, 0, held
        elif self._begin and (not held or len(self._buffer) - self._begin < size):
            # A slice copy: earlier frames' views make the buffer's size fixed, not its bytes.
            self._buffer[:held] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, held
        return memoryview(self._buffer)[self._end :]

    def received(self, n: int) -> None:
        """Says that `n` bytes were put at the beginning of `space()`."""
        self._end += n

    def frames(self) -> Iterator[Frame]:
        """The whole frames that are there.

        Raises:
            ProtocolError: the peer sent what is not allowed.
        """
        while need := self._expected():
            if self._end - self._begin < need:
                return
            start = self._begin
            self._begin += need
            kind = FrameType(self._buffer[start])
            yield Frame(kind, memoryview(self._buffer)[start + FRAME_BYTES : start + need])

    def feed(self, data: bytes) -> Iterator[Frame]:
        """`space`, `received` and `frames` for bytes at hand."""
        rest = memoryview(data)
        while rest:
            room = self.space()
            n = min(len(room), len(rest))
            room[:n] = rest[:n]
            self.received(n)
            rest = rest[n:]
            yield from self.frames()
