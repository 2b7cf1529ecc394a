# SPDX-License-Identifier: Apache-2.0
"""No sequence of commands, crashes and clock changes leads to a kernel entry without an approved, in-window order.

A state machine drives the real daemon over its control socket, kills it, steps its clock, and keeps its own account of
what two people have approved. After each step that account is held against the kernel's tables, read through their
pins; packets that are sent through the pinned program must be matched when an order is in force, and never otherwise.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from machine_rig import CLOCK, FAULT, NS, DiedError, at, make, text_of
from pinned_kernel import Kernel, kernel_now_ns, matched, take, v4

from lictl import faults
from lictl.errors import LictlError
from lictl.lab.people import APPROVER_UID, OPERATOR_UID
from lictl.people.actor import Peer, actor
from lictl.service.administration import on_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]

BOTH_UID: Final = 64104
"""One person who may submit and approve; not the same order."""
MOST: Final = 7
"""Orders of one example."""
LONG: Final = os.environ.get("LICTL_LONG") == "1"
HOUR_S: Final = 3600
LEAD_NS: Final = 10 * NS
"""An order goes into the kernel so long before its window."""
SOON_NS: Final = 3 * NS
"""Nothing is asked of a moment this close to the edge of a window: reading and acting take time."""
IN_FORCE: Final = frozenset({"approved", "active"})
OVER: Final = frozenset({"expired", "revoked", "closed"})
STEPS: Final = (-48 * HOUR_S, -HOUR_S, HOUR_S, 5 * HOUR_S, 48 * HOUR_S)


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


class LawfulMachine(RuleBasedStateMachine):
    """One site."""

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
        return now

    def ask(self, uid: int, op: str, **args: Any) -> Any:
        told = self.machine.ask(uid, op, **args)
        self.done[op] += 1
        return told

    def refused(self, uid: int, op: str, **args: Any) -> None:
        """Nobody may do this, and nothing changes."""
        with pytest.raises(LictlError):
            self.ask(uid, op, **args)
        self.done[f"{op} refused"] += 1

    # ---- rules: towards force

    @initialize()
    def begin(self) -> None:
        """Two orders are in force, one is not yet."""
        assert self.machine.start() is None, self.machine.tail()
        for starts_s, lasts_s in ((-60, 2 * HOUR_S), (-HOUR_S, 30 * HOUR_S), (20 * 60, 2 * HOUR_S)):
            self.add(starts_s, lasts_s, OPERATOR_UID)
        for order in self.orders.values():
            self.ask(APPROVER_UID, "warrant.approve", name=order.liid)
            order.states = frozenset({"approved"})

    @precondition(lambda self: self.alive and len(self.orders) < MOST)
    @rule(
        starts_s=st.sampled_from([-HOUR_S, -60, 20 * 60, 30 * HOUR_S]),
        lasts_s=st.sampled_from([2 * HOUR_S, 30 * HOUR_S, 72 * HOUR_S]),
        submitter=st.sampled_from([None, OPERATOR_UID, BOTH_UID]),
    )
    def add(self, starts_s: int, lasts_s: int, submitter: int | None) -> None:
        order, text = self._written(starts_s, lasts_s, emergency=False)
        self.ask(submitter or OPERATOR_UID, "warrant.add", text=text, name="x", submit=submitter is not None)
        order.states = frozenset({"draft" if submitter is None else "submitted"})
        order.submitter = submitter
        self.orders[order.liid] = order

    @precondition(lambda self: self.alive and len(self.orders) < MOST)
    @rule(starts_s=st.sampled_from([-60, 0]), lasts_s=st.sampled_from([HOUR_S, 40 * HOUR_S]))
    def emergency(self, starts_s: int, lasts_s: int) -> None:
        order, text = self._written(starts_s, lasts_s, emergency=True)
        self.ask(OPERATOR_UID, "warrant.emergency", text=text, name="x")
        order.states, order.emergency = frozenset({"approved"}), True
        self.orders[order.liid] = order

    @precondition(lambda self: self.alive and len(self.orders) < MOST)
    @rule()
    def no_emergency_without_its_law(self) -> None:
        _, text = self._written(-60, HOUR_S, emergency=False)
        self.refused(OPERATOR_UID, "warrant.emergency", text=text, name="x")

    def _written(self, starts_s: int, lasts_s: int, *, emergency: bool) -> tuple[Order, str]:
        number, now = next(self.fresh), self.tick()
        starts_ns = now + starts_s * NS
        ends_ns, signed_ns = starts_ns + lasts_s * NS, min(starts_ns, now) - 60 * NS
        order = Order(f"L{number}", frozenset({"draft"}), (f"203.0.113.{number}",), starts_ns, ends_ns, signed_ns)
        return order, text_of(order.liid, order.targets, starts_ns, ends_ns, signed_ns, emergency=emergency)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, BOTH_UID]))
    def submit(self, data: Any, uid: int) -> None:
        order = self.pick(data, "draft") or self.pick(data, *IN_FORCE, "suspended", paper="drafted")
        if order is None or self._near_the_end(order):
            return
        if order.ends_ns <= self.tick():
            self.refused(uid, "warrant.submit", name=order.liid)
            return
        self.ask(uid, "warrant.submit", name=order.liid)
        if order.paper is not None:
            order.paper.submitter = uid
        else:
            order.states, order.submitter = frozenset({"submitted"}), uid

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, APPROVER_UID, BOTH_UID]))
    def approve(self, data: Any, uid: int) -> None:
        order = self.pick(data, "submitted") or self.pick(data, *IN_FORCE, "suspended", paper="submitted")
        if order is None or self._near_the_end(order):
            return
        waits = order.paper or order
        signed = waits.signed_ns <= self.tick() - SOON_NS
        lawful = uid not in (OPERATOR_UID, waits.submitter) and signed
        if not lawful:
            self.refused(uid, "warrant.approve", name=order.liid)
            return
        try:
            self.ask(uid, "warrant.approve", name=order.liid)
        except LictlError:
            # An amendment that has not begun by the clock of now; nothing else may be refused.
            assert order.paper is not None, order
            assert order.paper.act == "amendment", order
            assert order.paper.signed_ns + 60 * NS > self.tick(), order
            return
        self._approved(order)

    def _approved(self, order: Order) -> None:
        paper = order.paper
        if paper is None:
            order.states = frozenset({"approved"})
            return
        order.paper = None
        if paper.act == "extension":
            order.ends_ns = max(order.ends_ns, paper.ends_ns)
        else:
            order.ends_ns, order.targets = min(order.ends_ns, paper.ends_ns), paper.targets

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def reject(self, data: Any) -> None:
        order = self.pick(data, "submitted") or self.pick(data, *IN_FORCE, "suspended", paper="submitted")
        if order is None or self._over_by_now(order):
            return
        self.ask(APPROVER_UID, "warrant.reject", name=order.liid, reason="wrong docket")
        if order.paper is not None:
            order.paper.submitter = None
        else:
            order.states, order.submitter = frozenset({"draft"}), None

    # ---- rules: further instruments

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), longer=st.booleans())
    def further(self, data: Any, longer: bool) -> None:
        order = self.pick(data, *IN_FORCE, "suspended", paper="none")
        now = self.tick()
        if order is None or order.emergency or not order.starts_ns + SOON_NS < now < order.ends_ns - SOON_NS:
            return
        if longer:
            ends_ns, targets = order.ends_ns + 6 * HOUR_S * NS, order.targets
        else:
            ends_ns, targets = order.ends_ns, (f"198.51.100.{next(self.fresh)}", order.targets[0])
        text = text_of(order.liid, targets, now - NS, ends_ns, now - 61 * NS)
        act = "extend" if longer else "amend"
        self.ask(OPERATOR_UID, f"warrant.{act}", name=order.liid, text=text, file="x")
        order.paper = Paper("extension" if longer else "amendment", ends_ns, targets, now - 61 * NS)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def withdraw(self, data: Any) -> None:
        order = self.pick(data, *IN_FORCE, "suspended", paper="any")
        if order is not None and not self._over_by_now(order):
            self.ask(OPERATOR_UID, "warrant.withdraw", name=order.liid)
            order.paper = None

    # ---- rules: stopping

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, APPROVER_UID]))
    def suspend(self, data: Any, uid: int) -> None:
        order = self.pick(data, *IN_FORCE)
        if order is not None and not self._over_by_now(order):
            self.ask(uid, "warrant.suspend", name=order.liid)
            order.states = frozenset({"suspended"})

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, APPROVER_UID, BOTH_UID]))
    def resume(self, data: Any, uid: int) -> None:
        order = self.pick(data, "suspended")
        if order is None or self._near_the_end(order):
            return
        same = uid == order.submitter and not order.emergency
        if uid == OPERATOR_UID or same or order.ends_ns <= self.tick():
            self.refused(uid, "warrant.resume", name=order.liid)
            return
        self.ask(uid, "warrant.resume", name=order.liid)
        order.states = frozenset({"approved"})

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, APPROVER_UID]))
    def revoke(self, data: Any, uid: int) -> None:
        order = self.pick(data, "draft", "submitted", "suspended", *IN_FORCE)
        if order is not None and not self._over_by_now(order):
            self.ask(uid, "warrant.revoke", name=order.liid)
            order.states, order.paper = frozenset({"revoked"}), None

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def close(self, data: Any) -> None:
        order = self.pick(data, "revoked", "expired")
        if order is not None:
            self.machine.wait(lambda: bool(self.machine.rows()[order.liid]["released"]), "it is delivered")
            self.ask(OPERATOR_UID, "warrant.close", name=order.liid)
            order.states = frozenset({"closed"})

    # ---- rules: crashes and clocks

    @precondition(lambda self: self.alive)
    @rule(step=st.sampled_from((0, *STEPS)))
    def killed(self, step: int) -> None:
        """kill -9; the clock may be another one at the next start."""
        self.machine.kill()
        self.machine.step(step * NS)

    @precondition(lambda self: self.alive)
    @rule(step=st.sampled_from((0, *STEPS)))
    def stopped(self, step: int) -> None:
        """A clean stop leaves nothing in the kernel."""
        self.machine.stop()
        assert not self.machine.kernel.slots
        assert not self.machine.kernel.entries
        self.machine.step(step * NS)

    @precondition(lambda self: self.alive)
    @rule(step=st.sampled_from(STEPS))
    def clock_steps(self, step: int) -> None:
        """The clock is stepped under the running daemon."""
        self.tick()
        self.machine.step(step * NS)
        self.tick()

    @precondition(lambda self: not self.alive)
    @rule()
    def started(self) -> None:
        """What a crash left open is decided now, one way or the other."""
        self.tick()
        before = self.machine.kernel.claims
        assert self.machine.start() is None, self.machine.tail()
        self.tick()
        self._resolve()
        self._take_note()
        rows = self.machine.rows()
        lawful = {_claim(rows[order.liid]) for order in self.orders.values() if order.may_be_armed}
        assert self.machine.glimpsed <= before | lawful, "a start armed what may not be"
        self.machine.check_chain()
        intents, outcomes = self.machine.outcomes()
        assert intents == outcomes, "an intent has no outcome, or two"

    @precondition(lambda self: not self.alive)
    @rule(data=st.data(), op=st.sampled_from(["suspend", "revoke"]))
    def stopped_without_a_daemon(self, data: Any, op: str) -> None:
        """Its owner can stop an order in the tables that a killed daemon left."""
        order = self.pick(data, *IN_FORCE)
        if order is None or self._over_by_now(order):
            return
        home = self.machine.home
        os.environ[CLOCK] = str(self.machine.offset_ns)
        try:
            who = actor(home, Peer(OPERATOR_UID, None, os.getpid()))
            on_files(home, who, f"warrant.{op}", {"name": order.liid})
        finally:
            del os.environ[CLOCK]
        order.states = frozenset({"suspended" if op == "suspend" else "revoked"})

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def crashes(self, data: Any) -> None:
        """Somebody acts, and the daemon dies at one of the points on the way."""
        op, before, after, uid = data.draw(st.sampled_from(_CRASHES), label="act")
        order = self.pick(data, *before)
        if order is None or self._near_the_end(order) or order.ends_ns <= self.tick() or order.paper is not None:
            return
        if uid == order.submitter:
            return
        own = [point for point in faults.names() if point.startswith(f"{op}.")]
        others = ["audit.group.begun", "audit.group.written", "audit.group.synced", "audit.group.anchored"]
        if op == "warrant.approve" and order.starts_ns - LEAD_NS + SOON_NS < self.tick():
            others += [point for point in faults.names() if point.startswith("warrant.arm.")]
        point = data.draw(st.sampled_from(own + others), label="point")
        count = data.draw(st.integers(1, 2), label="count") if point in others[:4] else 1
        self.machine.set(FAULT, f"{point}:{count}")
        with contextlib.suppress(DiedError):  # it may die behind the answer
            self.ask(uid, op, name=order.liid)
            self.machine.ended()
        assert self.machine.status is not None
        assert os.WTERMSIG(self.machine.status) == signal.SIGKILL
        order.states = order.states | {after}
        self.done[f"killed at {point}"] += 1
        arming = point.startswith("warrant.arm.")
        if arming or (point in own and (op in _STOPS or not point.endswith(".intended"))):
            self.decided[order.liid] = after  # the intent of a stop is on the disk, or the store has the act

    def _resolve(self) -> None:
        rows = self.machine.rows()
        for order in self.orders.values():
            if len(order.states) == 1:
                continue
            found = _plain(rows[order.liid]["state"])
            known = frozenset({self.decided[order.liid]}) if order.liid in self.decided else order.states
            known = frozenset(map(_plain, known))
            if found == "expired":
                known -= OVER
                assert known, (order, "a stop that was asked for was not carried out")
                order.states = frozenset({min(known)})  # judged by `_take_note`
            else:
                assert found in known, (order, found)
                order.states = frozenset({found})
        self.decided.clear()

    # ---- rules: packets

    @precondition(lambda self: (self.machine.home.bpf / "maps").exists())
    @rule()
    def packets(self) -> None:
        """The kernel matches what is in force, by the packets' own time, and nothing else; also without a daemon."""
        self._settle()
        folder, rows = self.machine.home.bpf, self.machine.rows()
        for order in self.orders.values():
            slot = rows[order.liid]["slot"]
            if slot is None:
                continue
            before, now = matched(folder, slot), kernel_now_ns(folder)
            for target in order.targets:
                take(folder, target, 2)
            got = matched(folder, slot) - before
            self.done["packets matched" if got else "packets not matched"] += 1
            if not (order.may_be_armed and order.starts_ns - SOON_NS < now < order.ends_ns + SOON_NS):
                assert got == 0, (order, now)
            elif self.alive and order.states <= IN_FORCE and order.starts_ns + SOON_NS < now < order.ends_ns - SOON_NS:
                assert got == 2 * len(order.targets), (order, now)

    # ---- what is always true

    @invariant()
    def the_kernel_holds_only_what_was_approved(self) -> None:
        """Every slot that is on and every entry belongs to an order that may be armed, inside its lawful window."""
        self.tick()
        self._take_note()
        seen, rows = self.machine.kernel, self.machine.rows()
        owners = {_claim(rows[o.liid]): o for o in self.orders.values() if rows[o.liid]["slot"] is not None}
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
        self._settle()

    def _settle(self) -> None:
        if self.alive:
            self.machine.wait(lambda: not self._unsettled(), "the kernel is settled", 30)

    def _unsettled(self) -> list[Order]:
        self._take_note()
        now, seen, rows = self.tick(), self.machine.kernel, self.machine.rows()
        return [order for order in self.orders.values() if not self._settled(order, now, seen, rows[order.liid])]

    def _settled(self, order: Order, now: int, seen: Kernel, row: dict[str, Any]) -> bool:
        claim = _claim(row)
        slot = next((each for each in seen.slots.values() if each.claim == claim), None)
        named = {key for key, claims in seen.entries.items() if claim in claims}
        if not order.may_be_armed:
            return row["slot"] is None or (slot is None and not named)
        if not order.starts_ns - LEAD_NS + SOON_NS < now < order.ends_ns - SOON_NS:
            return True
        whole = slot is not None and (slot.starts_ns, slot.ends_ns) == (order.starts_ns, order.ends_ns)
        return whole and named == {v4(target) for target in order.targets}

    # ---- what the daemon does by itself

    def _take_note(self) -> None:
        """Orders that the daemon ended: their window was over by a clock that it had."""
        rows = self.machine.rows()
        for order in self.orders.values():
            if rows[order.liid]["state"] == "expired" and order.states != frozenset({"expired"}):
                assert not order.states <= OVER, order
                assert order.ends_ns <= self.latest_ns, (order, "ended before its time")
                order.states, order.paper = frozenset({"expired"}), None
                self.done["expired"] += 1

    def _over_by_now(self, order: Order) -> bool:
        """Its window is over: the daemon ends it at a moment that nobody knows."""
        return order.ends_ns <= self.tick() + SOON_NS

    def _near_the_end(self, order: Order) -> bool:
        """Too close to its end to know what the daemon will say."""
        return self._over_by_now(order)


