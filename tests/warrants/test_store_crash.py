# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of a transaction, and between transactions."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bounded
import pytest
from sqlalchemy import text
from warrant_people import ALICE, approved, in_force
from warrant_texts import NOW_NS

from lictl.warrants.records import NO_SLOT
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.warrants.model import WarrantFile

HERE = Path(__file__).parent

PROLOGUE = f"""
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{str(HERE)!r}, *{sys.path!r}]
from warrant_people import in_force
from warrant_texts import NOW_NS, build_text
from lictl.warrants import slots
from lictl.warrants.model import load
from lictl.warrants.store import Store
store = Store.open(Path(sys.argv[1]))
def file(n):
    return load(build_text({{"intercept.liid": f'"L{{n}}"'}}), NOW_NS)
"""

DIES_INSIDE = """
at = sys.argv[2]
original = getattr(slots, at)
def dying(*arguments):
    original(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(slots, at, dying)
if at == "give_back":
    store.revoke("W-1", NOW_NS)
    store.release_slot("W-1")
in_force(store, file(2))
"""

ADDS_FOR_EVER = """
n = 0
while True:
    added = in_force(store, file(n))
    print(added.id, flush=True)
    if n % 3 == 2:
        store.revoke(added.id, NOW_NS)
        store.release_slot(added.id)
        print("released", added.id, flush=True)
    n += 1
"""


def check_consistent(store: Store) -> None:
    """Every order has its deliveries; slots and their holders agree; no claim was given out twice."""
    orders = store.list()
    approved = [order for order in orders if order.slot != NO_SLOT]
    holding = {order.slot: int(order.id.removeprefix("W-")) for order in approved if not order.released}
    with store._database.read() as connection:
        slots = connection.execute(text("SELECT slot, generation, holder FROM slots")).all()
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    assert {row.slot: row.holder for row in slots if row.holder is not None} == holding
    assert len({order.claim for order in approved}) == len(approved)
    assert all(order.deliveries for order in orders)
    for row in slots:
        assert row.generation == max(order.generation for order in approved if order.slot == row.slot)


@pytest.mark.parametrize("at", ["take", "hold", "give_back"])
def test_kill_inside_a_transaction_leaves_nothing_of_it(
    at: str, tmp_path: Path, store: Store, file_with: Callable[..., WarrantFile]
) -> None:
    """The process dies with rows written and not committed: on opening, the transaction never was."""
    in_force(store, file_with({"intercept.liid": '"L1"'}))
    store.close()
    path = tmp_path / "warrants.db"
    done = subprocess.run([sys.executable, "-c", PROLOGUE + DIES_INSIDE, path, at], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    again = Store.open(path)
    only, *dying = again.list()
    assert (only.liid, only.released) == ("L1", False)
    assert only.state == ("revoked" if at == "give_back" else "active")
    assert [(order.state, order.slot) for order in dying] == ([] if at == "give_back" else [("submitted", NO_SLOT)])
    check_consistent(again)
    in_force(again, file_with({"intercept.liid": '"L3"'}))
    check_consistent(again)
    again.close()


@pytest.mark.parametrize("lines", [1, 7, 20])
def test_what_was_reported_is_there_after_a_kill(lines: int, tmp_path: Path, store: Store) -> None:
    """A process that adds and releases without end dies at some moment: all it had reported holds, all of it fits."""
    store.close()
    path = tmp_path / "warrants.db"
    command = [sys.executable, "-c", PROLOGUE + ADDS_FOR_EVER, path]
    with bounded.running(command, stdout=subprocess.PIPE, text=True) as process:
        reported = [bounded.line(process.stdout).strip() for _ in range(lines)]
        time.sleep(0.003 * lines)
        bounded.kill(process)
        reported += process.stdout.read().split("\n")
    again = Store.open(path)
    orders = {order.id: order for order in again.list()}
    for line in reported:
        if line.startswith("released "):
            assert orders[line.removeprefix("released ")].released
        elif line:
            assert line in orders
    assert len(orders) >= 1
    check_consistent(again)
    again.close()


ACTS = {
    "draft": "store.draft(file(3), BOB, NOW_NS)",
    "submit": 'store.submit("W-1", ALICE, NOW_NS)',
    "reject": 'store.reject("W-2", "no")',
    "approve": 'store.approve("W-2", BOB, NOW_NS)',
    "armed": 'store.armed("W-3", NOW_NS)',
    "suspend": 'store.suspend("W-3")',
    "resume": 'store.resume("W-4", BOB, NOW_NS)',
    "revoke": 'store.revoke("W-3", NOW_NS)',
    "expire": "store.expire(NOW_NS + 100 * 86400 * 10**9)",
    "took": 'store.took("W-3", NOW_NS)',
    "extend": 'store.extend("W-3", file(2, ends="2026-03-31T00:00:00Z"), ALICE, NOW_NS)',
    "approve-amendment": 'store.approve("W-4", BOB, NOW_NS)',
    "withdraw": 'store.withdraw("W-4")',
    "unable": 'store.unable("W-3", "no port", BOB, NOW_NS)',
    "able": 'store.able("W-4", "a new port", BOB, NOW_NS)',
    "close": 'store.close_order("W-5", NOW_NS, {})',
    "destroy": 'store.destroy_key("W-6", NOW_NS)',
}
"""One act each, on the orders that `lives` makes."""

DIES_BEFORE_COMMIT = """
from warrant_people import ALICE, BOB
from sqlalchemy import event
def file(n, ends="2026-03-30T00:00:00Z"):
    return load(build_text({"intercept.liid": f'"L{n}"', "intercept.ends": ends}), NOW_NS)
event.listen(store._database.kind.engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


def lives(store: Store, file_with: Callable[..., WarrantFile]) -> None:
    """Orders in each state: draft, submitted, approved, suspended with an amendment, revoked, closed."""
    files = [file_with({"intercept.liid": f'"L{n}"'}) for n in range(6)]
    store.draft(files[0], ALICE, NOW_NS)
    store.submit(store.draft(files[1], ALICE, NOW_NS).id, ALICE, NOW_NS)
    approved(store, files[2])
    approved(store, files[3])
    more = file_with({"intercept.liid": '"L3"', "intercept.targets": '["ip:198.51.100.1"]'})
    store.amend("W-4", more, ALICE, NOW_NS)
    store.submit("W-4", ALICE, NOW_NS)
    store.suspend("W-4")
    store.unable("W-4", "no port", ALICE, NOW_NS)
    for n in (4, 5):
        order = in_force(store, files[n])
        store.revoke(order.id, NOW_NS)
        store.release_slot(order.id)
    store.close_order("W-6", NOW_NS, {})


@pytest.mark.parametrize("act", list(ACTS))
def test_kill_before_the_commit_of_each_act(
    act: str, tmp_path: Path, store: Store, file_with: Callable[..., WarrantFile]
) -> None:
    """Whatever the act wrote, the store is as it was before; done again, the act succeeds."""
    lives(store, file_with)
    before = store.list()
    store.close()
    path = tmp_path / "warrants.db"
    code = PROLOGUE + DIES_BEFORE_COMMIT + ACTS[act]
    done = subprocess.run([sys.executable, "-c", code, path], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    again = Store.open(path)
    assert again.list() == before
    check_consistent(again)
    again.close()
    code = code.replace("os.kill(os.getpid(), signal.SIGKILL)", "None")
    subprocess.run([sys.executable, "-c", code, path], timeout=120, check=True)
    again = Store.open(path)
    assert again.list() != before
    check_consistent(again)
    again.close()
