# SPDX-License-Identifier: Apache-2.0
"""The file that tells of an interception without authority."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_kit import record

from lictl.errors import UsageError
from lictl.papers.incident import read_incident
from lictl.times import parse_rfc3339

WHOLE = """
what = "An entry was put into the kernel's table by hand."
found = 2026-03-04T09:00:00Z
found_by = "audit reconcile"
identifiers = ["ip:203.0.113.9"]
began = "2026-03-04T08:59:12.5+00:00"
ended = 2026-03-04T09:00:00Z
type = "content"
reported_to = "the court"
remedy = "removed"
"""
SHORT = 'what = "x"\nfound = 2026-03-04T09:00:00Z\nfound_by = "y"\n'


def test_all_of_it() -> None:
    """Each key of the file reaches the record, in place of what the order says."""
    made = read_incident(WHOLE).on(record())
    assert made.incident is not None
    assert made.incident.what.startswith("An entry")
    assert made.incident.found_ns == parse_rfc3339("2026-03-04T09:00:00Z")
    assert made.incident.found_by == "audit reconcile"
    assert made.incident.reported_to == "the court"
    assert made.incident.remedy == "removed"
    assert made.identifiers == ("ip:203.0.113.9",)
    assert made.enabled_ns == parse_rfc3339("2026-03-04T08:59:12.5Z")
    assert made.disabled_ns == parse_rfc3339("2026-03-04T09:00:00Z")
    assert made.type == "content"


def test_the_order_fills_what_the_file_leaves_out() -> None:
    """An order that went beyond its authority: only what happened is told, the rest is the order's."""
    order = record()
    made = read_incident(SHORT).on(order)
    assert made.incident is not None
    assert (made.identifiers, made.enabled_ns, made.disabled_ns, made.type) == (
        order.identifiers,
        order.enabled_ns,
        order.disabled_ns,
        order.type,
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("what = ", "is not TOML"),
        ('found = 2026-03-04T09:00:00Z\nfound_by = "y"', "lacks what"),
        ('what = "x"\nfound_by = "y"', "lacks found"),
        ('what = "x"\nfound = 2026-03-04T09:00:00Z', "lacks found_by"),
        (SHORT + "who = 1", "unknown key 'who'"),
        (SHORT + "began = 2026-03-04T09:00:00", "no time zone"),
        (SHORT + 'began = "yesterday"', "began in the incident file"),
        (SHORT + "began = 7", "is no time"),
        (SHORT + "began = 2026-03-05T09:00:00Z\nended = 2026-03-04T09:00:00Z", "before it began"),
        (SHORT + 'identifiers = "ip:203.0.113.9"', "is no list"),
        (SHORT + "identifiers = [1]", "is no text"),
        (SHORT + "remedy = 1", "is no text"),
        (SHORT + f'remedy = "{"x" * 300_000}"', "too long"),
    ],
)
def test_refusals(text: str, why: str) -> None:
    """What is wrong is said."""
    with pytest.raises(UsageError, match=why):
        read_incident(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Garbage is refused in words, never a traceback."""
    with pytest.raises(UsageError):
        read_incident(text)
