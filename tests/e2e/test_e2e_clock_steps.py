# SPDX-License-Identifier: Apache-2.0
"""The system clock is stepped under load: windows, accounts and the order of packets hold, and a person is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from e2e_load import Load, numbers
from e2e_rig import SECOND, wait_until
from e2e_stepped import SteppedDaemon

from lictl.lab import topology
from lictl.times import now_ns

if TYPE_CHECKING:
    from e2e_rig import Rig

pytestmark = [pytest.mark.kernel, pytest.mark.net]

TARGET = f"ip:{topology.SUB['sub1'].v4}"
MARGIN_NS = 500_000_000


def stamped(rig: Rig, liid: str) -> dict[int, int]:
    """Number of each delivered frame and the time that it carries, in the order of delivery."""
    delivered = rig.delivered(liid)
    return dict(zip(numbers(delivered), (packet.ns for packet in delivered), strict=True))


def stepped(rig: Rig, count: int) -> None:
    """Returns when the daemon has noticed so many steps, and a moment later."""
    wait_until(lambda: rig.status()["clock"]["steps"] == count, what=f"step {count} is noticed")
    time.sleep(0.7)


def test_the_clock_steps_forward_and_back(fresh: Rig) -> None:
    """Twenty seconds forward and back under load: an order that spans all of it has every packet once, in the order of
    the wire; one that ends, and one that begins, within the step takes exactly the packets of its window by their own
    time; all accounts close; each step is alarmed."""
    rig = fresh
    rig.init()
    rig.start_receiver()
    daemon = SteppedDaemon(rig)
    begin = now_ns()
    whole = rig.order("content", TARGET)
    first = rig.order("content", TARGET, ends_ns=begin + 12 * SECOND)
    # In the kernel from now on, as its window is near.
    second = rig.order("content", TARGET, starts_ns=begin + 9 * SECOND)
    with Load(rig.lab, per_second=1000) as load:
        time.sleep(0.7)
        before = now_ns()
        daemon.step(20 * SECOND)
        stepped(rig, 1)
        assert "clock-step" in [alarm["name"] for alarm in rig.status()["alarms"]]
        back = now_ns()
        daemon.step(0)
        stepped(rig, 2)
    assert not rig.alarmed("unaccounted")
    account = rig.settled(whole)
    times = stamped(rig, whole)
    assert account["matched"] == account["delivered"] == load.offered
    assert list(times) == list(range(load.offered))
    high = [number for number, ns in times.items() if ns > begin + 15 * SECOND]
    assert len(high) > 100
    assert high == list(range(high[0], high[0] + len(high))), "one stretch of packets has the stepped time"
    assert times[high[0]] >= before + 20 * SECOND
    assert times[high[-1]] <= back + 20 * SECOND + MARGIN_NS
    # Nothing is ended for good by a stepped clock: set back, it goes on with what is in its window again.
    until = {number: ns for number, ns in times.items() if ns < begin + 12 * SECOND}
    assert stamped(rig, first) == until
    # What comes after the clock was set back carries a time before its window, unless this machine was very slow.
    since = {number: ns for number, ns in times.items() if ns >= begin + 9 * SECOND}
    assert set(high) <= set(since)
    assert stamped(rig, second) == since
    account = rig.account(second)
    assert account["delivered"] == len(since)
    assert account["in_flight"] == account["withheld"] == sum(account["lost"].values()) == 0
    assert rig.verdict()["ok"]


def test_a_step_back_keeps_what_waits(fresh: Rig) -> None:
    """The clock is set back an hour with the agency away: what was taken on both sides of the step arrives whole."""
    rig = fresh
    rig.init()
    daemon = SteppedDaemon(rig)
    liid = rig.order("content", TARGET, starts_ns=now_ns() - 3 * 3600 * SECOND)
    with Load(rig.lab, per_second=1000) as load:
        time.sleep(0.5)
        daemon.step(-3600 * SECOND)
        stepped(rig, 1)
    rig.start_receiver()
    account = rig.settled(liid)
    assert account["matched"] == account["delivered"] == load.offered
    times = stamped(rig, liid)
    assert list(times) == list(range(load.offered))
    assert times[0] - times[load.offered - 1] > 3500 * SECOND
    assert rig.verdict()["ok"]
