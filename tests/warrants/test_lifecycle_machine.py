# SPDX-License-Identifier: Apache-2.0
"""Any sequence of acts, clock changes and reopenings: nothing is armed that two people did not put into force.

The machine keeps its own account of who did what, from the acts that succeeded, and knows nothing of the code's table.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from warrant_people import ALICE, ALICE_BY_SUDO, BOB
from warrant_texts import DAY_NS, NOW_NS, build_text

from lictl.errors import LictlError, RefusedError, UsageError
from lictl.times import format_rfc3339, parse_rfc3339
from lictl.warrants.model import Agency, load, to_armed
from lictl.warrants.states import OPEN
from lictl.warrants.store import Store
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNED = parse_rfc3339("2026-03-01T12:00:00Z")
STARTS = parse_rfc3339("2026-03-02T00:00:00Z")
NAMED = st.frozensets(st.sampled_from(("ip:203.0.113.1", "ip:203.0.113.2", "mac:02:00:00:00:00:07")), min_size=1)
WHICH = st.integers(0, 63)
PEOPLE = st.sampled_from([ALICE, ALICE_BY_SUDO, BOB, Who(2003, "carol")])
RAM = "/dev/shm" if Path("/dev/shm").is_dir() else None  # durability is tested elsewhere
LIVE = ("approved", "active")


@dataclass
class Known:
    """What the machine knows of one order, from acts that succeeded.

    `ends`: the end that its approved instruments give it at most; `wanted`: what waits, as (end, targets, act).
    """

    emergency: bool
    targets: frozenset[str]
    ends: int
    wanted: tuple[int, frozenset[str], str] | None
    submitted: Who | None = None
    in_force: bool = False
    stopped: bool = False
    over: bool = False
    closed: bool = False
    claims: set[int] = field(default_factory=set)


def file_of(liid: str, ends: int, targets: frozenset[str], starts: int, *, emergency: bool = False) -> Any:
    """A warrant file; of an emergency it lasts two days."""
    edits: dict[str, str | None] = {
        "intercept.liid": f'"{liid}"',
        "intercept.starts": format_rfc3339(starts),
        "intercept.ends": format_rfc3339(ends),
        "intercept.targets": "[" + ", ".join(f'"{each}"' for each in sorted(targets)) + "]",
    }
    if emergency:
        edits |= {
            "authority.kind": '"title-iii-emergency"',
            "authority.citation": '"18 USC 2518(7)"',
            "authority.designated_by": '"Attorney General"',
            "authority.grounds": '"danger of death"',
        }
    return load(build_text(edits), NOW_NS)


def held(known: Known) -> bool:
    """Live, as far as acts go."""
    return known.in_force and not known.over and not known.stopped


def some(likely: Callable[[Known], Any]) -> Any:
    """Tries an act when there is an order for which it can succeed; `pick` takes another one now and then."""
    return precondition(lambda self: any(likely(known) for known in self.known.values()))


def to_submit(known: Known) -> bool:
    """Something is drafted."""
    return known.wanted is not None and known.submitted is None and not known.over


def to_approve(known: Known) -> bool:
    """Something is submitted."""
    return known.submitted is not None and not known.over


def to_follow(known: Known) -> bool:
    """A further instrument can be drafted."""
    return known.in_force and not known.over and known.wanted is None


def to_resume(known: Known) -> bool:
    """Suspended."""
    return known.stopped and not known.over


def to_withdraw(known: Known) -> bool:
    """A further instrument waits."""
    return known.in_force and known.wanted is not None and not known.over


def ended(known: Known) -> bool:
    """Over and not closed."""
    return known.over and not known.closed


class Acts(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lictl-machine-", dir=RAM))
        self.store = Store.open(self.folder / "warrants.db")
        self.store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
        self.store.stand()
        self.now = NOW_NS
        self.known: dict[str, Known] = {}

    def teardown(self) -> None:
        """Leaves nothing behind."""
        self.store.close()
        shutil.rmtree(self.folder)

    def attempt(self, act: Callable[[], Any]) -> bool:
        """Whether the act succeeded; a refusal changes nothing."""
        before = self.store.list()
        try:
            act()
        except (RefusedError, UsageError):
            assert self.store.list() == before
            return False
        return True

    # ---- acts of people

    @precondition(lambda self: len(self.known) < 4)
    @rule(
        who=PEOPLE,
        emergency=st.booleans(),
        days=st.integers(1, 27),
        named=NAMED,
    )
    def draft(self, who: Who, emergency: bool, days: int, named: frozenset[str]) -> None:
        ends = STARTS + (2 if emergency else days) * DAY_NS
        wanted = named
        file = file_of(f"L{len(self.known)}", ends, wanted, STARTS, emergency=emergency)
        if self.attempt(lambda: self.store.draft(file, who, self.now, emergency=emergency)):
            name = f"W-{len(self.known) + 1}"
            self.known[name] = Known(emergency, wanted, ends, (ends, wanted, "original"))
            self.submit_at_once(name, who)
        else:
            assert self.now >= ends

    @some(to_submit)
    @rule(at=WHICH, who=PEOPLE)
    def submit(self, at: int, who: Who) -> None:
        order, known = self.pick(at, to_submit)
        if known and self.attempt(lambda: self.store.submit(order, who, self.now)):
            assert known.wanted
            assert not known.over
            known.submitted = who

    @some(to_approve)
    @rule(at=WHICH)
    def reject(self, at: int) -> None:
        order, known = self.pick(at, to_approve)
        if known and self.attempt(lambda: self.store.reject(order, "no")):
            assert known.submitted
            known.submitted = None

    @some(to_approve)
    @rule(at=WHICH, who=PEOPLE)
    def approve(self, at: int, who: Who) -> None:
        order, known = self.pick(at, to_approve)
        if not known or not self.attempt(lambda: self.store.approve(order, who, self.now)):
            return
        assert known.submitted is not None
        assert known.wanted is not None
        assert not known.over
        ends, targets, act = known.wanted
        alone = bool(known.submitted.users & who.users)
        assert not alone or (known.emergency and act == "original")
        known.targets = targets
        known.ends = min(known.ends, ends) if act == "amend" else max(known.ends, ends)
        known.in_force, known.submitted, known.wanted = True, None, None

    @some(to_follow)
    @rule(at=WHICH, who=PEOPLE, days=st.integers(1, 39), back=st.integers(-2, 2))
    def extend(self, at: int, who: Who, days: int, back: int) -> None:
        self.further(at, who, "extend", days, back, None)

    @some(to_follow)
    @rule(at=WHICH, who=PEOPLE, days=st.integers(1, 27), named=NAMED)
    def amend(self, at: int, who: Who, days: int, named: frozenset[str]) -> None:
        self.further(at, who, "amend", days, 0, named)

    def further(self, at: int, who: Who, act: str, days: int, back: int, targets: frozenset[str] | None) -> None:
        order, known = self.pick(at, to_follow)
        if not known:
            return
        wanted = targets or known.targets
        starts = max(SIGNED, known.ends + back * DAY_NS) if act == "extend" else STARTS
        ends = STARTS + days * DAY_NS
        try:
            file = file_of(f"L{int(order[2:]) - 1}", ends, wanted, starts)
        except LictlError:
            return  # no lawful file
        if self.attempt(lambda: getattr(self.store, act)(order, file, who, self.now)):
            assert known.in_force
            assert not known.over
            assert known.wanted is None
            known.wanted = (ends, wanted, act)
            self.submit_at_once(order, who)

    def submit_at_once(self, order: str, who: Who) -> None:
        """As most people do."""
        if self.attempt(lambda: self.store.submit(order, who, self.now)):
            self.known[order].submitted = who

    @some(to_withdraw)
    @rule(at=WHICH)
    def withdraw(self, at: int) -> None:
        order, known = self.pick(at, to_withdraw)
        if known and self.attempt(lambda: self.store.withdraw(order)):
            assert known.in_force
            known.wanted = known.submitted = None

    @some(held)
    @rule(at=WHICH)
    def suspend(self, at: int) -> None:
        order, known = self.pick(at, held)
        if known and self.attempt(lambda: self.store.suspend(order)):
            known.stopped = True

    @some(to_resume)
    @rule(at=WHICH, who=PEOPLE)
    def resume(self, at: int, who: Who) -> None:
        order, known = self.pick(at, held)
        if known and self.attempt(lambda: self.store.resume(order, who, self.now)):
            assert known.stopped
            first = self.store.get(order).submitted_by
            assert first is not None
            assert known.emergency or not first.users & who.users
            known.stopped = False

    @rule(at=WHICH)
    def revoke(self, at: int) -> None:
        order, known = self.pick(at)
        if known and at % 4 == 0:
            assert self.attempt(lambda: self.store.revoke(order, self.now)) is not known.over
            known.over = True

    @some(ended)
    @rule(at=WHICH)
    def close(self, at: int) -> None:
        order, known = self.pick(at, ended)
        if known and self.attempt(lambda: self.store.close_order(order, self.now, {})):
            assert known.over
            known.closed = True

    # ---- the daemon and the clock

    @some(held)
    @rule(at=WHICH)
    def arm(self, at: int) -> None:
        order, known = self.pick(at, held)
        if known and self.attempt(lambda: self.store.armed(order, self.now)):
            assert known.in_force
            assert not known.over
            assert not known.stopped

    @some(ended)
    @rule(at=WHICH)
    def release(self, at: int) -> None:
        order, known = self.pick(at, held)
        if known and self.attempt(lambda: self.store.release_slot(order)):
            assert known.over

    @rule(hours=st.one_of(st.integers(-36, 36), st.integers(-36, 240)))
    def step_the_clock(self, hours: int) -> None:
        if hours % 3:  # not too often, else every order is soon over
            return
        self.now = max(self.now + hours * 3600 * 10**9, NOW_NS - DAY_NS)

    @rule(trusted=st.booleans())
    def expire(self, trusted: bool) -> None:
        for order in self.store.expire(self.now, trusted):
            known = self.known[order.id]
            assert trusted
            assert not known.over
            assert order.ends_ns <= self.now
            known.over = True

    @some(held)
    @rule(at=WHICH, hours=st.integers(0, 200))
    def took(self, at: int, hours: int) -> None:
        order, known = self.pick(at, held)
        if known and known.in_force:
            before = self.store.get(order).ends_ns
            assert self.store.took(order, STARTS + hours * 3600 * 10**9).ends_ns <= before

    @rule()
    def reopen(self) -> None:
        before = self.store.list()
        self.store.close()
        self.store = Store.open(self.folder / "warrants.db")
        self.store.stand()
        assert self.store.list() == before

    def pick(self, at: int, likely: Callable[[Known], Any] = bool) -> tuple[str, Known | None]:
        """One of the orders there are; most often one for which the act can be expected to succeed."""
        names = [name for name, known in self.known.items() if at % 8 and likely(known)] or list(self.known)
        return (names[at % len(names)], self.known[names[at % len(names)]]) if names else ("", None)

    # ---- what always holds

    @invariant()
    def only_what_two_people_put_into_force_is_live(self) -> None:
        for order in self.store.live(self.now):
            known = self.known[order.id]
            assert known.in_force
            assert not known.over
            assert not known.stopped
            assert {str(target) for target in order.targets} == known.targets
            assert order.starts_ns == STARTS
            assert self.now < order.ends_ns <= known.ends
            known.claims.add(to_armed(order).claim)
            assert len(known.claims) == 1

    @invariant()
    def what_was_put_into_force_is_live(self) -> None:
        live = {order.id for order in self.store.live(self.now)}
        for name, known in self.known.items():
            if known.in_force and not known.over and not known.stopped and self.now < known.ends:
                assert name in live or self.store.get(name).ends_ns < known.ends

    @invariant()
    def what_stands_in_memory_is_what_the_database_says(self) -> None:
        for order in self.store.list():
            stands = order if order.state in OPEN else None
            assert (self.store.standing(order.id), self.store.standing(order.liid)) == (stands, stands)

    @invariant()
    def slots_have_one_owner(self) -> None:
        held = self.store.unfinished()
        assert len({order.slot for order in held}) == len(held)
        assert {order.id for order in held} >= {
            name for name, known in self.known.items() if known.in_force and not known.over
        }
        assert all(self.known[order.id].in_force and not self.known[order.id].closed for order in held)


Acts.TestCase.settings = settings(
    max_examples=50, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestActs = Acts.TestCase
"""Runs the machine."""