_STOPS: Final = frozenset({"warrant.suspend", "warrant.revoke"})
_CRASHES: Final = (
    ("warrant.submit", ("draft",), "submitted", OPERATOR_UID),
    ("warrant.approve", ("submitted",), "approved", APPROVER_UID),
    ("warrant.suspend", ("approved", "active"), "suspended", OPERATOR_UID),
    ("warrant.resume", ("suspended",), "approved", APPROVER_UID),
    ("warrant.revoke", ("approved", "active", "submitted", "suspended"), "revoked", APPROVER_UID),
)
_numbers = itertools.count()


def _plain(state: str) -> str:
    return "approved" if state in IN_FORCE else state


def _claim(row: dict[str, Any]) -> int:
    return int(row["slot"] or 0) | int(row["generation"] or 0) << 12


def _paper_fits(order: Order, wanted: str) -> bool:
    if wanted == "":
        return True
    if order.paper is None:
        return wanted == "none"
    return wanted in ("any", "drafted" if order.paper.submitter is None else "submitted")


def test_only_what_was_approved_is_in_the_kernel(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is asked, whenever the daemon dies and whatever the clock says. LICTL_LONG=1 looks for much longer."""
    base = tmp_path_factory.mktemp("machine")
    template = make(base, f"operator={BOTH_UID}", f"approver={BOTH_UID}")
    LawfulMachine.template = template.home.root
    run_state_machine_as_test(
        LawfulMachine,
        settings=settings(
            max_examples=100 if LONG else 4,
            stateful_step_count=40 if LONG else 16,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # each step takes real time: an example is not made smaller
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        print("", *(f"  {count:5} {what}" for what, count in sorted(LawfulMachine.done.items())), sep="\n")


def test_an_order_that_was_revoked_before_its_window_began_keeps_no_daemon_from_starting(tmp_path: Path) -> None:
    """It has no window left, and its slot is not given back yet; found by the state machine."""
    with make(tmp_path) as machine:
        assert machine.start() is None, machine.tail()
        now = machine.now_ns
        text = text_of("L1", ["203.0.113.1"], now + 5 * NS, now + HOUR_S * NS, now - NS)
        machine.ask(OPERATOR_UID, "warrant.add", text=text, name="x", submit=True)
        assert machine.ask(APPROVER_UID, "warrant.approve", name="L1")["armed"], "in time for the lead"
        machine.step(-HOUR_S * NS)
        machine.set(FAULT, "warrant.revoke.recorded:1")
        with pytest.raises(DiedError):
            machine.ask(OPERATOR_UID, "warrant.revoke", name="L1")
        assert machine.start() is None, machine.tail()
        assert not machine.kernel.slots
        assert machine.rows()["L1"]["state"] == "revoked"
