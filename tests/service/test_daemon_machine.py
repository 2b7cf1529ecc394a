# SPDX-License-Identifier: Apache-2.0
"""No sequence of commands, crashes and clock changes leads to a kernel entry without an approved, in-window order.

A state machine drives the real daemon over its control socket, kills it, steps its clock, and keeps its own account of
what two people have approved. After each step that account is held against the kernel's tables, read through their
pins; packets that are sent through the pinned program must be matched when an order is in force, and never otherwise.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lawful_account import IN_FORCE, LEAD_NS, SOON_NS, Account, Order, Paper, claim_of
from machine_rig import CLOCK, FAULT, NS, DiedError, make, text_of
from pinned_kernel import kernel_now_ns, matched, take

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
STEPS: Final = (-48 * HOUR_S, -HOUR_S, HOUR_S, 5 * HOUR_S, 48 * HOUR_S)


_STOPS: Final = frozenset({"warrant.suspend", "warrant.revoke"})
_CRASHES: Final = (
    ("warrant.submit", ("draft",), "submitted", OPERATOR_UID),
    ("warrant.approve", ("submitted",), "approved", APPROVER_UID),
    ("warrant.suspend", ("approved", "active"), "suspended", OPERATOR_UID),
    ("warrant.resume", ("suspended",), "approved", APPROVER_UID),
    ("warrant.revoke", ("approved", "active", "submitted", "suspended"), "revoked", APPROVER_UID),
)


class LawfulMachine(Account):
    """What can happen at a site."""

    # ---- rules: towards force

    @initialize(longer=st.booleans())
    def begin(self, longer: bool) -> None:
        """Two orders are in force, one with a further instrument, one is not yet; no emergency without its law."""
        assert self.machine.start() is None, self.machine.tail()
        for starts_s, lasts_s in ((-60, 2 * HOUR_S), (-HOUR_S, 30 * HOUR_S), (20 * 60, 2 * HOUR_S)):
            self.add(starts_s, lasts_s, OPERATOR_UID)
        for order in self.orders.values():
            self.ask(APPROVER_UID, "warrant.approve", name=order.liid)
            order.states = frozenset({"approved"})
        _, text = self._written(-60, HOUR_S, emergency=False)
        self.refused(OPERATOR_UID, "warrant.emergency", text=text, name="x")
        changed = self.orders["L2"]
        assert self._further(changed, longer)
        self.ask(BOTH_UID, "warrant.submit", name=changed.liid)
        self._by_another(changed)

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
    @rule(starts_s=st.sampled_from([-60, 20 * 60]), lasts_s=st.sampled_from([2 * HOUR_S, 30 * HOUR_S]))
    def add_by_two(self, starts_s: int, lasts_s: int) -> None:
        """All the way, which single steps seldom go."""
        self.add(starts_s, lasts_s, BOTH_UID)
        self._by_another([*self.orders.values()][-1])

    @precondition(lambda self: self.alive and len(self.orders) < MOST)
    @rule(starts_s=st.sampled_from([-60, 0]), lasts_s=st.sampled_from([HOUR_S, 40 * HOUR_S]))
    def emergency(self, starts_s: int, lasts_s: int) -> None:
        order, text = self._written(starts_s, lasts_s, emergency=True)
        self.ask(OPERATOR_UID, "warrant.emergency", text=text, name="x")
        order.states, order.emergency = frozenset({"approved"}), True
        self.orders[order.liid] = order

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
        if order is None or self.over_by_now(order):
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
        if order is None or self.over_by_now(order):
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
        if order is None or self.over_by_now(order):
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
        if order is not None:
            self._further(order, longer)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), longer=st.booleans())
    def further_by_two(self, data: Any, longer: bool) -> None:
        """All the way, which single steps seldom go."""
        order = self.pick(data, *IN_FORCE, "suspended", paper="none")
        if order is not None and self._further(order, longer):
            self.ask(BOTH_UID, "warrant.submit", name=order.liid)
            self._by_another(order)

    def _by_another(self, order: Order) -> None:
        """What this person submitted another one approves."""
        self.the_kernel_holds_only_what_was_approved()
        for uid in (BOTH_UID, OPERATOR_UID):
            self.refused(uid, "warrant.approve", name=order.liid)
        self.the_kernel_holds_only_what_was_approved()
        self.ask(APPROVER_UID, "warrant.approve", name=order.liid)
        self._approved(order)

    def _further(self, order: Order, longer: bool) -> bool:
        now = self.tick()
        if order.emergency or not order.starts_ns + SOON_NS < now < order.ends_ns - SOON_NS:
            return False
        if longer:
            ends_ns, targets = order.ends_ns + 6 * HOUR_S * NS, order.targets
        else:
            ends_ns, targets = order.ends_ns, (f"198.51.100.{next(self.fresh)}", order.targets[0])
        text = text_of(order.liid, targets, now - NS, ends_ns, now - 61 * NS)
        act = "extend" if longer else "amend"
        self.ask(OPERATOR_UID, f"warrant.{act}", name=order.liid, text=text, file="x")
        order.paper = Paper("extension" if longer else "amendment", ends_ns, targets, now - 61 * NS)
        return True

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def withdraw(self, data: Any) -> None:
        order = self.pick(data, *IN_FORCE, "suspended", paper="any")
        if order is not None and not self.over_by_now(order):
            self.ask(OPERATOR_UID, "warrant.withdraw", name=order.liid)
            order.paper = None

    # ---- rules: stopping

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, APPROVER_UID]))
    def suspend(self, data: Any, uid: int) -> None:
        order = self.pick(data, *IN_FORCE)
        if order is not None and not self.over_by_now(order):
            self.ask(uid, "warrant.suspend", name=order.liid)
            order.states = frozenset({"suspended"})

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, APPROVER_UID, BOTH_UID]))
    def resume(self, data: Any, uid: int) -> None:
        order = self.pick(data, "suspended")
        if order is None or self.over_by_now(order):
            return
        same = uid == order.submitter and not order.emergency
        if uid == OPERATOR_UID or same:
            self.refused(uid, "warrant.resume", name=order.liid)
            return
        self.ask(uid, "warrant.resume", name=order.liid)
        order.states = frozenset({"approved"})

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), uid=st.sampled_from([OPERATOR_UID, APPROVER_UID]))
    def revoke(self, data: Any, uid: int) -> None:
        order = self.pick(data, "draft", "submitted", "suspended", *IN_FORCE)
        if order is not None and not self.over_by_now(order):
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
        self.starts()
        before = self.machine.kernel.claims
        assert self.machine.start() is None, self.machine.tail()
        self.tick()
        self.resolve()
        self.take_note()
        rows = self.machine.rows()
        lawful = {claim_of(rows[order.liid]) for order in self.orders.values() if order.may_be_armed
                  and not self.held_back(order)}  # fmt: skip
        assert self.machine.glimpsed <= before | lawful, "a start armed what may not be"
        self.machine.check_chain()
        intents, outcomes = self.machine.outcomes()
        assert intents == outcomes, "an intent has no outcome, or two"

    @precondition(lambda self: not self.alive)
    @rule(data=st.data(), op=st.sampled_from(["suspend", "revoke"]))
    def stopped_without_a_daemon(self, data: Any, op: str) -> None:
        """Its owner can stop an order in the tables that a killed daemon left."""
        order = self.pick(data, *IN_FORCE)
        if order is None or self.over_by_now(order):
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
        if order is None or self.over_by_now(order) or order.paper is not None:
            return
        if uid == order.submitter:
            return
        if op == "warrant.approve" and order.signed_ns > self.tick() - SOON_NS:
            return  # by a clock that went back it is signed in the future, and refused before any point
        own = [point for point in faults.names() if point.startswith(f"{op}.")]
        others = ["audit.group.begun", "audit.group.written", "audit.group.synced", "audit.group.anchored"]
        due = order.starts_ns - LEAD_NS + SOON_NS < self.tick() and not self.held_back(order)
        if op == "warrant.approve" and due:
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

    # ---- rules: packets

    @precondition(lambda self: (self.machine.home.bpf / "maps").exists())
    @rule()
    def packets(self) -> None:
        """The kernel matches what is in force, by the packets' own time, and nothing else; also without a daemon."""
        self.settle()
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
            in_window = order.starts_ns - SOON_NS < now < order.ends_ns + SOON_NS
            if not (order.may_be_armed and in_window) or (self.alive and self.held_back(order)):
                assert got == 0, (order, now)
            elif self.alive and order.states <= IN_FORCE and order.starts_ns + SOON_NS < now < order.ends_ns - SOON_NS:
                assert got == 2 * len(order.targets), (order, now)


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
            max_examples=100 if LONG else 6,
            stateful_step_count=40 if LONG else 20,
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
        assert machine.ask(APPROVER_UID, "warrant.approve", name="L1")["state"] == "active", "in time for the lead"
        machine.step(-HOUR_S * NS)
        machine.set(FAULT, "warrant.revoke.recorded:1")
        with pytest.raises(DiedError):
            machine.ask(OPERATOR_UID, "warrant.revoke", name="L1")
        assert machine.start() is None, machine.tail()
        assert not machine.kernel.slots
        assert machine.rows()["L1"]["state"] == "revoked"


def test_an_order_whose_stop_could_not_be_kept_stays_out_of_the_kernel(tmp_path: Path) -> None:
    """The store cannot be written while it is revoked: reconciling must not arm what a person was told is stopped."""
    with make(tmp_path) as machine:
        assert machine.start() is None, machine.tail()
        now = machine.now_ns
        text = text_of("L1", ["203.0.113.1"], now - NS, now + HOUR_S * NS, now - 2 * NS)
        machine.ask(OPERATOR_UID, "warrant.add", text=text, name="x", submit=True)
        assert machine.ask(APPROVER_UID, "warrant.approve", name="L1")["state"] == "active"
        with contextlib.closing(sqlite3.connect(machine.home.database, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            with pytest.raises(LictlError):
                machine.ask(OPERATOR_UID, "warrant.revoke", name="L1")
        assert machine.rows()["L1"]["state"] == "active"
        found = machine.ask(OPERATOR_UID, "audit.reconcile")
        assert found["differences"] == []
        assert not machine.kernel.slots
        machine.ask(OPERATOR_UID, "warrant.revoke", name="L1")
        assert machine.rows()["L1"]["state"] == "revoked"
