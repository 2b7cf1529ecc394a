# SPDX-License-Identifier: Apache-2.0
"""Reads a spool's blocks from another process, following its growth, without any right but to read the files."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery.blocks import (
    FLAG_RESTART,
    HEADER_BYTES,
    BlockError,
    Header,
    header_key,
    parse_header,
)
from lictl.delivery.folder import Folder
from lictl.delivery.opening import BlockOpener
from lictl.delivery.scratch import scratch
from lictl.delivery.seal import SealError
from lictl.delivery.segments import find_block, list_segments, read_id, segment_name

if TYPE_CHECKING:
    from pathlib import Path

_WALK_BYTES = 1 << 20
_SEARCH_S = 0.25


class Place(NamedTuple):
    """Behind a block: its segment's first block number and the file offset."""

    segment: int = 0
    end: int = 0


class Stored(NamedTuple):
    """One intact block: `data` is header and payload as they are sent, `place` lies behind its trailer."""

    header: Header
    data: memoryview
    place: Place


class Damaged(NamedTuple):
    """Blocks that cannot be read any more; the stream's packet numbers up to `last_sequence` went with them."""

    first_block: int
    last_block: int
    last_sequence: int
    place: Place


class SpoolReader:
    """Gives the blocks of one spool in order; `read` again later gives what was appended since.

    Args:
        folder: the spool's.
        from_block: where to begin; the first one there is, if that one is gone.
        key: of the stream, for a spool that is sealed.

    Attributes:
        spool_id: of the spool.
        folder: the spool's, held open.

    Raises:
        OSError: there is no spool in the folder.
        IntegrityError: its identity is damaged.
    """

    def __init__(self, folder: Path, from_block: int = 1, key: bytes | None = None) -> None:
        self.folder = Folder(folder)
        try:
            self.spool_id = read_id(self.folder)
        except BaseException:
            self.folder.close()
            raise
        self._key = header_key(self.spool_id)
        self._opener = BlockOpener(self._key, self.spool_id, key)
        self._fd = -1
        self._segment = 0
        self._offset = 0
        self._next = 0
        self._search_after = 0.0
        self._max_blocks = 1
        self.seek(from_block)

    @property
    def next_block(self) -> int:
        """Number that the next block has, if no numbers were skipped."""
        return self._next

    @property
    def first_block(self) -> int:
        """Number of the oldest block that is still here; 0 for an empty spool."""
        firsts = list_segments(self.folder.names())
        return firsts[0] if firsts else 0

    @property
    def at_end(self) -> bool:
        """Nothing at all lies behind the present place."""
        if self._fd < 0:
            return not list_segments(self.folder.names())
        return os.fstat(self._fd).st_size <= self._offset and self._following() is None

    # ---- moving

    def seek(self, block: int) -> None:
        """Goes to the first block whose number is `block` or higher."""
        self._close_file()
        self._next = block
        firsts = list_segments(self.folder.names())
        at = [first for first in firsts if first <= block][-1:] or firsts[:1]
        if not at:
            return
        self._open(at[0])
        self._next = max(block, at[0])
        self._walk()

    def seek_behind(self, block: int) -> tuple[Header, Place] | None:
        """Goes behind a block; its header and place, None where it is not here."""
        self.seek(block)
        header = None
        if self._fd >= 0:
            with contextlib.suppress(BlockError):
                header = parse_header(self._key, os.pread(self._fd, HEADER_BYTES, self._offset))
        if header is None or header.block != block:
            self._next = max(self._next, block + 1)
            return None
        self._offset += header.stored_bytes
        self._next = block + 1
        return header, Place(self._segment, self._offset)

    def _walk(self) -> None:
        """Passes the headers of the blocks before the wanted one; stops before damage."""
        while data := os.pread(self._fd, _WALK_BYTES, self._offset):
            at = 0
            while len(data) - at >= HEADER_BYTES:
                try:
                    header = parse_header(self._key, data, at)
                except BlockError:
                    return
                if header.block >= self._next:
                    return
                at += header.stored_bytes
                self._offset += header.stored_bytes
            if len(data) - at > 0 and len(data) < _WALK_BYTES:
                return

    def _open(self, first: int) -> bool:
        try:
            fd = self.folder.open(segment_name(first), os.O_RDONLY)
        except FileNotFoundError:
            return False
        self._close_file()
        self._fd, self._segment, self._offset = fd, first, 0
        return True

    def _following(self) -> int | None:
        """First block of the next segment that holds something, None while this is the last one.

        Its name nearly always follows from the next block's number; a search for another one (numbers were skipped,
        a file is gone) that found nothing is not repeated for a moment, so that waking an idle stream costs little.
        """
        if self._holds_something(self._next):
            return self._next
        now = time.monotonic()
        if now < self._search_after:
            return None
        for first in list_segments(self.folder.names()):
            if first > self._segment and self._holds_something(first):
                return first
        self._search_after = now + _SEARCH_S
        return None

    def _holds_something(self, first: int) -> bool:
        return first > self._segment and self.folder.size(segment_name(first)) > 0

    # ---- reading

    def read(self, max_bytes: int = 1 << 20, max_blocks: int = 1024) -> list[Stored | Damaged]:
        """The next blocks, about `max_bytes` of them but at least one; empty when nothing new is there.

        Raises:
            SealError: the spool is sealed, and `key` is not the one.
        """
        self._max_blocks = max_blocks
        found: list[Stored | Damaged] = []
        while not found:
            if self._fd < 0 and not self._begin():
                break
            available = os.fstat(self._fd).st_size - self._offset
            if available >= HEADER_BYTES:
                self._parse(min(available, max_bytes), found)
                if found:
                    break
            following = self._following()
            if following is None:
                break
            # The writer has left this segment, so its size is final: look once more, then go on.
            available = os.fstat(self._fd).st_size - self._offset
            if available > 0 and self._parse_rest(available, following, found):
                continue
            self._open(following)
        return found

    def _begin(self) -> bool:
        firsts = list_segments(self.folder.names())
        if not firsts or not self._open(firsts[0]):
            return False
        self._next = max(self._next, firsts[0])
        self._walk()
        return True

    def _parse(self, length: int, found: list[Stored | Damaged]) -> None:
        """Appends the intact blocks among the next `length` bytes; a large block is read alone, and whole."""
        with contextlib.suppress(BlockError):
            size = parse_header(self._key, os.pread(self._fd, HEADER_BYTES, self._offset)).stored_bytes
            if size > length // 2:
                length = size
        data = self._pread(length)
        at = 0
        while len(data) - at >= HEADER_BYTES and len(found) < self._max_blocks:
            try:
                header = parse_header(self._key, data, at)
            except BlockError:
                self._skip_to_intact(found)
                return
            stop = at + header.stored_bytes
            if stop > len(data):
                return
            place = Place(self._segment, self._offset + header.stored_bytes)
            try:
                sent, block = self._opener.open(header, data[at:stop])
            except SealError:
                if not found:
                    raise
                return
            except BlockError:
                if found or not self._still_bad(header):
                    return  # what comes before goes out first; then it is read again
                self._offset = place.end
                self._damaged(header.block, header.last_sequence, place, found)
                at = stop
                continue
            at = stop
            self._offset = place.end
            if header.block < self._next:
                continue
            self._missing_before(header, Place(self._segment, place.end - header.stored_bytes), found)
            found.append(Stored(sent, block, place))
            self._next = header.block + 1

    def _pread(self, length: int) -> memoryview:
        """Reads at the present place, into memory that the next call uses again."""
        data = scratch(length)
        return data[: os.preadv(self._fd, [data], self._offset)]

    def _still_bad(self, header: Header) -> bool:
        """Reads the block once more: a writer may just have taken a partial one back."""
        data = os.pread(self._fd, header.stored_bytes, self._offset)
        if len(data) < header.stored_bytes:
            return False
        try:
            self._opener.open(parse_header(self._key, data), data)
        except BlockError:
            return True
        return False

    def _skip_to_intact(self, found: list[Stored | Damaged]) -> None:
        """At bytes that are no header: goes on at the next intact block of this segment, if there is one."""
        if found:
            return
        size = os.fstat(self._fd).st_size
        data = os.pread(self._fd, size - self._offset, self._offset)
        at = find_block(self._key, data, 0, self._next - 1)
        if at:
            header = parse_header(self._key, data, at)
            self._offset += at
            self._missing_before(header, Place(self._segment, self._offset), found)

    def _parse_rest(self, available: int, following: int, found: list[Stored | Damaged]) -> bool:
        """At the end of a segment that is finished: true when there was something to give out."""
        if available >= HEADER_BYTES:
            self._parse(available, found)
            if found:
                return True
        with contextlib.suppress(FileNotFoundError, BlockError):
            fd = self.folder.open(segment_name(following), os.O_RDONLY)
            try:
                header = parse_header(self._key, os.pread(fd, HEADER_BYTES, 0))
            finally:
                os.close(fd)
            self._missing_before(header, Place(self._segment, self._offset), found)
        return False

    def _missing_before(self, header: Header, place: Place, found: list[Stored | Damaged]) -> None:
        if not header.flags & FLAG_RESTART:
            self._damaged(header.block - 1, header.sequence_before, place, found)

    def _damaged(self, last_block: int, last_sequence: int, place: Place, found: list[Stored | Damaged]) -> None:
        if last_block >= self._next:
            found.append(Damaged(self._next, last_block, last_sequence, place))
            self._next = last_block + 1

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Closes the files."""
        self._close_file()
        self.folder.close()
