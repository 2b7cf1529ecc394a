# SPDX-License-Identifier: Apache-2.0
"""What stands between the command to stop an order and the kernel: its intent on disk, and no database."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import event

from lictl.audit.chain import Chain
from lictl.audit.read import latest
from lictl.errors import RefusedError
from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.lab.site import Order
from lictl.people.actor import Actor
from lictl.people.roles import Role
from lictl.service.effects import Absent
from lictl.service.live import Phase
from lictl.service.order_desk import OrderDesk
from lictl.service.record import Record
from lictl.service.registry import Registry
from lictl.service.scrutiny import Scrutiny
from lictl.service.site import Site, make_site, read_site
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.model import Agency, Warrant, load
from lictl.warrants.store import Store
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lictl.service.trusted_time import TrustedTime

HOUR_NS = 3_600_000_000_000
ALICE = Actor(1001, "alice", frozenset({Role.OPERATOR}), None, 1)


class Watched(Absent):
    """Notes, when the kernel is to be stopped, what was asked of the database and what stands in the chain."""

    def __init__(self, home: Home, store: Store, chain: Chain) -> None:
        super().__init__(home, store)
        self._chain = chain
        self.asked: list[str] = []
        self.seen: list[tuple[list[str], str, str | None]] = []

    def halt(self, order: Warrant) -> None:
        """See `Effects`."""
        (entry,) = latest(self._chain.folder, 1)
        self.seen.append(([*self.asked], entry.action, entry.subject))


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[OrderDesk, Store, Watched]]:
    """A desk as the daemon has it, and an order L1 in force."""
    home = Home(tmp_path / "home")
    make_site(home, Site(operator="X", element="Y", country="US"))
    store = Store.of(home)
    store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
    store.stand()
    now = now_ns()
    window = format_rfc3339(now - HOUR_NS), format_rfc3339(now + HOUR_NS)
    file = load(Order("L1", "headers", ("ip:203.0.113.7",), *window, ("sheriff",)).toml(), now)
    order = store.draft(file, Who(1001, "alice"), now)
    store.submit(order.id, Who(1001, "alice"), now)
    store.approve(order.id, Who(1002, "bob"), now)
    store.armed(order.id, now)
    with Chain.open(home, SiteKey.open(home).signer) as chain:
        effects = Watched(home, store, chain)
        event.listen(
            store._database.kind.engine, "before_cursor_execute", lambda _c, _u, text, *_: effects.asked.append(text)
        )
        yield OrderDesk(home, store, Record(chain), effects, Scrutiny(home, read_site(home), store)), store, effects
    store.close()


@pytest.mark.parametrize("name", ["W-1", "L1"])
@pytest.mark.parametrize("act", ["suspend", "revoke"])
def test_the_intent_is_on_disk_and_no_database_was_asked(
    parts: tuple[OrderDesk, Store, Watched], act: str, name: str
) -> None:
    """When the kernel is told, the chain's file ends with the intent, and not one statement was run for it."""
    desk, store, effects = parts
    getattr(desk, act)(ALICE, name)
    assert effects.seen == [([], f"warrant.{act}", "W-1")]
    assert store.get("W-1").state == ("suspended" if act == "suspend" else "revoked")


def test_what_cannot_be_stopped_is_refused_without_an_entry(parts: tuple[OrderDesk, Store, Watched]) -> None:
    """Nor is the kernel told: of an order that is suspended already, of one that is over."""
    desk, _, effects = parts
    desk.suspend(ALICE, "L1")
    with pytest.raises(RefusedError, match="suspend is not possible"):
        desk.suspend(ALICE, "L1")
    desk.revoke(ALICE, "L1")
    for name in ("L1", "W-1"):
        with pytest.raises(RefusedError, match="revoke is not possible"):
            desk.revoke(ALICE, name)
    assert [action for _, action, _ in effects.seen] == ["warrant.suspend", "warrant.revoke"]


def test_the_end_of_another_order_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """While an order's end waits for rings and disk, and while its spool goes, another thread can change orders."""
    rooms: Any = SimpleNamespace(
        tables=None, probe=SimpleNamespace(incarnation=1), store=SimpleNamespace(release_slot=lambda name: None)
    )
    registry = Registry(rooms, cast("TrustedTime", None))
    ended: Any = SimpleNamespace(
        id="W-1", claim=1, since=-10.0, phase=Phase.ENDING, streams=[None], warrant=SimpleNamespace(id="W-1")
    )
    registry._orders[ended.id] = ended
    free: list[bool] = []

    def look() -> None:
        free.append(registry.still.acquire(timeout=0.5))
        if free[-1]:
            registry.still.release()

    def wait_long(*_: object) -> bool:
        other = threading.Thread(target=look)
        other.start()
        other.join(5)
        ended.phase = Phase.DELIVERING
        return True

    for step in ("close", "finish"):
        monkeypatch.setattr(f"lictl.service.registry.{step}", wait_long)
    monkeypatch.setattr("lictl.service.registry.delivered", lambda order: True)
    registry.close_ended()
    registry.close_ended()
    assert free == [True, True]
    assert registry.orders() == []
