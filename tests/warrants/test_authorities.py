# SPDX-License-Identifier: Apache-2.0
"""The authorities as shipped: complete, sourced, dated; their clocks."""

from __future__ import annotations

import datetime as dt

import pytest
from warrant_texts import DAY_NS

from lictl.errors import UsageError
from lictl.times import parse_rfc3339
from lictl.warrants.authorities import Authority, authorities, contradicts, in_force, shipped
from lictl.warrants.entries import check_complete
from lictl.warrants.tables import AuthorityTable
from lictl.warrants.terms import COUNTS_FROM, Term

HOUR_NS = DAY_NS // 24
ORDERS = [each for each in shipped().values() if each.arms]
RECORDS = [each for each in shipped().values() if not each.arms]


@pytest.mark.parametrize("authority", shipped().values(), ids=lambda each: each.kind)
def test_every_authority_is_sourced_and_dated(authority: Authority) -> None:
    """Each has its citation, source and date, and asks only for keys that a file can have."""
    assert authority.citation
    assert authority.source
    assert authority.title
    assert dt.date(2026, 1, 1) <= authority.checked <= dt.date(2100, 1, 1)
    assert set(authority.requires) | set(authority.rules) | set(authority.patterns) <= set(AuthorityTable.model_fields)
    assert set(authority.rules) <= set(authority.requires)
    assert authority.origin == "shipped"


@pytest.mark.parametrize("authority", ORDERS, ids=lambda each: each.kind)
def test_nothing_is_open_ended(authority: Authority) -> None:
    """Every kind that can arm an intercept has a longest term of a year at most, says how it counts, and who signed."""
    assert authority.term is not None
    assert authority.term.longest_days <= 366
    assert authority.term.counts_from in COUNTS_FROM
    assert authority.modes <= {"headers", "content"}
    assert "headers" in authority.modes
    assert {"citation", "signed_by", "signed_at", "presented_by"} <= set(authority.requires)
    start = parse_rfc3339("2026-03-02T00:00:00Z")
    latest = authority.latest_end(start, start)
    assert latest is not None
    assert start < latest <= start + 366 * DAY_NS


@pytest.mark.parametrize("authority", RECORDS, ids=lambda each: each.kind)
def test_what_reaches_stored_records_allows_nothing(authority: Authority) -> None:
    """It has no mode and no term, and says what to get instead."""
    assert not authority.modes
    assert authority.term is None
    assert authority.latest_end(0, 0) is None
    assert authority.instead


def test_the_instruments_of_law_are_known_and_are_no_authority() -> None:
    """Subpoena, 2703(d) order and preservation letter never arm; neither does the duty of CALEA."""
    assert {"subpoena", "2703d", "preservation", "search-warrant", "calea"} <= {each.kind for each in RECORDS}


def test_an_emergency_becomes_an_order() -> None:
    """Each emergency kind lasts 7 days at most and names the order to be applied for, which is no emergency."""
    emergencies = [each for each in ORDERS if each.emergency]
    assert {each.kind for each in emergencies} == {
        "title-iii-emergency", "pen-trap-emergency", "fisa-1805-emergency", "uk-interception-urgent",
        "de-100a-urgent", "nz-48",
    }  # fmt: skip
    for each in emergencies:
        assert each.becomes is not None
        order = shipped()[each.becomes]
        assert order.arms
        assert not order.emergency
        assert each.modes <= order.modes
        assert each.countries == order.countries
    assert all(each.becomes is None for each in ORDERS if not each.emergency)


def test_content_only_where_the_law_gives_it() -> None:
    """Pen registers, traffic data and communications data never give content."""
    assert {each.kind for each in ORDERS if "content" not in each.modes} == {
        "pen-trap", "pen-trap-emergency", "fisa-1842", "fisa-1842-non-us", "uk-data", "de-100g", "au-180",
    }  # fmt: skip


def test_title_iii_and_pen_registers_state_what_the_statute_lists() -> None:
    """18 USC 2518(4)(a) to (e) and the predicate of 2516; 18 USC 3123(b)(1)(A) to (D)."""
    title_iii, pen = shipped()["title-iii"], shipped()["pen-trap"]
    rules = {title_iii.rule_of(key) for key in title_iii.requires}
    assert {f"18 USC 2518(4)({letter})" for letter in "abcde"} | {"18 USC 2516"} <= rules
    assert {f"18 USC 3123(b)(1)({letter})" for letter in "ABCD"} <= {pen.rule_of(key) for key in pen.requires}


DAY_CLOCKS = [
    ("title-iii", 0, 0, 30),
    ("title-iii", 0, 10, 40),
    ("title-iii", 0, 11, 40),
    ("title-iii", 5, 6, 36),
    ("title-iii-emergency", 0, 3, 5),
    ("pen-trap", 0, 7, 67),
    ("pen-trap-emergency", 0, 7, 9),
    ("fisa-1805", 0, 1, 91),
    ("fisa-1805-emergency", 0, 1, 7),
    ("au-46", 0, 5, 90),
    ("au-46-b-party", 0, 5, 45),
    ("nz-55", 0, 5, 60),
]


@pytest.mark.parametrize(("kind", "signed_day", "start_day", "end_day"), DAY_CLOCKS)
def test_clocks_in_days(kind: str, signed_day: int, start_day: int, end_day: int) -> None:
    """Days are 24 hours, from where the statute counts."""
    latest = authorities()[kind].latest_end(signed_day * DAY_NS, start_day * DAY_NS)
    assert latest == end_day * DAY_NS


