# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of terms: days of 24 hours, calendar months and years in a zone whose clocks change, working days."""

from __future__ import annotations

import calendar
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.times import format_rfc3339, parse_rfc3339
from lictl.warrants.terms import DAY_NS, HOUR_NS, Term
from lictl.warrants.window import Clock, window

NS = 10**9
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
zones = st.sampled_from(ZONES)
moments = st.integers(parse_rfc3339("2000-01-01T00:00:00Z"), parse_rfc3339("2100-01-01T00:00:00Z"))
units = st.sampled_from(["month", "year"])


def wall(ns: int, zone: str) -> dt.datetime:
    """What the clocks of a zone show, to the microsecond below."""
    return (EPOCH + dt.timedelta(microseconds=ns // 1000)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def added(begins: dt.datetime, number: int, unit: str) -> dt.datetime:
    """Calendar months or years later by the wall clock, on the last day where the month is too short."""
    months = begins.year * 12 + begins.month - 1 + number * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    day = min(begins.day, calendar.monthrange(year, month + 1)[1])
    return begins.replace(year=year, month=month + 1, day=day)


@given(moments, st.integers(1, 3650), zones)
def test_days_are_24_hours(begins: int, number: int, zone: str) -> None:
    """Whatever the zone's clocks do."""
    assert Term.parse(f"{number} days", "start", zone).latest_end(None, begins) == begins + number * DAY_NS


@given(moments, st.integers(1, 120), units, zones)
def test_months_and_years_end_by_the_wall_clock(begins: int, number: int, unit: str, zone: str) -> None:
    """They end when the zone's clocks show the same time of the day, or earlier where they show it twice or never."""
    number = min(number, 10) if unit == "year" else number
    end = Term.parse(f"{number} {unit}s", "start", zone).latest_end(None, begins)
    nominal = added(wall(begins, zone), number, unit)
    assert nominal - dt.timedelta(hours=1) <= wall(end, zone) <= nominal
    assert wall(end - HOUR_NS, zone) < nominal, "an hour before, the clocks had not shown it yet"


@given(moments, moments, st.integers(1, 24), zones)
def test_who_begins_later_never_ends_more_than_an_hour_earlier(one: int, other: int, number: int, zone: str) -> None:
    """Ends follow the beginnings; only a clock that is put back or forward moves them, by its own step at most."""
    one, other = sorted((one, other))
    term = Term.parse(f"{number} months", "start", zone)
    slack = DAY_NS * 3 + HOUR_NS  # 28 to 31 January + 1 month are all 28 February, with different times of the day
    assert term.latest_end(None, one) <= term.latest_end(None, other) + slack


@given(moments, st.integers(1, 60), zones)
def test_days_that_count_from_the_day_of_signature(signed: int, number: int, zone: str) -> None:
    """They end at a midnight of the zone, so many days behind the beginning of that day, and 25 hours off at most."""
    end = Term.parse(f"{number} days", "signature-day", zone).latest_end(signed, signed)
    shown = wall(end, zone)
    assert shown <= dt.datetime.combine(wall(signed, zone).date(), dt.time()) + dt.timedelta(days=number)
    assert abs(end - signed - number * DAY_NS) <= 25 * HOUR_NS + DAY_NS


@given(moments, st.integers(1, 20), zones)
def test_working_days_end_behind_the_last(signed: int, number: int, zone: str) -> None:
    """So many days from Monday to Friday lie between the day of signature and the end."""
    end = Term.parse(f"{number} working days", "signature-day", zone).latest_end(signed, signed)
    day, last = wall(signed, zone).date(), wall(end - 1, zone).date()
    worked = 0
    while day < last:
        day += dt.timedelta(days=1)
        worked += day.weekday() < 5
    # Apia had no 30 December 2011.
    assert worked == number or zone == "Pacific/Apia"


@pytest.mark.parametrize(
    ("zone", "term", "begins", "ends"),
    [
        ("UTC", "1 month", "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z"),
        ("UTC", "1 month", "2028-01-31T12:00:00Z", "2028-02-29T12:00:00Z"),
        ("UTC", "1 year", "2028-02-29T12:00:00Z", "2029-02-28T12:00:00Z"),
        ("UTC", "4 years", "2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"),
        ("UTC", "1 year", "2099-03-01T00:00:00Z", "2100-03-01T00:00:00Z"),
        ("UTC", "6 months", "2026-08-31T23:59:59.999999999Z", "2027-02-28T23:59:59.999999999Z"),
        # Begins in winter time, ends in summer time: an hour less.
        ("Europe/Berlin", "1 month", "2026-03-15T12:00:00+01:00", "2026-04-15T12:00:00+02:00"),
        ("Europe/Berlin", "3 months", "2026-09-30T12:00:00+02:00", "2026-12-30T12:00:00+01:00"),
        # 02:30 is shown twice: the first of the two.
        ("Europe/Berlin", "1 month", "2026-09-25T02:30:00+02:00", "2026-10-25T02:30:00+02:00"),
        # 02:30 is never shown: before the clocks go on, not half an hour behind it.
        ("Europe/Berlin", "1 month", "2026-02-28T02:30:00+01:00", "2026-03-28T02:30:00+01:00"),
        ("Europe/Berlin", "3 months", "2025-12-29T02:30:00+01:00", "2026-03-29T01:30:00+01:00"),
        # Thirty days of 24 hours over the same change: an hour later on the wall.
        ("Europe/Berlin", "30 days", "2026-03-15T12:00:00+01:00", "2026-04-14T13:00:00+02:00"),
        ("America/New_York", "30 days", "2026-10-20T12:00:00-04:00", "2026-11-19T11:00:00-05:00"),
        ("America/New_York", "48 hours", "2026-03-07T12:00:00-05:00", "2026-03-09T13:00:00-04:00"),
        ("Australia/Sydney", "1 year", "2026-04-05T02:30:00+10:00", "2027-04-05T02:30:00+10:00"),
    ],
)
def test_terms_across_changes_and_month_ends(zone: str, term: str, begins: str, ends: str) -> None:
    """The instants that a person with a calendar and that zone's clock on the wall comes to."""
    end = Term.parse(term, "start", zone).latest_end(None, parse_rfc3339(begins))
    assert format_rfc3339(end) == format_rfc3339(parse_rfc3339(ends))


@pytest.mark.parametrize("text", ["11 years", "9999 years", "121 months", "3651 days", "9999 working days"])
def test_no_term_is_as_good_as_endless(text: str) -> None:
    """More than ten years cannot be written, whoever confirms it."""
    with pytest.raises(ValueError, match="longer than ten years"):
        Term.parse(text, "signature-day")


@given(st.lists(st.tuples(moments, st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=5),
       st.none() | moments, zones)  # fmt: skip
def test_no_window_outlasts_its_instruments(parts: list[tuple[int, int, int]], first: int | None, zone: str) -> None:
    """Whatever instruments follow on an order: it ends with one of them, none of which outlasts its own term."""
    clocks = [
        Clock("original" if place == 0 else "extension", starts, starts + days * DAY_NS, starts,
              Term.parse(f"{longest} days", "start-or-tenth-day", zone))
        for place, (starts, days, longest) in enumerate(parts)
    ]  # fmt: skip
    begins, end = window(clocks, first)
    assert begins == clocks[0].starts_ns
    assert end in [clock.end(first) for clock in clocks]
    for clock, (_, days, longest) in zip(clocks, parts, strict=True):
        assert clock.end(first) <= clock.starts_ns + min(days, longest + 10) * DAY_NS
