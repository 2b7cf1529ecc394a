# SPDX-License-Identifier: Apache-2.0
"""Sets of prefixes over any width: closure over what covers them, and ranges as prefixes.

A prefix is (length, bits): its leading ``length`` bits as an integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Prefix: TypeAlias = tuple[int, int]
Owned: TypeAlias = dict[int, dict[int, list[int]]]
"""length -> bits -> claims that name exactly this prefix; the list may be empty."""
Closed: TypeAlias = dict[int, dict[int, tuple[int, ...]]]
"""length -> bits -> sorted claims of this prefix and of all prefixes that cover it."""


def closure(owned: Owned) -> Closed:
    """Gives each prefix the claims of all that cover it, because a lookup stops at the longest.

    Works from the shortest length on, so the nearest cover has the claims of the farther ones already.
    """
    closed: Closed = {}
    for length in sorted(owned):
        shorter = [(length - other, closed[other]) for other in sorted(closed, reverse=True)]
        closed[length] = {bits: _join(claims, _nearest(bits, shorter)) for bits, claims in owned[length].items()}
    return closed


def _nearest(bits: int, shorter: list[tuple[int, dict[int, tuple[int, ...]]]]) -> tuple[int, ...]:
    for shift, table in shorter:
        claims = table.get(bits >> shift)
        if claims is not None:
            return claims
    return ()


def _join(own: list[int], covering: tuple[int, ...]) -> tuple[int, ...]:
    if not own:
        return covering
    if len(own) == 1 and not covering:
        return (own[0],)
    return tuple(sorted({*own, *covering}))


def range_prefixes(lo: int, hi: int, width: int) -> Iterator[Prefix]:
    """The fewest prefixes that hold exactly lo..hi (both included) of numbers of `width` bits, in rising order."""
    while lo <= hi:
        free = (lo & -lo).bit_length() - 1 if lo else width
        free = min(free, (hi - lo + 1).bit_length() - 1)
        yield width - free, lo >> free
        lo += 1 << free