@pytest.mark.parametrize(
    ("kind", "signed", "latest"),
    [
        ("uk-interception", "2026-03-01T12:00:00Z", "2026-08-31T23:00:00Z"),  # local midnight, in summer time
        ("uk-interception", "2026-08-31T23:30:00Z", "2027-03-01T00:00:00Z"),  # 1 September in London
        ("uk-interception", "2026-08-30T12:00:00Z", "2027-02-28T00:00:00Z"),  # no 30 February
        ("uk-interception-urgent", "2026-03-02T09:00:00Z", "2026-03-10T00:00:00Z"),  # Monday: to next Monday's end
        ("uk-interception-urgent", "2026-03-06T23:59:59Z", "2026-03-14T00:00:00Z"),  # Friday: to next Friday's end
        ("uk-interception-urgent", "2026-03-07T09:00:00Z", "2026-03-14T00:00:00Z"),  # Saturday: the same
        ("de-100a", "2026-01-15T08:30:00.5Z", "2026-04-15T07:30:00.5Z"),  # the same time of day in Berlin
        ("de-100a", "2026-11-30T12:00:00Z", "2027-02-28T12:00:00Z"),
        ("de-100a-urgent", "2026-03-06T10:00:00Z", "2026-03-10T23:00:00Z"),  # Friday: Saturday, Monday, Tuesday
        ("de-100g", "2026-02-28T12:00:00Z", "2026-05-28T11:00:00Z"),
        ("national-warrant", "2024-01-01T00:00:00Z", "2027-03-02T00:00:00Z"),  # from the start, below
    ],
)
def test_clocks_of_the_calendar(kind: str, signed: str, latest: str) -> None:
    """Months, years and working days are those of the authority's own time zone."""
    start = parse_rfc3339("2026-03-02T00:00:00Z") if kind == "national-warrant" else parse_rfc3339(signed) + HOUR_NS
    assert authorities()[kind].latest_end(parse_rfc3339(signed), start) == parse_rfc3339(latest)


def test_the_first_interception_starts_the_clock() -> None:
    """30 days run from it, or from the tenth day after the order; before it, from the start of the window."""
    title_iii, emergency = authorities()["title-iii"], authorities()["title-iii-emergency"]
    assert title_iii.latest_end(0, DAY_NS) == 31 * DAY_NS
    assert title_iii.latest_end(0, DAY_NS, first_ns=4 * DAY_NS) == 34 * DAY_NS
    assert title_iii.latest_end(0, DAY_NS, first_ns=40 * DAY_NS) == 40 * DAY_NS
    assert title_iii.latest_end(None, DAY_NS) == 31 * DAY_NS
    assert emergency.latest_end(0, DAY_NS, first_ns=2 * DAY_NS) == 4 * DAY_NS


@pytest.mark.parametrize(
    ("text", "counts_from", "words"),
    [
        ("forever", "start", "no term"),
        ("0 days", "start", "no term"),
        ("30 fortnights", "start", "no term"),
        ("30 days", "whenever", "no way to count"),
        ("5 working days", "start", "signature-day"),
    ],
)
def test_terms_that_are_none(text: str, counts_from: str, words: str) -> None:
    """A term that cannot be read, or cannot be counted that way, is refused."""
    with pytest.raises(ValueError, match=words):
        Term.parse(text, counts_from)


def test_zones_and_weekends_that_are_none() -> None:
    """A zone must exist, and only Saturday and Sunday can be days off."""
    with pytest.raises(ValueError, match="no time zone"):
        Term.parse("6 months", "start", "Europe/Atlantis")
    with pytest.raises(ValueError, match="weekend"):
        Term.parse("5 working days", "signature-day", weekend=("mon",))


@pytest.mark.parametrize(
    ("kind", "citation", "named"),
    [
        ("pen-trap", "18 USC 3123", None),
        ("pen-trap", "18 U.S.C. § 3123(b)(1)", None),
        ("pen-trap", "18 U. S. C. 2518", "title-iii"),
        ("pen-trap", "18 us code section 2518", "title-iii"),
        ("pen-trap", "18 USC 2703(d)", "subpoena"),
        ("title-iii-emergency", "18 USC 2518(7)", None),
        ("title-iii", "50 USC 1805", "fisa-1805"),
        ("title-iii", "47 USC 1002", "calea"),
        ("title-iii", "18 USC 9999", None),
        ("title-iii", "Cal. Penal Code 629.52", None),
        ("pen-trap", "Act 2518 of the State", None),
        ("pen-trap", "18 USC 12518", None),
    ],
)
def test_contradicting_citations(kind: str, citation: str, named: str | None) -> None:
    """A citation of the US Code that names another authority's section, and none of its own, contradicts."""
    assert contradicts(kind, citation) == named


def test_the_authorities_in_force_end_with_their_block() -> None:
    """A site's own hold inside, the package's outside."""
    only = {"pen-trap": shipped()["pen-trap"]}
    with in_force(only):
        assert list(authorities()) == ["pen-trap"]
    assert authorities() is shipped()


def test_shipped_entries_are_complete() -> None:
    """The rules that a site's own kinds must keep hold for the package's."""
    import tomllib
    from importlib.resources import files

    from lictl.warrants.entries import read_entries

    text = files("lictl.warrants").joinpath("authorities.toml").read_text("utf-8")
    keys = frozenset(AuthorityTable.model_fields)
    for entry in read_entries(tomllib.loads(text), "authorities.toml"):
        check_complete(entry, keys, entry.kind)
    with pytest.raises(UsageError, match="longest is missing"):
        check_complete(entry.model_copy(update={"instrument": None}), keys, "x")
