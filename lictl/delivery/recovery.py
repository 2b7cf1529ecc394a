# SPDX-License-Identifier: Apache-2.0
"""What a spool does when it is opened: find the last intact block, cut what a crash tore, decide about numbers.

A write that stopped short (kill -9, full disk) leaves a block whose end lies behind the end of the file. No reader
ever took it, so it is cut and its number is used again. Anything else that does not verify at the end, a boot without
an orderly close before it, or an acknowledgement of a block that is not here means that the agency may hold blocks
which this spool lost: then numbers continue at the reserved marks. Damage in the middle is kept where it is and
reported; the reader tells the agency which numbers it cannot deliver.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lictl.delivery.marks import BLOCK_STEP, SEQUENCE_STEP, Marks
from lictl.delivery.segments import Damage, Scan, list_segments, scan_segment, segment_name

if TYPE_CHECKING:
    from lictl.delivery.blocks import Header
    from lictl.delivery.folder import Folder


@dataclass(slots=True)
class Recovered:
    """The state of a spool's folder.

    Attributes:
        segments: size in bytes by first block number, ascending.
        last: header of the last intact block, None for an empty spool.
        position: the newest intact position, as stored.
        position_of: header of the block that it lies behind; None where there is no position.
        cut_bytes: bytes removed from the end.
        damages: damaged ranges that were left in place, by segment.
        next_block: number of the next block.
        next_sequence: sequence number of the next packet.
        jump: the two numbers above come from the marks; the first block has to say so.
    """

    segments: dict[int, int] = field(default_factory=dict)
    last: Header | None = None
    position: bytes = b""
    position_of: Header | None = None
    cut_bytes: int = 0
    damages: list[tuple[int, Damage]] = field(default_factory=list)
    next_block: int = 1
    next_sequence: int = 1
    jump: bool = False


def recover(folder: Folder, key: int, marks: Marks | None, boot_id: bytes, acknowledged: int) -> Recovered:
    """Repairs the end of the spool in `folder` and says where to continue.

    Args:
        key: of the spool's block headers.
        marks: what the marks file holds.
        boot_id: of the running kernel.
        acknowledged: the last block that the agency confirmed.
    """
    found = Recovered()
    firsts = list_segments(folder.names())
    suspicious = False
    for first in reversed(firsts):
        scan = _cut(folder, key, first, found)
        suspicious = suspicious or scan.suspicious
        found.damages.extend((first, damage) for damage in scan.damages)
        if scan.last is not None:
            found.last, found.position, found.position_of = scan.last, scan.position, scan.position_of
            break
        _set_aside(folder, first, scan)
    found.segments = {first: folder.size(segment_name(first)) for first in list_segments(folder.names())}
    _number(found, marks, boot_id, acknowledged, suspicious, had_data=bool(firsts))
    return found


def _cut(folder: Folder, key: int, first: int, found: Recovered) -> Scan:
    data = folder.read(segment_name(first))
    scan = scan_segment(key, data, first)
    if scan.last is not None and scan.end < len(data):
        found.cut_bytes += len(data) - scan.end
        folder.truncate(segment_name(first), scan.end)
    elif scan.last is None:
        found.cut_bytes += len(data)
    return scan


def _set_aside(folder: Folder, first: int, scan: Scan) -> None:
    """A segment without an intact block leaves the spool; what may have been data is kept for an inquiry."""
    if scan.suspicious:
        folder.rename(segment_name(first), f"{first:020d}.damaged")
    else:
        folder.unlink(segment_name(first))


def _number(
    found: Recovered, marks: Marks | None, boot_id: bytes, acknowledged: int, suspicious: bool, *, had_data: bool
) -> None:
    if found.last is not None:
        found.next_block = found.last.block + 1
        found.next_sequence = found.last.last_sequence + 1
    if marks is None:
        found.jump = had_data or acknowledged > 0
        block, sequence = found.next_block + BLOCK_STEP, found.next_sequence + SEQUENCE_STEP
    else:
        crashed = not marks.clean and marks.boot_id != boot_id
        missing = marks.clean and (found.next_block, found.next_sequence) != (marks.block, marks.sequence)
        found.jump = crashed or missing or suspicious
        block, sequence = marks.block, marks.sequence
    found.jump = found.jump or acknowledged >= found.next_block
    if found.jump:
        found.next_block = max(block, found.next_block, acknowledged + 1)
        found.next_sequence = max(sequence, found.next_sequence)
