# SPDX-License-Identifier: Apache-2.0
"""A start compares the machine's clock with the last trusted time before it ends or arms anything."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine_rig import NS, Machine, make, text_of

from lictl.audit.read import entries
from lictl.lab.people import APPROVER_UID, OPERATOR_UID
from lictl.probe.clock import Clock, read_clock
from lictl.service.alarms import Alarms
from lictl.service.housekeeping import Housekeeping
from lictl.service.steps import ClockSteps
from lictl.service.trusted_time import AHEAD_NS, TOLERANCE_NS, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR: int = 3600 * NS
DAY: int = 24 * HOUR
HERE = Moment(1_000_000 * NS, "this boot", 500 * NS)

kernel = pytest.mark.kernel
unvouched = pytest.mark.skipif(
    bool(read_clock().synchronised), reason="a time service vouches for this machine's clock: no start is in doubt"
)


@given(st.integers(0, 2**63), st.text(max_size=40), st.integers(0, 2**63))
def test_a_moment_is_read_as_it_was_written(utc_ns: int, boot: str, uptime_ns: int) -> None:
    """All of it."""
    moment = Moment(utc_ns, boot, uptime_ns)
    assert Moment.parse(moment.text()) == moment


@unvouched
def test_a_step_is_known_before_an_order_is_ended_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where housekeeping reads the time before the clock's own thread has noticed."""
    probe: Any = SimpleNamespace(set_utc_offset=lambda _ns: None)
    steps = ClockSteps(Alarms())
    clock = Clock(probe, steps.stepped)  # its thread is not started: it notices nothing
    ended: list[bool] = []
    registry: Any = SimpleNamespace(expire=lambda trusted: ended.append(trusted()))
    sure: Any = SimpleNamespace(trusted=lambda _synchronised: True)
    none: Any = None
    keeping = Housekeeping(none, registry, none, clock, steps, sure, ())
    keeping._expire()
    monkeypatch.setenv("LICTL_CLOCK_OFFSET_NS", str(DAY))
    keeping._expire()
    assert ended == [True, False]


@pytest.mark.parametrize("text", [None, "", "7", "[]", "{}", '{"utc_ns": "x", "boot": "b", "uptime_ns": 1}'])
def test_a_damaged_note_is_none(text: str | None) -> None:
    """Never an error: the first start has none either."""
    assert Moment.parse(text) is None


@pytest.mark.parametrize(
    ("boot", "passed_ns", "by_ns", "agrees"),
    [
        ("this boot", HOUR, 0, True),
        ("this boot", HOUR, TOLERANCE_NS, True),
        ("this boot", HOUR, TOLERANCE_NS + 1, False),
        ("this boot", HOUR, -TOLERANCE_NS, True),
        ("this boot", HOUR, -TOLERANCE_NS - 1, False),
        ("another", HOUR, -TOLERANCE_NS, True),
        ("another", HOUR, -TOLERANCE_NS - 1, False),
        ("another", HOUR, AHEAD_NS, True),
        ("another", HOUR, AHEAD_NS + 1, False),
    ],
)
def test_which_clock_agrees(boot: str, passed_ns: int, by_ns: int, agrees: bool) -> None:
    """Within one boot the time that passed is known; after another one a machine may have been off for a day."""
    uptime = passed_ns + (HERE.uptime_ns if boot == HERE.boot else 0)
    now = Moment(HERE.utc_ns + passed_ns + by_ns, boot, uptime)
    assert HERE.least(now) == HERE.utc_ns + passed_ns
    assert HERE.agrees(now) is agrees


