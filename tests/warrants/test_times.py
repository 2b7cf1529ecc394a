# SPDX-License-Identifier: Apache-2.0
"""Times as people write them: any offset, both sides of a change of the clocks, leap seconds, the machine's zone."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warrant_texts import NOW_NS, build_text

from lictl.papers.orders import half_of, month_of
from lictl.times import format_rfc3339, parse_rfc3339
from lictl.warrants.model import load

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = 10**9
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FIRST, LAST = parse_rfc3339("0001-01-03T00:00:00Z"), parse_rfc3339("9999-12-29T00:00:00Z")
instants = st.integers(FIRST, LAST)
offsets = st.integers(-(24 * 60 - 1), 24 * 60 - 1)


def written(ns: int, minutes: int, digits: int = 9) -> str:
    """The instant as a clock of that offset shows it."""
    seconds, fraction = divmod(ns, SECOND)
    local = EPOCH + dt.timedelta(seconds=seconds, minutes=minutes)
    tail = f".{fraction:09d}"[: digits + 1] if digits else ""
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return f"{local.replace(tzinfo=None).isoformat()}{tail}{sign}{hours:02d}:{rest:02d}"


@given(instants)
def test_what_is_written_is_read(ns: int) -> None:
    """Format and parse are each other's inverse, to the nanosecond."""
    assert parse_rfc3339(format_rfc3339(ns)) == ns


@given(instants, offsets)
def test_the_offset_is_only_a_way_to_write(ns: int, minutes: int) -> None:
    """One instant, whatever the offset that it is written with."""
    assert parse_rfc3339(written(ns, minutes)) == ns


@given(instants, offsets, st.integers(0, 9))
def test_left_out_digits_are_zeros(ns: int, minutes: int, digits: int) -> None:
    """A fraction of fewer digits is cut, never rounded up: an end does not move behind what was written."""
    unit = 10 ** (9 - digits)
    assert parse_rfc3339(written(ns, minutes, digits)) == ns // unit * unit


@given(instants, instants)
def test_texts_of_one_length_sort_as_their_times(one: int, other: int) -> None:
    """Whole seconds in UTC: the order of the texts is that of the instants, from the year 1 on."""
    one, other = one // SECOND * SECOND, other // SECOND * SECOND
    assert (format_rfc3339(one) < format_rfc3339(other)) == (one < other)


@given(st.text() | st.from_regex(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})?"))
def test_any_text_is_a_time_or_a_reason(text: str) -> None:
    """Nothing but ValueError comes out, and what is read can be written again."""
    try:
        ns = parse_rfc3339(text)
    except ValueError:
        return
    assert text.strip().isascii()
    if FIRST <= ns <= LAST:
        assert parse_rfc3339(format_rfc3339(ns)) == ns


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00"),  # Berlin, forward
        ("2026-10-25T02:59:59+02:00", "2026-10-25T02:00:00+01:00"),  # Berlin, back: the hour comes twice
        ("2026-03-08T01:59:59-05:00", "2026-03-08T03:00:00-04:00"),  # New York
        ("2026-04-05T02:59:59+11:00", "2026-04-05T02:00:00+10:00"),  # Sydney, back in April
        ("2026-10-04T01:59:59+10:30", "2026-10-04T02:30:00+11:00"),  # Lord Howe: half an hour
        ("2016-12-31T23:59:59Z", "2017-01-01T00:00:00Z"),  # a leap second lies between; the clock has none
    ],
)
@pytest.mark.parametrize("quote", ["", '"'], ids=["TOML", "text"])
def test_a_change_of_the_clocks_moves_nothing(earlier: str, later: str, quote: str) -> None:
    """Orders that end at the two times end one second apart, written as TOML writes times or as text."""
    ends = []
    for text in (earlier, later):
        signed = format_rfc3339(parse_rfc3339(earlier) - 3600 * SECOND)
        times = {"authority.signed_at": signed, "intercept.starts": signed, "intercept.ends": f"{quote}{text}{quote}"}
        ends.append(load(build_text(times), parse_rfc3339(signed)).intercept.ends)
    assert ends[1] - ends[0] == SECOND


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60.5+01:00", "2026-03-01T12:00:60Z"])
def test_a_second_60_is_refused_with_what_to_write(text: str) -> None:
    """Real leap seconds and slips of the pen alike: the clock that judges packets has none."""
    with pytest.raises(ValueError, match=r"second 60.*write second 59, or the first second of the minute behind it"):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T24:00:00Z", "2026-02-29T00:00:00Z", "2026-03-01T12:00:00+24:00", "2026-03-01T12:61:00Z",
     "2026-03-01T12:00:61Z", "\uff12026-03-01T12:00:00Z", "2026-03-01T12:00:00.\u0663Z", "0000-01-01T00:00:00Z"],
)  # fmt: skip
def test_times_that_are_none(text: str) -> None:
    """Days, hours, seconds, offsets and digits that do not exist."""
    with pytest.raises(ValueError, match=r"\S"):
        parse_rfc3339(text)


@pytest.fixture(params=["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine's own time zone."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_the_machines_zone_does_not_matter(zone: str) -> None:
    """Times are read and printed, and months and half-years of reports are counted, in UTC wherever the machine is, on
    both sides of a change of the clocks."""
    for text, month, half in (
        ("2026-03-29T00:59:59Z", "2026-03", "2026-H1"),
        ("2026-03-29T01:00:00Z", "2026-03", "2026-H1"),
        ("2026-10-25T00:30:00Z", "2026-10", "2026-H2"),
        ("2026-06-30T23:59:59Z", "2026-06", "2026-H1"),
        ("2026-12-31T23:59:59Z", "2026-12", "2026-H2"),
    ):
        ns = parse_rfc3339(text)
        assert (format_rfc3339(ns), month_of(ns), half_of(ns)) == (text, month, half), zone
    assert load(build_text({}), NOW_NS).intercept.starts == parse_rfc3339("2026-03-02T00:00:00Z")
