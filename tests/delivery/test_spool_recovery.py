# SPDX-License-Identifier: Apache-2.0
"""What crashes, bit flips and power loss do to a spool, and what it makes of them."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from delivery_kit import KEY, MIB, append, gap, mark, open_sealed, record, segments_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.collection.account import Account
from lictl.delivery.blocks import FLAG_RESTART, HEADER_BYTES, BlockKind, header_key
from lictl.delivery.cursor import Cursor, CursorFile
from lictl.delivery.folder import Folder
from lictl.delivery.marks import BLOCK_STEP, SEQUENCE_STEP
from lictl.delivery.reader import Damaged, SpoolReader, Stored
from lictl.delivery.segments import scan_segment, segment_name
from lictl.delivery.wire import DamagedRange, Hello
from lictl.errors import IntegrityError

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.delivery.spool import Spool

OTHER_BOOT = bytes(range(16))


def read_all(folder: Path) -> list[Stored | Damaged]:
    """Every item that a reader gives, until it gives nothing more."""
    reader = SpoolReader(folder, key=KEY)
    found: list[Stored | Damaged] = []
    while items := reader.read(5000):
        found += items
    reader.close()
    return found


def judge(items: list[Stored | Damaged]) -> Account:
    """What an agency would book; raises when it would refuse."""
    hello = Hello("L", "s", "0" * 32, "text", "txt")
    account = Account.begin(hello)
    for item in items:
        if isinstance(item, Damaged):
            account.add_damaged(DamagedRange(item.first_block, item.last_block, item.last_sequence), 1)
        else:
            assert account.is_new(item.header, 1)
            account.add(item.header)
    return account


def crash(spool: Spool) -> None:
    """Leaves the folder as kill -9 would."""
    spool._close_files()


def the_segment(folder: Path) -> Path:
    """The only segment of a spool."""
    (first,) = segments_of(folder)
    return folder / segment_name(first)


def test_tail_torn_at_every_byte(tmp_path: Path) -> None:
    """A write that stopped anywhere in the last blocks costs exactly the blocks that were not whole."""
    spool = open_sealed(tmp_path / "s")
    mark(spool, BlockKind.OPEN, b"opening")
    ends = [spool.totals.bytes]
    for records in (3, 1, 2):
        append(spool, records)
        ends.append(spool.totals.bytes)
    sequences = [0, 3, 4, 6]
    crash(spool)
    whole = the_segment(tmp_path / "s").read_bytes()
    assert len(whole) == ends[-1]
    for cut in range(ends[0], len(whole) + 1):
        shutil.rmtree(tmp_path / "t", ignore_errors=True)
        shutil.copytree(tmp_path / "s", tmp_path / "t")
        os.truncate(the_segment(tmp_path / "t"), cut)
        blocks = sum(end <= cut for end in ends)
        again = open_sealed(tmp_path / "t")
        assert again.last_block == blocks, cut
        assert again.next_sequence == sequences[blocks - 1] + 1
        assert again.restarted is None
        assert again.cut_bytes == cut - ends[blocks - 1]
        assert again.position == (sequences[blocks - 1].to_bytes(8, "little") if blocks > 1 else b"")
        append(again)
        crash(again)
        items = read_all(tmp_path / "t")
        assert [item.header.block for item in items if isinstance(item, Stored)] == list(range(1, blocks + 2))


def test_garbage_tail_of_full_length_moves_the_numbers(tmp_path: Path) -> None:
    """A last block that is whole in length but wrong may have been sent: its number is not used again."""
    spool = open_sealed(tmp_path / "s")
    append(spool, 5)
    end = spool.totals.bytes
    append(spool, 5)
    crash(spool)
    path = the_segment(tmp_path / "s")
    data = bytearray(path.read_bytes())
    data[end + HEADER_BYTES + 3] ^= 1
    path.write_bytes(data)
    again = open_sealed(tmp_path / "s")
    assert again.cut_bytes == len(data) - end
    assert again.restarted == (6, again.next_sequence - 1)
    assert again.next_sequence >= SEQUENCE_STEP
    append(again)
    account = judge(read_all(tmp_path / "s"))
    assert account.ok
    assert (account.records, account.skipped) == (6, again.restarted.last_sequence - 5)
    crash(again)


def test_zeroes_behind_the_last_block(tmp_path: Path) -> None:
    """File systems leave zeroes after a power loss: they are cut, and the numbers move."""
    spool = open_sealed(tmp_path / "s")
    append(spool, 5)
    end = spool.totals.bytes
    crash(spool)
    os.truncate(the_segment(tmp_path / "s"), end + 5000)
    again = open_sealed(tmp_path / "s")
    assert (again.cut_bytes, again.totals.records) == (5000, 5)
    assert again.restarted is not None
    crash(again)


def test_damage_in_the_middle_cuts_nothing(tmp_path: Path) -> None:
    """Intact blocks behind a damaged one stay, and the reader says exactly which numbers are gone."""
    spool = open_sealed(tmp_path / "s")
    ends = []
    for _ in range(6):
        append(spool, 4)
        ends.append(spool.totals.bytes)
    crash(spool)
    path = the_segment(tmp_path / "s")
    whole = path.read_bytes()
    for place, first, last in (
        (ends[1] + HEADER_BYTES + 5, 3, 3),  # a payload
        (ends[1] + 30, 3, 3),  # a header
        (0, 1, 1),  # the first header
    ):
        data = bytearray(whole)
        data[place] ^= 0x40
        path.write_bytes(data)
        again = open_sealed(tmp_path / "s")
        assert (again.cut_bytes, again.damages, again.last_block, again.restarted) == (0, 1, 6, None)
        crash(again)
        items = read_all(tmp_path / "s")
        (damaged,) = [item for item in items if isinstance(item, Damaged)]
        assert (damaged.first_block, damaged.last_block, damaged.last_sequence) == (first, last, last * 4)
        account = judge(items)
        assert account.ok
        assert (account.records, account.damaged) == (20, 4)


def test_damaged_trailer_costs_no_data(tmp_path: Path) -> None:
    """The block is delivered; only the position is an older one."""
    spool = open_sealed(tmp_path / "s")
    append(spool, position=b"one.")
    append(spool, position=b"two.")
    crash(spool)
    path = the_segment(tmp_path / "s")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    again = open_sealed(tmp_path / "s")
    assert (again.position, again.last_block, again.damages) == (b"one.", 2, 1)
    crash(again)
    assert judge(read_all(tmp_path / "s")).records == 2


def test_lost_segment_in_the_middle(tmp_path: Path) -> None:
    """A segment file that vanished is reported with its numbers, not passed over."""
    spool = open_sealed(tmp_path / "s", quota=MIB, segment_bytes=2000)
    for _ in range(30):
        append(spool, 10)
    crash(spool)
    firsts = segments_of(tmp_path / "s")
    (tmp_path / "s" / segment_name(firsts[1])).unlink()
    items = read_all(tmp_path / "s")
    (damaged,) = [item for item in items if isinstance(item, Damaged)]
    assert (damaged.first_block, damaged.last_block) == (firsts[1], firsts[2] - 1)
    account = judge(items)
    assert account.ok
    assert account.records + account.damaged == 300


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Flipped bytes and overwritten ranges anywhere: no altered payload gets through, every number is explained."""
    folder = tmp_path_factory.mktemp("flip") / "s"
    spool = open_sealed(folder, quota=MIB, segment_bytes=data.draw(st.sampled_from([700, 3000, MIB])))
    rng = random.Random(data.draw(st.integers(0, 1000)))
    for _ in range(data.draw(st.integers(1, 15))):
        if rng.random() < 0.15:
            gap(spool, rng.randrange(1, 9))
        else:
            append(spool, rng.randrange(1, 12), lost=rng.randrange(0, 3))
    last = spool.next_sequence - 1
    crash(spool)
    for _ in range(data.draw(st.integers(1, 3))):
        path = folder / segment_name(data.draw(st.sampled_from(segments_of(folder))))
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.sampled_from([1, 1, 4, 100, 400]))
        for place in range(at, min(at + length, len(content))):
            content[place] ^= rng.randrange(1, 256)
        path.write_bytes(content)
    again = open_sealed(folder, quota=MIB)
    append(again, 2)
    crash(again)
    items = read_all(folder)
    account = judge(items)
    for item in items:
        if isinstance(item, Stored) and item.header.kind == BlockKind.DATA:
            first, end = item.header.first_sequence, item.header.last_sequence + 1
            assert bytes(item.data[HEADER_BYTES:]) == b"".join(record(number) for number in range(first, end))
    assert account.ok
    assert account.records + account.lost + account.damaged + account.skipped == again.next_sequence - 1
    assert account.sequence == again.next_sequence - 1 >= last


