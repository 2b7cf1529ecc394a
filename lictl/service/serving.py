# SPDX-License-Identifier: Apache-2.0
"""What a daemon serves with once its home is open and its kernel state loaded: put together, and taken apart again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lictl import log
from lictl.audit.desk import AuditDesk
from lictl.errors import LictlError
from lictl.mediation.mediator import Mediator
from lictl.people.actor import this_process
from lictl.probe.batch import Batch
from lictl.probe.tables import KernelTables
from lictl.profiles import site_lock
from lictl.service import status
from lictl.service.accounting import account
from lictl.service.control import ControlServer
from lictl.service.datapath import CAPACITY, DataPath
from lictl.service.finished import finished
from lictl.service.housekeeping import Housekeeping, final_settlement
from lictl.service.in_force import InForce
from lictl.service.operations import operations
from lictl.service.parallel import in_parallel
from lictl.service.reconciling import note_foreign, reconciler
from lictl.service.refusals import Refusals, subject_of
from lictl.service.registry import Registry
from lictl.service.rooms import Rooms
from lictl.service.trusted_time import TrustedTime
from lictl.service.unresolved import resolve
from lictl.service.workers import Workers
from lictl.times import now_ns
from lictl.warrants.anchor import StoreAnchor

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from lictl.probe.clock import Clock
    from lictl.probe.probe import Probe
    from lictl.service.alarms import Alarms
    from lictl.service.live import LiveOrder
    from lictl.service.loading import Ending
    from lictl.service.office import Office
    from lictl.service.options import ServeOptions
    from lictl.service.ports import Ports
    from lictl.service.steps import ClockSteps

WAKE_S = 0.001
LAST_BLOCKS_S = 3.0

_log = log.get("daemon")


@dataclass(slots=True)
class Serving:
    """Orders, data path, housekeeping and control socket of one daemon.

    Attributes:
        office: open.
        probe: loaded.
        clock: of the probe; it runs.
        ports: not attached yet.
        alarms: of the daemon.
        steps: of the clock.
        options: what to serve.
        uid: who talks to agencies.
        ending: whether the daemon was told to end, and what it leaves then.
        leave: the kernel's state ends with this daemon: it was begun by it, or its orders are taken up.
        orders: that there is work for.
    """

    office: Office
    probe: Probe
    clock: Clock
    ports: Ports
    alarms: Alarms
    steps: ClockSteps
    options: ServeOptions
    uid: int | None
    ending: Ending
    leave: bool = False
    orders: Registry = field(init=False)
    _rooms: Rooms = field(init=False)
    _woken: float = 0.0

    def start(self, stack: contextlib.ExitStack) -> None:
        """Takes up the orders and serves them; `stack` takes it apart again.

        Raises:
            LictlError: it cannot be started.
        """
        office, home, probe = self.office, self.office.home, self.probe
        workers, mediator = Workers(home, self.uid), Mediator()
        stack.callback(workers.stop)
        datapath = DataPath(probe, Batch(CAPACITY), lambda batch: self.orders.take(batch), self._wake, self.alarms)
        self._rooms = Rooms(
            home, office.site, office.store, office.record, probe, KernelTables(probe), mediator, datapath,
            workers, self.alarms, self.options.quota_bytes, self.uid, self.ports.name,
        )  # fmt: skip
        may_arm = partial(site_lock.require, home, office.site.country)
        time_ = TrustedTime(office.store, office.record, self.alarms)
        voucher = this_process(home) if self.options.trust_clock else None
        time_.begin(self.clock.read().synchronised, voucher)
        self.orders = Registry(self._rooms, time_, may_arm)
        effects = InForce(self.orders, may_arm, self._streams)
        resolve(home, office.record.chain, office.store, effects)
        stack.callback(self._close_spools)
        note_foreign(self._rooms, office.keys.sealer)
        self.orders.recover()
        self.ports.attach(probe, self._rooms.tables)
        self.leave = True
        datapath.start()
        stack.callback(self._empty)
        self._keep(stack, time_, effects)

    def _keep(self, stack: contextlib.ExitStack, time_: TrustedTime, effects: InForce) -> None:
        """What runs beside the data path."""
        office, started = self.office, now_ns()
        reconciling = reconciler(self._rooms, self.orders, self.ports, office.keys.sealer)
        refusals = Refusals(office.record.chain, partial(subject_of, office.store))
        rare = (reconciling.due, partial(self._held, office.hold), refusals.settle)
        keeping = Housekeeping(self._rooms, self.orders, self.ports, self.clock, self.steps, time_, rare)
        self.steps.hurry = keeping.hurry
        keeping.start()
        stack.callback(keeping.stop)
        office.store.stand()
        table = operations(office.home, office.site, office.store, office.record, effects)
        report = {
            "status": lambda actor: status.report(self._rooms, self.orders, self.ports, self.clock, started),
            "status.finished": lambda actor: finished(office.home, office.store),
        }
        audit = AuditDesk(office.record.chain, StoreAnchor(office.store), reconciling.run).table()
        stack.callback(refusals.close)
        control = ControlServer(office.home, {**table, **report, **audit}, refused=refusals.note)
        control.start()
        stack.callback(control.stop)

    def _held(self, hold: Callable[[], None]) -> None:
        try:
            hold()
        except LictlError as error:
            self.alarms.set("database", "", error.what)
        else:
            self.alarms.clear("database")

    def _streams(self, name: str) -> list[dict[str, Any]] | None:
        return status.streams(self._rooms, self.orders, name)

    def _wake(self, busy: bool) -> None:
        """Tells the delivery that blocks were written: at once when the rings are empty, else once a millisecond."""
        now = time.monotonic()
        if not busy or now - self._woken >= WAKE_S:
            self._woken = now
            self._rooms.workers.wake_all()

    # ---- stop, in the reverse order of start

    def _empty(self) -> None:
        """Ends the capture, takes what the rings hold, closes the accounts."""
        rooms = self._rooms
        try:
            if not self.ending.keeps:
                for attached in rooms.probe.attachments():
                    rooms.probe.detach(attached.ifindex, attached.hook)
                final_settlement(rooms, self.orders.orders())
        except LictlError as error:
            _log.error("not everything was taken", error=type(error).__name__, **log.place(error))
        rooms.datapath.stop()

    def _deliver_rest(self) -> None:
        """Gives connected agencies a moment to take the last blocks; what they do not take waits in the spools."""
        self._rooms.workers.wake_all()
        end = time.monotonic() + LAST_BLOCKS_S
        while self._rooms.workers.connected and time.monotonic() < end:
            streams = [stream for order in self.orders.orders() for stream in order.streams]
            if all(stream.spool.acknowledged >= stream.spool.last_block for stream in streams):
                return
            time.sleep(0.02)

    def _close_spools(self) -> None:
        if self.ending.asked.is_set() and not self.ending.keeps:
            self._deliver_rest()
        in_parallel(self._close_streams, self.orders.orders())

    def _close_streams(self, order: LiveOrder) -> None:
        for stream in order.streams:
            try:
                if self.leave and not self.ending.keeps:
                    kernel = status.kernel_counts(self._rooms, order)
                    stream.fold(account(stream.saved.base, stream.facts(stream.spool.cursor.total_records), kernel))
                else:
                    stream.save()
            except (LictlError, OSError) as error:
                _log.error("account not saved", order=order.id, error=type(error).__name__, **log.place(error))
            stream.spool.close()
