# SPDX-License-Identifier: Apache-2.0
"""Reports: counts that add up, columns that name what a carrier cannot know, public numbers that tell of nobody."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_kit import DAY, START

from lictl.cli.report import to_csv
from lictl.papers import transparency
from lictl.papers.orders import Granted, OrderFacts, half_before, half_end, half_of, month_of
from lictl.papers.report import (
    COLUMNS,
    NOT_KNOWN,
    Column,
    Statute,
    as_json,
    counts,
    statute_report,
)
from lictl.papers.transparency import BAND, FAMILIES, HALVES, HOLD_NS, band, family_of, halves, public
from lictl.times import parse_rfc3339

KINDS = ["title-iii", "title-iii-emergency", "pen-trap", "pen-trap-emergency", "fisa-1805", "fisa-1842", "consent",
         "national-warrant", "a-sites-own"]  # fmt: skip
NOW = parse_rfc3339("2026-11-22T00:00:00Z")
moments = st.integers(parse_rfc3339("2024-01-01T00:00:00Z"), NOW)


@st.composite
def orders(draw: st.DrawFn) -> OrderFacts:
    """Any order: every authority, any number of extensions and amendments."""
    approved = draw(moments)
    granted = [Granted("original", approved, approved, approved + 30 * DAY)]
    for act in draw(st.lists(st.sampled_from(["extension", "amendment"]), max_size=3)):
        last = granted[-1]
        granted.append(Granted(act, last.approved_ns + DAY, last.ends_ns, last.ends_ns + 30 * DAY))
    return OrderFacts(
        id=f"W-{draw(st.integers(1, 10**6))}",
        kind=draw(st.sampled_from(KINDS)),
        title="an order",
        country="US",
        mode=draw(st.sampled_from(["content", "headers"])),
        state="closed",
        emergency=draw(st.booleans()),
        granted=tuple(granted),
        offence=draw(st.sampled_from(["", "21 USC 841"])),
        facilities=draw(st.dictionaries(st.sampled_from(["ip", "mac"]), st.integers(1, 2000), max_size=2)),
    )


many = st.lists(orders(), max_size=20)


def one(kind: str = "pen-trap", approved: str = "2026-03-05T00:00:00Z", **changes: object) -> OrderFacts:
    """One order of a kind."""
    at = parse_rfc3339(approved)
    order = OrderFacts("W-1", kind, "pen register or trap and trace order", "US", "headers", "closed", False,
                       (Granted("original", at, at, at + 60 * DAY),), facilities={"ip": 2})  # fmt: skip
    return replace(order, **changes)  # type: ignore[arg-type]


@given(many)
def test_counts_add_up(some: list[OrderFacts]) -> None:
    """Every order, extension, amendment and emergency is counted once, in its own month."""
    report = counts(some)
    sums = [sum(row[column] for row in report.rows) for column in range(2, 6)]  # type: ignore[misc]
    acts = Counter(granted.act for order in some for granted in order.granted)
    assert sums == [
        len(some),
        sum(order.emergency for order in some),
        acts["extension"],
        acts["amendment"],
    ]
    assert len({row[:2] for row in report.rows}) == len(report.rows)
    assert [row[:2] for row in report.rows] == sorted(row[:2] for row in report.rows)


@given(many, st.sampled_from(["2024-06", "2025-01", "2026-02"]))
def test_periods_divide_the_counts(some: list[OrderFacts], month: str) -> None:
    """What is before a month and what is from it on are all there is."""
    earlier, later = counts(some, last=month), counts(some, first=month)
    here = counts(some, month, month)
    both = [*earlier.rows, *later.rows]
    assert sorted(both) == sorted([*counts(some).rows, *here.rows])


@pytest.mark.parametrize("statute", Statute)
@given(some=many)
def test_statute_rows_are_the_orders_of_that_kind(statute: Statute, some: list[OrderFacts]) -> None:
    """Each order of the statute is one row, nobody else's is any; every cell says something."""
    report = statute_report(some, statute)
    prefix = {Statute.WIRETAP: "title-iii", Statute.PEN_TRAP: "pen-trap"}[statute]
    assert sorted(row[0] for row in report.rows) == sorted(o.id for o in some if o.kind.startswith(prefix))
    assert all(cell != "" for row in report.rows for cell in row)


@pytest.mark.parametrize("statute", Statute)
def test_what_is_not_known_is_named(statute: Statute) -> None:
    """A column that the carrier cannot fill stands there as not known, with the clause and the reason."""
    order = one(kind={"2519": "title-iii", "3126": "pen-trap"}[statute])
    report = statute_report([order], statute)
    unknown = [column for column in COLUMNS[statute] if column.value is None]
    assert unknown
    for column in unknown:
        assert report.rows[0][report.columns.index(column.key)] == NOT_KNOWN
        assert any(column.key in note and column.clause in note and column.why in note for note in report.notes)


@pytest.mark.parametrize("column", [c for each in COLUMNS.values() for c in each], ids=lambda c: c.key)
def test_each_column_has_value_or_reason(column: Column) -> None:
    """Never both, never neither."""
    assert (column.value is None) == bool(column.why)


def test_values_of_a_pen_register_row() -> None:
    """Period, extensions, offence, facilities and agency as the order states them."""
    second = Granted("extension", START, START + 60 * DAY, START + 90 * DAY)
    order = one(offence="21 USC 841", agency="DEA", presented_by="Det. B")
    order = replace(order, granted=(*order.granted, second), facilities={"ip": 2, "mac": 1})
    row = as_json(statute_report([order], Statute.PEN_TRAP))["rows"][0]  # type: ignore[index]
    assert row["period"] == "2026-03-05T00:00:00Z to 2026-05-04T00:00:00Z (60 days)"
    assert row["extensions"] == 1
    assert row["extension_days"] == "30 days"
    assert row["offence"] == "21 USC 841"
    assert row["facilities"] == "2 ip, 1 mac"
    assert row["agency"] == "DEA"
    assert row["court"] == "not stated"


