# SPDX-License-Identifier: Apache-2.0
"""Numbers for the public, which never tell whether any one order exists.

The rules, each of which a test holds:

* Only bands are published, 0-499, 500-999 and so on (the bands of 50 USC 1874(a)(2), used here for every kind of
  order, as one rule is easier to keep than two). The lowest band has zero in it, so few orders look like none.
* Which rows there are depends on the calendar and on nothing else: all families, for the same half-years, always.
* Orders are counted and not their targets: one order can name many, so their number could leave the lowest band and
  say that there is an order. It also could not be counted again once the keys of closed orders are destroyed.
* No totals over families or half-years: each further sum would be a further edge to count against.
* A half-year is counted by the approval of orders, which is over when it is over, and published 180 days after its
  end: whenever it is asked, the answer is the same.
* There is nothing to choose (band, first day, one agency): two questions that differ by little cannot be put.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lictl.papers.orders import DAY_NS, half_before, half_end, half_of
from lictl.papers.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.papers.orders import OrderFacts

BAND: Final = 500
HOLD_NS: Final = 180 * DAY_NS
"""A half-year is published so long after its end."""
HALVES: Final = 4
"""How many half-years are published."""

FAMILIES: Final = {
    "title-iii": "interception orders and emergencies (18 USC 2518)",
    "pen-trap": "pen registers and trap and trace (18 USC 3123, 3125)",
    "fisa-content": "FISA orders, content",
    "fisa-headers": "FISA orders, other than content",
    "consent": "consent of a party",
    "other": "other authorities",
}
"""Every family, always shown."""

NOTES: Final = (
    f"Counts are given in bands of {BAND} only; the lowest band, 0-{BAND - 1}, includes zero.",
    "A half-year (UTC) is given from 180 days after its end, and its numbers do not change then.",
    "Counsel confirms before publication: 50 USC 1874 allows one scheme of bands at a time for national security "
    "process.",
)


def family_of(order: OrderFacts) -> str:
    """The family that an order counts in."""
    if order.kind.startswith("fisa"):
        return f"fisa-{order.mode}" if f"fisa-{order.mode}" in FAMILIES else "fisa-content"
    return next((name for name in ("title-iii", "pen-trap", "consent") if order.kind.startswith(name)), "other")


def band(count: int) -> str:
    """The band that a count lies in."""
    low = count // BAND * BAND
    return f"{low}-{low + BAND - 1}"


def halves(now_ns: int) -> list[str]:
    """The half-years that are published now, oldest first: by the calendar alone."""
    half = half_of(now_ns)
    while half_end(half) + HOLD_NS > now_ns:
        half = half_before(half)
    found = [half]
    while len(found) < HALVES:
        found.insert(0, half_before(found[0]))
    return found


def public(orders: Iterable[OrderFacts], now_ns: int) -> Report:
    """The banded numbers.

    Args:
        orders: all of the site; those of other half-years do not count.
        now_ns: UTC nanoseconds.
    """
    number: Counter[tuple[str, str]] = Counter()
    for order in orders:
        number[half_of(order.approved_ns), family_of(order)] += 1
    rows = [(half, words, band(number[half, name])) for half in halves(now_ns) for name, words in FAMILIES.items()]
    return Report("Orders put into force, in bands", ("half_year", "authority", "orders"), tuple(rows), NOTES)
