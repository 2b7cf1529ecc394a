# SPDX-License-Identifier: Apache-2.0
"""The authorities as shipped: complete, sourced, dated; their clocks."""

from __future__ import annotations

import datetime as dt

import pytest
from warrant_texts import DAY_NS

from lictl.warrants.authorities import authorities, contradicts
from lictl.warrants.tables import AuthorityTable

KINDS = ["title-iii", "title-iii-emergency", "pen-trap", "pen-trap-emergency", "fisa-1805", "fisa-1842", "consent"]


def test_the_list_is_the_documented_one() -> None:
    """These kinds, in this order."""
    assert list(authorities()) == [*KINDS, "national-warrant"]


@pytest.mark.parametrize("kind", [*KINDS, "national-warrant"])
def test_every_authority_is_sourced_and_dated(kind: str) -> None:
    """Each has its citation, source, date, modes, and requires only keys that a file can have."""
    authority = authorities()[kind]
    assert authority.citation
    assert authority.source
    assert dt.date(2026, 1, 1) <= authority.checked <= dt.date(2100, 1, 1)
    assert authority.modes <= {"headers", "content"}
    assert "headers" in authority.modes
    assert set(authority.requires) <= set(AuthorityTable.model_fields)
    assert {"citation", "signed_by", "signed_at", "presented_by"} <= set(authority.requires)


def test_content_only_where_the_law_gives_it() -> None:
    """Pen register authorities of any kind never allow content."""
    assert {kind for kind, each in authorities().items() if "content" not in each.modes} == {
        "pen-trap",
        "pen-trap-emergency",
        "fisa-1842",
    }


def test_unconfirmed_terms_say_so() -> None:
    """The terms that nobody has checked against the statute are marked."""
    assert {kind for kind, each in authorities().items() if not each.confirmed} == {"fisa-1805", "fisa-1842"}


@pytest.mark.parametrize(
    ("kind", "signed_day", "start_day", "end_day"),
    [
        ("title-iii", 0, 0, 30),
        ("title-iii", 0, 10, 40),
        ("title-iii", 0, 11, 40),
        ("title-iii", 5, 6, 36),
        ("title-iii-emergency", 0, 3, 5),
        ("pen-trap", 0, 7, 67),
        ("pen-trap-emergency", 0, 7, 9),
        ("fisa-1805", 0, 1, 366),
        ("fisa-1842", 0, 1, 366),
    ],
)
def test_clocks(kind: str, signed_day: int, start_day: int, end_day: int) -> None:
    """Terms count from the start; Title III's at the latest from the tenth day after the order."""
    latest = authorities()[kind].latest_end(signed_day * DAY_NS, start_day * DAY_NS)
    assert latest == end_day * DAY_NS


@pytest.mark.parametrize("kind", ["consent", "national-warrant"])
def test_some_have_no_longest_term(kind: str) -> None:
    """Their order alone says."""
    assert authorities()[kind].latest_end(0, 0) is None


@pytest.mark.parametrize(
    ("kind", "citation", "named"),
    [
        ("pen-trap", "18 USC 3123", None),
        ("pen-trap", "18 U.S.C. § 3123(b)(1)", None),
        ("pen-trap", "18 U. S. C. 2518", "title-iii"),
        ("pen-trap", "18 us code section 2518", "title-iii"),
        ("title-iii-emergency", "18 USC 2518(7)", None),
        ("title-iii", "50 USC 1805", "fisa-1805"),
        ("title-iii", "18 USC 9999", None),
        ("title-iii", "Cal. Penal Code 629.52", None),
        ("pen-trap", "Act 2518 of the State", None),
        ("pen-trap", "18 USC 12518", None),
    ],
)
def test_contradicting_citations(kind: str, citation: str, named: str | None) -> None:
    """A citation of the US Code that names another authority's section, and none of its own, contradicts."""
    assert contradicts(kind, citation) == named
