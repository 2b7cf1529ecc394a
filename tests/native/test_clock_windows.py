# SPDX-License-Identifier: Apache-2.0
"""Windows and the packets' own time while the system clock is stepped, repeats a second, or is smeared."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_kit import TARGET, arm, drain_all, frame

from lictl.probe import abi, clock
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder
from lictl.times import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lictl.probe.probe import Probe

pytestmark = pytest.mark.kernel
SECOND = 10**9
DAY = 86_400 * SECOND
MIDNIGHT = parse_rfc3339("2017-01-01T00:00:00Z")
"""Behind the newest leap second, 2016-12-31T23:59:60Z (IERS Bulletin C 52)."""
FOREVER = 1 << 63
WINDOWS = {
    1: (0, FOREVER),
    2: (0, MIDNIGHT),
    3: (MIDNIGHT, FOREVER),
    4: (MIDNIGHT - SECOND, MIDNIGHT),
    5: (MIDNIGHT - DAY, MIDNIGHT + DAY),
}
"""First instant inside and first outside, by slot; slot 1 takes everything and shows each packet's time."""


def take(probe: Probe, moments: Iterable[int]) -> dict[int, list[int]]:
    """The times that each slot's records carry, when packets come while the clock shows these moments."""
    for moment in moments:
        probe.set_utc_offset(moment - time.monotonic_ns())
        probe.test_run(frame())
    records, _ = drain_all(probe)
    slots = records["claim"] & 0xFFF
    return {slot: records["utc_ns"][slots == slot].tolist() for slot in WINDOWS}


def exact(taken: dict[int, list[int]], count: int) -> None:
    """Each order has exactly the packets whose time is in its window."""
    assert len(taken[1]) == count
    for slot, (starts, ends) in WINDOWS.items():
        assert taken[slot] == [ns for ns in taken[1] if starts <= ns < ends]


@pytest.fixture(scope="module")
def armed(loaded: Probe) -> Iterator[Probe]:
    """One order for each window, all on one target; the offset is put back afterwards."""
    was = int(loaded.config()["utc_offset_ns"])
    tables = arm(
        loaded,
        *(ArmedOrder(slot, 1, abi.MODE_CONTENT, starts, ends, 0, (parse(f"ip:{TARGET}"),))
          for slot, (starts, ends) in WINDOWS.items()),
    )  # fmt: skip
    drain_all(loaded)
    yield loaded
    loaded.set_utc_offset(was)
    for slot in WINDOWS:
        loaded.write_slot(slot, bytes(abi.SLOT.itemsize))
    del tables


def test_a_leap_second(armed: Probe) -> None:
    """Linux shows 23:59:59 twice. Both go to the order that ends at midnight, none to the one that begins there."""
    second = [MIDNIGHT - SECOND + part * SECOND // 10 for part in range(1, 10)]
    taken = take(armed, [*second, *second, MIDNIGHT, MIDNIGHT + SECOND])
    exact(taken, 20)
    assert len(taken[4]) == 18
    assert len(taken[3]) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-2 * DAY, 2 * DAY) | st.integers(-SECOND, SECOND), min_size=1, max_size=20))
def test_any_sequence_of_steps(armed: Probe, shifts: list[int]) -> None:
    """However the clock jumps around the edges: each order has what its window holds by the packet's own time."""
    exact(take(armed, [MIDNIGHT + shift for shift in shifts]), len(shifts))


def test_a_smeared_second_is_followed_and_is_no_step(loaded: Probe) -> None:
    """A clock that is pulled by a second in pieces, each smaller than a step: the program follows, with no alarm."""
    keeper = clock.Clock(loaded)
    begin = keeper.read().offset_ns
    piece = -clock.STEP_NS // 4
    try:
        for _ in range(40):
            clock.inject(piece)
            keeper.refresh()
        assert keeper.steps == 0
        assert abs(keeper.read().offset_ns - begin - 40 * piece) < clock.STEP_NS
        assert int(loaded.config()["utc_offset_ns"]) == keeper.read().offset_ns
    finally:
        clock.inject(-40 * piece)
        keeper.refresh()
