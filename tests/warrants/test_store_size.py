# SPDX-License-Identifier: Apache-2.0
"""Opening and asking does not grow with what is closed: queries go by index (100,000 orders with LICTL_LONG=1)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, insert, select
from warrant_people import in_force
from warrant_texts import NOW_NS

from lictl.warrants.schema import deliveries, instruments, warrant_keys, warrants
from lictl.warrants.states import LIVE, OPEN
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lictl.warrants.model import WarrantFile

CLOSED = 100_000 if os.environ.get("LICTL_LONG") else 5_000


def multiply(store: Store, number: int) -> None:
    """Copies of W-1, which is closed."""
    with store._database.write() as connection:
        for table, key in ((warrants, "number"), (instruments, "warrant"), (deliveries, "warrant"),
                           (warrant_keys, "warrant")):  # fmt: skip
            row = dict(connection.execute(select(table)).mappings().one())
            rows: list[dict[str, Any]] = []
            for copy in range(2, number + 1):
                more = {"uuid": str(copy), "slot": 4095, "generation": copy} if table is warrants else {}
                rows.append(row | {key: copy} | more)
            connection.execute(insert(table), rows)


@pytest.fixture
def large(tmp_path: Path, store: Store, file_with: Callable[..., WarrantFile]) -> Path:
    """A store of many closed orders and one in force."""
    in_force(store, file_with())
    store.revoke("W-1", NOW_NS)
    store.release_slot("W-1")
    store.close_order("W-1", NOW_NS, {})
    multiply(store, CLOSED)
    in_force(store, file_with({"intercept.liid": '"live"'}))
    store.close()
    return tmp_path / "warrants.db"


def test_many_closed_orders_do_not_slow_the_opening(large: Path) -> None:
    """Opening and finding what is live or unfinished takes a moment, and unseals nothing that is closed."""
    began = time.monotonic()
    store = Store.open(large)
    assert [order.liid for order in store.live(NOW_NS)] == ["live"]
    assert [order.liid for order in store.unfinished()] == ["live"]
    assert store.expire(NOW_NS) == []
    took = time.monotonic() - began
    assert len(store._reader._opened) <= 2
    store.close()
    assert took < 3, took


def test_the_daemons_questions_go_by_index(large: Path) -> None:
    """SQLite's own plan of each statement: it searches by an index, and scans no table."""
    store = Store.open(large)
    statements: list[tuple[str, Any]] = []
    event.listen(
        store._database.kind.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, values, _x, _m: statements.append((statement, values)),
    )
    store.live(NOW_NS)
    store.unfinished()
    store.expire(NOW_NS)
    store.get("live")
    store.get("W-1")
    store.overview(LIVE)
    store.list(OPEN)
    plans = []
    with store._database.read() as connection:
        for statement, values in statements:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
                plans += [(row[3], statement) for row in rows]
    store.close()
    assert len(plans) >= 12
    assert [plan for plan in plans if plan[0].startswith("SCAN") and "CONSTANT" not in plan[0]] == []
