# SPDX-License-Identifier: Apache-2.0
"""The system clock is stepped, or repeats a second, under load: windows hold by the packets' time, accounts close."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from daemon_rig import order
from loopback_rig import Flow, LoopbackRig

from lictl.times import format_rfc3339, now_ns, parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel
SECOND = 10**9
DAY_S = 86_400
DAY = DAY_S * SECOND


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[LoopbackRig]:
    """A site with its agency and a running daemon."""
    with LoopbackRig(tmp_path) as rig:
        rig.receive()
        rig.serve()
        yield rig


def exact(rig: LoopbackRig, liid: str) -> dict[int, int]:
    """What the agency has of an order, once nothing is in flight; the order's account says the same."""
    rig.wait(lambda: rig.stream(liid)["in_flight"] == 0, f"{liid} is settled")
    account = rig.stream(liid)
    assert account["withheld"] == sum(account["lost"].values()) == 0, account
    assert account["matched"] == account["delivered"], account
    records = rig.records(liid)
    assert len(records) == account["delivered"]
    return records


def matched(rig: LoopbackRig, liid: str) -> int:
    """Packets that an order has taken; an order that waits for its window has no stream yet."""
    return sum(int(stream["matched"]) for stream in rig.warrant(liid)["streams"])


def follow_each_other(numbers: list[int]) -> bool:
    """No packet of another time lies between them."""
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def inside(rig: LoopbackRig, liid: str) -> None:
    """Every record of an order carries a time of its window."""
    window = rig.warrant(liid)
    starts, ends = parse_rfc3339(window["starts"]), parse_rfc3339(window["ends"])
    assert all(starts <= ns < ends for ns in rig.records(liid).values())


@pytest.mark.parametrize("sign", [1, -1], ids=["forward", "back"])
def test_a_day_forward_or_back_and_right_again(rig: LoopbackRig, sign: int) -> None:
    """An order that spans all of it has every packet once, in the order of the wire; one of the wrong day has packets
    that carry a time of that day only; one of today has all the others, and goes on when the clock is right again."""
    began = now_ns()
    rig.add("WHOLE", starts=-3 * DAY_S, ends=3 * DAY_S)
    rig.add("RIGHT", starts=-3600, ends=3600)
    wrong = {"starts": sign * DAY_S - 3600, "ends": sign * DAY_S + 3600}
    if sign > 0:
        assert rig.add("WRONG", **wrong)["state"] == "approved", "its window is not due"
    with Flow(rig) as flow:
        time.sleep(0.5)
        rig.step(sign * DAY)
        if sign < 0:
            rig.add("WRONG", **wrong)
        rig.wait(lambda: matched(rig, "WRONG") > 100, "the clock's day is taken by its order")
        rig.step(0)
        since = flow.sent
        rig.wait(lambda: flow.sent > since + 200, "packets flow")
    times = exact(rig, "WHOLE")
    assert list(times) == list(range(flow.sent))
    moved = [number for number, ns in times.items() if abs(ns - began) > DAY // 2]
    assert follow_each_other(moved)
    taken = list(exact(rig, "WRONG"))
    assert follow_each_other(taken)
    assert set(taken) <= set(moved)
    assert taken[-1] == moved[-1], "to the packet at which the clock was put right"
    right = set(exact(rig, "RIGHT"))
    if rig.status()["clock"]["synchronised"]:
        assert right <= set(times) - set(moved)
    else:
        assert right == set(times) - set(moved), "an untrusted clock ends nothing for good"
        rig.wait(lambda: rig.team.auditor("warrant.show", name="WRONG")["first_taken"] is not None, "it is noted")
        shown = rig.team.auditor("warrant.show", name="WRONG")
        # The window's start, or the moment of the look where the clock is right again before that start: never later.
        first = parse_rfc3339(shown["first_taken"])
        assert first <= parse_rfc3339(shown["starts"]), "no term counts from a later moment of an untrusted clock"
    for liid in ("WHOLE", "RIGHT", "WRONG"):
        inside(rig, liid)
    assert "clock-step" in [alarm["name"] for alarm in rig.status()["alarms"]]
    assert rig.verdict()["ok"]


def test_a_second_comes_twice(rig: LoopbackRig) -> None:
    """The clock is put back by a second, as at a leap second: of two orders whose windows touch, each packet goes to
    the one whose window its own time is in, and to one only."""
    rig.add("WHOLE", starts=-7200, ends=7200)
    touch = now_ns() + 30 * SECOND
    rig.team.add(order("BEFORE", ends=(touch - now_ns()) / SECOND))
    (before,) = [w for w in rig.status()["warrants"] if w["liid"] == "BEFORE"]
    touch = parse_rfc3339(before["ends"])
    text = order("AFTER", starts=30)
    written = next(line for line in text.splitlines() if line.startswith("starts"))
    rig.team.add(text.replace(written, f'starts = "{format_rfc3339(touch)}"'))
    with Flow(rig) as flow:
        time.sleep(0.5)
        rig.step(-SECOND)
        rig.wait(lambda: matched(rig, "AFTER") > 100, "the later window has begun")
    times = exact(rig, "WHOLE")
    assert list(times) == list(range(flow.sent))
    ns = list(times.values())
    assert [b - a for a, b in pairwise(ns) if b < a] != [], "times were repeated"
    assert exact(rig, "AFTER") == {number: at for number, at in times.items() if at >= touch}
    assert rig.records("BEFORE") == {number: at for number, at in times.items() if at < touch}
    assert rig.verdict()["ok"]
