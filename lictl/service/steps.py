# SPDX-License-Identifier: Apache-2.0
"""Steps of the system clock: windows are judged by it and records carry it, so a person has to know of each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.probe.clock import ClockState
    from lictl.service.alarms import Alarms

# The alarm stands for so long after the last step: the count stays in the status.
HOLD_S = 3600.0


class ClockSteps:
    """Raises the alarm at once and takes it back after a while.

    Attributes:
        hurry: called at a step, so that windows which begin or end by it are seen to at once; set once it is known.
    """

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._last = -HOLD_S
        self._doubt = False
        self.hurry: Callable[[], None] = lambda: None

    def stepped(self, before: ClockState, after: ClockState) -> None:
        """For `lictl.probe.clock.Clock`; in the thread that found it."""
        by_s = (after.offset_ns - before.offset_ns) / 1e9
        self._last = time.monotonic()
        self._doubt = True
        self._alarms.set("clock-step", "", f"The system clock was stepped by {by_s:+.3f} s.")
        self.hurry()

    def trusted(self, synchronised: bool | None) -> bool:
        """Whether an order may be ended for good by this clock.

        Not after a step, until a time service vouches for the clock or the step has stood for an hour: the kernel
        keeps to the windows meanwhile, and a clock that is put right again finds the orders as they were.
        """
        if synchronised or time.monotonic() - self._last >= HOLD_S:
            self._doubt = False
        return not self._doubt

    def watch(self) -> None:
        """Takes the alarm back when it has stood long enough."""
        if time.monotonic() - self._last >= HOLD_S:
            self._alarms.clear("clock-step")
