# SPDX-License-Identifier: Apache-2.0
"""At rest nothing names a subject: a byte search through every file of the store, and of a server's logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warrant_people import ALICE, BOB, approved
from warrant_texts import NOW_NS

from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.targets.grammar import parse
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from postgres_server import Server

    from lictl.warrants.model import WarrantFile

TARGETS = (
    "ip:203.0.113.77",
    "mac:02:00:5e:10:00:77",
    "flow:tcp 198.51.100.77:7-198.51.100.78:8",
    "ip:2001:db8:77::/56",
)
SUBJECT = "Mary Q. Subject"
REASON = "Mary asked twice"


def live_a_life(store: Store, file_with: Callable[..., WarrantFile]) -> None:
    """Every act that writes what names a subject, down to closing."""
    store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
    edits = {"authority.docket": f'"{SUBJECT}"', "authority.signed_by": f'"{SUBJECT}"'}
    first = edits | {"intercept.targets": f'["{TARGETS[0]}"]'}
    store.draft(file_with(first), ALICE, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    store.reject("W-1", REASON)
    store.submit("W-1", ALICE, NOW_NS)
    store.approve("W-1", BOB, NOW_NS, reason=REASON)
    named = ", ".join(f'"{each}"' for each in TARGETS)
    store.amend("W-1", file_with(edits | {"intercept.targets": f"[{named}]"}), ALICE, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    store.approve("W-1", BOB, NOW_NS)
    store.unable("W-1", REASON, ALICE, NOW_NS)
    store.able("W-1", REASON, BOB, NOW_NS)
    store.unable("W-1", REASON, ALICE, NOW_NS)
    approved(store, file_with(first | {"intercept.liid": '"second"'}))
    store.revoke("W-1", NOW_NS)


def found_in(files: Iterable[Path]) -> list[tuple[str, str]]:
    """Files that hold a target in text or in bytes, or the subject's name."""
    words = {text: text.partition(":")[2].split("/")[0].split(" ")[-1].encode() for text in TARGETS}
    words |= {SUBJECT: SUBJECT.encode(), REASON: REASON.encode(), "address": bytes([203, 0, 113, 77])}
    words |= {"mac": bytes.fromhex("02005e100077"), "network": parse(TARGETS[3]).network.network_address.packed[:7]}  # type: ignore[union-attr]
    hits = []
    for file in files:
        try:
            data = file.read_bytes()
        except FileNotFoundError:  # a running server removes files of its own meanwhile
            continue
        hits += [(file.name, name) for name, word in words.items() if word in data]
    return hits


def test_no_file_of_sqlite_names_a_subject(tmp_path: Path, file_with: Callable[..., WarrantFile]) -> None:
    """While it is open, with its log, and after it was closed; the search itself finds what is there."""
    store = Store.open(tmp_path / "warrants.db")
    live_a_life(store, file_with)
    assert (tmp_path / "warrants.db-wal").stat().st_size > 0
    assert found_in(tmp_path.glob("warrants.db*")) == []
    assert [str(each) for each in store.get("W-1").targets] == list(TARGETS)
    store.close()
    assert found_in(tmp_path.glob("warrants.db*")) == []
    (tmp_path / "leak").write_text(f"{TARGETS[0]} {SUBJECT}")
    assert {name for _, name in found_in([tmp_path / "leak"])} == {TARGETS[0], SUBJECT}


def test_no_file_of_postgresql_names_a_subject(
    postgres: Server, tmp_path: Path, file_with: Callable[..., WarrantFile]
) -> None:
    """Tables, write-ahead log and server log of PostgreSQL."""
    store = Store.open(postgres.make_database(), SiteKey.make(Home(tmp_path)).sealer)
    live_a_life(store, file_with)
    store._database.kind.erase(whole=True)
    files = [file for file in postgres.folder.rglob("*") if file.is_file()]
    assert any("pg_wal" in str(file) for file in files)
    assert found_in(files) == []
    store.close()


def test_a_destroyed_key_takes_the_sealed_values_along(tmp_path: Path, file_with: Callable[..., WarrantFile]) -> None:
    """The wrapped key and what it sealed are gone from the files, so that an old site key opens nothing either."""
    store = Store.open(tmp_path / "warrants.db")
    live_a_life(store, file_with)
    with store._database.read() as connection:
        wrapped = connection.exec_driver_sql("SELECT wrapped FROM warrant_keys WHERE warrant = 1").scalar()
        sealed = connection.exec_driver_sql("SELECT sealed_targets FROM warrants WHERE number = 1").scalar()
    store.release_slot("W-1")
    store.close_order("W-1", NOW_NS, {})
    store.destroy_key("W-1", NOW_NS)
    data = b"".join(file.read_bytes() for file in tmp_path.glob("warrants.db*"))
    store.close()
    assert isinstance(wrapped, bytes)
    assert isinstance(sealed, bytes)
    assert wrapped not in data
    assert sealed not in data
