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

    def look(self, registry: Registry) -> None:
        """At every armed order that has taken nothing so far."""
        known = set()
        for order in registry.orders():
            if order.phase is not Phase.ARMED or order.warrant.first_taken_ns is not None:
                continue
            known.add(order.id)
            armed = now_ns() - int((time.monotonic() - order.since) * 1e9)
            before = now_ns()
            counts = self._rooms.probe.slot_counts(order.warrant.slot)
            if counts.matched == 0 and not any(stream.spool.totals.records for stream in order.streams):
                self._nothing[order.id] = before
                continue
            first = max(order.warrant.starts_ns, self._nothing.get(order.id, armed))
            registry.renew(self._rooms.store.took(order.id, min(first, now_ns())))
        self._nothing = {name: moment for name, moment in self._nothing.items() if name in known}
