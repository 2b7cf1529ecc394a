# SPDX-License-Identifier: Apache-2.0
"""The spool of one stream: an append-only log on disk that survives crashes, full disks and power loss.

One process appends (`Spool`), another reads and sends (`reader.SpoolReader`) and writes the acknowledgement cursor.
On-disk format: docs/formats/delivery-protocol.md.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Literal

from lictl.delivery import marks as marks_module
from lictl.delivery.blocks import FLAG_RESTART, MAX_PAYLOAD, MAX_POSITION, BlockKind, header_key
from lictl.delivery.files import SpoolFiles
from lictl.delivery.marks import BLOCK_STEP, SEQUENCE_STEP, Marks
from lictl.delivery.recovery import Recovered, recover
from lictl.delivery.seal import BlockSeal, pack_block, position_of
from lictl.delivery.state import Appended, Restart, SpoolFull, Totals, Waiting
from lictl.delivery.syncer import SYNCER
from lictl.delivery.writer import SegmentWriter
from lictl.errors import MachineError
from lictl.portable import raise_file_limit
from lictl.times import now_ns

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.delivery.crc import Buffer
    from lictl.delivery.cursor import Cursor

__all__ = ["Appended", "FsyncPolicy", "Restart", "Spool", "SpoolFull", "Totals", "Waiting"]

FsyncPolicy = Literal["interval", "always", "never"]
SEGMENT_BYTES = 64 << 20
MIN_QUOTA = 1 << 16


class Spool:
    """Appends blocks. Use `Spool.open`; one writer at a time, enforced by a lock.

    Attributes:
        spool_id: 32 hex digits that name this spool, for ever.
        position: what the newest block's `position` was: where the caller stands.
        restarted: set when numbers were skipped on opening; a GAP block that says so was written.
        cut_bytes: bytes of a torn tail that opening removed.
        damages: number of damaged ranges that opening found in the middle and left for the reader to report.
        sync_error: why the last flush failed; None while all is well.
        interval_s: time between two flushes, seconds.
    """

    def __init__(
        self, files: SpoolFiles, quota_bytes: int, segment_bytes: int, fsync: FsyncPolicy, key: bytes | None
    ) -> None:
        self.folder = files.folder.path
        self.interval_s = 0.2
        self.retention_s = 0.0
        self.spool_id = files.spool_id
        self.position = b""
        self.restarted: Restart | None = None
        self.cut_bytes = 0
        self.damages = 0
        self.sync_error: str | None = None
        self._quota = quota_bytes
        self._files = files
        self._key = header_key(files.spool_id)
        self._seal = None if key is None else BlockSeal(key, files.spool_id)
        self._fsync = fsync
        self._durable = fsync != "never"
        self._lock = threading.RLock()
        self._sync_lock = threading.Lock()  # taken before _lock, never behind it
        self._writer = SegmentWriter(files.folder, min(segment_bytes, quota_bytes // 4), durable=self._durable)
        self._block = 0
        self._sequence = 0
        self._records = 0
        self._lost = 0
        self._synced = 0
        self._restart_pending = False
        self._closed = False

    # ---- opening and closing

    @classmethod
    def open(
        cls,
        folder: Path,
        quota_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        fsync: FsyncPolicy = "interval",
        interval_s: float = 0.2,
        *,
        key: bytes | None = None,
        retention_s: float = 0.0,
        owner_uid: int | None = None,
        owner_gid: int | None = None,
        boot_id: bytes | None = None,
    ) -> Spool:
        """Opens the spool in `folder`, or makes one; recovers from whatever happened before.

        Args:
            folder: of this one stream; made with mode 0700.
            quota_bytes: limit of all segment files together.
            segment_bytes: a segment that would grow larger is finished; at most a quarter of the quota.
            fsync: "interval": a background thread flushes; "always": before `append` returns; "never": for tests.
            interval_s: of the background thread, seconds.
            key: of this stream, 32 bytes: what is appended is sealed with it. None: it lies there readable.
            retention_s: how long a segment is kept after it was acknowledged, seconds.
            owner_uid: owner of folder and files: the user that the delivery worker runs as.
            owner_gid: the group; `owner_uid` where not given.
            boot_id: 16 bytes; the running kernel's where not given.

        Raises:
            UnavailableError: another process appends to it.
            IntegrityError: its identity is damaged, or it is sealed and `key` does not open it.
            MachineError: the folder cannot be used.
        """
        if quota_bytes < MIN_QUOTA:
            raise MachineError(f"A spool quota of {quota_bytes} bytes is too small.", f"Give it {MIN_QUOTA} or more.")
        owner = None if owner_uid is None else (owner_uid, owner_uid if owner_gid is None else owner_gid)
        raise_file_limit()
        try:
            files = SpoolFiles(folder, owner, durable=fsync != "never")
        except OSError as error:
            raise _unusable(folder, error) from error
        spool = cls(files, quota_bytes, segment_bytes, fsync, key)
        spool.retention_s, spool.interval_s = retention_s, interval_s
        try:
            spool._recover(marks_module.this_boot() if boot_id is None else boot_id)
        except OSError as error:
            spool._close_files()
            raise _unusable(folder, error) from error
        except BaseException:
            spool._close_files()
            raise
        if fsync == "interval":
            SYNCER.add(spool)
        else:
            spool.sync()
        return spool

    def _recover(self, boot_id: bytes) -> None:
        found = recover(self._files.folder, self._key, self._files.marks.read(), boot_id, self.acknowledged)
        self.position = position_of(found, self._seal, self.folder)
        self._writer.resume(found.segments, append=not found.jump)
        if self._durable:
            self._writer.flush_all()
        self.cut_bytes = found.cut_bytes
        self.damages = len(found.damages)
        if found.last is not None:
            self._records, self._lost = found.last.total_records, found.last.total_lost
        self._synced = self._block = found.next_block - 1
        self._sequence = found.next_sequence - 1
        self._marks = Marks(boot_id, 0, 0, clean=False)
        self._reserve(self._block, self._sequence)
        if found.jump:
            self._announce_jump(found)

    def _announce_jump(self, found: Recovered) -> None:
        before = found.last.last_sequence if found.last is not None else 0
        self.restarted = Restart(before + 1, found.next_sequence - 1)
        self._restart_pending = True
        with contextlib.suppress(SpoolFull):  # then the next append writes it
            self._append_restart(self.restarted)

    def _append_restart(self, skipped: Restart) -> None:
        now = now_ns()
        self._append(BlockKind.GAP, FLAG_RESTART, b"", 0, *skipped, 0, now, now, self.position)
        self._restart_pending = False

    def close(self) -> None:
        """Flushes and closes in order; the next opening continues without a jump."""
        SYNCER.remove(self)
        if self._durable and not self._closed:
            self.sync()
        with self._sync_lock, self._lock:
            if self._closed:
                return
            with contextlib.suppress(OSError):  # not marked clean then: the next opening recovers
                if self.sync_error is None and not self._restart_pending:
                    marks = self._marks._replace(block=self._block + 1, sequence=self._sequence + 1, clean=True)
                    self._files.marks.write(marks, sync=self._durable)
            self._close_files()

    def _close_files(self) -> None:
        self._closed = True
        self._writer.close()
        self._files.close()

    def remove(self) -> None:
        """Closes the spool and deletes its folder: for a stream that ended and is acknowledged."""
        with self._sync_lock, self._lock:
            SYNCER.remove(self)
            self._closed = True
            self._writer.close()
            self._files.remove()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- appending

    def append(
        self,
        kind: BlockKind,
        payload: Buffer,
        *,
        records: int,
        first_sequence: int,
        last_sequence: int,
        lost: int,
        first_ns: int,
        last_ns: int,
        position: bytes,
    ) -> Appended:
        """Writes one block; a reader sees it at once.

        Args:
            kind: what the payload is.
            payload: whole records, at most 64 MiB; copied by the kernel before this returns.
            records: number of records in it.
            first_sequence: number of its first record (GAP: of the first one lost).
            last_sequence: number of its last record (GAP: of the last one lost). Where `records` and `lost` are both
                0, the stream's last number is put in place of both.
            lost: losses among the numbers since the block before.
            first_ns: UTC ns of the first record.
            last_ns: UTC ns of the last one.
            position: where the caller stands behind this block; given back as `position` after a restart.

        Raises:
            SpoolFull: quota or disk; nothing was written.
            ValueError: payload or position too large, or the spool is closed.
        """
        if isinstance(payload, memoryview) and payload.itemsize != 1:
            payload = payload.cast("B")
        if len(payload) > MAX_PAYLOAD or len(position) > MAX_POSITION:
            raise ValueError(f"a block holds at most {MAX_PAYLOAD} bytes and a position of {MAX_POSITION}")
        with self._lock:
            if self._closed:
                raise ValueError("the spool is closed")
            if self._restart_pending and self.restarted is not None:
                self._append_restart(self.restarted)
            if not records and not lost:
                first_sequence = last_sequence = self._sequence
            size = self._append(
                kind, 0, payload, records, first_sequence, last_sequence, lost, first_ns, last_ns, position
            )
            block = self._block
        if self._fsync == "always":
            self.sync()
        return Appended(block, size, self._synced >= block)

    def _append(
        self, kind: int, flags: int, payload: Buffer, records: int, first: int, last: int, lost: int, first_ns: int,
        last_ns: int, position: bytes,
    ) -> int:  # fmt: skip
        block = self._block + 1
        numbers = (records, block, first, last, lost, first_ns, last_ns, self._records + records, self._lost + lost)
        parts = pack_block(self._key, self._seal, kind, flags, payload, position, numbers)
        size = len(parts[0]) + len(parts[1]) + len(parts[2])
        if self._writer.disk_bytes + size > self._quota:
            self._make_room(size)
        try:
            self._write(block, last, parts, size)
        except OSError as error:
            raise SpoolFull(
                "disk", f"The disk of the spool refused a block: {error.strerror}.", "Free space or repair the disk."
            ) from error
        self._block, self._sequence = block, last
        self._records += records
        self._lost += lost
        self.position = position
        return size

    def _write(self, block: int, last: int, parts: tuple[Buffer, ...], size: int) -> None:
        if block >= self._marks.block or last >= self._marks.sequence:
            self._reserve(block, last)
        try:
            self._writer.append(block, parts, size)
        except OSError:
            if not self._writer.trim(self.acknowledged, 0.0):
                raise
            self._writer.append(block, parts, size)

    def _reserve(self, block: int, sequence: int) -> None:
        marks = self._marks._replace(block=block + BLOCK_STEP, sequence=sequence + SEQUENCE_STEP)
        self._files.marks.write(marks, sync=self._durable)
        self._marks = marks

    def _make_room(self, size: int) -> None:
        """Deletes what is acknowledged, whatever the retention: delivery comes before keeping copies."""
        self._writer.trim(self.acknowledged, 0.0)
        if self._writer.disk_bytes + size > self._quota:
            raise SpoolFull(
                "quota",
                f"The spool {self.folder.parent.name}/{self.folder.name} has reached its quota of {self._quota} bytes.",
                "Bring the agency back, or raise the quota.",
            )

    # ---- flushing

    def sync(self) -> int:
        """Flushes all that was appended before; returns the last block that is on disk."""
        with self._sync_lock:
            with self._lock:
                block = self._block
                if self._closed or block == self._synced:
                    return self._synced
                fds, retired, folder = self._writer.to_flush()
                self._reserve_ahead()
            try:
                for fd in fds:
                    os.fdatasync(fd)
                if folder:
                    self._files.folder.sync()
            except OSError as error:
                # A failed fsync may have dropped pages for good, so nothing behind `_synced` is promised any more.
                self.sync_error = error.strerror or "the flush failed"
            finally:
                for fd in retired:
                    os.close(fd)
            if self.sync_error is None:
                self._synced = block
            return self._synced

    def _reserve_ahead(self) -> None:
        low_block = self._marks.block - self._block < BLOCK_STEP // 2
        if low_block or self._marks.sequence - self._sequence < SEQUENCE_STEP // 2:
            with contextlib.suppress(OSError):  # append tries again and reports it
                self._reserve(self._block, self._sequence)

    # ---- state

    @property
    def synced(self) -> int:
        """Number of the last block that is on disk: only this counts as spooled."""
        return self._synced

    @property
    def last_block(self) -> int:
        """Number of the last block appended."""
        return self._block

    @property
    def next_sequence(self) -> int:
        """Sequence number of the stream's next packet; the caller's position has to be set to it after opening."""
        return self._sequence + 1

    @property
    def totals(self) -> Totals:
        """Sums since the stream began."""
        with self._lock:
            return Totals(self._records, self._lost, self._block, self._writer.disk_bytes)

    @property
    def cursor(self) -> Cursor:
        """What the worker wrote down last."""
        return self._files.cursor.read()

    @property
    def acknowledged(self) -> int:
        """Number of the last block that the agency confirmed; 0 for none."""
        return self.cursor.block

    @property
    def waiting(self) -> Waiting:
        """What is not acknowledged yet."""
        with self._lock:
            cursor = self.cursor
            sizes = self._writer.sizes
            behind = sum(size for first, size in sizes.items() if first > cursor.block)
            if cursor.segment in sizes:
                behind += max(sizes[cursor.segment] - cursor.end, 0)
            return Waiting(behind, max(self._records - cursor.total_records, 0))

    def trim(self) -> int:
        """Deletes segments that were acknowledged more than the retention ago; returns the bytes freed.

        The last segment stays: it holds the position.
        """
        with self._lock:
            return 0 if self._closed else self._writer.trim(self.acknowledged, self.retention_s)


def _unusable(folder: Path, error: OSError) -> MachineError:
    return MachineError(
        f"The spool {folder} cannot be opened: {error.strerror}.", "Check the disk and the folder's owner."
    )
