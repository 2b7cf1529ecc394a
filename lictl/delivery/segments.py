# SPDX-License-Identifier: Apache-2.0
"""Segment files: named by their first block's number, blocks one behind the other, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery.blocks import (
    HEADER_BYTES,
    MAGIC,
    BlockError,
    Header,
    check_payload,
    parse_header,
    parse_trailer,
)
from lictl.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.delivery.folder import Folder

ID_FILE = "id"
ID_LENGTH = 32
_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"(\d{20})\.seg")


def read_id(folder: Folder) -> str:
    """The identity of a spool: 32 hex digits.

    Raises:
        FileNotFoundError: there is none yet.
        IntegrityError: the file is damaged.
    """
    text = folder.read(ID_FILE).decode("ascii", errors="replace")
    if not _ID.fullmatch(text):
        raise IntegrityError(f"The file '{ID_FILE}' of the spool {folder.path} is damaged.", "Restore that file.")
    return text


def segment_name(first_block: int) -> str:
    """File name of the segment that begins with `first_block`."""
    return f"{first_block:020d}.seg"


def list_segments(names: Iterable[str]) -> list[int]:
    """First block numbers of the segments among the names in a folder, ascending."""
    found = (_NAME.fullmatch(name) for name in names)
    return sorted(int(match[1]) for match in found if match)


class Damage(NamedTuple):
    """A range of a segment that holds no intact block, with intact ones behind it."""

    offset: int
    end: int


@dataclass(slots=True)
class Scan:
    """What a walk over a whole segment found.

    Attributes:
        last: header of the last intact block, None where there is none.
        end: file offset behind it; what lies behind is torn or damaged.
        position: the newest intact position of the trailers, as stored.
        position_of: header of the block that it lies behind.
        damages: damaged ranges with intact blocks behind them.
        suspicious: what lies behind `end` may have been a complete block once, so a reader may have sent it.
    """

    last: Header | None = None
    end: int = 0
    position: bytes = b""
    position_of: Header | None = None
    damages: list[Damage] = field(default_factory=list)
    suspicious: bool = False


def intact_block(key: int, data: bytes | memoryview, offset: int) -> Header | None:
    """The header at `offset` when header and payload are whole and their checksums hold, else None."""
    try:
        header = parse_header(key, data, offset)
        body = offset + HEADER_BYTES
        if offset + header.stored_bytes > len(data):
            return None
        check_payload(header, memoryview(data)[body : body + header.payload_len])
    except BlockError:
        return None
    return header


def find_block(key: int, data: bytes, offset: int, above: int) -> int | None:
    """Offset of the first intact block from `offset` on whose number is higher than `above`."""
    while (offset := data.find(MAGIC, offset)) >= 0:
        header = intact_block(key, data, offset)
        if header is not None and header.block > above:
            return offset
        offset += 1
    return None


def scan_segment(key: int, data: bytes, first_block: int) -> Scan:
    """Checks every block of a segment's content.

    A bad block with an intact one behind it is damage in the middle: it stays where it is and is reported. Bad bytes
    with nothing intact behind them are the tail that a crash tore.
    """
    scan = Scan()
    offset = 0
    number = first_block - 1
    while offset < len(data):
        header = intact_block(key, data, offset)
        if header is None or header.block <= number:
            later = find_block(key, data, offset + 1, number)
            if later is None:
                scan.suspicious = _may_have_been_complete(key, data, offset)
                break
            scan.damages.append(Damage(offset, later))
            offset = later
            continue
        number = header.block
        scan.last = header
        body_end = offset + header.sent_bytes
        offset += header.stored_bytes
        scan.end = offset
        try:
            scan.position = parse_trailer(memoryview(data)[body_end:offset])
            scan.position_of = header
        except BlockError:
            scan.damages.append(Damage(body_end, offset))
    return scan


def _may_have_been_complete(key: int, data: bytes, offset: int) -> bool:
    """False only for a write that stopped short: its block's end lies behind the end of the file."""
    if len(data) - offset < HEADER_BYTES:
        return False
    try:
        header = parse_header(key, data, offset)
    except BlockError:
        return True
    return offset + header.stored_bytes <= len(data)
