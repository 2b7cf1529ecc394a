# SPDX-License-Identifier: Apache-2.0
"""Losses behind an order's last record, and the check that its account closes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lictl.service.accounting import Kernel, account
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lictl.handover.base import GapReason
    from lictl.service.live import LiveOrder, LiveStream
    from lictl.service.rooms import Rooms

_LOST = ("lost_ring", "lost_matches", "lost_frame")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The kernel's counters of some orders at one moment, all packets of which have since reached the rings.

    Attributes:
        counts: order and its SLOT_COUNT[CPUs].
        ktime_ns: CLOCK_MONOTONIC, not before the counters were read.
        utc_ns: the same in UTC.
    """

    counts: list[tuple[LiveOrder, NDArray[np.void]]]
    ktime_ns: int
    utc_ns: int


def snapshot(rooms: Rooms, orders: Iterable[LiveOrder]) -> Snapshot:
    """Reads the counters. Not in the data path's thread: it waits for the packets in work."""
    counts = [(order, rooms.probe.slot_counts_by_cpu(order.warrant.slot)) for order in orders]
    rooms.probe.grace()  # a record is counted a moment before it can be read
    return Snapshot(counts, time.monotonic_ns(), now_ns())


def settle(rooms: Rooms, taken: Snapshot) -> None:
    """Tells the streams of losses that no later record shows, and compares the three counts of each order.

    In the data path's thread. The rings are drained past the moment of the snapshot, so a packet that the kernel
    counted and that is not taken by then was lost. A CPU that was in the middle of a packet (its copy of the counters
    does not add up) is left for the next time.
    """
    rooms.datapath.drain_past(taken.ktime_ns)
    for order, counts in taken.counts:
        quiet = counts["matched"] == counts["emitted"] + sum(counts[name] for name in _LOST)
        matched = np.where(quiet, counts["matched"], 0)
        rooms.mediator.trailing_gap(order.claim, matched.tolist(), taken.utc_ns, _reason(counts))
        if quiet.all():
            for stream in order.streams:
                _compare(rooms, stream, order, kernel_of(counts))


def kernel_of(counts: NDArray[np.void]) -> Kernel:
    """Counters of one slot, summed over CPUs.

    Args:
        counts: SLOT_COUNT[CPUs].
    """
    return Kernel(**{name: int(counts[name].sum()) for name in Kernel.__dataclass_fields__})


def _reason(counts: NDArray[np.void]) -> GapReason:
    """The class that most of the order's losses had: a gap can name one."""
    sums = {name: int(counts[name].sum()) for name in _LOST}
    reasons: dict[str, GapReason] = {"lost_ring": "ring", "lost_matches": "matches", "lost_frame": "frame"}
    return reasons[max(sums, key=lambda name: sums[name])]


def _compare(rooms: Rooms, stream: LiveStream, order: LiveOrder, kernel: Kernel) -> None:
    facts = stream.facts()
    if facts.passed != kernel.matched:
        return  # newer packets were taken meanwhile: the counters are too old to compare
    found = account(stream.saved.base, facts, kernel)
    if not stream.reconciled:
        # What a killed daemon had lost since it last wrote its account file stands in the stream and nowhere else.
        stream.saved.other += max(-found.unexplained, 0)
        stream.reconciled = True
        found = account(stream.saved.base, stream.facts(), kernel)
    rooms.alarms.when(
        not (found.settled and found.balanced), "unaccounted", f"{order.id} {stream.agency}",
        f"Order {order.id}, agency {stream.agency}: {found.in_ring} packets in the rings and {found.unexplained} "
        "losses cannot be explained.",
    )  # fmt: skip
