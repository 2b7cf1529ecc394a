# SPDX-License-Identifier: Apache-2.0
"""The window that an order's instruments come to.

Each instrument states its own end, and its authority counts a longest term. The 30 days of 18 USC 2518(5) begin with
the first interception or on the tenth day after the order was signed, whichever is earlier: what counts from the first
interception becomes known when it happens, and can only make the window shorter. Of a further instrument the start
stands for the first interception, as the interception goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lictl.warrants.terms import DAY_NS, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST: Final = "first-interception"
_FIRST_OR_TENTH_DAY: Final = "start-or-tenth-day"


@dataclass(frozen=True, slots=True)
class Clock:
    """What of an instrument decides its window; times in UTC nanoseconds.

    Attributes:
        act: "original", "extension" or "amendment".
        starts_ns: as it states it.
        ends_ns: likewise, first instant outside.
        signed_ns: when it was signed; None: it does not say.
        term: longest term of its authority when it was added; None: the instrument alone says.
    """

    act: str
    starts_ns: int
    ends_ns: int
    signed_ns: int | None
    term: Term | None

    def end(self, first_taken_ns: int | None) -> int:
        """The first instant outside that the instrument by itself comes to.

        Args:
            first_taken_ns: when the first packet of the order was taken; None: none yet.
        """
        if self.term is None:
            return self.ends_ns
        first: int | None = self.starts_ns
        if self.act == "original":
            first = first_taken_ns
            if first is None and self.term.counts_from == _FIRST:
                return self.ends_ns
            if first is None and self.term.counts_from == _FIRST_OR_TENTH_DAY:
                first = max(self.starts_ns, (self.signed_ns or self.starts_ns) + 10 * DAY_NS)
        return min(self.ends_ns, self.term.latest_end(self.signed_ns, self.starts_ns, first))


def window(approved: Sequence[Clock], first_taken_ns: int | None) -> tuple[int, int]:
    """First instant inside and first instant outside.

    An extension counts where it begins before the end of what stands before it: there is no gap inside a window.
    An amendment never makes a window longer.

    Args:
        approved: instruments by position, the original first.
        first_taken_ns: as of `Clock.end`.
    """
    original = approved[0]
    end = original.end(first_taken_ns)
    for clock in approved[1:]:
        own = clock.end(first_taken_ns)
        if clock.act == "amendment":
            end = min(end, own)
        elif clock.starts_ns <= end:
            end = max(end, own)
    return original.starts_ns, end


def clock_of(row: Any) -> Clock:
    """From a row of `instruments`."""
    return Clock(row.act, row.starts_ns, row.ends_ns, row.signed_ns, term_of(row.term))


def term_of(text: str | None) -> Term | None:
    """From the store."""
    if text is None:
        return None
    kept = json.loads(text)
    return Term.parse(kept["text"], kept["counts_from"], kept["zone"], tuple(kept["weekend"]))


def term_text(term: Term | None) -> str | None:
    """For the store: the statute as it was when the instrument was added."""
    if term is None:
        return None
    weekend = [name for name, day in (("sat", 5), ("sun", 6)) if day in term.weekend]
    return json.dumps({"text": term.text, "counts_from": term.counts_from, "zone": term.zone, "weekend": weekend})
