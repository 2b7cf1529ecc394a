# SPDX-License-Identifier: Apache-2.0
"""Which numbers of a numbering have come: a few ranges, whatever their count, and the octets of the newest PDUs."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lictl.handover.pdu import Totals

MAX_RANGES = 32
"""Holes that are remembered at once; beyond, the oldest one is closed and stays missing."""
RECENT = 4096
SEEN = 1024
_WRAP = 1 << 32


class Place(NamedTuple):
    """Where a PDU lies in the evidence file."""

    offset: int
    length: int


class Numbering:
    """The numbers of one LIID, stream and kind.

    Attributes:
        ranges: first and last number of each run that has come or is explained, ascending.
        closed: numbers missing in holes that are not remembered any more.
        explained: numbers that the sender declared lost, each at its place.
        accounted: further ones that it declared lost without their places: how many is known, which is not.
        packets: the numbers are those of packets or of their header reports.
        duplicates: PDUs that came again with the same octets, or whose first coming is too long ago to compare.
        conflicts: PDUs that came with a number that is taken, and other octets.
        late: PDUs whose number lies in a hole that is not remembered any more.
    """

    __slots__ = ("accounted", "closed", "conflicts", "duplicates", "explained", "late", "packets", "ranges")

    def __init__(self) -> None:
        self.ranges: list[list[int]] = []
        self.closed = 0
        self.explained = 0
        self.accounted = 0
        self.packets = False
        self.duplicates = 0
        self.conflicts = 0
        self.late = 0

    @property
    def highest(self) -> int:
        """Highest number that has come, -1 for none."""
        return self.ranges[-1][1] if self.ranges else -1

    def place(self, number: int) -> int:
        """The number without the wrap at 2^32 that the formats have: the nearest one to the highest so far."""
        if number >= _WRAP or not self.ranges:
            return number
        turns = (self.highest - number + _WRAP // 2) // _WRAP
        return number + max(turns, 0) * _WRAP

    def has(self, number: int) -> bool:
        """Whether the number has come or is explained."""
        return any(low <= number <= high for low, high in reversed(self.ranges))

    def add(self, first: int, last: int) -> int:
        """Takes a run of numbers; returns how many of them are new."""
        ranges = self.ranges
        if ranges and first == ranges[-1][1] + 1:  # nearly always
            ranges[-1][1] = last
            return last - first + 1
        before = sum(high - low + 1 for low, high in ranges)
        merged: list[list[int]] = []
        for low, high in sorted([*ranges, [first, last]]):
            if merged and low <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        new = sum(high - low + 1 for low, high in merged) - before
        while len(merged) > MAX_RANGES:
            self.closed += merged[1][0] - merged[0][1] - 1
            merged[:2] = [[merged[0][0], merged[1][1]]]
        self.ranges = merged
        return new

    def explain(self, lost: int, first: int, last: int) -> None:
        """So many of a run of numbers are declared lost: no more than are missing there, behind which others came."""
        last = min(last, self.highest)
        here = sum(max(min(high, last) - max(low, first) + 1, 0) for low, high in self.ranges)
        self.accounted += min(lost, max(last - first + 1 - here, 0))

    def settle(self, totals: Totals) -> int:
        """Compares with what the sender says of the whole; returns how many more numbers are declared lost by it.

        Of the numbers that are missing, those that the sender counts as sent stay missing. Those behind the highest
        one that came do not count yet, on either side.
        """
        came = sum(high - low + 1 for low, high in self.ranges) - self.closed - self.explained + self.late
        sent = max(totals.delivered - came, 0)
        declared = totals.lost - self.explained - max(totals.last - self.highest, 0)
        before, self.accounted = self.accounted, max(min(self._holes - sent, declared), 0)
        return self.accounted - before

    @property
    def missing(self) -> int:
        """Numbers that have neither come nor are explained; the standards count from 0 or from 1."""
        return max(self._holes - self.accounted, 0)

    @property
    def _holes(self) -> int:
        inside = sum(after[0] - before[1] - 1 for before, after in zip(self.ranges, self.ranges[1:], strict=False))
        return self.closed + inside + (max(self.ranges[0][0] - 1, 0) if self.ranges else 0)

    @property
    def gaps(self) -> int:
        """Places where numbers are missing, as far as remembered; an upper bound where some are accounted for."""
        if not self.missing:
            return 0
        return max(len(self.ranges) - 1, 0) + bool(self.ranges and self.ranges[0][0] > 1) + bool(self.closed)

    def to_plain(self) -> list[object]:
        """For the state file."""
        return [self.ranges, self.closed, self.explained, self.duplicates, self.conflicts, self.late, self.accounted,
                self.packets]  # fmt: skip

    @classmethod
    def from_plain(cls, plain: list[object]) -> Numbering:
        """The reverse."""
        numbering = cls()
        numbering.ranges, numbering.closed, numbering.explained = plain[:3]  # type: ignore[assignment]
        numbering.duplicates, numbering.conflicts, numbering.late = plain[3:6]  # type: ignore[assignment]
        if len(plain) > 6:
            numbering.accounted, numbering.packets = plain[6:]  # type: ignore[assignment]
        return numbering


class Recent:
    """Digest and place of the newest PDUs of one numbering, at most RECENT: grows with them, 28 octets a PDU."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._digests = array("Q")
        self._offsets = array("Q")
        self._lengths = array("L")

    def add(self, number: int, raw: bytes, offset: int) -> None:
        """Remembers a PDU in the place of an older one."""
        at = number % RECENT
        if at >= len(self._numbers):
            more = min(max(2 * len(self._numbers), at + 1, 16), RECENT) - len(self._numbers)
            self._numbers.extend([_NONE] * more)
            for column in (self._digests, self._offsets, self._lengths):
                column.extend([0] * more)
        self._numbers[at] = number
        self._digests[at] = digest(raw)
        self._offsets[at] = offset
        self._lengths[at] = len(raw)

    def place(self, number: int) -> Place | None:
        """Where the PDU of a number lies, None where it is not remembered."""
        at = number % RECENT
        if at >= len(self._numbers) or self._numbers[at] != number:
            return None
        return Place(self._offsets[at], self._lengths[at])

    def differs(self, number: int, raw: bytes) -> bool:
        """Whether another PDU is known to have this number."""
        return self.place(number) is not None and self._digests[number % RECENT] != digest(raw)

    def same(self, number: int, raw: bytes) -> bool:
        """Whether this PDU is known to have this number."""
        return self.place(number) is not None and self._digests[number % RECENT] == digest(raw)


_NONE = (1 << 64) - 1


class Seen:
    """Digests of the newest PDUs that have no number, at most SEEN."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._next = 0

    def again(self, raw: bytes) -> bool:
        """Whether a PDU is among them; from now on it is, in the place of the oldest."""
        number = digest(raw)
        if number in self._digests:
            return True
        if len(self._digests) < SEEN:
            self._digests.append(number)
        else:
            self._digests[self._next] = number
            self._next = (self._next + 1) % SEEN
        return False

    @property
    def memory(self) -> int:
        """Octets that they take."""
        return 9 * len(self._digests)  # an array grows by an eighth in advance


def digest(raw: bytes) -> int:
    """64 bits that tell PDUs apart."""
    return int.from_bytes(blake2b(raw, digest_size=8).digest())
