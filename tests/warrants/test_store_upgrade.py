# SPDX-License-Identifier: Apache-2.0
"""Stores of older versions are brought up to date, and the steps come to the tables that the code has."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import version_1
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from warrant_people import ALICE, BOB, approved
from warrant_texts import DAY_NS, NOW_NS, build_text

from lictl.errors import IntegrityError, RefusedError, UnavailableError
from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.warrants.database import Database
from lictl.warrants.model import load
from lictl.warrants.schema import VERSION, metadata
from lictl.warrants.store import Store
from lictl.warrants.upgrade import upgrade, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from postgres_server import Server

    from lictl.warrants.model import WarrantFile


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Store]:
    """A store of version 1, opened."""
    version_1.make(tmp_path / "warrants.db")
    store = Store.open(tmp_path / "warrants.db")
    yield store
    store.close()


def test_what_was_in_force_stays_in_force(old: Store) -> None:
    """An upgrade neither ends nor begins an interception: states, slots, claims, windows, counters are as they were."""
    orders = {order.liid: order for order in old.list()}
    assert {liid: order.state for liid, order in orders.items()} == {
        "armed": "active", "waiting": "approved", "ending": "revoked", "gone": "revoked", "past": "expired",
    }  # fmt: skip
    armed = orders["armed"]
    assert (armed.id, armed.slot, armed.generation) == ("W-1", 0, 3)
    assert (armed.incarnation, armed.base) == ((1 << 64) - 1, {"a": 1})
    assert [str(target) for target in armed.targets] == [version_1.TARGET]
    assert armed.authority == version_1.AUTHORITY
    assert armed.text == build_text({"authority.docket": f'"{version_1.SUBJECT}"'})
    assert [(each.agency, each.format) for each in armed.deliveries] == [("sheriff", "pcapng")]
    assert [order.liid for order in old.live(NOW_NS)] == ["armed", "waiting"]
    assert [order.liid for order in old.unfinished()] == ["armed", "waiting", "ending"]
    assert [agency.name for agency in old.agencies()] == ["sheriff"]


def test_an_upgraded_order_says_that_nobody_approved_it(old: Store) -> None:
    """It is marked, names no person, and its folders are found under their old name."""
    order = old.get("armed")
    (instrument,) = order.instruments
    assert (instrument.origin, instrument.state, instrument.approved_by) == ("version-1", "approved", None)
    assert order.uuid == "W-1"


def test_an_upgraded_order_lives_on(old: Store, file_with: Callable[..., WarrantFile]) -> None:
    """It can be suspended, resumed, extended by two people, revoked, and its slot comes back."""
    old.suspend("armed")
    assert old.resume("armed", BOB, NOW_NS).state == "approved"
    edits = {"liid": '"armed"', "starts": "2026-03-30T00:00:00Z", "ends": "2026-04-09T00:00:00Z"}
    text_ = build_text({f"intercept.{key}": value for key, value in edits.items()} | {"delivery.format": '"pcapng"'})
    later = load(text_, NOW_NS)
    old.extend("armed", later, ALICE, NOW_NS)
    old.submit("armed", ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="two people are needed"):
        old.approve("armed", ALICE, NOW_NS)
    assert old.approve("armed", BOB, NOW_NS).ends_ns == later.intercept.ends
    old.revoke("armed", NOW_NS)
    old.release_slot("W-1")
    again = approved(old, file_with({"intercept.liid": '"next"'}))
    assert (again.id, again.slot, again.generation) == ("W-7", 0, 4)


def test_nothing_of_a_subject_is_left_in_the_files(tmp_path: Path) -> None:
    """After the upgrade neither the database nor its log holds what version 1 had in plain."""
    path = tmp_path / "warrants.db"
    version_1.make(path)
    assert version_1.TARGET.encode() in b"".join(file.read_bytes() for file in tmp_path.glob("warrants.db*"))
    Store.open(path).close()
    for file in tmp_path.glob("warrants.db*"):
        for word in (version_1.TARGET, version_1.SUBJECT, "203.0.113"):
            assert word.encode() not in file.read_bytes(), (file, word)


def test_erasing_is_made_up_for(tmp_path: Path) -> None:
    """A reader that keeps the file from being rewritten delays that to the next opening."""
    path = tmp_path / "warrants.db"
    version_1.make(path)
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM agencies").fetchall()
    store = Store.open(path)
    reader.close()
    store.close()
    store = Store.open(path)
    assert store.note("erase") is None
    store.close()
    assert version_1.TARGET.encode() not in b"".join(file.read_bytes() for file in tmp_path.glob("warrants.db*"))


def test_keys_are_made_for_an_old_home_only(tmp_path: Path) -> None:
    """A home of version 1 gets keys; a sealed store whose keys are gone is refused, and no new keys are made."""
    path = tmp_path / "warrants.db"
    version_1.make(path)
    Store.open(path).close()
    assert (tmp_path / "keys" / "site.key").is_file()
    shutil.rmtree(tmp_path / "keys")
    with pytest.raises(UnavailableError, match="is not there"):
        Store.open(path)
    assert not (tmp_path / "keys").exists()
    SiteKey.make(Home(tmp_path))
    with pytest.raises(IntegrityError, match="sealed with another site's key"):
        Store.open(path)


def test_a_kill_inside_the_upgrade_leaves_the_old_store(tmp_path: Path) -> None:
    """The process dies when half of the rows are sealed: the store is still of version 1, and can be upgraded."""
    path = tmp_path / "warrants.db"
    version_1.make(path)
    dies = (
        "import os, signal, sys; from pathlib import Path\n"
        "from lictl.keys.sealer import Sealer; from lictl.warrants.store import Store\n"
        "wrap, count = Sealer.wrap, [0]\n"
        "def dying(*arguments):\n"
        "    count[0] += 1\n"
        "    if count[0] == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return wrap(*arguments)\n"
        "Sealer.wrap = dying\n"
        "Store.open(Path(sys.argv[1]))\n"
    )
    for at in ("1", "3", "6"):  # the sixth key is the one by which the site key is checked: all rows are sealed
        done = subprocess.run([sys.executable, "-c", dies, path, at], timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL
        database = Database(path)
        with database.read() as connection:
            assert version_of(connection, "it") == 1
            assert "warrants_1" not in inspect(connection).get_table_names()
        database.close()
    store = Store.open(path)
    assert len(store.list()) == 5
    store.close()


def test_an_older_lictl_says_so(tmp_path: Path) -> None:
    """What version 1 read to find a store of another version is still there."""
    store = Store.open(tmp_path / "warrants.db")
    with store._database.read() as connection:
        assert connection.execute(text("SELECT version FROM schema")).scalar() == VERSION
    store.close()


@pytest.mark.parametrize("since", [0, 1])
def test_the_steps_make_the_tables_of_the_code_in_sqlite(since: int, tmp_path: Path) -> None:
    """A new store and an upgraded one have the tables, columns, indexes and constraints that the code declares."""
    if since:
        version_1.make(tmp_path / "warrants.db")
    store = Store.open(tmp_path / "warrants.db")
    assert_same(store._database, tmp_path)
    store.close()


def test_the_steps_make_the_tables_of_the_code_in_postgresql(postgres: Server, tmp_path: Path) -> None:
    """The same in PostgreSQL."""
    store = Store.open(postgres.make_database(), SiteKey.make(Home(tmp_path)).sealer)
    with store._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store.close()


def assert_same(database: Database, folder: Path) -> None:
    """The tables of a database are those that the code declares, made anew and compared by their statements."""
    made = Database(folder / "declared.db")
    with made.write() as connection:
        metadata.create_all(connection)
        declared = statements(connection)
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        found = statements(connection)
        found.pop("alembic_version")
    assert found == declared
    made.close()


def statements(connection: object) -> dict[str, list[str]]:
    """By name the parts of what made each table and index, without order, quotes and blanks."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")  # type: ignore[attr-defined]
    return {
        name: sorted("".join(sql.replace('"', "").split()).strip("()").replace("(", ",", 1).split(","))
        for name, sql in rows
        if not name.startswith("sqlite_")
    }


def test_an_upgrade_is_done_once(tmp_path: Path) -> None:
    """Opening again runs no step."""
    path = tmp_path / "warrants.db"
    version_1.make(path)
    Store.open(path).close()
    database = Database(path)
    with database.write() as connection:
        upgrade(connection, VERSION, SiteKey.open(Home(tmp_path)).sealer)
        assert connection.execute(text("SELECT count(*) FROM warrants")).scalar() == 5
    database.close()
    store = Store.open(path)
    assert [order.id for order in store.live(NOW_NS + DAY_NS)] == ["W-1", "W-2"]
    store.close()
