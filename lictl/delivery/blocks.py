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
TRAILER_CHECK = 4
FLAG_RESTART = 1
"""This block's number may jump, and `first_sequence` to `last_sequence` were never given to a record that
this spool knows of: the machine lost power (or its disk lost blocks) and numbers continue from a reserved mark."""
FLAG_SEALED = 2
"""On disk only: payload and position are sealed (`lictl.delivery.seal`)."""
SEAL_BYTES = 28
"""What sealing adds to a payload or a position: nonce and tag."""
MAX_POSITION = MAX_TRAILER - TRAILER_CHECK - SEAL_BYTES

_HEADER = struct.Struct("<4sBBHIIIIQQQQQQQQ")
_CHECK = struct.Struct("<II")
_U32 = struct.Struct("<I")
_CHECKED_BYTES = _HEADER.size
_PAYLOAD_CRC = 16
_MAX_STORED = MAX_PAYLOAD + SEAL_BYTES
if _CHECKED_BYTES + _CHECK.size != HEADER_BYTES:
    raise AssertionError("block header layout")


Numbers = tuple[int, int, int, int, int, int, int, int, int]
"""records, block, first_sequence, last_sequence, lost, first_ns, last_ns, total_records, total_lost"""


class BlockKind(enum.IntEnum):
    """What a block's payload is."""

    OPEN = 1
    DATA = 2
    GAP = 3
    END = 4
    EVENT = 5
    NOTE = 6
    """A line of JSON for the file of events; no part of the format, and nothing for a connection."""


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
    def begun(self) -> bytes:
        """As `begin_header` made it."""
        return _HEADER.pack(*self[:6], 0, *self[7:])

    @property
    def numbers(self) -> Numbers:
        """All that counts something."""
        return self[7:]

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


def pack_header(key: int, kind: int, flags: int, payload: Buffer, trailer_len: int, numbers: Numbers) -> bytes:
    """The 96 header bytes; `key` as in `header_key`."""
    return finish_header(key, begin_header(kind, flags, len(payload), trailer_len, numbers), payload)


def begin_header(kind: int, flags: int, payload_len: int, trailer_len: int, numbers: Numbers) -> bytes:
    """A header without its checksums: what the seal of a block is bound to."""
    return _HEADER.pack(MAGIC, VERSION, kind, flags, payload_len, trailer_len, 0, *numbers)


def finish_header(key: int, begun: bytes, payload: Buffer) -> bytes:
    """Puts the checksums in."""
    head = begun[:_PAYLOAD_CRC] + _U32.pack(crc32c(payload)) + begun[_PAYLOAD_CRC + _U32.size :]
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
    if header.kind not in _KINDS or header.payload_len > _MAX_STORED or header.trailer_len > MAX_TRAILER:
        raise BlockError("A block header holds impossible values.")
    if header.flags & FLAG_SEALED and header.payload_len < SEAL_BYTES:
        raise BlockError("A sealed block is too short.")
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
    if len(trailer) < TRAILER_CHECK:
        raise BlockError("A block trailer is cut short.")
    position = bytes(trailer[:-TRAILER_CHECK])
    if _U32.unpack(trailer[-TRAILER_CHECK:])[0] != crc32c(position):
        raise BlockError("A block trailer's checksum does not hold.")
    return position
