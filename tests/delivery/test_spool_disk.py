# SPDX-License-Identifier: Apache-2.0
"""A real full disk: a small tmpfs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import delivery_kit
import pytest
from delivery_kit import MIB, append, fill, open_spool

from lictl.delivery.reader import SpoolReader, Stored
from lictl.delivery.spool import SpoolFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a tmpfs")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    with delivery_kit.small_disk(tmp_path, "size=2m,nr_inodes=64") as disk:
        yield disk


def blocks(folder: Path) -> list[int]:
    """Numbers of the blocks that a reader gets, all intact."""
    reader = SpoolReader(folder)
    found: list[int] = []
    while items := reader.read():
        for item in items:
            assert isinstance(item, Stored)
            found.append(item.header.block)
    reader.close()
    return found


@pytest.mark.parametrize("size", [48, 16_000, 300_000])
def test_full_disk_leaves_nothing_torn(small_disk: Path, size: int) -> None:
    """The block that does not fit is refused as a whole; with room again, the next one is appended behind."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(MIB // 2))
    spool = open_spool(small_disk / "s", quota=64 * MIB)
    records = size // 16
    with pytest.raises(SpoolFull) as caught:
        fill(spool, records)
    assert caught.value.reason == "disk"
    full = spool.last_block
    assert blocks(small_disk / "s") == list(range(1, full + 1))
    size_before = spool.totals.bytes
    with pytest.raises(SpoolFull):
        append(spool, records)
    assert spool.totals.bytes == size_before
    assert sum(path.stat().st_size for path in (small_disk / "s").glob("*.seg")) == size_before
    ballast.unlink()
    append(spool, records)
    assert blocks(small_disk / "s") == list(range(1, full + 2))
    spool.close()
    again = open_spool(small_disk / "s", quota=64 * MIB)
    assert (again.last_block, again.cut_bytes, again.restarted) == (full + 1, 0, None)
    again.close()


def test_full_disk_at_a_new_segment(small_disk: Path) -> None:
    """Without an inode for the next segment the block is refused, and taken once there is one."""
    spool = open_spool(small_disk / "s", quota=64 * MIB, segment_bytes=4000)
    with pytest.raises(SpoolFull) as caught:
        fill(spool, 100)
    assert caught.value.reason == "disk"
    full = spool.last_block
    min(small_disk.glob("s/*.seg")).unlink()
    append(spool, 100)
    assert blocks(small_disk / "s") == list(range(blocks(small_disk / "s")[0], full + 2))
    spool.close()
