# SPDX-License-Identifier: Apache-2.0
"""Appending, reading back, quota, trimming, flushing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import numpy as np
import pytest
from delivery_kit import MIB, append, fill, gap, mark, open_spool, record, segments_of, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.delivery.blocks import HEADER_BYTES, MAX_PAYLOAD, BlockKind
from lictl.delivery.cursor import Cursor, CursorFile
from lictl.delivery.folder import Folder
from lictl.delivery.marks import SEQUENCE_STEP
from lictl.delivery.reader import SpoolReader, Stored
from lictl.delivery.spool import Spool, SpoolFull, Totals
from lictl.delivery.syncer import Syncer
from lictl.errors import MachineError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def everything(folder: Path) -> list[Stored]:
    """All blocks of a spool; none may be damaged."""
    reader = SpoolReader(folder)
    found: list[Stored] = []
    while items := reader.read():
        for item in items:
            assert isinstance(item, Stored)
            found.append(item)
    reader.close()
    return found


def acknowledge(spool: Spool, block: int) -> None:
    """What the worker does after an ACK."""
    reader = SpoolReader(spool.folder)
    found = reader.seek_behind(block)
    assert found is not None
    header, place = found
    cursor = CursorFile(Folder(spool.folder))
    cursor.write(Cursor(block, header.total_records, header.total_lost, *place, 1))
    cursor.close()
    reader.close()


def test_blocks_come_back_as_written(tmp_path: Path) -> None:
    """Header fields, payload and order are those of append."""
    spool = open_spool(tmp_path / "s")
    mark(spool, BlockKind.OPEN, b"opening")
    append(spool, 3)
    gap(spool, 5)
    append(spool, 2, lost=1)
    mark(spool, BlockKind.END)
    blocks = everything(tmp_path / "s")
    assert [block.header.block for block in blocks] == [1, 2, 3, 4, 5]
    assert [block.header.kind for block in blocks] == [1, 2, 3, 2, 4]
    assert [block.header.last_sequence for block in blocks] == [0, 3, 8, 11, 11]
    assert [block.header.sequence_before for block in blocks] == [0, 0, 3, 8, 11]
    assert (blocks[-1].header.total_records, blocks[-1].header.total_lost) == (5, 6)
    assert bytes(blocks[0].data[HEADER_BYTES:]) == b"opening"
    assert bytes(blocks[1].data[HEADER_BYTES:]) == record(1) + record(2) + record(3)
    assert spool.totals[:3] == (5, 6, 5)
    spool.close()


def test_reader_follows_growth_at_once(tmp_path: Path) -> None:
    """A block is visible to a reader as soon as append returns, across segments, also into an empty spool."""
    spool = open_spool(tmp_path / "s", quota=MIB, segment_bytes=2000)
    reader = SpoolReader(tmp_path / "s")
    assert reader.read() == []
    for number in range(1, 60):
        append(spool, 10)
        items = reader.read()
        assert [item.header.block for item in items if isinstance(item, Stored)] == [number]
        assert reader.read() == []
    assert len(segments_of(tmp_path / "s")) > 5
    spool.close()


def test_numpy_payload(tmp_path: Path) -> None:
    """A memoryview of any item size is taken as bytes."""
    spool = open_spool(tmp_path / "s")
    words = np.arange(10, dtype=np.uint64)
    spool.append(
        BlockKind.DATA, memoryview(words), records=1, first_sequence=1, last_sequence=1, lost=0, first_ns=1,
        last_ns=1, position=b"",
    )  # fmt: skip
    assert bytes(everything(tmp_path / "s")[0].data[HEADER_BYTES:]) == words.tobytes()
    spool.close()


def test_state_survives_reopening(tmp_path: Path) -> None:
    """Position, totals, numbers and identity are recovered."""
    spool = open_spool(tmp_path / "s")
    append(spool, 7, lost=2, position=b"here")
    totals, spool_id = spool.totals, spool.spool_id
    spool.close()
    again = open_spool(tmp_path / "s")
    assert (again.position, again.totals, again.spool_id) == (b"here", totals, spool_id)
    assert (again.next_sequence, again.last_block, again.restarted) == (10, 1, None)
    append(again)
    assert [block.header.block for block in everything(tmp_path / "s")] == [1, 2]
    again.close()


def test_kill_is_survived_without_a_jump(tmp_path: Path) -> None:
    """A process that vanished in the same boot loses nothing and skips no number."""
    spool = open_spool(tmp_path / "s")
    append(spool, 4)
    spool._close_files()  # no orderly close: what kill -9 leaves
    again = open_spool(tmp_path / "s")
    assert (again.next_sequence, again.restarted, again.cut_bytes) == (5, None, 0)
    again.close()


def test_two_writers_are_refused(tmp_path: Path) -> None:
    """The lock keeps a second daemon out."""
    spool = open_spool(tmp_path / "s")
    with pytest.raises(UnavailableError):
        open_spool(tmp_path / "s")
    spool.close()
    open_spool(tmp_path / "s").close()


def test_unusable_folder(tmp_path: Path) -> None:
    """A folder that cannot be one is an error for people."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError):
        open_spool(tmp_path / "file" / "s")
    with pytest.raises(MachineError):
        open_spool(tmp_path / "s", quota=1)