# ---- the daemon


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A site whose daemon runs, with an order of today and one of next month."""
    with make(tmp_path) as machine:
        assert machine.start() is None, machine.tail()
        add(machine, "TODAY", -HOUR, 6 * HOUR)
        add(machine, "LATER", 30 * DAY - HOUR, 30 * DAY + 6 * HOUR)
        assert armed(machine) == {"TODAY"}
        machine.wait(lambda: machine.trusted_time() is not None, "the time is noted")
        yield machine


def add(machine: Machine, liid: str, starts_ns: int, ends_ns: int) -> None:
    """An order that two people put into force; times relative to now."""
    now = machine.now_ns
    address = f"203.0.113.{len(machine.rows()) + 1}"
    text = text_of(liid, [address], now + starts_ns, now + ends_ns, now + min(starts_ns, 0) - NS)
    machine.ask(OPERATOR_UID, "warrant.add", text=text, name="x", submit=True)
    machine.ask(APPROVER_UID, "warrant.approve", name=liid)


def armed(machine: Machine) -> set[str]:
    """LIIDs of the slots that are on."""
    on = machine.kernel.claims
    return {liid for liid, row in machine.rows().items() if row["slot"] is not None
            and row["slot"] | row["generation"] << 12 in on}  # fmt: skip


def alarms(machine: Machine) -> set[str]:
    """Names of those that stand."""
    return {alarm["name"] for alarm in machine.ask(OPERATOR_UID, "status")["alarms"]}


def recorded(machine: Machine) -> list[str]:
    """What the chain tells of the clock."""
    found = entries(machine.home.root / "audit")
    return [entry.action for entry in found if entry.action.startswith("clock.")]


@kernel
@unvouched
@pytest.mark.parametrize("boot", ["same boot", "another boot"])
def test_a_clock_that_is_far_ahead_ends_nothing_and_begins_nothing(machine: Machine, boot: str) -> None:
    """Today's order is kept out of the kernel and stays what it is, next month's has not begun, an alarm names the
    fix; when the clock is put right, today's order is armed again."""
    machine.kill()
    machine.step(30 * DAY)
    if boot == "another boot":
        machine.rebooted(30 * DAY)
    assert machine.start() is None, machine.tail()
    assert not machine.glimpsed - {0} or armed(machine) == set()
    (alarm,) = [a for a in machine.ask(OPERATOR_UID, "status")["alarms"] if a["name"] == "clock-doubt"]
    assert "--trust-clock" in alarm["fix"]
    assert {row["state"] for row in machine.rows().values()} == {"active", "approved"}
    assert armed(machine) == set()
    machine.step(-30 * DAY)
    machine.wait(lambda: armed(machine) == {"TODAY"}, "it is in force again")
    assert "clock-doubt" not in alarms(machine)
    assert recorded(machine) == ["clock.doubted"]


@kernel
@unvouched
def test_a_clock_that_was_set_back_arms_nothing_that_was_over(machine: Machine) -> None:
    """The order ended by the last trusted time, and the tables that a killed daemon left still have it: it is taken
    out before anything else; one that is not over by either goes on."""
    add(machine, "LONG", -HOUR, 20 * HOUR)
    machine.kill()
    machine.rebooted(-7 * HOUR)
    assert armed(machine) == {"TODAY", "LONG"}
    assert machine.start() is None, machine.tail()
    assert armed(machine) == {"LONG"}
    assert "clock-doubt" in alarms(machine)
    assert machine.rows()["TODAY"]["state"] == "active", "no such clock ends it for good"
    add(machine, "NEW", -HOUR, 6 * HOUR)
    assert armed(machine) == {"LONG"}, "over, by what is known"
    machine.stop()
    assert machine.start(trust=True) is None, machine.tail()
    assert armed(machine) == {"TODAY", "LONG", "NEW"}, "a person vouches for the clock"
    assert "clock-doubt" not in alarms(machine)
    assert recorded(machine) == ["clock.doubted", "clock.vouched"]
    machine.check_chain()


@kernel
def test_a_machine_that_was_off_for_a_night_is_believed(machine: Machine) -> None:
    """What ended meanwhile is ended for good, and the time is noted anew."""
    machine.kill()
    machine.step(10 * HOUR)
    machine.rebooted(10 * HOUR)
    assert machine.start() is None, machine.tail()
    assert machine.rows()["TODAY"]["state"] == "expired"
    assert "clock-doubt" not in alarms(machine)
    noted = machine.trusted_time()
    machine.wait(lambda: machine.trusted_time() != noted, "it is noted")
    assert machine.trusted_time() is not None
    assert machine.trusted_time().agrees(replace(machine.moment))  # type: ignore[union-attr]
