# SPDX-License-Identifier: Apache-2.0
"""What a report knows of each order: nothing that names its subject."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

DAY_NS: Final = 86_400_000_000_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Granted:
    """One instrument that was approved.

    Attributes:
        act: "original", "extension" or "amendment".
        approved_ns: UTC nanoseconds.
        starts_ns, ends_ns: the window that it gives.
        signed_by: who signed it.
    """

    act: str
    approved_ns: int
    starts_ns: int
    ends_ns: int
    signed_by: str = ""

    @property
    def days(self) -> float:
        """How long its window is."""
        return (self.ends_ns - self.starts_ns) / DAY_NS


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One order that was approved at least once.

    Attributes:
        id: of the order.
        kind: of its authority.
        title: of its authority.
        country: whose law, "" where not known.
        mode: "content" or "headers".
        state: of the order.
        emergency: put into force as an emergency.
        offence: as the order states it, "" where it does not.
        court, docket, presented_by, authorised_by, agency: likewise; `agency` is who may intercept, or who receives.
        facilities: number of targets by kind, such as {"ip": 2}.
        granted: approved instruments, the original first.
        ended_ns: when it ended; None: not yet.
        unable: from when until when something kept it from being performed, UTC nanoseconds; None: no end was noted.
        matched: packets that it was entitled to; None: not known.
    """

    id: str
    kind: str
    title: str
    country: str
    mode: str
    state: str
    emergency: bool
    granted: tuple[Granted, ...]
    offence: str = ""
    court: str = ""
    docket: str = ""
    presented_by: str = ""
    authorised_by: str = ""
    agency: str = ""
    facilities: dict[str, int] = field(default_factory=dict)
    ended_ns: int | None = None
    unable: tuple[tuple[int, int | None], ...] = ()
    matched: int | None = None

    @property
    def approved_ns(self) -> int:
        """When it was first put into force."""
        return self.granted[0].approved_ns

    @property
    def extensions(self) -> tuple[Granted, ...]:
        """Those of its instruments that gave more time."""
        return tuple(each for each in self.granted if each.act == "extension")

    @property
    def targets(self) -> int:
        """How many targets it names."""
        return sum(self.facilities.values())


def month_of(ns: int) -> str:
    """The UTC month of a moment, as 2026-03."""
    return f"{_moment(ns):%Y-%m}"


def half_of(ns: int) -> str:
    """The UTC half-year of a moment, as 2026-H1."""
    moment = _moment(ns)
    return f"{moment.year:04d}-H{1 if moment.month <= 6 else 2}"


def half_end(half: str) -> int:
    """First instant (UTC nanoseconds) after a half-year that is written 2026-H1."""
    year, number = int(half[:4]), int(half[-1])
    after = dt.datetime(year + number - 1, 7 if number == 1 else 1, 1, tzinfo=dt.UTC)
    return (after - _EPOCH) // dt.timedelta(seconds=1) * 1_000_000_000


def half_before(half: str) -> str:
    """The half-year before."""
    year, number = int(half[:4]), int(half[-1])
    return f"{year:04d}-H1" if number == 2 else f"{year - 1:04d}-H2"


def _moment(ns: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(seconds=ns // 1_000_000_000)
