# SPDX-License-Identifier: Apache-2.0
"""The orders that this daemon works for: armed, suspended, ended, closed.

Order of steps, so that a crash between any two of them resolves to the safe side:

- *arming*: approved in the store (fsync) - spools opened, their openings flushed - counters of the slot zeroed -
  delivery started - known to the mediator - intent in the audit chain (fsync) - target entries - slot - active in the
  store - outcome in the chain. A crash before the slot leaves an order that the next start arms.
- *revoking, suspending*: intent in the chain (fsync) - slot switched off (the kernel takes nothing from here on) -
  store (fsync) - target entries removed - outcome in the chain - answer. After a crash between the first two and the
  store the next start does it again. The moment is read before the slot is written, and what is newer is not
  delivered.
- *closing*: target entries gone - counters read - rings drained - trailing gap and END - slot given back, so a slot
  never has a new owner while records of the old one can come (`lictl.service.ending`).
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.probe.tables import EMPTY_SLOT
from lictl.service.arming import Arming
from lictl.service.ending import GRACE_S, close, delivered, finish
from lictl.service.enlisting import Enlisting
from lictl.service.expiry import expire_in_store
from lictl.service.kernel_state import KernelState
from lictl.service.live import LEAD_NS, LiveOrder, Phase
from lictl.service.room import Room
from lictl.service.takeup import TakeUp
from lictl.service.telling import agree
from lictl.times import now_ns
from lictl.warrants.records import to_armed
from lictl.warrants.states import LIVE, OVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lictl.probe.batch import Batch
    from lictl.service.rooms import Rooms
    from lictl.service.trusted_time import TrustedTime
    from lictl.targets.orders import Tables
    from lictl.warrants.model import Warrant, WarrantFile
    from lictl.warrants.openings import Openings

# An order that could not be armed is tried again after so long.
RETRY_S = 1.0

_log = log.get("orders")


class Registry:
    """All orders that are not over for this daemon. Its lock makes changes follow on each other.

    Args:
        rooms: the parts of the daemon.
        time_: what may be told by the clock.
        may_arm: raises where nothing may be armed at this site at present.

    Attributes:
        live: by claim, what the mediator may deliver; replaced as a whole, so readers need no lock.
    """

    def __init__(self, rooms: Rooms, time_: TrustedTime, may_arm: Callable[[], None] = lambda: None) -> None:
        self._rooms = rooms
        self._time = time_
        self._may_arm = may_arm
        self._lock = threading.RLock()
        self._halted: set[str] = set()
        self._orders: dict[str, LiveOrder] = {}
        self._kernel = KernelState(rooms.tables)
        self._room = Room()
        self._entry = Enlisting(rooms)
        self._arming = Arming(rooms, self._write_armed, self._publish)
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
            if not self._time.doubt:
                expire_in_store(self._rooms.record, self._rooms.store, now)
            unfinished = self._rooms.store.unfinished()
            allowed = self._site_allows()
            live = [warrant for warrant in unfinished if allowed and warrant.state in LIVE]
            due = [w for w in live if self._time.open(w, now) and self._entry.was_armed_here(w)]
            self._kernel.take_over()
            self._kernel.write(due)
            here = [warrant for warrant in unfinished if self._entry.was_armed_here(warrant)]
            openings = self._rooms.store.openings(unfinished)
            self._taking_up = TakeUp(self._rooms, here, lambda some: self._take_up_all(some, openings, allowed=allowed))
            self._taking_up.run([warrant for warrant in unfinished if not self._entry.was_armed_here(warrant)])
            self._taking_up = None
            armed = [order for order in self._orders.values() if order.phase is Phase.ACTIVE]
            for order in armed:
                order.phase = Phase.WAITING
            if allowed:
                self._arm([order for order in armed if self._time.open(order, now_ns())])

    def take(self, batch: Batch) -> None:
        """Writes a batch to the spools of its orders; the data path calls it."""
        if self._taking_up is not None:
            self._taking_up.meet(batch)
        self._rooms.mediator.take(batch, self.live)

    def _take_up_all(self, some: Sequence[Warrant], openings: Openings, *, allowed: bool) -> None:
        now = now_ns()

        def active(warrant: Warrant) -> bool:
            return allowed and self._time.open(warrant, now)

        for order in self._entry.take_up_all(some, now, openings, active):
            self._enlist(order)
        self._publish()

    def _enlist(self, order: LiveOrder) -> None:
        self._entry.enlist(order)
        self._orders[order.id] = order

    # ---- changes

    def enforce(self, warrant: Warrant) -> Phase:
        """Works for an order as the store has it now: new, let go on, extended or amended.

        Returns:
            ACTIVE, or WAITING where its window has not begun or the kernel does not take it yet (an alarm says so).
        """
        with self._lock:
            order = self._orders.get(warrant.id)
            if order is None:
                order = self._orders[warrant.id] = self._entry.order(warrant, Phase.WAITING)
            elif order.phase is Phase.SUSPENDED:
                if order.streams:  # what was taken before the suspension is judged by the window of then
                    self._rooms.datapath.call(lambda: self._rooms.datapath.drain_past(time.monotonic_ns()))
                order.phase = Phase.WAITING
            self._renew(order, warrant)
            if order.phase is Phase.WAITING:
                order.since = -RETRY_S
                self._arm_due(now_ns())
            return self._orders[warrant.id].phase  # opening its streams made another entry of it

    def renew(self, warrant: Warrant) -> None:
        """Takes up a window that became shorter, or what was changed of a suspended order."""
        with self._lock:
            order = self._orders.get(warrant.id)
            if order is not None:
                self._renew(order, warrant)

    def _renew(self, order: LiveOrder, warrant: Warrant) -> None:
        if order.id in self._halted:  # somebody stops it at this moment
            return
        before, order.warrant = order.warrant, warrant
        if order.phase is Phase.SUSPENDED:  # what is still in the rings is judged by the window of then
            agree(self._rooms, [order], active=False)
            return
        order.starts_ns, order.ends_ns = warrant.starts_ns, warrant.ends_ns
        if order.phase is Phase.ACTIVE and to_armed(before) != to_armed(warrant):
            self._write_armed()
            agree(self._rooms, [order], active=True)

    def check(self, file: WarrantFile, instead: Warrant | None = None) -> None:
        """Refuses an order that the kernel's tables have no room for. Raises TargetLimitError."""
        phases = (Phase.WAITING, Phase.ACTIVE, Phase.SUSPENDED)
        with self._lock:
            others = [o.warrant for o in self._orders.values() if o.phase in phases]
            self._room.check(file, [o for o in others if instead is None or o.id != instead.id])

    def halt(self, warrant: Warrant) -> None:
        """The kernel takes nothing of an order when this returns: one write, whatever the tables are busy with.

        Raises:
            LictlError: the kernel refused.
        """
        self._halted.add(warrant.id)
        running = self.live.get(warrant.claim) if warrant.generation else None
        if running is not None and running.phase is Phase.ACTIVE:
            running.ends_ns = min(running.ends_ns, now_ns())
            self._rooms.probe.write_slot(warrant.slot, EMPTY_SLOT)

    def stopped(self, warrant: Warrant) -> None:
        """Takes an order that is over or suspended, as the store has it, out of the tables.

        Raises:
            LictlError: the kernel refused to remove target entries; its slot is switched off.
        """
        with self._lock:
            self._halted.discard(warrant.id)
            order = self._orders.get(warrant.id)
            if warrant.state in OVER:
                if warrant.generation:
                    self._over([(order, warrant)])
            elif order is not None:
                armed = order.phase is Phase.ACTIVE
                order.warrant, order.phase, order.since = warrant, Phase.SUSPENDED, time.monotonic()
                if armed:
                    self._write_armed()
                agree(self._rooms, [order], active=False)

    def _over(self, over: Sequence[tuple[LiveOrder | None, Warrant]]) -> None:
        """Ends orders in whatever phase they are."""
        running = []
        for order, warrant in over:
            if order is not None and order.streams:
                if order.phase not in (Phase.ENDING, Phase.DELIVERING):
                    running.append((order, warrant))
            else:
                self._orders.pop(warrant.id, None)
                self._drop_waiting(warrant)
        if running:
            self._end(running)

    def _drop_waiting(self, ended: Warrant) -> None:
        """Ends an order that is not in the kernel; what it took in an earlier life is delivered."""
        self._rooms.alarms.clear("agency-gone", ended.id)
        if not self._entry.has_files(ended):
            self._rooms.store.release_slot(ended.id)
            return
        order = self._entry.opened(ended, Phase.ENDING, active=False)
        if order is not None:  # else the next start takes it up
            self._enlist(order)
            self._publish()

    def expire(self, trusted: Callable[[], bool]) -> None:
        """Arms what is due and ends what is over; called a few times a second.

        Args:
            trusted: False while the clock may be wrong: the kernel keeps to the windows, nothing is ended for good.
                Asked when the time was read: a step before that reading must be known by then.
        """
        now = now_ns()
        may_end = trusted()
        phases = (Phase.ACTIVE, Phase.WAITING, Phase.SUSPENDED)
        with self._lock:
            self._hold_back(now)
            self._arm_due(now)
            if not may_end:
                return
            if any(o.phase in phases and now >= o.warrant.ends_ns for o in self._orders.values()):
                self._expire(now)

    def _hold_back(self, now: int) -> None:
        """By a clock that is doubted the kernel would go on with what is over."""
        held = [o for o in self._orders.values() if o.phase is Phase.ACTIVE and not self._time.open(o, now)]
        if self._time.doubt and held:
            for order in held:
                order.phase, order.since = Phase.WAITING, time.monotonic()
                _log.warning("order held back", order=order.id)
            self._write_armed()
            agree(self._rooms, held, active=False)

    def expire_drafts(self, trusted: Callable[[], bool]) -> None:
        """Ends what waits for approval and would begin too late; called now and then. `trusted` as for `expire`."""
        now = now_ns()
        if trusted():
            with self._lock:
                self._expire(now)

    def _expire(self, now: int) -> None:
        ended = expire_in_store(self._rooms.record, self._rooms.store, now)
        self._over([(self._orders.get(w.id), w) for w in ended if w.generation])

    def _arm_due(self, now: int) -> None:
        """Arms what waited, all of it in one change of the tables: many windows begin at the same moment."""
        due = [
            order
            for order in self._orders.values()
            if order.phase is Phase.WAITING
            and order.id not in self._halted
            and self._time.open(order, now)
            and time.monotonic() - order.since >= RETRY_S
        ]
        if due and self._site_allows():
            self._arm([order for order in due if self._ready(order)])

    def _site_allows(self) -> bool:
        try:
            self._may_arm()
        except LictlError as error:
            self._rooms.alarms.set("site-lock", "", error.what)
            for order in self._orders.values():
                if order.phase is Phase.WAITING:
                    order.since = time.monotonic()
            return False
        self._rooms.alarms.clear("site-lock")
        return True

    def _ready(self, order: LiveOrder) -> bool:
        """Opens the streams of an order that was not armed yet; False where that has to be tried again."""
        order.since = time.monotonic()
        if not order.streams:
            opened = self._entry.opened(order.warrant, Phase.WAITING, active=True)
            if opened is None:
                return False
            self._enlist(opened)
        return True

    def _arm(self, orders: Sequence[LiveOrder]) -> None:
        armed = [self._orders[order.id] for order in orders]
        self._arming.arm(armed)
        agree(self._rooms, [order for order in armed if order.phase is Phase.ACTIVE], active=True)

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
        armed = [o.warrant for o in self._orders.values() if o.phase is Phase.ACTIVE and o.id not in self._halted]
        self._kernel.write(armed)

    def _publish(self) -> None:
        self.live = {o.claim: o for o in self._orders.values() if o.streams and o.phase is not Phase.DELIVERING}

    # ---- the end of an order

    def close_ended(self) -> None:
        """Closes the streams of orders that are out of the kernel, and drops those that the agencies have.

        Without the lock but where it is chosen which, and where their set changes: it waits for the rings and for the
        disk, and who stops another order meanwhile would wait for that. No act touches an order that is over; one
        thread calls this.
        """
        with self._lock:  # an order that is being ended is out of the tables when this is had
            now = time.monotonic()
            ended = [o for o in self._orders.values() if o.phase is Phase.ENDING and now - o.since >= GRACE_S]
            closed = [o for o in self._orders.values() if o.phase is Phase.DELIVERING]
        for order in ended:
            if close(self._rooms, order):
                with self._lock:
                    self._publish()
        for order in filter(delivered, closed):
            finish(self._rooms, order)
            with self._lock:
                del self._orders[order.id]
                self._publish()
            self._rooms.store.release_slot(order.warrant.id)
            _log.info("order finished", order=order.id)

    # ---- what others ask

    def reach_anew(self, agency: str) -> bool:
        """Delivers to an agency by the transport that the store has now; false where nothing is delivered there."""
        with self._lock:  # an order that was being opened with the old one has its delivery process by then
            transport = self._rooms.store.transport(agency)
        return self._rooms.workers.renew(agency, transport)

    def early(self, warrant: Warrant) -> bool:
        """Its window is too far ahead for the kernel's tables."""
        return now_ns() < warrant.starts_ns - LEAD_NS

    @property
    def still(self) -> threading.RLock:
        """While it is held, no order changes."""
        return self._lock

    def tables(self) -> Tables:
        """What the kernel should hold now: nothing is armed whose stop was asked for, even if that was not kept."""
        with self._lock:
            wanted = self._kernel.wanted
            off = {order.warrant.slot for order in self._orders.values() if order.id in self._halted}
            return replace(wanted, slots={slot: held for slot, held in wanted.slots.items() if slot not in off})

    # ---- the end of the daemon

    def save(self) -> None:
        """Writes down losses by class, where they changed."""
        for order in self.orders():
            for stream in order.streams:
                stream.save()
