# SPDX-License-Identifier: Apache-2.0
"""What two people have approved, kept beside the real daemon, and held against the kernel's tables after each step."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from machine_rig import NS, at
from pinned_kernel import Kernel, v4

from lictl.errors import IntegrityError, LictlError
from lictl.probe.clock import read_clock

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.service.trusted_time import Moment

LEAD_NS: Final = 10 * NS
"""An order goes into the kernel so long before its window."""
SOON_NS: Final = 3 * NS
"""Nothing is asked of a moment this close to the edge of a window: reading and acting take time."""
IN_FORCE: Final = frozenset({"approved", "active"})
OVER: Final = frozenset({"expired", "revoked", "closed"})
_numbers = itertools.count()


@dataclass
class Paper:
    """An extension or amendment that waits."""

    act: str
    ends_ns: int
    targets: tuple[str, ...]
    signed_ns: int
    submitter: int | None = None


@dataclass
class Order:
    """What the model knows of one order.

    Attributes:
        liid: names it.
        states: what its state can be: one, and more only between a crash and the next start.
        targets: addresses in force.
        starts_ns: of its lawful window.
        ends_ns: likewise; an expired or revoked order keeps it.
        signed_ns: when its authority was signed: before that nothing can be made of it.
        submitter: who submitted it.
        emergency: one person was enough.
        paper: the further instrument that waits.
    """

    liid: str
    states: frozenset[str]
    targets: tuple[str, ...]
    starts_ns: int
    ends_ns: int
    signed_ns: int
    submitter: int | None = None
    emergency: bool = False
    paper: Paper | None = None

    @property
    def state(self) -> str:
        """Where it is known."""
        (state,) = self.states
        return state

    @property
    def may_be_armed(self) -> bool:
        """Two people have approved it, or one in an emergency, and nobody has stopped it."""
        return bool(self.states & IN_FORCE)


class Account(RuleBasedStateMachine):
    """One site, and what is known of its orders."""

    template: Path
    done: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = self.template.parent / f"example-{next(_numbers)}"
        self.folder.mkdir()
        shutil.copytree(self.template, self.folder / "home")
        self.machine = at(self.folder)
        self.orders: dict[str, Order] = {}
        self.decided: dict[str, str] = {}
        self.latest_ns = 0
        self.last: Moment | None = None
        self.fresh = itertools.count(1)

    def teardown(self) -> None:
        """Nothing is left behind."""
        self.machine.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the account

    @property
    def alive(self) -> bool:
        return self.machine.alive

    def pick(self, data: Any, *states: str, paper: str = "") -> Order | None:
        """An order in one of these states: with a paper that is `drafted` or `submitted`, where that is asked."""
        fit = [
            order
            for order in self.orders.values()
            if len(order.states) == 1 and order.state in states and _paper_fits(order, paper)
        ]
        return data.draw(st.sampled_from(fit), label="order") if fit else None

    def tick(self) -> int:
        """Now, and the latest moment that the daemon can have seen."""
        now = self.machine.now_ns
        self.latest_ns = max(self.latest_ns, now)
        if self.last is not None and self.last.agrees(self.machine.moment):
            self.last = None
        return now

    def starts(self) -> None:
        """What the daemon will think of its clock: nobody vouches for it."""
        self.last = None if read_clock().synchronised else self.machine.trusted_time()
        self.tick()
        self.done["starts by a clock that is doubted" if self.last else "starts"] += 1

    def held_back(self, order: Order) -> bool:
        """The clock is doubted, and by the last trusted time the window is not open, or about not to be."""
        if self.last is None:
            return False
        least = self.last.least(self.machine.moment)
        return not order.starts_ns - LEAD_NS + SOON_NS < least < order.ends_ns - SOON_NS

    def ask(self, uid: int, op: str, **args: Any) -> Any:
        told = self.machine.ask(uid, op, **args)
        self.done[op] += 1
        return told

    def refused(self, uid: int, op: str, **args: Any) -> None:
        """Nobody may do this, and nothing changes."""
        with pytest.raises(LictlError) as refusal:
            self.ask(uid, op, **args)
        # The database's own checks stand behind the words for people; they are not meant to be met.
        assert not isinstance(refusal.value, IntegrityError), refusal.value.what
        assert "defect" not in refusal.value.what, refusal.value.what
        self.done[f"{op} refused"] += 1

    def resolve(self) -> None:
        rows = self.machine.rows()
        for order in self.orders.values():
            if len(order.states) == 1:
                continue
            found = plain(rows[order.liid]["state"])
            known = frozenset({self.decided[order.liid]}) if order.liid in self.decided else order.states
            known = frozenset(map(plain, known))
            if found == "expired":
                known -= OVER
                assert known, (order, "a stop that was asked for was not carried out")
                order.states = frozenset({min(known)})  # judged by `_take_note`
            else:
                assert found in known, (order, found)
                order.states = frozenset({found})
        self.decided.clear()

    # ---- what is always true

    @invariant()
    def the_kernel_holds_only_what_was_approved(self) -> None:
        """Every slot that is on and every entry belongs to an order that may be armed, inside its lawful window."""
        self.tick()
        self.take_note()
        seen, rows = self.machine.kernel, self.machine.rows()
        owners = {claim_of(rows[o.liid]): o for o in self.orders.values() if rows[o.liid]["slot"] is not None}
        for slot in seen.slots.values():
            order = owners[slot.claim]
            # The daemon writes an end down before it clears the slot; the slot's own window is over by then.
            assert order.may_be_armed or order.state == "expired", (slot, order)
            assert order.starts_ns <= slot.starts_ns, (slot, order)
            assert slot.ends_ns <= order.ends_ns, (slot, order)
        for key, claims in seen.entries.items():
            for claim in claims:
                assert claim in owners, (key, claim)
                if owners[claim].may_be_armed and claim in seen.claims:
                    assert key in {v4(target) for target in owners[claim].targets}, (key, owners[claim])

    @invariant()
    def the_kernel_holds_what_is_in_force(self) -> None:
        """With a daemon that had a moment: each approved order inside its window, whole, and no trace of any other."""
        self.settle()

    def settle(self) -> None:
        if self.alive:
            self.machine.wait(lambda: not self._unsettled(), "the kernel is settled", 30)

    def _unsettled(self) -> list[Order]:
        self.take_note()
        now, seen, rows = self.tick(), self.machine.kernel, self.machine.rows()
        return [order for order in self.orders.values() if not self._settled(order, now, seen, rows[order.liid])]

    def _settled(self, order: Order, now: int, seen: Kernel, row: dict[str, Any]) -> bool:
        claim = claim_of(row)
        slot = next((each for each in seen.slots.values() if each.claim == claim), None)
        named = {key for key, claims in seen.entries.items() if claim in claims}
        if not order.may_be_armed:
            return row["slot"] is None or (slot is None and not named)
        if not order.starts_ns - LEAD_NS + SOON_NS < now < order.ends_ns - SOON_NS:
            return True
        if self.held_back(order):
            return slot is None
        whole = slot is not None and (slot.starts_ns, slot.ends_ns) == (order.starts_ns, order.ends_ns)
        return whole and named == {v4(target) for target in order.targets}

    # ---- what the daemon does by itself

    def take_note(self) -> None:
        """Orders that the daemon ended: their window was over by a clock that it had."""
        rows = self.machine.rows()
        for order in self.orders.values():
            if rows[order.liid]["state"] == "expired" and order.states != frozenset({"expired"}):
                assert not order.states <= OVER, order
                assert order.ends_ns <= self.latest_ns, (order, "ended before its time")
                order.states, order.paper = frozenset({"expired"}), None
                self.done["expired"] += 1

    def over_by_now(self, order: Order) -> bool:
        """Its window is over: the daemon ends it at a moment that nobody knows."""
        return order.ends_ns <= self.tick() + SOON_NS


def plain(state: str) -> str:
    return "approved" if state in IN_FORCE else state


def claim_of(row: dict[str, Any]) -> int:
    return int(row["slot"] or 0) | int(row["generation"] or 0) << 12


def _paper_fits(order: Order, wanted: str) -> bool:
    if wanted == "":
        return True
    if order.paper is None:
        return wanted == "none"
    return wanted in ("any", "drafted" if order.paper.submitter is None else "submitted")
