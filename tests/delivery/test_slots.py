# SPDX-License-Identifier: Apache-2.0
"""Small records that a torn write never loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.delivery.cursor import Cursor, CursorFile
from lictl.delivery.folder import Folder
from lictl.delivery.slots import SlotFile

if TYPE_CHECKING:
    from pathlib import Path


def test_newest_record_is_read(tmp_path: Path) -> None:
    """Also by another reader and after reopening, and writing goes on behind it."""
    writer = SlotFile(Folder(tmp_path), "s", b"TEST", 64)
    reader = SlotFile(Folder(tmp_path), "s", b"TEST", 64)
    assert reader.read() is None
    for number in range(5):
        writer.write(bytes([number]))
        assert reader.read() == bytes([number])
    writer.close()
    again = SlotFile(Folder(tmp_path), "s", b"TEST", 64)
    again.write(b"later")
    assert reader.read() == b"later"
    again.close()
    reader.close()


@pytest.mark.parametrize("torn", range(0, 40, 3))
def test_torn_write_leaves_the_record_before(tmp_path: Path, torn: int) -> None:
    """Whatever part of the newest slot is garbage, the one before it is read."""
    path = tmp_path / "s"
    file = SlotFile(Folder(path.parent), path.name, b"TEST", 64)
    file.write(b"A" * 20)
    file.write(b"B" * 20)  # serial 2: slot 0
    data = bytearray(path.read_bytes())
    data[torn:40] = bytes(40 - torn)
    path.write_bytes(data)
    assert file.read() == b"A" * 20
    file.close()


@given(st.binary(max_size=200))
def test_garbage_is_no_record(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Arbitrary file content reads as nothing."""
    path = tmp_path_factory.getbasetemp() / "garbage"
    path.write_bytes(data)
    file = SlotFile(Folder(path.parent), path.name, b"TEST", 64)
    assert file.read() is None
    file.close()


def test_another_kind_of_record_is_not_taken(tmp_path: Path) -> None:
    """The magic tells kinds of record apart."""
    file = SlotFile(Folder(tmp_path), "s", b"AAAA", 64)
    file.write(b"x")
    other = SlotFile(Folder(tmp_path), "s", b"BBBB", 64)
    assert other.read() is None
    file.close()
    other.close()


def test_too_large_a_record_is_refused(tmp_path: Path) -> None:
    """A record never spills into the other slot."""
    file = SlotFile(Folder(tmp_path), "s", b"TEST", 64)
    with pytest.raises(ValueError, match="larger"):
        file.write(bytes(45))
    file.close()


def test_a_closed_file_keeps_its_last_record(tmp_path: Path) -> None:
    """Who asks while or after the owner closes gets the last record, not an error and not another file's bytes."""
    file = SlotFile(Folder(tmp_path), "s", b"TEST", 64)
    file.write(b"last")
    file.close()
    other = SlotFile(Folder(tmp_path), "t", b"TEST", 64)
    other.write(b"other")
    file.close()
    assert file.read() == b"last"
    assert other.read() == b"other"
    other.close()


def test_cursor_round_trip(tmp_path: Path) -> None:
    """All six numbers come back; an empty file is the beginning."""
    file = CursorFile(Folder(tmp_path))
    assert file.read() == Cursor()
    file.write(Cursor(1, 2, 3, 4, 5, 6))
    assert file.read() == Cursor(1, 2, 3, 4, 5, 6)
    file.close()
