# SPDX-License-Identifier: Apache-2.0
"""UTC of the kernel's monotonic clock, kept up to date in the capture program.

Both clocks are slewed alike, so their distance changes only when the system clock is stepped (or at a leap second);
a step is noticed at once, and the distance is measured anew ten times a second besides.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lictl import log
from lictl.probe.native import check, ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.probe.probe import Probe

REFRESH_MS: Final = 100
STEP_NS: Final = 1_000_000
"""A change of the distance from one reading to the next that counts as a step."""

_log = log.get("clock")


@dataclass(frozen=True, slots=True)
class ClockState:
    """One reading.

    Attributes:
        offset_ns: UTC minus CLOCK_MONOTONIC, nanoseconds.
        error_ns: bound of the reading's error: half the width of the narrowest bracketed read.
        synchronised: what the kernel's time discipline says; None: not known.
        kernel_error_ns: its estimate of the system clock's own error against UTC; 0: not known.
    """

    offset_ns: int
    error_ns: int
    synchronised: bool | None
    kernel_error_ns: int


def read_clock() -> ClockState:
    """Reads both clocks; honours LICTL_CLOCK_OFFSET_NS and `inject`."""
    out = ffi.new("struct ln_clock *")
    check(lib.ln_clock_read(out), None, "reading the clock")
    known = int(out.synchronised)
    return ClockState(
        int(out.utc_offset_ns), int(out.error_ns), None if known < 0 else bool(known), int(out.kernel_error_ns)
    )


def inject(offset_ns: int) -> None:
    """Shifts this process's idea of UTC by so much more, as if the clock were stepped (tests)."""
    lib.ln_clock_inject(offset_ns)


class Clock:
    """Keeps ``li_config.utc_offset_ns`` right.

    Args:
        probe: whose program is told; must stay open until `stop`.
        on_step: called in the thread that finds the step, with the states before and after a step.
    """

    def __init__(self, probe: Probe, on_step: Callable[[ClockState, ClockState], None] | None = None) -> None:
        self._probe = probe
        self._on_step = on_step
        self._state = read_clock()
        self._ending = threading.Event()
        self._one = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self.steps = 0
        probe.set_utc_offset(self._state.offset_ns)

    def start(self) -> None:
        """Begins to refresh."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; the kernel keeps the last offset."""
        self._ending.set()
        if self._thread.is_alive():
            # no bound: the thread waits REFRESH_MS at most, and the probe must not be closed under it.
            self._thread.join()

    def read(self) -> ClockState:
        """The newest reading, at most REFRESH_MS old while the thread runs."""
        return self._state

    def refresh(self) -> ClockState:
        """Reads now, tells the program, and reports a step; from any thread."""
        with self._one:
            before, after = self._state, read_clock()
            self._probe.set_utc_offset(after.offset_ns)
            self._state = after
            if abs(after.offset_ns - before.offset_ns) >= STEP_NS:
                self.steps += 1
                _log.warning("the system clock was stepped", by_ns=after.offset_ns - before.offset_ns)
                if self._on_step is not None:
                    self._on_step(before, after)
            return after

    def _run(self) -> None:
        while not self._ending.is_set():
            # Returns early on a step; what it returns does not matter, the reading tells.
            lib.ln_clock_wait_step(REFRESH_MS)
            if self._ending.is_set():
                return
            try:
                self.refresh()
            except Exception as error:
                _log.error("the clock was not refreshed", error=type(error).__name__)