def test_content_cannot_pose_as_a_block(tmp_path: Path) -> None:
    """Intercepted bytes that form whole blocks are not taken for some, neither in a torn tail nor behind damage."""
    other = open_sealed(tmp_path / "other")
    for _ in range(40):
        append(other, 2)
    fake = the_segment(tmp_path / "other").read_bytes()
    other.close()
    spool = open_sealed(tmp_path / "s")
    append(spool, 1)
    end = spool.totals.bytes
    for sequence in (2, 3):
        spool.append(
            BlockKind.DATA, b"before" + fake + b"behind", records=1, first_sequence=sequence, last_sequence=sequence,
            lost=0, first_ns=1, last_ns=1, position=b"",
        )  # fmt: skip
    crash(spool)
    whole = the_segment(tmp_path / "s").read_bytes()
    key = header_key(spool.spool_id)
    for torn in (whole[: end + 3000], whole[: end + HEADER_BYTES + 6 + len(fake)]):
        scan = scan_segment(key, torn, 1)
        assert scan.last is not None
        assert (scan.last.block, scan.damages, scan.suspicious) == (1, [], False)
    damaged = bytearray(whole)
    damaged[end + 20] ^= 1
    the_segment(tmp_path / "s").write_bytes(damaged)
    account = judge(read_all(tmp_path / "s"))
    assert (account.records, account.damaged, account.block) == (2, 1, 3)


