# SPDX-License-Identifier: Apache-2.0
"""A site with store, keys and audit chain, and a desk that answers: everything but a running daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lictl.audit.chain import Chain
from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.papers.desk import PapersDesk
from lictl.papers.gather import Place
from lictl.people.actor import Actor
from lictl.people.roles import Role
from lictl.times import format_rfc3339, parse_rfc3339
from lictl.warrants.model import load
from lictl.warrants.store import Agency, Store
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.warrants.records import Warrant

NOW = parse_rfc3339("2026-03-02T08:00:00Z")
HOUR = 3_600_000_000_000
ALICE, BOB = Who(1001, "alice"), Who(1002, "bob", 1002)
AGENCY = "county-sheriff"


def person(name: str, uid: int, *roles: Role) -> Actor:
    """Somebody with roles."""
    return Actor(uid, name, frozenset(roles), None, 1)


APPROVER = person("bob", 1002, Role.APPROVER)
AUDITOR = person("carol", 1003, Role.AUDITOR)


def order_text(liid: str = "LIID0117", target: str = "ip:203.0.113.7", *, days: int = 28, first: int = 0) -> str:
    """A pen register order that begins at NOW and `first` days."""
    starts = NOW + first * 24 * HOUR
    return f"""
[authority]
kind = "pen-trap"
citation = "18 USC 3123"
court = "Superior Court of Example County"
docket = "26-mj-117"
signed_by = "Judge Jürgen Müßig"
signed_at = "{format_rfc3339(NOW - HOUR)}"
presented_by = "Det. Đặng Thị Ếch"
offence = "21 USC 841"
subject = "unknown"
subscriber = "the holder of account 4711"
attributes = "addressing of account 4711"

[intercept]
case_id = "CASE-2026-0117"
liid = "{liid}"
mode = "headers"
starts = "{format_rfc3339(starts)}"
ends = "{format_rfc3339(starts + days * 24 * HOUR)}"
targets = ["{target}"]

[[delivery]]
agency = "{AGENCY}"
"""


@dataclass(slots=True)
class PapersSite:
    """Store, chain and desk of one home.

    Attributes:
        live: what the daemon would say of an order's streams, by its id.
    """

    home: Home
    store: Store
    chain: Chain
    live: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> PapersSite:
        """A home with one agency."""
        home = Home(folder / "home")
        home.root.mkdir(mode=0o700)
        key = SiteKey.make(home)
        store = Store.open(home.database)
        store.add_agency(Agency(AGENCY, "192.0.2.10", 41900, "pcapng"))
        return cls(home, store, Chain.open(home, key.signer))

    @property
    def desk(self) -> PapersDesk:
        """As the daemon offers it."""
        return PapersDesk(self.home, Place("EXAMPLE-ISP", "box-1", "US"), self.store, streams=self.live.get,
                          note=self.note)  # fmt: skip

    def note(self, actor: Actor, action: str, subject: str | None, after: dict[str, Any]) -> int:
        """Into the chain."""
        return self.chain.append(action, actor=actor.to_json(), subject=subject, after=after)

    def act(self, action: str, order: str, who: Who, *, fails: str = "") -> int:
        """An act of the lifecycle in the chain, with its outcome."""
        actor = {"uid": who.uid, "name": who.name}
        seq = self.chain.append(action, actor=actor, subject=order, after={"state": action.partition(".")[2]})
        _ = self.chain.failed(seq, fails) if fails else self.chain.done(seq)
        return seq

    def approved(self, text: str | None = None) -> Warrant:
        """An order that two people put into force, with its entries."""
        added = self.chain.append("warrant.add", actor={"uid": ALICE.uid, "name": ALICE.name})
        order = self.store.draft(load(text or order_text(), NOW), ALICE, NOW)
        self.chain.done(added, after={"order": order.id, "instruments": ["draft"]})
        self.store.submit(order.id, ALICE, NOW)
        self.act("warrant.submit", order.id, ALICE)
        self.act("warrant.approve", order.id, BOB)
        return self.store.approve(order.id, BOB, NOW)

    def armed(self, text: str | None = None) -> Warrant:
        """The same, in the kernel."""
        order = self.approved(text)
        self.act("warrant.arm", order.id, Who(0, "lictl"))
        self.store.set_base(order.id, 7, {})
        return self.store.armed(order.id, NOW)

    def close(self) -> None:
        """Lets everything go."""
        self.chain.close()
        self.store.close()