def test_modes_and_owner(tmp_path: Path) -> None:
    """Folder 0700, files 0600, all owned by the worker's user."""
    spool = Spool.open(tmp_path / "s", MIB, fsync="never", owner_uid=65534, owner_gid=65534)
    append(spool)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    for path in [tmp_path / "s", *(tmp_path / "s").iterdir()]:
        assert path.stat().st_uid == 65534, path
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    spool.close()


def test_quota_refuses_before_writing(tmp_path: Path) -> None:
    """At the quota nothing changes but the exception; after acknowledgement there is room again."""
    spool = open_spool(tmp_path / "s", quota=1 << 16)
    with pytest.raises(SpoolFull) as caught:
        fill(spool, 100)
    assert caught.value.reason == "quota"
    before, count = spool.totals, len(everything(tmp_path / "s"))
    assert before.bytes <= 1 << 16
    with pytest.raises(SpoolFull):
        append(spool, 100)
    assert (spool.totals, len(everything(tmp_path / "s"))) == (before, count)
    acknowledge(spool, spool.last_block)
    append(spool, 100)
    assert spool.totals.records == before.records + 100
    assert spool.totals.bytes < before.bytes
    spool.close()


def test_unacknowledged_data_is_never_trimmed(tmp_path: Path) -> None:
    """trim deletes exactly the segments below the cursor and never the last one."""
    spool = open_spool(tmp_path / "s", quota=MIB, segment_bytes=4000)
    for _ in range(40):
        append(spool, 20)
    assert spool.trim() == 0
    for block in (1, 17, 30):
        acknowledge(spool, block)
        spool.trim()
        left = everything(tmp_path / "s")
        assert left[0].header.block <= block + 1
        assert [item.header.block for item in left] == list(range(left[0].header.block, 41))
        on_disk = sum(path.stat().st_size for path in (tmp_path / "s").glob("*.seg"))
        assert spool.totals.bytes == on_disk
    acknowledge(spool, 40)
    assert spool.trim() > 0
    assert len(segments_of(tmp_path / "s")) == 1
    spool.close()
    again = open_spool(tmp_path / "s")
    assert (again.totals.records, again.next_sequence) == (800, 801)
    again.close()


def test_retention_keeps_acknowledged_segments(tmp_path: Path) -> None:
    """Within the retention nothing is deleted, unless the quota needs the room."""
    spool = open_spool(tmp_path / "s", quota=1 << 16, retention_s=3600.0)
    for _ in range(35):
        append(spool, 100)
    acknowledge(spool, 35)
    assert spool.trim() == 0
    for _ in range(20):
        append(spool, 100)
    assert spool.last_block == 55
    spool.close()


def test_waiting_counts_what_is_not_acknowledged(tmp_path: Path) -> None:
    """Bytes and records behind the cursor, across segments."""
    spool = open_spool(tmp_path / "s", quota=MIB, segment_bytes=4000)
    sizes = [append(spool, 20).size for _ in range(30)]
    assert spool.waiting == (sum(sizes), 600)
    for block in (1, 11, 12, 30):
        acknowledge(spool, block)
        assert spool.waiting == (sum(sizes[block:]), (30 - block) * 20)
        spool.trim()
        assert spool.waiting == (sum(sizes[block:]), (30 - block) * 20)
    spool.close()


