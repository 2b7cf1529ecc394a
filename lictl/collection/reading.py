# SPDX-License-Identifier: Apache-2.0
"""Reads a stream of any format from a file or a pipe, one PDU or item at a time, little more than one in memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from lictl.collection.detect import ENOUGH, LICTL, detect
from lictl.collection.framed import stream_reader
from lictl.collection.payload_key import ASK_FOR_KEY
from lictl.errors import IntegrityError, UsageError
from lictl.handover.decode import DECODERS
from lictl.handover.decode_etsi import WrongKeyError
from lictl.handover.decoded import DecodeError
from lictl.handover.pdu import MAX_PDU
from lictl.handover.readers import PDU_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lictl.handover.decoded import Item
    from lictl.handover.pdu import Pdu, PduFormat

_CHUNK = 1 << 16
_Data = TypeVar("_Data")
_T = TypeVar("_T")


def formats() -> list[str]:
    """Names of all formats that can be read."""
    return sorted({*PDU_FORMATS, *DECODERS})


def read(stream: BinaryIO, name: str = "", payload_keys: tuple[bytes, ...] = ()) -> Iterator[Pdu | Item]:
    """The PDUs of a stream, or the items of one that is not made of PDUs.

    Args:
        stream: open for reading; need not be seekable.
        name: of the format; "": it is told from the first octets.
        payload_keys: open the sealed payloads of ETSI TS 102 232-1; none: they are shown closed.

    Raises:
        UsageError: there is no such format, or it cannot be told.
        IntegrityError: on the way, where the stream is damaged, or no key opens a payload; names the place.
    """
    first = _exactly(stream, ENOUGH)
    if not name:
        name = _told(first)
    whole = io.BufferedReader(_Behind(first, stream))
    try:
        if name in PDU_FORMATS:
            yield from _pdus(stream_reader(name, payload_keys), whole)
        elif name in DECODERS:
            yield from DECODERS[name](whole)
        else:
            raise UsageError(f"there is no format {name!r}.", f"Formats: {', '.join(formats())}.")
    except DecodeError as error:
        raise IntegrityError(
            f"the stream is damaged ({name}): {error}.", "What stands before that place was readable."
        ) from None


def _told(first: bytes) -> str:
    if not first:
        raise UsageError("there is nothing to decode.", "Name a file that is not empty.")
    try:
        name = detect(first, whole=True)
    except DecodeError as error:
        raise UsageError(f"the format cannot be told: {error}.", f"Name it: {', '.join(formats())}.") from None
    if name is None or name == LICTL:
        raise UsageError("this is the delivery protocol on the wire, no file.", "`lictl receive` takes it.")
    return name


def _pdus(format_: PduFormat, stream: BinaryIO) -> Iterator[Pdu]:
    buffer, offset = bytearray(), 0
    while chunk := stream.read(_CHUNK):
        buffer += chunk
        used = 0
        while used < len(buffer):
            with memoryview(buffer) as view, view[used:] as rest:
                size = _at(offset, format_.length, rest)
                if not size or size > len(rest):
                    break
                raw = bytes(rest[:size])
            try:
                yield _at(offset, format_.decode, raw)
            except WrongKeyError as error:
                raise IntegrityError(f"offset {offset}: {error}.", ASK_FOR_KEY) from None
            used += size
            offset += size
        del buffer[:used]
        if len(buffer) > MAX_PDU + _CHUNK:
            raise DecodeError(f"offset {offset}: a PDU of more than {MAX_PDU} octets")
    if buffer:
        raise DecodeError(f"offset {offset}: ends inside a PDU, after {len(buffer)} of its octets")


def _at(offset: int, step: Callable[[_Data], _T], data: _Data) -> _T:
    try:
        return step(data)
    except WrongKeyError:
        raise
    except DecodeError as error:
        raise DecodeError(f"offset {offset}: {error}") from None


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := stream.read(size - len(data))):
        data += part
    return data


class _Behind(io.RawIOBase):
    """Some octets, then the rest of a stream."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer)
        part, self._first = self._first[: len(room)], self._first[len(room) :]
        part = part or self._rest.read(len(room))
        room[: len(part)] = part
        return len(part)
