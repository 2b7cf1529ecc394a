# SPDX-License-Identifier: Apache-2.0
"""The block: the unit that is spooled, sent, acknowledged and deduplicated.

Layout and meaning of every byte: docs/formats/delivery-protocol.md.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

from lictl.delivery.crc import Buffer, crc32c
from lictl.errors import IntegrityError

MAGIC = b"LIB1"
VERSION = 1
HEADER_BYTES = 96
MAX_PAYLOAD = 64 << 20
MAX_TRAILER = 8192
FLAG_RESTART = 1
"""This block's number may jump, and `first_sequence` to `last_sequence` were never given to a record that
this spool knows of: the machine lost power (or its disk lost blocks) and numbers continue from a reserved mark."""

_HEADER = struct.Struct("<4sBBHIIIIQQQQQQQQ")
_CHECK = struct.Struct("<II")
_U32 = struct.Struct("<I")
_CHECKED_BYTES = _HEADER.size
if _CHECKED_BYTES + _CHECK.size != HEADER_BYTES:
    raise AssertionError("block header layout")


class BlockKind(enum.IntEnum):
    """What a block's payload is."""

    OPEN = 1
    DATA = 2
    GAP = 3
    END = 4


_KINDS = frozenset(int(kind) for kind in BlockKind)


class BlockError(IntegrityError):
    """Bytes that should be a block are not, or not an intact one."""


class Header(NamedTuple):
    """The block header, field for field.

    `first_sequence`..`last_sequence` are the packet numbers this block accounts for up to (records delivered and
    lost alike), `lost` how many of the numbers since the block before are losses; times are UTC ns.
    `total_records` and `total_lost` count the stream's from its beginning, this block included.
    """

    magic: bytes
    version: int
    kind: int
    flags: int
    payload_len: int
    trailer_len: int
    payload_crc: int
    records: int
    block: int
    first_sequence: int
    last_sequence: int
    lost: int
    first_ns: int
    last_ns: int
    total_records: int
    total_lost: int

    @property
    def sent_bytes(self) -> int:
        """Header and payload: what goes over the wire."""
        return HEADER_BYTES + self.payload_len

    @property
    def stored_bytes(self) -> int:
        """Header, payload and trailer: what lies in the spool."""
        return HEADER_BYTES + self.payload_len + self.trailer_len

    @property
    def sequence_before(self) -> int:
        """The stream's last sequence number before this block."""
        if self.flags & FLAG_RESTART:
            return self.first_sequence - 1
        return self.last_sequence - self.records - self.lost


def header_key(spool_id: str) -> int:
    """What header checksums of a spool begin with.

    Intercepted content is under the control of the person intercepted, and may hold bytes made to look like blocks.
    Without the spool's random identity nobody can make a header that passes, wherever a search for blocks begins.
    """
    return crc32c(spool_id.encode())


def pack_header(
    key: int,
    kind: int,
    flags: int,
    payload: Buffer,
    trailer_len: int,
    numbers: tuple[int, int, int, int, int, int, int, int, int],
) -> bytes:
    """The 96 header bytes.

    Args:
        key: see `header_key`.
        numbers: records, block, first_sequence, last_sequence, lost, first_ns, last_ns, total_records, total_lost.
    """
    head = _HEADER.pack(MAGIC, VERSION, kind, flags, len(payload), trailer_len, crc32c(payload), *numbers)
    return head + _CHECK.pack(crc32c(head, key), 0)


def parse_header(key: int, data: Buffer, offset: int = 0) -> Header:
    """Reads and checks the 96 bytes at `offset`; `key` as in `header_key`.

    Raises:
        BlockError: they are not an intact header of this version.
    """
    if len(data) - offset < HEADER_BYTES:
        raise BlockError("A block header is cut short.")
    header = Header._make(_HEADER.unpack_from(data, offset))
    crc, zero = _CHECK.unpack_from(data, offset + _CHECKED_BYTES)
    if header.magic != MAGIC:
        raise BlockError("A block does not begin with LIB1.")
    if crc != crc32c(memoryview(data)[offset : offset + _CHECKED_BYTES], key) or zero:
        raise BlockError("A block header's checksum does not hold.")
    if header.version != VERSION:
        raise BlockError(f"Block version {header.version} is not known here.", "Use the same lictl version.")
    if header.kind not in _KINDS or header.payload_len > MAX_PAYLOAD or header.trailer_len > MAX_TRAILER:
        raise BlockError("A block header holds impossible values.")
    return header


def check_payload(header: Header, payload: Buffer) -> None:
    """Raises BlockError unless `payload` is the one that `header` describes."""
    if len(payload) != header.payload_len or crc32c(payload) != header.payload_crc:
        raise BlockError(f"The payload checksum of block {header.block} does not hold.")


def pack_trailer(position: bytes) -> bytes:
    """What follows the payload on disk: the position and its CRC-32C."""
    return position + _U32.pack(crc32c(position))


def parse_trailer(trailer: Buffer) -> bytes:
    """The position in a trailer; BlockError when it is damaged."""
    if len(trailer) < _U32.size:
        raise BlockError("A block trailer is cut short.")
    position = bytes(trailer[: -_U32.size])
    if _U32.unpack(trailer[-_U32.size :])[0] != crc32c(position):
        raise BlockError("A block trailer's checksum does not hold.")
    return position
