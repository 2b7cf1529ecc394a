# SPDX-License-Identifier: Apache-2.0
"""Readies orders before the kernel knows them: streams, delivery, mediator, counters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.service.live import LEAD_NS, LiveOrder, LiveStream, Phase, accounts_folder, open_stream
from lictl.service.parallel import in_parallel
from lictl.service.telling import tell_due
from lictl.warrants.states import LIVE, OVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lictl.service.rooms import Rooms
    from lictl.warrants.model import Warrant
    from lictl.warrants.openings import Openings

_log = log.get("orders")


class Enlisting:
    """Opens orders for one incarnation of the kernel's tables; may be used by several threads."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._incarnation = rooms.probe.incarnation

    def order(self, warrant: Warrant, phase: Phase) -> LiveOrder:
        """An order without streams."""
        return LiveOrder(warrant, warrant.mode, warrant.starts_ns, warrant.ends_ns, phase, time.monotonic())

    def was_armed_here(self, warrant: Warrant) -> bool:
        """The kernel's counters are those of the order."""
        return warrant.incarnation == self._incarnation

    def has_files(self, warrant: Warrant) -> bool:
        """It has taken something in an earlier life, or could have."""
        return accounts_folder(self._rooms.home, warrant).is_dir()

    def take_up_all(
        self, some: Sequence[Warrant], now: int, openings: Openings, active: Callable[[Warrant], bool]
    ) -> list[LiveOrder]:
        """Orders with their streams open, several at once: it is mostly waiting for the disk.

        Those are left out for which there is nothing to do.

        Args:
            some: of the store.
            now: UTC nanoseconds.
            openings: of all of them.
            active: whether an order will be armed at once if it is live.
        """
        taken = in_parallel(lambda warrant: self._take_up(warrant, now, openings, active=active(warrant)), some)
        return self._based([order for order in taken if order is not None])

    def _take_up(self, warrant: Warrant, now: int, openings: Openings, *, active: bool) -> LiveOrder | None:
        """Called by several threads."""
        known = self.was_armed_here(warrant) or self.has_files(warrant)
        if warrant.state in LIVE and now < warrant.starts_ns - LEAD_NS:
            return self.order(warrant, Phase.WAITING)
        if warrant.state in OVER:
            if not known:
                self._rooms.store.release_slot(warrant.id)  # it ended without ever having been armed
                return None
            return self._try(warrant, Phase.ENDING, openings, active=False)
        phase = Phase.ACTIVE if warrant.state in LIVE else Phase.SUSPENDED
        if phase is Phase.SUSPENDED and not known:
            return self.order(warrant, phase)
        opened = self._try(warrant, phase, openings, active=active and phase is Phase.ACTIVE)
        return opened or self._later(warrant)

    def _later(self, warrant: Warrant) -> LiveOrder:
        """It is tried again."""
        return self.order(warrant, Phase.WAITING if warrant.state in LIVE else Phase.SUSPENDED)

    def opened(self, warrant: Warrant, phase: Phase, *, active: bool) -> LiveOrder | None:
        """An order with its streams open; None, and an alarm, where that is not possible now.

        Args:
            warrant: the order.
            phase: that it shall have.
            active: it is armed, or will be at once; else it is suspended, held back or over.
        """
        try:
            openings = self._rooms.store.openings([warrant])
        except LictlError as error:
            self._refused(warrant, error)
            return None
        order = self._try(warrant, phase, openings, active=active)
        based = [] if order is None else self._based([order])
        return based[0] if based and based[0].streams else None

    def _try(self, warrant: Warrant, phase: Phase, openings: Openings, *, active: bool) -> LiveOrder | None:
        try:
            order = self._open(warrant, phase, openings, active=active)
        except LictlError as error:
            self._refused(warrant, error)
            return None
        self._rooms.alarms.clear("agency-gone", warrant.id)
        return order

    def _refused(self, warrant: Warrant, error: LictlError) -> None:
        _log.error("order not taken up", order=warrant.id, error=type(error).__name__, **log.place(error))
        self._rooms.alarms.set("agency-gone", warrant.id, f"Order {warrant.id} is not served.")

    def _open(self, warrant: Warrant, phase: Phase, openings: Openings, *, active: bool) -> LiveOrder:
        """Opens the streams and readies the slot's counters; nobody knows the order yet."""
        rooms = self._rooms
        order = self.order(warrant, phase)
        try:
            key = openings.key(warrant)
            for delivery in warrant.deliveries:
                receiver = openings.receiver(delivery.agency)
                format_ = delivery.format or receiver.agency.format
                order.streams.append(open_stream(rooms, warrant, receiver, format_, key, self._incarnation))
            for stream in order.streams:
                if stream.ended:
                    continue
                if phase is not Phase.ENDING:  # its end is told behind its last packet
                    tell_due(order, stream, active=active, restarted=True)
                _ = stream.stream.writable  # the opening, and what a restart has to tell, before any packet
            if not self.was_armed_here(warrant):
                for stream in order.streams:
                    stream.spool.sync()
                rooms.probe.zero_slot(warrant.slot)
        except BaseException:
            _close(order)
            raise
        return order

    def _based(self, orders: Sequence[LiveOrder]) -> list[LiveOrder]:
        """Notes in the store that the kernel's counters are theirs from now on; where that fails, without streams."""
        fresh = [order for order in orders if order.streams and not self.was_armed_here(order.warrant)]
        if not fresh:
            return list(orders)
        try:
            self._rooms.store.set_bases([order.id for order in fresh], self._incarnation, {})
        except LictlError as error:
            for order in fresh:
                _close(order)
                self._refused(order.warrant, error)
            failed = {order.id for order in fresh}
            later = [self._later(order.warrant) for order in fresh if order.warrant.state not in OVER]
            return [*(order for order in orders if order.id not in failed), *later]
        return list(orders)

    def enlist(self, order: LiveOrder) -> None:
        """Starts the delivery of an order and makes it known to the mediator."""
        for stream in order.streams:
            self._rooms.workers.add(stream.receiver, stream.config)
        if order.streams:
            self._rooms.datapath.call(lambda: self._mediate([stream for stream in order.streams if not stream.ended]))

    def _mediate(self, streams: list[LiveStream]) -> None:
        for stream in streams:
            self._rooms.mediator.add(stream.stream)


def _close(order: LiveOrder) -> None:
    for stream in order.streams:
        stream.spool.close()
