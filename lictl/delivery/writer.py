# SPDX-License-Identifier: Apache-2.0
"""The segment files of one spool, seen from the process that appends to them."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from typing import TYPE_CHECKING

from lictl.delivery.segments import segment_name

if TYPE_CHECKING:
    from lictl.delivery.crc import Buffer
    from lictl.delivery.folder import Folder


# On a disk that is nearly full segments are short: the last one stays although it is acknowledged, and must not hold
# the room that the next packets need.
LEAST_SEGMENT = 1 << 20
_ROOM_SHARE = 16


class SegmentWriter:
    """Writes whole blocks behind one another, in segments.

    Not thread safe: the spool's lock guards it, but for `flush`, which works on descriptors that `to_flush` gave out.

    Attributes:
        sizes: bytes of each segment by its first block's number, ascending.
        disk_bytes: their sum.
    """

    def __init__(self, folder: Folder, segment_bytes: int, *, durable: bool) -> None:
        self.sizes: dict[int, int] = {}
        self.disk_bytes = 0
        self._folder = folder
        self._most = self._limit = segment_bytes
        self._durable = durable
        self._fd = -1
        self._segment = 0
        self._size = 0
        self._torn = False
        self._retired: list[int] = []
        self._folder_dirty = True
        self._acked_since: dict[int, float] = {}

    def resume(self, sizes: dict[int, int], *, append: bool) -> None:
        """Takes over the segments that recovery found; with `append` it goes on in the last one."""
        self.sizes = sizes
        self.disk_bytes = sum(sizes.values())
        if sizes and append:
            self._segment = max(sizes)
            self._size = sizes[self._segment]
            self._fd = self._folder.open(segment_name(self._segment), os.O_WRONLY)

    def append(self, block: int, parts: tuple[Buffer, ...], size: int) -> None:
        """Writes one block of `size` bytes; on OSError nothing of it remains."""
        if self._fd < 0 or (self._size and self._size + size > self._limit):
            self._begin(block)
        if self._torn:
            self._take_back()
        try:
            done = os.pwritev(self._fd, parts, self._size)
            while done < size:
                done += os.pwrite(self._fd, b"".join(parts)[done:], self._size + done)
        except OSError:
            self._torn = True
            with contextlib.suppress(OSError):  # tried again before the next block
                self._take_back()
            raise
        self._size += size
        self.sizes[self._segment] = self._size
        self.disk_bytes += size

    def _take_back(self) -> None:
        os.ftruncate(self._fd, self._size)
        self._torn = False

    def _begin(self, block: int) -> None:
        if self._torn:
            self._take_back()
        fd = self._folder.open(segment_name(block), os.O_WRONLY | os.O_CREAT)
        if self._fd >= 0 and self._durable:
            self._retired.append(self._fd)
        elif self._fd >= 0:
            os.close(self._fd)
        self._fd, self._segment, self._size = fd, block, 0
        disk = os.fstatvfs(fd)
        self._limit = min(self._most, max(LEAST_SEGMENT, disk.f_bavail * disk.f_frsize // _ROOM_SHARE))
        self.sizes[block] = 0
        self._folder_dirty = True

    def trim(self, acknowledged: int, retention_s: float) -> int:
        """Deletes segments acknowledged at least `retention_s` ago, but never the last one; returns bytes freed."""
        now = time.monotonic()
        freed = 0
        for first, following in itertools.pairwise(list(self.sizes)):
            if acknowledged < following - 1 or not self.sizes[following]:
                break
            if now - self._acked_since.setdefault(first, now) < retention_s:
                break
            self._folder.unlink(segment_name(first))
            self._acked_since.pop(first, None)
            freed += self.sizes.pop(first)
        self.disk_bytes -= freed
        return freed

    def to_flush(self) -> tuple[list[int], list[int], bool]:
        """Descriptors to flush, those of them to close then, and whether the folder changed."""
        retired, self._retired = self._retired, []
        folder, self._folder_dirty = self._folder_dirty, False
        return [*retired, *([self._fd] if self._fd >= 0 else [])], retired, folder

    def flush_all(self) -> None:
        """Flushes every segment: after a crash nobody knows which ones are on disk."""
        for first in self.sizes:
            fd = self._folder.open(segment_name(first), os.O_RDONLY)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)

    def close(self) -> None:
        """Closes all descriptors."""
        for fd in (*self._retired, self._fd):
            if fd >= 0:
                os.close(fd)
        self._retired, self._fd = [], -1