def test_a_destroyed_key_is_no_silent_order() -> None:
    """What an order said and nobody can read any more is not reported as if it had said nothing."""
    order = replace(one(kind="title-iii"), facilities={}, docket="", offence="")
    row = as_json(statute_report([order], Statute.WIRETAP))["rows"][0]  # type: ignore[index]
    assert {row[key] for key in ("docket", "offence", "facilities")} == {"not held any more"}


def test_csv_is_no_formula() -> None:
    """An offence that begins like a formula stays text in a spreadsheet; numbers stay numbers."""
    made = as_json(statute_report([one(offence='=HYPERLINK("http://x")')], Statute.PEN_TRAP))
    back = list(csv.reader(io.StringIO(to_csv(made))))
    assert back[1][back[0].index("offence")].startswith("'=")
    assert back[1][back[0].index("extensions")] == "0"
    assert len(back) == 2 + len(made["notes"])  # type: ignore[arg-type]


# ---- for the public ----


def shown(some: list[OrderFacts], now: int = NOW) -> str:
    """All that is published, as text."""
    return json.dumps(as_json(public(some, now)))


@given(many, st.data())
def test_no_order_shows(some: list[OrderFacts], data: st.DataObject) -> None:
    """With or without any one order, or with none at all, the same is published while no band is left."""
    assert shown(some) == shown([])
    if some:
        gone = data.draw(st.integers(0, len(some) - 1))
        assert shown(some[:gone] + some[gone + 1 :]) == shown(some)


@settings(max_examples=40)
@given(st.integers(0, 1700), st.sampled_from(KINDS), st.sampled_from(["2025-02-01T00:00:00Z", "2025-09-01T00:00:00Z"]))
def test_only_a_bands_edge_shows(count: int, kind: str, approved: str) -> None:
    """One order more changes what is published only where it fills a band."""
    some = [one(kind=kind, approved=approved)] * count
    changed = shown(some) != shown([*some, some[0] if some else one(kind=kind, approved=approved)])
    assert changed == ((count + 1) % BAND == 0)


@given(many)
def test_what_an_order_holds_does_not_show(some: list[OrderFacts]) -> None:
    """Names, targets, offence, state, extensions and emergencies do not change what is published."""
    plain = [replace(o, id="W-0", state="x", offence="", facilities={}, emergency=False, granted=o.granted[:1])
             for o in some]  # fmt: skip
    assert shown([*some] * 50) == shown(plain * 50)


@given(many, st.randoms())
def test_order_of_orders_does_not_show(some: list[OrderFacts], random: object) -> None:
    """Nothing can be read from the sequence in which orders were added."""
    mixed = [*some]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert shown(mixed * 60) == shown(some * 60)


@settings(max_examples=40)
@given(many, moments, st.integers(0, 400))
def test_a_half_year_is_published_once_for_all(some: list[OrderFacts], now: int, days: int) -> None:
    """Asked again later, and after later orders, a half-year that was published has the same numbers."""
    later = now + days * DAY
    known = [order for order in some if order.approved_ns <= now] * 100
    before = public(known, now)
    after = public([*known, *([o for o in some if now < o.approved_ns <= later] * 100)], later)
    common = {row[0] for row in before.rows} & {row[0] for row in after.rows}
    assert [r for r in before.rows if r[0] in common] == [r for r in after.rows if r[0] in common]


@given(moments)
def test_only_halves_that_are_long_over(now: int) -> None:
    """The newest published half-year ended 180 days ago or earlier; the next one did not."""
    published = halves(now)
    assert len(published) == HALVES
    assert half_end(published[-1]) + HOLD_NS <= now
    following = half_of(half_end(published[-1]))
    assert half_end(following) + HOLD_NS > now
    assert published == sorted(published)


@given(many)
def test_rows_are_always_the_same(some: list[OrderFacts]) -> None:
    """All families in all half-years, whatever there is; no row appears with an order."""
    assert [row[:2] for row in public(some * 100, NOW).rows] == [row[:2] for row in public([], NOW).rows]
    assert len(public(some, NOW).rows) == HALVES * len(FAMILIES)


@pytest.mark.parametrize(
    ("count", "shown_"), [(0, "0-499"), (1, "0-499"), (499, "0-499"), (500, "500-999"), (1499, "1000-1499")]
)
def test_bands(count: int, shown_: str) -> None:
    """Bands begin at zero and are 500 wide."""
    assert band(count) == shown_


@given(orders())
def test_every_order_has_a_family(order: OrderFacts) -> None:
    """Also one of an authority that a site added itself."""
    assert family_of(order) in FAMILIES


def test_the_checks_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bands of one, an order shows."""
    monkeypatch.setattr(transparency, "BAND", 1)
    assert shown([one(approved="2025-02-01T00:00:00Z")]) != shown([])


# ---- the calendar ----


@given(moments)
def test_halves_follow_each_other(now: int) -> None:
    """A moment lies before the end of its half-year and not before that of the one before; months agree."""
    half = half_of(now)
    assert half_end(half_before(half)) <= now < half_end(half)
    year, month = month_of(now).split("-")
    assert half == f"{year}-H{1 if int(month) <= 6 else 2}"
