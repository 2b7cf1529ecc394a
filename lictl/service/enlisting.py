# SPDX-License-Identifier: Apache-2.0
"""Readies orders before the kernel knows them: streams, delivery, mediator, counters."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.service.live import LEAD_NS, LiveOrder, LiveStream, Phase, accounts_folder, open_stream
from lictl.service.telling import tell_due
from lictl.warrants.states import LIVE, OVER

if TYPE_CHECKING:
    from lictl.service.rooms import Rooms
    from lictl.warrants.model import Warrant

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

    def take_up(self, warrant: Warrant, now: int, *, active: bool) -> LiveOrder | None:
        """The order with its streams open; None where there is nothing to take up. Called by several threads.

        Args:
            active: it will be armed at once if it is live.
        """
        known = self.was_armed_here(warrant) or self.has_files(warrant)
        if warrant.state in LIVE and now < warrant.starts_ns - LEAD_NS:
            return self.order(warrant, Phase.WAITING)
        if warrant.state in OVER:
            if not known:
                self._rooms.store.release_slot(warrant.id)  # it ended without ever having been armed
                return None
            return self.opened(warrant, Phase.ENDING, active=False)
        phase = Phase.ARMED if warrant.state in LIVE else Phase.SUSPENDED
        if phase is Phase.SUSPENDED and not known:
            return self.order(warrant, phase)
        opened = self.opened(warrant, phase, active=active and phase is Phase.ARMED)
        return opened or self.order(warrant, Phase.WAITING if warrant.state in LIVE else phase)

    def opened(self, warrant: Warrant, phase: Phase, *, active: bool) -> LiveOrder | None:
        """As `_open`; None, and an alarm, where that is not possible now."""
        try:
            order = self._open(warrant, phase, active=active)
        except LictlError as error:
            _log.error("order not taken up", order=warrant.id, error=type(error).__name__, **log.place(error))
            self._rooms.alarms.set("agency-gone", warrant.id, f"Order {warrant.id} is not served.")
            return None
        self._rooms.alarms.clear("agency-gone", warrant.id)
        return order

    def _open(self, warrant: Warrant, phase: Phase, *, active: bool) -> LiveOrder:
        """Opens the streams and readies the slot's counters; nobody knows the order yet.

        Args:
            active: it is armed, or will be at once; else it is suspended, held back or over.
        """
        rooms = self._rooms
        order = self.order(warrant, phase)
        try:
            for delivery in warrant.deliveries:
                agency = rooms.store.agency(delivery.agency)
                if agency.transport.certificate:  # with the private key, which only the delivery process needs
                    agency = replace(agency, transport=rooms.store.transport(agency.name))
                order.streams.append(open_stream(rooms, warrant, agency, delivery.format or agency.format,
                                                 self._incarnation))  # fmt: skip
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
                rooms.store.set_base(warrant.id, self._incarnation, {})
        except BaseException:
            for stream in order.streams:
                stream.spool.close()
            raise
        return order

    def enlist(self, order: LiveOrder) -> None:
        """Starts the delivery of an order and makes it known to the mediator."""
        for stream in order.streams:
            self._rooms.workers.add(stream.receiver, stream.config)
        if order.streams:
            self._rooms.datapath.call(lambda: self._mediate([stream for stream in order.streams if not stream.ended]))

    def _mediate(self, streams: list[LiveStream]) -> None:
        for stream in streams:
            self._rooms.mediator.add(stream.stream)
