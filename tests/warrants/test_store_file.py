# SPDX-License-Identifier: Apache-2.0
"""The store's SQLite file: private, durable, refused where it is none."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, TypeAlias

import pytest
from sqlalchemy import text
from warrant_people import in_force

from lictl.errors import IntegrityError, MachineError, UnavailableError
from lictl.warrants.schema import VERSION
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lictl.warrants.model import WarrantFile

FileWith: TypeAlias = "Callable[..., WarrantFile]"


def test_an_order_survives_closing(tmp_path: Path, store: Store, file_with: FileWith) -> None:
    """What was added is there after the store was opened anew."""
    added = in_force(store, file_with())
    store.close()
    again = Store.open(tmp_path / "warrants.db")
    assert again.list() == [added]
    assert [agency.name for agency in again.agencies()] == ["fbi", "sheriff"]
    again.close()


def test_the_files_are_private_and_durable(tmp_path: Path, store: Store, file_with: FileWith) -> None:
    """Mode 0600 for the database and its companions; WAL, full synchronisation, foreign keys."""
    in_force(store, file_with())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("warrants.db*")}
    assert modes == {"warrants.db": 0o600, "warrants.db-wal": 0o600, "warrants.db-shm": 0o600}
    with store._database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_readable_file_is_made_private(tmp_path: Path, store: Store) -> None:
    """A database that others can read is closed to them on opening."""
    store.close()
    path = tmp_path / "warrants.db"
    path.chmod(0o644)
    Store.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_that_are_no_store(tmp_path: Path, store: Store) -> None:
    """Garbage, other people's databases, other versions, missing folders: refused, untouched."""
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database at all" * 500)
    with pytest.raises(IntegrityError, match="is damaged: file is not a database"):
        Store.open(garbage)
    assert garbage.read_bytes() == b"not a database at all" * 500
    with store._database.write() as connection:
        connection.execute(text("UPDATE schema SET version = 99"))
    store.close()
    with pytest.raises(UnavailableError, match=f"has version 99, this lictl reads versions 1 to {VERSION}"):
        Store.open(tmp_path / "warrants.db")
    with pytest.raises(UnavailableError, match="does not exist"):
        Store.open(tmp_path / "nowhere" / "warrants.db")
    with pytest.raises(MachineError, match="cannot be opened"):
        Store.open(tmp_path)
    (tmp_path / "link.db").symlink_to(garbage)
    with pytest.raises(MachineError, match="cannot be opened"):
        Store.open(tmp_path / "link.db")


def test_a_reader_does_not_wait_for_a_writer(store: Store, file_with: FileWith) -> None:
    """While one transaction writes, others read what was there before."""
    in_force(store, file_with())
    with store._database.write() as connection:
        connection.execute(text("UPDATE warrants SET case_id = 'other'"))
        assert store.get("W-1").case_id == "CASE-1"
    assert store.get("W-1").case_id == "other"