def test_sync_policies(tmp_path: Path) -> None:
    """ "always" is on disk when append returns, "interval" soon after, "never" only when asked."""
    always = open_spool(tmp_path / "a", fsync="always")
    assert append(always).synced
    assert always.synced == always.last_block == 1
    interval = open_spool(tmp_path / "i", fsync="interval", interval_s=0.02)
    append(interval)
    wait_for(lambda: interval.synced == 1)
    append(interval)
    wait_for(lambda: interval.synced == 2)
    never = open_spool(tmp_path / "n")
    assert not append(never).synced
    assert never.synced == 0
    assert never.sync() == 1
    for spool in (always, interval, never):
        spool.close()


def test_failed_flush_is_never_called_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the kernel may have dropped pages: `synced` stays where it was."""
    spool = open_spool(tmp_path / "s")
    append(spool)
    spool.sync()
    append(spool)

    def fail(_fd: int) -> None:
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        spool.sync()
    append(spool)
    assert spool.sync() == 1
    assert spool.sync_error
    spool.close()


def test_reserved_numbers_are_extended(tmp_path: Path) -> None:
    """A stream that runs past the reserved sequence numbers reserves more before it uses them."""
    spool = open_spool(tmp_path / "s")
    for last in (SEQUENCE_STEP - 1, SEQUENCE_STEP, 5 * SEQUENCE_STEP):
        spool.append(
            BlockKind.DATA, b"x", records=1, first_sequence=last, last_sequence=last,
            lost=last - spool.next_sequence, first_ns=1, last_ns=1, position=b"",
        )  # fmt: skip
        marks = spool._files.marks.read()
        assert marks is not None
        assert marks.sequence > last
    spool.close()


def test_limits_of_a_block(tmp_path: Path) -> None:
    """Too large a payload or position is a programming error that leaves the spool as it was."""
    spool = open_spool(tmp_path / "s", quota=1 << 30)
    numbers = {"records": 1, "first_sequence": 1, "last_sequence": 1, "lost": 0, "first_ns": 0, "last_ns": 0}
    with pytest.raises(ValueError, match="at most"):
        spool.append(BlockKind.DATA, bytes(MAX_PAYLOAD + 1), **numbers, position=b"")
    with pytest.raises(ValueError, match="at most"):
        spool.append(BlockKind.DATA, b"", **numbers, position=bytes(9000))
    assert spool.totals == Totals()
    spool.close()
    with pytest.raises(ValueError, match="closed"):
        append(spool)


def test_remove(tmp_path: Path) -> None:
    """A finished stream's folder goes away."""
    spool = open_spool(tmp_path / "s")
    append(spool)
    spool.remove()
    assert not (tmp_path / "s").exists()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), min_size=1, max_size=40), st.integers(500, 5000))
def test_seek_finds_every_block(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[int, int]], segment_bytes: int
) -> None:
    """Reading from any block gives that block and all behind it."""
    folder = tmp_path_factory.mktemp("seek")
    spool = open_spool(folder / "s", segment_bytes=segment_bytes)
    for records, lost in blocks:
        append(spool, records, lost=lost)
    reader = SpoolReader(folder / "s")
    for start in range(1, len(blocks) + 1):
        reader.seek(start)
        got: list[int] = []
        while items := reader.read(3000):
            got += [item.header.block for item in items if isinstance(item, Stored)]
        assert got == list(range(start, len(blocks) + 1))
        found = reader.seek_behind(start)
        assert found is not None
        assert found[0].block == start
        assert reader.at_end == (start == len(blocks))
    assert reader.seek_behind(len(blocks) + 1) is None
    assert reader.at_end
    reader.close()
    spool.close()


class Flushed:
    """Counts how often it was flushed."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.times = 0

    def sync(self) -> int:
        """See `Syncable`."""
        self.times += 1
        return 0


def test_opening_many_spools_flushes_none_of_them_before_its_time() -> None:
    """A hundred that are opened and closed cost no turn of the thread each; one that is due sooner is flushed then."""
    syncer = Syncer()
    slow = [Flushed(60.0) for _ in range(100)]
    for spool in slow:
        syncer.add(spool)
    for spool in slow[50:]:
        syncer.remove(spool)
    assert sum(spool.times for spool in slow) == 0
    quick = Flushed(0.01)
    syncer.add(quick)
    wait_for(lambda: quick.times >= 2)
    assert {spool.times for spool in slow[50:]} == {0}
    for spool in (quick, *slow[:50]):
        syncer.remove(spool)
    wait_for(lambda: syncer._thread is None)