def test_lost_identity_is_not_replaced(tmp_path: Path) -> None:
    """A spool with data and no identity is an error, never a new spool."""
    spool = open_sealed(tmp_path / "s")
    append(spool)
    crash(spool)
    (tmp_path / "s" / "id").write_text("?")
    with pytest.raises(IntegrityError):
        open_sealed(tmp_path / "s")
    (tmp_path / "s" / "id").unlink()
    with pytest.raises(IntegrityError):
        open_sealed(tmp_path / "s")


# ---- power loss


def test_power_loss_moves_the_numbers(tmp_path: Path) -> None:
    """Blocks that the agency has and the disk lost: their numbers are never given to anything else."""
    spool = open_sealed(tmp_path / "s")
    append(spool, 10)
    synced = spool.totals.bytes
    append(spool, 10)  # sent, but not on disk yet
    crash(spool)
    os.truncate(the_segment(tmp_path / "s"), synced)
    again = open_sealed(tmp_path / "s", boot_id=OTHER_BOOT)
    assert again.restarted == (11, SEQUENCE_STEP - 1)
    assert again.next_sequence == SEQUENCE_STEP
    assert again.last_block == BLOCK_STEP
    append(again, 3)
    items = read_all(tmp_path / "s")
    headers = [item.header for item in items if isinstance(item, Stored)]
    assert [header.flags for header in headers] == [0, FLAG_RESTART, 0]
    assert headers[1].kind == BlockKind.GAP
    account = judge(items)
    assert account.ok
    assert (account.records, account.lost, account.skipped) == (13, 0, SEQUENCE_STEP - 11)
    crash(again)


def test_orderly_close_before_a_reboot_skips_nothing(tmp_path: Path) -> None:
    """A clean shutdown is not a power loss."""
    spool = open_sealed(tmp_path / "s", fsync="interval")
    append(spool, 10)
    spool.close()
    again = open_sealed(tmp_path / "s", boot_id=OTHER_BOOT)
    assert (again.restarted, again.next_sequence) == (None, 11)
    crash(again)


def test_blocks_missing_after_an_orderly_close(tmp_path: Path) -> None:
    """A disk that lost blocks although it said they were flushed: the numbers move too."""
    spool = open_sealed(tmp_path / "s")
    append(spool, 10)
    end = spool.totals.bytes
    append(spool, 10)
    spool.close()
    os.truncate(the_segment(tmp_path / "s"), end)
    again = open_sealed(tmp_path / "s")
    assert again.restarted is not None
    assert again.restarted.first_sequence == 11
    assert again.next_sequence == 21
    crash(again)


def test_acknowledged_block_that_is_gone(tmp_path: Path) -> None:
    """The agency confirmed more than the disk holds: numbering goes on above it."""
    spool = open_sealed(tmp_path / "s")
    append(spool, 10)
    crash(spool)
    cursor = CursorFile(Folder(tmp_path / "s"))
    cursor.write(Cursor(block=5, total_records=50))
    cursor.close()
    again = open_sealed(tmp_path / "s")
    assert again.last_block > 5
    assert again.restarted is not None
    crash(again)


def test_lost_marks_are_replaced_by_distance(tmp_path: Path) -> None:
    """Without its marks a spool with data goes on far above everything it can have used."""
    spool = open_sealed(tmp_path / "s")
    append(spool, 10)
    crash(spool)
    (tmp_path / "s" / "marks").write_bytes(b"garbage" * 40)
    again = open_sealed(tmp_path / "s")
    assert again.restarted is not None
    assert again.next_sequence > SEQUENCE_STEP
    crash(again)


def test_restart_mark_waits_for_room(tmp_path: Path) -> None:
    """Where the quota has no room for the restart block, it still comes before any other block."""
    spool = open_sealed(tmp_path / "s", quota=1 << 16)
    while spool.totals.bytes < (1 << 16) - 400:
        append(spool, 10)
    count = spool.last_block
    while (1 << 16) - spool.totals.bytes >= 101:
        size = min((1 << 16) - spool.totals.bytes - 100, 3000)
        spool.append(
            BlockKind.OPEN, bytes(max(size - 100, 0)), records=0, first_sequence=0, last_sequence=0, lost=0,
            first_ns=0, last_ns=0, position=b"",
        )  # fmt: skip
    crash(spool)
    again = open_sealed(tmp_path / "s", quota=1 << 16, boot_id=OTHER_BOOT)
    assert again.restarted is not None
    reader = SpoolReader(tmp_path / "s", key=KEY)
    found = reader.seek_behind(count)
    assert found is not None
    cursor = CursorFile(Folder(tmp_path / "s"))
    cursor.write(Cursor(count, 0, 0, *found[1], 1))
    cursor.close()
    append(again, 1)
    headers = [item.header for item in read_all(tmp_path / "s") if isinstance(item, Stored)]
    assert headers[-2].flags == FLAG_RESTART
    assert headers[-1].records == 1
    reader.close()
    crash(again)
