# SPDX-License-Identifier: Apache-2.0
"""The orders that this daemon works for: armed, ended, closed.

Order of steps, so that a crash between any two of them resolves to the safe side:

- *arming*: stored (fsync) - spools opened, their openings flushed - counters of the slot zeroed - delivery started -
  known to the mediator - target entries - slot. A crash before the last step leaves an order that the next start arms.
- *revoking*: slot switched off (the kernel takes nothing from here on) - stored (fsync) - answer - target entries
  removed. After a crash between the first two the order is in force again at the next start, as nobody was told that
  it had ended. The moment of revocation is read before the slot is written, and what is newer is not delivered.
- *closing*: target entries gone - counters read - rings drained - trailing gap and END - slot given back, so a slot
  never has a new owner while records of the old one can come.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.probe.abi import MAX_SLOTS
from lictl.probe.tables import EMPTY_SLOT
from lictl.service.accounting import account
from lictl.service.live import LiveOrder, LiveStream, Phase, accounts_folder, open_stream
from lictl.service.parallel import in_parallel
from lictl.service.room import check_room
from lictl.service.settling import Snapshot, kernel_of, settle, snapshot
from lictl.service.takeup import TakeUp
from lictl.targets.compile import compile as compile_tables
from lictl.times import now_ns
from lictl.warrants.records import to_armed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lictl.probe.batch import Batch
    from lictl.service.rooms import Rooms
    from lictl.targets.orders import Tables
    from lictl.warrants.model import Warrant, WarrantFile

# An order goes into the kernel's tables this long before its window: the kernel itself judges the window.
LEAD_NS = 10_000_000_000
# A packet that was being judged when its order ended is in the ring after far less than this.
GRACE_S = 0.2
# An order that could not be armed is tried again after so long.
RETRY_S = 1.0

_log = log.get("orders")


class Registry:
    """All orders that are not over for this daemon. Its lock makes changes follow on each other.

    Attributes:
        live: by claim, what the mediator may deliver; replaced as a whole, so readers need no lock.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = threading.RLock()
        self._orders: dict[str, LiveOrder] = {}
        self._tables: Tables | None = None
        self._incarnation = rooms.probe.incarnation
        self._taking_up: TakeUp | None = None
        self.live: dict[int, LiveOrder] = {}

    def orders(self) -> list[LiveOrder]:
        """Every order there is work for, in the order in which they were added."""
        with self._lock:
            return list(self._orders.values())

    # ---- start

    def recover(self) -> None:
        """Takes up what store and earlier daemon left; first of all the kernel forgets what is not in force now."""
        now = now_ns()
        with self._lock:
            self._rooms.store.expire(now)
            unfinished = [w for w in self._rooms.store.list() if not w.released]
            due = [w for w in unfinished if self._due(w, now) and self._was_armed_here(w)]
            self._tables = self._rooms.tables.dump()
            self._write(compile_tables([to_armed(warrant) for warrant in due]))
            here = [warrant for warrant in unfinished if self._was_armed_here(warrant)]
            self._taking_up = TakeUp(self._rooms, here, self._take_up_all)
            self._taking_up.run([warrant for warrant in unfinished if not self._was_armed_here(warrant)])
            self._taking_up = None
            self._write_armed()

    def take(self, batch: Batch) -> None:
        """Writes a batch to the spools of its orders; the data path calls it."""
        if self._taking_up is not None:
            self._taking_up.meet(batch)
        self._rooms.mediator.take(batch, self.live)

    def _take_up_all(self, some: Sequence[Warrant]) -> None:
        """Several orders at once: it is mostly waiting for the disk."""
        now = now_ns()
        for order in in_parallel(lambda warrant: self._take_up(warrant, now), some):
            if order is not None:
                self._enlist(order)
        self._publish()

    def _take_up(self, warrant: Warrant, now: int) -> LiveOrder | None:
        """The order with its streams open; None where there is nothing to take up. Called by several threads."""
        if warrant.state == "active" and now < warrant.starts_ns - LEAD_NS:
            return self._order(warrant, Phase.WAITING)
        over = warrant.state != "active"
        if over and not self._was_armed_here(warrant) and not self._has_spool(warrant):
            self._finish_in_store(warrant)  # it ended without ever having been armed
            return None
        order = self._opened(warrant, Phase.ENDING if over else Phase.ARMED)
        return order if order is not None or over else self._order(warrant, Phase.WAITING)

    def _opened(self, warrant: Warrant, phase: Phase) -> LiveOrder | None:
        """As `_open`; None, and an alarm, where that is not possible now."""
        try:
            order = self._open(warrant, phase)
        except LictlError as error:
            _log.error("order not taken up", order=warrant.id, error=type(error).__name__, **log.place(error))
            self._rooms.alarms.set("agency-gone", warrant.id, f"Order {warrant.id} is not served.")
            return None
        self._rooms.alarms.clear("agency-gone", warrant.id)
        return order

    def _due(self, warrant: Warrant, now: int) -> bool:
        return warrant.state == "active" and warrant.starts_ns - LEAD_NS <= now < warrant.ends_ns

    def _was_armed_here(self, warrant: Warrant) -> bool:
        return warrant.incarnation == self._incarnation

    def _has_spool(self, warrant: Warrant) -> bool:
        return accounts_folder(self._rooms.home, warrant).is_dir()

    # ---- changes

    def add(self, warrant: Warrant) -> Phase:
        """Works for an order that the store holds now. LictlError: it cannot be armed; the kernel has nothing of it."""
        with self._lock:
            if now_ns() < warrant.starts_ns - LEAD_NS:
                self._enter(warrant, Phase.WAITING)
                return Phase.WAITING
            self._arm(warrant)
            return Phase.ARMED

    def check(self, file: WarrantFile) -> None:
        """Refuses an order that the kernel's tables have no room for. Raises TargetLimitError."""
        with self._lock:
            check_room(file, [o.warrant for o in self._orders.values() if o.phase in (Phase.WAITING, Phase.ARMED)])

    def _arm(self, warrant: Warrant) -> None:
        order = self._open(warrant, Phase.ARMED)
        self._enlist(order)
        self._publish()
        try:
            self._write_armed()
        except LictlError:
            order.phase = Phase.ENDING
            self._rooms.alarms.set("kernel-tables", warrant.id, f"Order {warrant.id} is not in the kernel.")
            self._write_armed()
            raise

    def withdraw(self, warrant: Warrant) -> None:
        """Takes back an order that could not be armed."""
        with self._lock:
            ended = self._rooms.store.revoke(warrant.id, now_ns())
            order = self._orders.get(warrant.id)
            if order is None:
                self._finish_in_store(ended)
            else:
                order.warrant, order.ends_ns = ended, ended.ends_ns
            self._rooms.alarms.clear("kernel-tables", warrant.id)

    def _open(self, warrant: Warrant, phase: Phase) -> LiveOrder:
        """Opens the streams and readies the slot's counters; nobody knows the order yet."""
        rooms = self._rooms
        order = self._order(warrant, phase)
        try:
            for delivery in warrant.deliveries:
                agency = rooms.store.agency(delivery.agency)
                order.streams.append(open_stream(rooms, warrant, agency, delivery.format or agency.format,
                                                 self._incarnation))  # fmt: skip
            for stream in order.streams:
                if not stream.ended:
                    _ = stream.stream.writable  # the opening, and what a restart has to tell, before any packet
            if not self._was_armed_here(warrant):
                for stream in order.streams:
                    stream.spool.sync()
                rooms.probe.zero_slot(warrant.slot)
                rooms.store.set_base(warrant.id, self._incarnation, {})
        except BaseException:
            for stream in order.streams:
                stream.spool.close()
            raise
        return order

    def _enlist(self, order: LiveOrder) -> None:
        """Starts the delivery of an order and makes it known to the mediator."""
        for stream in order.streams:
            self._rooms.workers.add(stream.receiver, stream.config)
        if order.streams:
            self._rooms.datapath.call(lambda: self._mediate([stream for stream in order.streams if not stream.ended]))
        self._orders[order.id] = order

    def _mediate(self, streams: list[LiveStream]) -> None:
        for stream in streams:
            self._rooms.mediator.add(stream.stream)

    def _order(self, warrant: Warrant, phase: Phase) -> LiveOrder:
        return LiveOrder(warrant, warrant.mode, warrant.starts_ns, warrant.ends_ns, phase, time.monotonic())

    def _enter(self, warrant: Warrant, phase: Phase) -> None:
        self._orders[warrant.id] = self._order(warrant, phase)

    def revoke(self, warrant: Warrant) -> Warrant:
        """Ends an order now. The kernel takes nothing of it when this returns.

        Raises:
            LictlError: the kernel or the store refused; the error says in what state the order is.
        """
        rooms = self._rooms
        moment = now_ns()
        running = self.live.get(warrant.claim)
        if running is not None and running.phase is Phase.ARMED:
            rooms.probe.write_slot(warrant.slot, EMPTY_SLOT)  # at once, whatever the tables are busy with
        with self._lock:
            order = self._orders.get(warrant.id)
            if order is not None and order.phase is Phase.ARMED:
                rooms.tables.revoke(warrant.slot)
            try:
                ended = rooms.store.revoke(warrant.id, moment)
            except LictlError:
                rooms.alarms.set("store", warrant.id, f"Order {warrant.id} is stopped, but the store does not know it.")
                raise
            rooms.alarms.clear("store", warrant.id)
            if order is None or order.phase is Phase.WAITING:
                self._orders.pop(warrant.id, None)
                self._drop_waiting(ended)
            elif order.phase is Phase.ARMED:
                self._end([(order, ended)])
            return ended

    def _drop_waiting(self, ended: Warrant) -> None:
        """Ends an order that is not in the kernel; what it took in an earlier life is delivered."""
        self._rooms.alarms.clear("agency-gone", ended.id)
        if not self._has_spool(ended):
            self._finish_in_store(ended)
            return
        order = self._opened(ended, Phase.ENDING)
        if order is not None:  # else the next start takes it up
            self._enlist(order)
            self._publish()

    def expire(self) -> None:
        """Arms what is due and ends what is over; called a few times a second."""
        now = now_ns()
        with self._lock:
            self._arm_due(now)
            if not any(o.phase in (Phase.ARMED, Phase.WAITING) and now >= o.ends_ns for o in self._orders.values()):
                return
            over = []
            for warrant in self._rooms.store.expire(now):
                order = self._orders.get(warrant.id)
                if order is not None and order.phase is Phase.ARMED:
                    over.append((order, warrant))
                elif order is not None and order.phase is Phase.WAITING:
                    del self._orders[warrant.id]
                    self._drop_waiting(warrant)
            if over:
                self._end(over)

    def _arm_due(self, now: int) -> None:
        """Arms what waited, all of it in one change of the tables: many windows begin at the same moment."""
        due = [
            order.warrant
            for order in self._orders.values()
            if order.phase is Phase.WAITING
            and order.starts_ns - LEAD_NS <= now < order.ends_ns
            and time.monotonic() - order.since >= RETRY_S
        ]
        if not due:
            return
        opened = in_parallel(lambda warrant: self._opened(warrant, Phase.ARMED), due)
        for warrant, order in zip(due, opened, strict=True):
            if order is None:
                self._enter(warrant, Phase.WAITING)  # tried again
            else:
                self._enlist(order)
        self._publish()
        try:
            self._write_armed()
        except LictlError as error:
            _log.error("orders not armed at once", error=type(error).__name__, **log.place(error))
            self._arm_one_by_one([order for order in opened if order is not None])

    def _arm_one_by_one(self, orders: Sequence[LiveOrder]) -> None:
        """After the kernel refused them together: those that it does not refuse."""
        for order in orders:
            order.phase = Phase.ENDING
        for order in orders:
            order.phase = Phase.ARMED
            try:
                self._write_armed()
            except LictlError as error:
                order.phase = Phase.ENDING
                _log.error("order not armed", order=order.id, error=type(error).__name__, **log.place(error))
                self._rooms.alarms.set("kernel-tables", order.id, f"Order {order.id} could not be armed.")

    def _end(self, over: Sequence[tuple[LiveOrder, Warrant]]) -> None:
        """Takes orders out of the kernel's tables, all of them in one change."""
        for order, ended in over:
            order.warrant = ended
            order.ends_ns = min(order.ends_ns, ended.ends_ns)
            order.phase, order.since = Phase.ENDING, time.monotonic()
            _log.info("order ended", order=order.id, state=ended.state)
        self._write_armed()

    # ---- the kernel's tables

    def _write_armed(self) -> None:
        armed = [to_armed(order.warrant) for order in self._orders.values() if order.phase is Phase.ARMED]
        self._write(compile_tables(armed))

    def _write(self, tables: Tables) -> None:
        try:
            # Counters were zeroed when the order was admitted; one that is armed again goes on counting.
            self._rooms.tables.apply(self._tables, tables, keep_counters=range(MAX_SLOTS))
        except LictlError:
            self._tables = self._rooms.tables.dump()  # whatever was written: the next difference starts from there
            raise
        self._tables = tables

    def _publish(self) -> None:
        self.live = {o.claim: o for o in self._orders.values() if o.phase in (Phase.ARMED, Phase.ENDING)}

    # ---- the end of an order

    def close_ended(self) -> None:
        """Closes the streams of orders that are out of the kernel, and drops those that the agencies have."""
        with self._lock:
            for order in list(self._orders.values()):
                if order.phase is Phase.ENDING and time.monotonic() - order.since >= GRACE_S:
                    self._close(order)
                elif order.phase is Phase.DELIVERING:
                    self._drop_delivered(order)

    def _close(self, order: LiveOrder) -> None:
        taken = snapshot(self._rooms, [order])
        if not self._rooms.datapath.call(lambda: self._write_end(order, taken)):
            return
        self._rooms.datapath.call(lambda: self._rooms.mediator.remove(order.claim))
        order.phase = Phase.DELIVERING
        self._publish()
        for stream in order.streams:
            stream.spool.sync()
            stream.save()
        self._rooms.workers.wake_all()

    def _write_end(self, order: LiveOrder, taken: Snapshot) -> bool:
        """In the data path's thread: takes the last records, tells of losses behind them, writes END."""
        settle(self._rooms, taken)
        for stream in order.streams:
            if not stream.ended:
                try:
                    stream.stream.end()
                except (LictlError, OSError):
                    return False  # no room: tried again
                stream.ended = True
        return True

    def _drop_delivered(self, order: LiveOrder) -> None:
        if any(stream.spool.acknowledged < stream.spool.last_block for stream in order.streams):
            return
        for stream in order.streams:
            self._rooms.workers.remove(stream.agency, stream.name)
        self._finish(order)

    def _finish(self, order: LiveOrder) -> None:
        counts = kernel_of(self._rooms.probe.slot_counts_by_cpu(order.warrant.slot))
        for stream in order.streams:
            stream.fold(account(stream.saved.base, stream.facts(stream.spool.cursor.total_records), counts))
            stream.spool.remove()
        del self._orders[order.id]
        self._finish_in_store(order.warrant)
        self._publish()
        _log.info("order finished", order=order.id)

    def _finish_in_store(self, warrant: Warrant) -> None:
        self._rooms.store.release_slot(warrant.id)

    # ---- the end of the daemon

    def save(self) -> None:
        """Writes down losses by class, where they changed."""
        for order in self.orders():
            for stream in order.streams:
                stream.save()
