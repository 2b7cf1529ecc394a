# SPDX-License-Identifier: Apache-2.0
"""From the numbers that stand in a stream, which may be short and wrap, to the stream's own, and the losses between."""

from __future__ import annotations


class Numbering:
    """Follows one stream's sequence numbers.

    Args:
        bits: width of a number on the wire.
        first: what the standard counts from; the stream itself counts from 1.
    """

    def __init__(self, bits: int, first: int) -> None:
        self._size = 1 << bits
        self._first = first
        self._last = 0

    def take(self, number: int) -> tuple[int, int]:
        """The stream's number of the next record and how many were lost before it.

        A number that is at most half the range ahead counts as later; one that is not is a repetition (it was sent
        again after an outage): no loss, and what follows is judged by the latest one.
        """
        ahead = (number - self._first + 1 - self._last) % self._size
        if ahead == 0 or ahead > self._size // 2:
            return max(self._last - (-ahead % self._size), 0), 0
        self._last += ahead
        return self._last, ahead - 1

    def skip(self, last: int) -> None:
        """The stream said itself that what is up to its number `last` is lost."""
        self._last = max(self._last, last)
