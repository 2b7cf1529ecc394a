# SPDX-License-Identifier: Apache-2.0
"""Promise 5: matched = delivered + lost by class + withheld + in flight, for every stream, whenever it is asked.

Three parties count the same packets apart from each other: the kernel (matched, emitted, lost by class), the
mediator (how far it has passed in the kernel's numbering, what it refused or could not spool) and the spool (records,
losses). Read in the order spool and mediator first, kernel last, what the kernel counted more is what is in flight.

When the rings are empty nothing may be in flight there, and the losses that stand in the stream must be those that were
counted: `Account.unexplained` is what is left over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Base:
    """What a stream had when the kernel's counters of its order last began at zero.

    Attributes:
        records: in the spool.
        lost: numbers of the stream that stand for losses.
        withheld: packets that the second check had refused.
        classes: the losses by class.
    """

    records: int = 0
    lost: int = 0
    withheld: int = 0
    classes: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def matched(self) -> int:
        """Packets matched before the kernel's counters began."""
        return self.records + self.lost + self.withheld


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's counters of one order, summed over CPUs, since its slot was armed in this kernel.

    `matched` is the sum of its own parts, so a packet that is being judged right now does not count yet.
    """

    seen: int = 0
    emitted: int = 0
    lost_ring: int = 0
    lost_matches: int = 0
    lost_frame: int = 0
    withheld: int = 0

    @property
    def lost(self) -> int:
        """Lost in the kernel, all classes."""
        return self.lost_ring + self.lost_matches + self.lost_frame

    @property
    def matched(self) -> int:
        """Packets that the order is entitled to."""
        return self.emitted + self.lost


@dataclass(frozen=True, slots=True)
class Stream:
    """Where one stream stands, read between two batches.

    Attributes:
        spooled: records in the spool, ever.
        lost: numbers of the stream that stand for losses, ever; also those that no block has told of yet.
        passed: matched packets passed in the kernel's numbering (sum of the position's slot numbers).
        acknowledged: records that the agency has, ever.
        quota: packets that could not be spooled since the base.
        other: packets lost in user space for another reason since the base.
    """

    spooled: int
    lost: int
    passed: int
    acknowledged: int
    quota: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """The balance of one stream. All numbers are packets since the order began.

    Attributes:
        matched: what the order was entitled to.
        delivered: acknowledged by the agency.
        lost: by class: ring, matches, frame, quota, other.
        withheld: refused by the second check.
        in_ring: not yet taken out of the rings.
        in_spool: written, not yet acknowledged.
        unexplained: losses that were counted minus losses that stand in the stream; 0 when all is quiet.
    """

    matched: int
    delivered: int
    lost: dict[str, int]
    withheld: int
    in_ring: int
    in_spool: int
    unexplained: int

    @property
    def in_flight(self) -> int:
        """Neither with the agency nor lost."""
        return self.in_ring + self.in_spool

    @property
    def balanced(self) -> bool:
        """The identity of promise 5, and no part of it negative."""
        parts = (self.delivered, self.withheld, self.in_ring, self.in_spool, *self.lost.values())
        return self.matched == sum(parts) and min(parts) >= 0

    @property
    def settled(self) -> bool:
        """Nothing is in the rings and every loss that was counted stands in the stream."""
        return self.in_ring == 0 and self.unexplained == 0


def account(base: Base, stream: Stream, kernel: Kernel) -> Account:
    """The balance.

    Args:
        base: of this stream.
        stream: read first, between two batches.
        kernel: read after it.
    """
    numbered = (stream.spooled - base.records) + (stream.lost - base.lost)
    refused = stream.passed - numbered
    counted = kernel.lost + stream.quota + stream.other
    unexplained = counted - (stream.lost - base.lost)
    classes = {
        "ring": kernel.lost_ring,
        "matches": kernel.lost_matches,
        "frame": kernel.lost_frame,
        "quota": stream.quota,
        "other": stream.other,
    }
    return Account(
        matched=base.matched + kernel.matched,
        delivered=stream.acknowledged,
        lost={name: base.classes.get(name, 0) + count for name, count in classes.items()},
        withheld=base.withheld + refused,
        in_ring=kernel.matched - stream.passed - unexplained,
        in_spool=stream.spooled - stream.acknowledged,
        unexplained=unexplained,
    )
