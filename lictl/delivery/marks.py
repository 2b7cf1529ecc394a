# SPDX-License-Identifier: Apache-2.0
"""Numbers reserved in advance, so that none is used twice after a power loss.

The agency may hold blocks that this machine sent and then lost with its page cache. Their block and sequence numbers
must not be given to other data. So marks are on disk (fsync) before any number below them is used, and after a boot
that was not preceded by an orderly close, numbering continues at the marks.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery.slots import OVERHEAD, SlotFile

if TYPE_CHECKING:
    from lictl.delivery.folder import Folder

MARKS_FILE = "marks"
BLOCK_STEP = 1_000_000
SEQUENCE_STEP = 10_000_000
_BODY = struct.Struct("<16sQQB")
_SLOT_BYTES = 128
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Marks(NamedTuple):
    """What is reserved.

    Attributes:
        boot_id: 16 bytes that name the boot during which this was written.
        block: first block number that is not reserved.
        sequence: first sequence number that is not reserved.
        clean: the spool was closed in order: both numbers are exactly the next ones.
    """

    boot_id: bytes
    block: int
    sequence: int
    clean: bool


@cache
def this_boot() -> bytes:
    """The 16 bytes of the kernel's boot id (random(4))."""
    return bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))


class MarksFile:
    """The file `marks` of one stream's folder."""

    def __init__(self, folder: Folder) -> None:
        self._file = SlotFile(folder, MARKS_FILE, b"LIM1", _SLOT_BYTES)
        self._file.reserve()

    def read(self) -> Marks | None:
        """The newest marks; None where there are none."""
        body = self._file.read()
        if body is None or len(body) != _BODY.size:
            return None
        boot_id, block, sequence, clean = _BODY.unpack(body)
        return Marks(boot_id, block, sequence, bool(clean))

    def write(self, marks: Marks, *, sync: bool) -> None:
        """Replaces them; with `sync` they are on disk when this returns."""
        self._file.write(_BODY.pack(*marks), sync=sync)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


if OVERHEAD + _BODY.size > _SLOT_BYTES:
    raise AssertionError("marks slot layout")
