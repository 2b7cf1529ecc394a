# SPDX-License-Identifier: Apache-2.0
"""Puts orders that are ready into the kernel: intent, tables, store, outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl import faults, log
from lictl.errors import LictlError
from lictl.people.actor import daemon
from lictl.service.live import LiveOrder, Phase
from lictl.service.record import facts
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lictl.service.rooms import Rooms

_log = log.get("orders")


class Arming:
    """Used under the registry's lock.

    Args:
        rooms: the parts of the daemon.
        write: makes the kernel's tables those of the orders whose phase is ACTIVE.
        publish: tells the mediator.
    """

    def __init__(self, rooms: Rooms, write: Callable[[], None], publish: Callable[[], None]) -> None:
        self._rooms, self._write, self._publish = rooms, write, publish

    def arm(self, orders: Sequence[LiveOrder]) -> None:
        """Puts orders whose streams are open into the kernel; those that it refuses are tried again."""
        fresh = {o.id: facts(o.warrant) for o in orders if o.warrant.state == "approved"}
        try:
            intents = self._rooms.record.announce("warrant.arm", daemon(), fresh)
        except LictlError:
            self._rooms.alarms.set("audit", "", "The audit chain cannot be written: nothing is armed.")
            for order in orders:
                order.phase = Phase.WAITING
            return
        self._rooms.alarms.clear("audit")
        faults.point("warrant.arm.intended")
        self._write_together(orders)
        faults.point("warrant.arm.armed")
        self._publish()
        done = {o.id: o for o in orders if o.phase is Phase.ACTIVE and o.id in fresh}
        stored = self._rooms.store.armed_all(done, now_ns()) if done else []
        for warrant in stored:
            done[warrant.id].warrant = warrant
        after = {warrant.id: facts(warrant) for warrant in stored}
        faults.point("warrant.arm.stored")
        self._rooms.record.conclude(intents, daemon(), after)
        faults.point("warrant.arm.recorded")

    def _write_together(self, orders: Sequence[LiveOrder]) -> None:
        """All in one change; after the kernel refused that, those that it does not refuse."""
        for order in orders:
            order.phase = Phase.ACTIVE
        self._publish()
        try:
            self._write()
        except LictlError as error:
            _log.error("orders not armed at once", error=type(error).__name__, **log.place(error))
        else:
            for order in orders:
                self._rooms.alarms.clear("kernel-tables", order.id)
            return
        for order in orders:
            order.phase = Phase.WAITING
        for order in orders:
            order.phase = Phase.ACTIVE
            try:
                self._write()
                self._rooms.alarms.clear("kernel-tables", order.id)
            except LictlError as error:
                order.phase = Phase.WAITING
                _log.error("order not armed", order=order.id, error=type(error).__name__, **log.place(error))
                self._rooms.alarms.set("kernel-tables", order.id, f"Order {order.id} could not be armed.")
