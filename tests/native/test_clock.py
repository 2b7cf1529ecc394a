# SPDX-License-Identifier: Apache-2.0
"""UTC of the monotonic clock. The machine's clock is never stepped: an injected offset stands for that."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import bounded
import pytest

from lictl.probe import clock

if TYPE_CHECKING:
    from lictl.probe.probe import Probe

HOUR = 3600 * 10**9


def measured() -> int:
    """The same distance, measured from Python."""
    return min(
        (time.monotonic_ns() - before, utc - before)
        for before, utc in ((time.monotonic_ns(), time.time_ns()) for _ in range(50))
    )[1]


def test_the_offset_is_that_of_the_two_clocks() -> None:
    """Within Python's own uncertainty (and a loaded machine's)."""
    state = clock.read_clock()
    assert abs(state.offset_ns - measured()) < 50_000_000


def test_the_error_bound_is_small_and_positive() -> None:
    """The narrowest of sixteen brackets is microseconds even on a loaded machine."""
    assert 0 < clock.read_clock().error_ns < 5_000_000


def test_repeated_readings_agree_within_their_bounds() -> None:
    """Both clocks are slewed alike: the distance is constant, so readings differ by less than their errors."""
    readings = [clock.read_clock() for _ in range(20)]
    for one in readings:
        for two in readings:
            assert abs(one.offset_ns - two.offset_ns) <= one.error_ns + two.error_ns + 1


def test_what_the_kernel_says_of_synchronisation_is_passed_on() -> None:
    """True, False or not known; an estimate of nanoseconds."""
    state = clock.read_clock()
    assert state.synchronised in (True, False, None)
    assert state.kernel_error_ns >= 0


def test_the_environment_shifts_utc() -> None:
    """LICTL_CLOCK_OFFSET_NS, as for `lictl.times`."""
    script = "from lictl.probe.clock import read_clock; from lictl.times import now_ns; import time\n"
    script += "print(read_clock().offset_ns + time.monotonic_ns() - now_ns())"
    environment = {**os.environ, "LICTL_CLOCK_OFFSET_NS": str(-5 * HOUR)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert abs(int(done.stdout)) < HOUR


@pytest.mark.kernel
def test_a_step_reaches_the_kernel_at_once(loaded: Probe) -> None:
    """The program's offset follows, and the callback gets both states, long before the next regular reading."""
    stepped = threading.Event()
    seen: list[int] = []

    def on_step(before: clock.ClockState, after: clock.ClockState) -> None:
        seen.append(after.offset_ns - before.offset_ns)
        stepped.set()

    keeper = clock.Clock(loaded, on_step)
    keeper.start()
    try:
        before = int(loaded.config()["utc_offset_ns"])
        clock.inject(-HOUR)
        assert stepped.wait(30)
        assert abs(seen[0] + HOUR) < 10**9
        assert abs(int(loaded.config()["utc_offset_ns"]) - before + HOUR) < 10**9
        assert keeper.read().offset_ns == int(loaded.config()["utc_offset_ns"])
        stepped.clear()
        clock.inject(HOUR)
        assert stepped.wait(30)
        assert keeper.steps == 2
    finally:
        keeper.stop()


@pytest.mark.kernel
def test_waiting_for_a_step_ends_with_it(loaded: Probe) -> None:
    """Nothing happens: the time passes. A step: the wait ends."""
    from lictl.probe.native import lib

    while lib.ln_clock_wait_step(0):
        pass
    assert lib.ln_clock_wait_step(20) == 0
    timer = threading.Timer(0.02, clock.inject, (1,))
    timer.start()
    assert lib.ln_clock_wait_step(30_000) == 1
    bounded.join(timer)
    clock.inject(-1)


@pytest.mark.kernel
def test_a_negative_offset_is_kept(loaded: Probe) -> None:
    """A system clock before 1970 plus uptime is absurd, but must not raise in the clock's thread."""
    was = int(loaded.config()["utc_offset_ns"])
    loaded.set_utc_offset(-1)
    assert int(loaded.config()["utc_offset_ns"]) == (1 << 64) - 1
    loaded.set_utc_offset(was)
