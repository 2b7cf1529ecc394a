# SPDX-License-Identifier: Apache-2.0
"""The last time that could be trusted, kept in the store: a start does not take the machine's clock on faith.

An order that is ended by a clock that is ahead is ended for good, and one that was over comes back by a clock that was
set back. So a start compares the clock with what was known before: within one boot of the machine CLOCK_BOOTTIME says
exactly how much time has passed; after another boot at least the time since that boot has passed, and more than a day
in addition is taken for a wrong clock. Where the two do not agree, an order is armed only where its window is open by
both, and none is ended for good, until a time service or a person vouches for the clock, or it is put right.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from lictl import log
from lictl.audit.chain import DAEMON
from lictl.service.live import LEAD_NS
from lictl.times import format_rfc3339, now_ns

if TYPE_CHECKING:
    from lictl.people.actor import Actor
    from lictl.service.alarms import Alarms
    from lictl.service.record import Record
    from lictl.warrants.store import Store

NOTE: Final = "trusted_time"
"""Its key among the store's notes."""
TOLERANCE_NS: Final = 5_000_000_000
AHEAD_NS: Final = 86_400_000_000_000
"""How long a machine may have been off before its clock alone is not believed."""

_log = log.get("clock")


class Window(Protocol):
    """What has one: warrants and live orders."""

    @property
    def starts_ns(self) -> int:
        """First instant inside."""

    @property
    def ends_ns(self) -> int:
        """First instant outside."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, and how to tell how much has passed since.

    Attributes:
        utc_ns: UTC nanoseconds.
        boot: random id of the machine's boot.
        uptime_ns: CLOCK_BOOTTIME, nanoseconds since that boot.
    """

    utc_ns: int
    boot: str
    uptime_ns: int

    @classmethod
    def now(cls) -> Self:
        """By the machine's clock."""
        return cls(now_ns(), _boot(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """As `text` wrote it; None: there is none, or none that can be read."""
        try:
            return None if text is None else cls(**{name: kind(json.loads(text)[name]) for name, kind in _FIELDS})
        except (ValueError, KeyError, TypeError):
            return None

    def text(self) -> str:
        """To be kept."""
        return json.dumps(asdict(self))

    def least(self, now: Moment) -> int:
        """UTC that `now` must have reached, in nanoseconds; within the same boot exactly that."""
        return self.utc_ns + now.uptime_ns - (self.uptime_ns if now.boot == self.boot else 0)

    def agrees(self, now: Moment) -> bool:
        """Whether `now` is a time that can follow on this one."""
        most = TOLERANCE_NS if now.boot == self.boot else AHEAD_NS
        return -TOLERANCE_NS <= now.utc_ns - self.least(now) <= most


_FIELDS: Final[tuple[tuple[str, type], ...]] = (("utc_ns", int), ("boot", str), ("uptime_ns", int))


@functools.cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class TrustedTime:
    """Judges the clock from a start on; steps of it while the daemon runs are `lictl.service.steps`' affair.

    Attributes:
        doubt: the clock of the start does not agree with the last trusted time.
    """

    def __init__(self, store: Store, record: Record, alarms: Alarms) -> None:
        self._store, self._record, self._alarms = store, record, alarms
        self._lock = threading.Lock()
        self._last: Moment | None = None
        self.doubt = False

    def begin(self, synchronised: bool | None, voucher: Actor | None) -> None:
        """At a start, before any window is judged.

        Args:
            synchronised: a time service vouches for the clock.
            voucher: a person who does (`lictl serve --trust-clock`).

        Raises:
            LictlError: the store cannot be read, or nothing can be recorded.
        """
        now, self._last = Moment.now(), Moment.parse(self._store.note(NOTE))
        if self._last is None or self._last.agrees(now) or synchronised:
            return
        told = {"clock": format_rfc3339(now.utc_ns), "least": format_rfc3339(self._last.least(now))}
        if voucher is not None:
            self._record.note(voucher, "clock.vouched", None, told)
            return
        self._record.chain.append("clock.doubted", actor=DAEMON, after=told)
        _log.error("the clock does not agree with the last trusted time", by_ns=now.utc_ns - self._last.least(now))
        self.doubt = True
        self._alarm(now)

    def trusted(self, synchronised: bool | None) -> bool:
        """Whether the clock of the start may end an order for good; looks again."""
        with self._lock:
            if self.doubt and self._last is not None:
                now = Moment.now()
                if synchronised or self._last.agrees(now):
                    self.doubt = False
                    self._alarms.clear("clock-doubt")
                    _log.warning("the clock is trusted again")
                else:
                    self._alarm(now)
            return not self.doubt

    def open(self, window: Window, now: int) -> bool:
        """Whether an order is to be in the kernel at `now` (UTC nanoseconds): in doubt, by both clocks."""
        begins = window.starts_ns - LEAD_NS
        if not begins <= now < window.ends_ns:
            return False
        if not self.doubt or self._last is None:
            return True
        return begins <= self._last.least(Moment.now()) < window.ends_ns

    def keep(self, moment: Moment) -> None:
        """Notes that the clock could be trusted at `moment`. Raises LictlError: the store cannot be written."""
        with self._lock:
            if not self.doubt:
                self._last = moment
                self._store.keep_note(NOTE, self._last.text())

    def _alarm(self, now: Moment) -> None:
        assert self._last is not None  # noqa: S101 - what is not known is not doubted
        by = now.utc_ns - self._last.least(now)
        far = f"{abs(by) // 10**9:,} s {'after' if by > 0 else 'before'}"
        self._alarms.set(
            "clock-doubt",
            "",
            f"The clock says {format_rfc3339(now.utc_ns)}, {far} what the last trusted time leads to: no order is "
            "ended for good, and only those are armed whose window is open by both.",
        )
