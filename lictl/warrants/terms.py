# SPDX-License-Identifier: Apache-2.0
"""How long an authority lasts: terms as the statutes write them, and the instant at which each ends.

Where a statute leaves room (first interception unknown yet, public holidays, a local time that comes twice or never),
the earlier instant is taken: lictl may stop early, never late.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lictl.errors import MachineError

NS: Final = 1_000_000_000
HOUR_NS: Final = 3600 * NS
DAY_NS: Final = 86_400 * NS

COUNTS_FROM: Final = {
    "start": "from the start of the window",
    "signature": "from the signature",
    "signature-day": "from the day of the signature, which counts",
    "first-interception": "from the first interception, at the earliest the start of the window",
    "start-or-tenth-day": "from the first interception or the tenth day after the signature, the earlier",
}
"""How a term counts, by its name in the data, in words."""

_TEXT = re.compile(r"([1-9][0-9]{0,3}) (hour|day|month|year|working day)s?")
# Ten years: nothing that has no end can be written as a term, and none leaves the calendar.
_MOST: Final = {"hour": 87_600, "day": 3650, "month": 120, "year": 10, "working day": 2600}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_WEEKEND: Final = {"sat": 5, "sun": 6}


@dataclass(frozen=True, slots=True)
class Term:
    """A longest term.

    Attributes:
        text: such as "30 days", "6 months", "5 working days".
        number: how many.
        unit: "hour", "day", "month", "year" or "working day". Days are 24 hours; months and years are calendar ones.
        counts_from: a key of COUNTS_FROM.
        zone: IANA name of the zone whose calendar counts.
        weekend: days of the week (Monday is 0) that are no working days.
    """

    text: str
    number: int
    unit: str
    counts_from: str
    zone: str = "UTC"
    weekend: frozenset[int] = frozenset({5, 6})

    @classmethod
    def parse(cls, text: str, counts_from: str, zone: str = "UTC", weekend: tuple[str, ...] = ("sat", "sun")) -> Term:
        """A term from the data.

        Raises:
            ValueError: it cannot be read, with the reason.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f'{text!r} is no term such as "30 days", "48 hours", "6 months" or "5 working days"')
        if int(match[1]) > _MOST[match[2]]:
            raise ValueError(f"{text!r} is longer than ten years, which no authority lasts")
        if counts_from not in COUNTS_FROM:
            raise ValueError(f"{counts_from!r} is no way to count; write one of {', '.join(COUNTS_FROM)}")
        if match[2] == "working day" and counts_from != "signature-day":
            raise ValueError('working days count from the "signature-day"')
        if not set(weekend) <= set(_WEEKEND):
            raise ValueError('weekend names days other than "sat" and "sun"')
        zone_of(zone)
        return cls(text, int(match[1]), match[2], counts_from, zone, frozenset(_WEEKEND[day] for day in weekend))

    @property
    def fixed_ns(self) -> int | None:
        """Its length in nanoseconds: of hours, and of days that do not count from the beginning of one."""
        if self.counts_from == "signature-day":
            return None
        length = {"hour": HOUR_NS, "day": DAY_NS}.get(self.unit)
        return None if length is None else self.number * length

    @property
    def longest_days(self) -> int:
        """Days that it can last at the very most, to compare terms: a month has 31, a working week 5 of 7 or more."""
        return {
            "hour": -(-self.number // 24),
            "day": self.number,
            "month": self.number * 31,
            "year": self.number * 366,
            "working day": self.number * 2 + 3,
        }[self.unit]

    def latest_end(self, signed_ns: int | None, starts_ns: int, first_ns: int | None = None) -> int:
        """The last instant (UTC ns) at which a window may end.

        Args:
            signed_ns: when the order was signed; None: unknown, the start of the window stands for it.
            starts_ns: start of the window.
            first_ns: first interception; None: there was none yet, the start of the window stands for it.
        """
        signed = starts_ns if signed_ns is None else signed_ns
        first = starts_ns if first_ns is None else first_ns
        if self.counts_from == "start":
            return self._end(starts_ns)
        if self.counts_from == "first-interception":
            return self._end(first)
        if self.counts_from == "start-or-tenth-day":
            return self._end(min(first, signed + 10 * DAY_NS))
        return self._end(signed)

    def _end(self, begins_ns: int) -> int:
        if self.fixed_ns is not None:
            return begins_ns + self.fixed_ns
        seconds, rest = divmod(begins_ns, NS)
        zone = zone_of(self.zone)
        begins = (_EPOCH + dt.timedelta(seconds=seconds)).astimezone(zone)
        if self.counts_from == "signature-day":
            begins, rest = begins.replace(hour=0, minute=0, second=0, fold=0), 0
        return _ns(self._calendar_end(begins)) + rest

    def _calendar_end(self, begins: dt.datetime) -> dt.datetime:
        if self.unit in ("hour", "day"):
            return begins + dt.timedelta(**{f"{self.unit}s": self.number})
        if self.unit == "working day":
            day = begins
            for _ in range(self.number):
                day += dt.timedelta(days=1)
                while day.weekday() in self.weekend:
                    day += dt.timedelta(days=1)
            return day + dt.timedelta(days=1)
        months = begins.month - 1 + self.number * (12 if self.unit == "year" else 1)
        year, month = begins.year + months // 12, months % 12 + 1
        return begins.replace(year=year, month=month, day=min(begins.day, calendar.monthrange(year, month)[1]))


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises:
        ValueError: there is none of that name.
        MachineError: this machine has no data of time zones at all.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        pass
    try:
        ZoneInfo("Europe/London")
    except ZoneInfoNotFoundError:
        raise MachineError("This machine has no time zone data.", "Install the package tzdata.") from None
    raise ValueError(f"{name!r} is no time zone such as Europe/Berlin")


def _ns(moment: dt.datetime) -> int:
    """The earlier instant, where a change of the zone's offset leaves two or none for what its clocks would show."""
    first, second = (moment.replace(fold=fold).astimezone(dt.UTC) - _EPOCH for fold in (0, 1))
    whole = min(first, second)
    return (whole.days * 86_400 + whole.seconds) * NS
