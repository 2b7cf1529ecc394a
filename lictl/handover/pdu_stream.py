# SPDX-License-Identifier: Apache-2.0
"""Files and connections of PDUs: one PDU at a time, little more than one in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from lictl.handover.decoded import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.handover.pdu import PduFormat

_CHUNK = 1 << 16


def pdus(format_: PduFormat, stream: BinaryIO) -> Iterator[bytes]:
    """The PDUs of a stream that holds nothing else.

    Raises:
        DecodeError: not of the format, or it ends inside a PDU; names the offset.
    """
    buffer, offset = bytearray(), 0
    while chunk := stream.read(_CHUNK):
        buffer += chunk
        used = 0
        while used < len(buffer):
            size = _length(format_, buffer, used, offset)
            if not size or size > len(buffer) - used:
                break
            yield bytes(buffer[used : used + size])
            used += size
            offset += size
        del buffer[:used]
    if buffer:
        raise DecodeError(f"offset {offset}: ends inside a PDU")


def _length(format_: PduFormat, buffer: bytearray, used: int, offset: int) -> int:
    with memoryview(buffer) as whole, whole[used:] as view:
        try:
            return format_.length(view)
        except DecodeError as error:
            raise DecodeError(f"offset {offset}: {error}") from None


def read(stream: BinaryIO, size: int, offset: int, *, at_start: bool = False) -> bytes:
    """So many octets; b"" at the end where `at_start`.

    Raises:
        DecodeError: there are fewer.
    """
    data = b""
    while len(data) < size and (part := stream.read(size - len(data))):
        data += part
    if len(data) < size and not (at_start and not data):
        raise DecodeError(f"offset {offset}: ends inside an item")
    return data
