# SPDX-License-Identifier: Apache-2.0
"""What is PostgreSQL's own: the URL in lictl.toml, one daemon, clients and servers that die, words for its errors."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from warrant_people import ALICE, BOB, in_force
from warrant_texts import NOW_NS

from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.warrants.anchor import StoreAnchor
from lictl.warrants.model import Agency
from lictl.warrants.postgres import PATIENCE
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgres_server import Server

    from lictl.warrants.model import WarrantFile

HERE = Path(__file__).parent
DIES = f"""
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{str(HERE)!r}, *{sys.path!r}]
from warrant_people import BOB
from warrant_texts import NOW_NS
from lictl.home import Home
from lictl.warrants import slots
from lictl.warrants.store import Store
store = Store.of(Home(Path(sys.argv[1])))
hold = slots.hold
def dying(*arguments):
    hold(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
slots.hold = dying
store.approve("W-1", BOB, NOW_NS)
"""


@pytest.fixture
def home(tmp_path: Path, postgres: Server) -> Home:
    """A home whose lictl.toml names a database of the server."""
    made = Home(tmp_path)
    SiteKey.make(made)
    made.site_file.write_text(f'operator = "ISP-7"\ndatabase = "{postgres.make_database()}"\n')
    return made


def test_the_home_says_where_its_store_is(home: Home, tmp_path: Path) -> None:
    """With a URL in lictl.toml there is no file; without one there is."""
    store = Store.of(home)
    store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
    store.close()
    assert not home.database.exists()
    again = Store.of(home)
    assert [agency.name for agency in again.agencies()] == ["sheriff"]
    again.close()
    home.site_file.write_text('operator = "ISP-7"\n')
    plain = Store.of(home)
    assert plain.agencies() == []
    plain.close()
    assert home.database.exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("database = 7", "`database` is no text"),
        ("database = ", "cannot be read"),
        ('database = "mysql://u:hunter2@h/d"', "no URL of PostgreSQL"),
        ('database = "hunter2"', "no URL of PostgreSQL"),
        ('database = "postgresql+psycopg://u:hunter2@/d?host=/nowhere"', "cannot be reached"),
    ],
)
def test_databases_that_cannot_be(line: str, reason: str, home: Home) -> None:
    """Refused with the reason, and without the password that the URL may hold."""
    home.site_file.write_text(line + "\n")
    with pytest.raises((UsageError, UnavailableError), match=reason) as caught:
        Store.of(home)
    assert "hunter2" not in str(caught.value)


def test_one_daemon_for_one_database(home: Home) -> None:
    """A second one is refused while the first one has it; its end, also a sudden one, frees it."""
    first, second = Store.of(home), Store.of(home)
    with first.hold():
        with pytest.raises(RefusedError, match="Another daemon serves the database"), second.hold():
            pass
        assert second.agencies() == []
    with second.hold():
        pass
    first.close()
    second.close()


def test_a_server_that_falls_silent_is_given_up(home: Home) -> None:
    """The limits on silence are in force for each connection; a server that is gone cannot be made on a Unix socket."""
    store = Store.of(home)
    with store._database.read() as connection:
        found = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    store.close()
    assert {name: int(found[name]) for name in PATIENCE} == PATIENCE


def test_a_client_that_dies_leaves_nothing(home: Home, file_with: Callable[..., WarrantFile]) -> None:
    """kill -9 with the approval written and not committed: the order is submitted, its slot is free, nobody waits."""
    store = Store.of(home)
    store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
    store.draft(file_with(), ALICE, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    done = subprocess.run([sys.executable, "-c", DIES, str(home.root)], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert store.get("W-1").state == "submitted"
    assert store.approve("W-1", BOB, NOW_NS).claim == 4096
    store.close()


def test_a_server_that_crashed_has_all_that_was_reported(
    tmp_path: Path, postgres: Server, file_with: Callable[..., WarrantFile]
) -> None:
    """After an immediate stop and a restart the orders are there, and the store goes on by itself."""
    store = Store.open(postgres.make_database(), SiteKey.make(Home(tmp_path)).sealer)
    store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
    order = in_force(store, file_with())
    postgres.stop(signal.SIGQUIT)
    try:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            store.get("W-1")
    finally:
        postgres.start()
    assert store.get("W-1") == order
    store.close()


def test_the_head_of_the_chain_is_anchored(home: Home) -> None:
    """What the audit chain writes outside its files is read back by another process's store."""
    store, other = Store.of(home), Store.of(home)
    anchor = StoreAnchor(store)
    assert anchor.read() is None
    anchor.write(7, "cd" * 32)
    assert StoreAnchor(other).read() == (7, "cd" * 32)
    store.close()
    other.close()
