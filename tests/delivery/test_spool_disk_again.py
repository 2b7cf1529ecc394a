# SPDX-License-Identifier: Apache-2.0
"""A full disk that is the spool's own doing: delivery makes room, and the stream goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import delivery_kit
import pytest
from delivery_kit import MIB, append, fill, open_spool

from lictl.delivery.cursor import Cursor, CursorFile
from lictl.delivery.folder import Folder
from lictl.delivery.spool import SpoolFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a tmpfs")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB."""
    with delivery_kit.small_disk(tmp_path, "size=6m") as disk:
        yield disk


def acknowledge(folder: Path, block: int) -> None:
    """Writes the cursor as the worker does."""
    opened = Folder(folder)
    cursor = CursorFile(opened)
    cursor.write(Cursor(block=block))
    cursor.close()
    opened.close()


def test_an_acknowledgement_can_be_noted_on_a_full_disk(disk: Path) -> None:
    """The first acknowledgement ever is written down although not a byte is left."""
    spool = open_spool(disk / "s", quota=64 * MIB)
    with pytest.raises(SpoolFull):
        fill(spool, 1000)
    with pytest.raises(OSError, match="No space"):
        (disk / "ballast").write_bytes(bytes(6 * MIB))
    acknowledge(disk / "s", spool.last_block)
    assert spool.acknowledged == spool.last_block
    spool.close()


def test_what_is_acknowledged_makes_room_at_once(disk: Path) -> None:
    """Once the agency has everything, the next block is taken: the last segment does not hold the disk."""
    spool = open_spool(disk / "s", quota=64 * MIB)
    with pytest.raises(SpoolFull) as caught:
        fill(spool, 1000)
    assert caught.value.reason == "disk"
    before = spool.totals.bytes
    acknowledge(disk / "s", spool.last_block)
    last = spool.last_block
    append(spool, 1000)
    assert spool.last_block == last + 1
    assert spool.totals.bytes < before // 2
    spool.close()
