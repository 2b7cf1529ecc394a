# SPDX-License-Identifier: Apache-2.0
"""A small record in a file that is rewritten in place and never lost to a torn write.

Two slots are written in turn; each holds magic, CRC-32C, a serial number and the body. A reader takes the intact
slot with the higher serial, so a crash in the middle of a write leaves the record before it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from typing import TYPE_CHECKING

from lictl.delivery.crc import crc32c
from lictl.portable import pread, pwrite, sync_data

if TYPE_CHECKING:
    from lictl.delivery.folder import Folder

_HEAD = struct.Struct("<4sIQI")
_CRC_END = 8
OVERHEAD = _HEAD.size


class SlotFile:
    """One such file.

    Args:
        folder: where it lies.
        name: of the file; made with mode 0600 when it is not there.
        magic: four bytes that name the kind of record.
        slot_bytes: size of one slot; a body may have up to slot_bytes - 20 bytes.
    """

    def __init__(self, folder: Folder, name: str, magic: bytes, slot_bytes: int) -> None:
        self._magic = magic
        self._slot_bytes = slot_bytes
        self.fd = folder.open(name, os.O_RDWR | os.O_CREAT)
        self._serial = 0
        self._last: bytes | None = None
        # A status query may read while the owner closes: it must not meet a number that is another file's by then.
        self._lock = threading.Lock()
        self.read()

    def _slot(self, index: int) -> tuple[int, bytes] | None:
        raw = pread(self.fd, self._slot_bytes, index * self._slot_bytes)
        if len(raw) < OVERHEAD:
            return None
        magic, crc, serial, length = _HEAD.unpack_from(raw)
        if magic != self._magic or length > self._slot_bytes - OVERHEAD or len(raw) < OVERHEAD + length:
            return None
        if crc != crc32c(raw[_CRC_END : OVERHEAD + length]):
            return None
        return serial, raw[OVERHEAD : OVERHEAD + length]

    def read(self) -> bytes | None:
        """The newest intact body, as it was at the end once the file is closed; None where there is none."""
        with self._lock:
            return self._read() if self.fd >= 0 else self._last

    def _read(self) -> bytes | None:
        intact = [slot for slot in (self._slot(0), self._slot(1)) if slot is not None]
        if not intact:
            return None
        serial, body = max(intact)
        self._serial = max(self._serial, serial)
        return body

    def reserve(self) -> None:
        """Takes the room of both slots now, where there is any: a disk that fills up later cannot refuse a record."""
        if os.fstat(self.fd).st_size < 2 * self._slot_bytes:
            with contextlib.suppress(OSError):
                os.posix_fallocate(self.fd, 0, 2 * self._slot_bytes)

    def write(self, body: bytes, *, sync: bool = False) -> None:
        """Replaces the record; with `sync` it is on disk when this returns."""
        if len(body) > self._slot_bytes - OVERHEAD:
            raise ValueError("the record is larger than its slot")
        self._serial += 1
        checked = struct.pack("<QI", self._serial, len(body)) + body
        raw = self._magic + struct.pack("<I", crc32c(checked)) + checked
        offset = self._serial % 2 * self._slot_bytes
        if pwrite(self.fd, raw, offset) != len(raw):
            raise OSError(28, "short write")
        if sync:
            sync_data(self.fd)

    def close(self) -> None:
        """Closes the file; may be called again."""
        with self._lock:
            if self.fd < 0:
                return
            with contextlib.suppress(OSError):
                self._last = self._read()
            with contextlib.suppress(OSError):
                os.close(self.fd)
            self.fd = -1
