# SPDX-License-Identifier: Apache-2.0
"""How far the agency has acknowledged: written by the worker, read by the daemon."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery.slots import OVERHEAD, SlotFile

if TYPE_CHECKING:
    from lictl.delivery.folder import Folder

CURSOR_FILE = "cursor"
_BODY = struct.Struct("<QQQQQQ")
_SLOT_BYTES = 128


class Cursor(NamedTuple):
    """The last acknowledged block and where the spool stands behind it.

    `segment` is the first block number of the segment file it lies in, `end` the file offset behind it;
    `time_ns` is the UTC time of the acknowledgement.
    """

    block: int = 0
    total_records: int = 0
    total_lost: int = 0
    segment: int = 0
    end: int = 0
    time_ns: int = 0


class CursorFile:
    """The file `cursor` of one stream's folder."""

    def __init__(self, folder: Folder) -> None:
        self._file = SlotFile(folder, CURSOR_FILE, b"LIC1", _SLOT_BYTES)
        self._file.reserve()

    def read(self) -> Cursor:
        """The newest cursor; all zero where nothing was acknowledged yet."""
        body = self._file.read()
        if body is None or len(body) != _BODY.size:
            return Cursor()
        return Cursor._make(_BODY.unpack(body))

    def write(self, cursor: Cursor) -> None:
        """Replaces it."""
        self._file.write(_BODY.pack(*cursor))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


if OVERHEAD + _BODY.size > _SLOT_BYTES:
    raise AssertionError("cursor slot layout")
