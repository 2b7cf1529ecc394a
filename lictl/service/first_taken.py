# SPDX-License-Identifier: Apache-2.0
"""The first interception of an order: from it count the 30 days of 18 USC 2518(5)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lictl.service.live import Phase
from lictl.times import now_ns

if TYPE_CHECKING:
    from lictl.service.registry import Registry
    from lictl.service.rooms import Rooms


class FirstTaken:
    """Notes it to within a second, never too late: the last moment at which nothing had been taken yet.

    Used by one thread.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._nothing: dict[str, int] = {}

    def look(self, registry: Registry, trusted: bool = True) -> None:
        """At every armed order that has taken nothing so far.

        Args:
            registry: of the orders.
            trusted: False while the clock may be wrong: the start of the window then stands for the first
                interception, as a clock that is ahead would make the term longer than the law does.
        """
        known = set()
        for order in registry.orders():
            if order.phase is not Phase.ACTIVE or order.warrant.first_taken_ns is not None:
                continue
            known.add(order.id)
            armed = now_ns() - int((time.monotonic() - order.since) * 1e9)
            before = now_ns()
            counts = self._rooms.probe.slot_counts(order.warrant.slot)
            if counts.matched == 0 and not any(stream.spool.totals.records for stream in order.streams):
                self._nothing[order.id] = before
                continue
            starts = order.warrant.starts_ns
            first = max(starts, self._nothing.get(order.id, armed)) if trusted else starts
            registry.renew(self._rooms.store.took(order.id, min(first, now_ns())))
        self._nothing = {name: moment for name, moment in self._nothing.items() if name in known}
