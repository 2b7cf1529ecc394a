# SPDX-License-Identifier: Apache-2.0
"""The daemon: puts the rooms together, starts them in an order that is safe, and takes them apart again."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from lictl import log
from lictl.audit.desk import AuditDesk
from lictl.delivery.privilege import hide_memory
from lictl.errors import LictlError
from lictl.mediation.mediator import Mediator
from lictl.people.actor import this_process
from lictl.probe.batch import Batch
from lictl.probe.clock import Clock
from lictl.probe.probe import Probe
from lictl.probe.tables import KernelTables
from lictl.profiles import site_lock
from lictl.service import bpffs, guard, pins, status
from lictl.service.accounting import account
from lictl.service.alarms import Alarms
from lictl.service.control import ControlServer
from lictl.service.datapath import CAPACITY, DataPath
from lictl.service.finished import finished
from lictl.service.housekeeping import Housekeeping, final_settlement
from lictl.service.in_force import InForce
from lictl.service.notify import notify
from lictl.service.office import open_office
from lictl.service.operations import operations
from lictl.service.parallel import in_parallel
from lictl.service.ports import Ports
from lictl.service.reconciling import note_foreign, reconciler
from lictl.service.refusals import Refusals, subject_of
from lictl.service.registry import Registry
from lictl.service.rooms import Rooms
from lictl.service.steps import ClockSteps
from lictl.service.trusted_time import TrustedTime
from lictl.service.unresolved import resolve
from lictl.service.workers import Workers, delivery_uid
from lictl.times import now_ns
from lictl.warrants.anchor import StoreAnchor

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.home import Home
    from lictl.service.live import LiveOrder
    from lictl.service.office import Office
    from lictl.service.options import ServeOptions

WAKE_S = 0.001
LAST_BLOCKS_S = 3.0

_log = log.get("daemon")


class Daemon:
    """Serves one home until it is told to stop.

    Start: lock - store - interfaces looked up - kernel state loaded or taken over - orders that are not in force
    removed - streams opened, the rings drained meanwhile - orders armed - capture attached - data path, housekeeping,
    control socket.
    Stop: control socket - capture detached - rings emptied, accounts closed - kernel state removed - delivery ended.

    Args:
        home: made and private (`guard.open_home`).
        options: what to serve.

    Attributes:
        PORTS: what attaches; the lab has a daemon that attaches nothing.
    """

    PORTS: ClassVar[type[Ports]] = Ports

    def __init__(self, home: Home, options: ServeOptions) -> None:
        self._home = home
        self._options = options
        self._stopped = threading.Event()
        self._woken = 0.0
        self._alarms = Alarms()
        self._steps = ClockSteps(self._alarms)

    def run(self) -> None:
        """Serves in the foreground until SIGTERM or SIGINT.

        Raises:
            LictlError: it cannot be started; nothing is left attached.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())
        with self.serving():
            # The kernel may give a signal to any thread; only the main one runs its handler, when it wakes.
            while not self._stopped.wait(0.2):
                pass

    def stop(self) -> None:
        """Ends `run`; may be called from a signal handler."""
        self._stopped.set()

    @contextlib.contextmanager
    def serving(self) -> Any:
        """Everything runs inside this context."""
        hide_memory()
        guard.raise_file_limit()
        with contextlib.ExitStack() as stack:
            stack.enter_context(guard.DaemonLock(self._home))
            guard.open_passages(self._home)
            guard.check_files(self._home, delivery_uid())
            office = stack.enter_context(open_office(self._home, self._unwritten))
            damage = office.record.chain.damage
            self._alarms.when(damage != "", "audit", "chain", f"The audit chain was changed from outside: {damage}")
            ports = self.PORTS(self._alarms, self._options)
            self._start_probe(stack)
            self._start_rooms(stack, office, ports)
            notify("READY=1")
            _log.info("serving", took_over=self._rooms.probe.took_over, orders=len(self._registry.orders()))
            yield self
            notify("STOPPING=1")
            _log.info("stopping", keep=self._options.keep)

    # ---- start

    def _start_probe(self, stack: contextlib.ExitStack) -> None:
        options = self._options
        folder = options.pin_dir or self._home.bpf
        bpffs.ensure(folder)
        stack.callback(bpffs.remove, folder)
        pins.check_netns(self._home)
        self._probe = Probe.open(folder, options.ring_bytes, options.fresh)
        self._leave = not self._probe.took_over  # a start that fails ends only what it began itself
        stack.callback(self._end_probe)
        pins.note(self._home, pins.Pins(str(folder), options.ring_bytes, pins.this_netns()))
        self._clock = Clock(self._probe, self._steps.stepped)
        stack.callback(self._clock.stop)
        self._clock.start()

    def _unwritten(self, seq: int) -> None:
        self._alarms.set("audit", "outcome", f"The outcome of act {seq} could not be recorded; the next start does it.")

    def _start_rooms(self, stack: contextlib.ExitStack, office: Office, ports: Ports) -> None:
        probe, uid = self._probe, delivery_uid()
        workers, mediator = Workers(self._home, uid), Mediator()
        stack.callback(workers.stop)
        datapath = DataPath(probe, Batch(CAPACITY), lambda batch: self._registry.take(batch), self._wake, self._alarms)
        self._rooms = Rooms(
            self._home, office.site, office.store, office.record, probe, KernelTables(probe), mediator, datapath,
            workers, self._alarms, self._options.quota_bytes, uid, ports.name,
        )  # fmt: skip
        may_arm = partial(site_lock.require, self._home, office.site.country)
        time_ = TrustedTime(office.store, office.record, self._alarms)
        voucher = this_process(self._home) if self._options.trust_clock else None
        time_.begin(self._clock.read().synchronised, voucher)
        self._registry = Registry(self._rooms, time_, may_arm)
        effects = InForce(self._registry, may_arm, self._streams)
        resolve(self._home, office.record.chain, office.store, effects)
        stack.callback(self._close_spools)
        note_foreign(self._rooms, office.keys.sealer)
        self._registry.recover()
        ports.attach(probe, self._rooms.tables)
        self._leave = True
        datapath.start()
        stack.callback(self._empty)
        started = now_ns()
        reconciling = reconciler(self._rooms, self._registry, ports, office.keys.sealer)
        refusals = Refusals(office.record.chain, partial(subject_of, office.store))
        rare = (reconciling.due, partial(self._held, office.hold), refusals.settle)
        keeping = Housekeeping(self._rooms, self._registry, ports, self._clock, self._steps, time_, rare)
        self._steps.hurry = keeping.hurry
        keeping.start()
        stack.callback(keeping.stop)
        office.store.stand()
        table = operations(self._home, office.site, office.store, office.record, effects)
        report = {
            "status": lambda actor: status.report(self._rooms, self._registry, ports, self._clock, started),
            "status.finished": lambda actor: finished(self._home, office.store),
        }
        audit = AuditDesk(office.record.chain, StoreAnchor(office.store), reconciling.run).table()
        stack.callback(refusals.close)
        control = ControlServer(self._home, {**table, **report, **audit}, refused=refusals.note)
        control.start()
        stack.callback(control.stop)

    def _held(self, hold: Callable[[], None]) -> None:
        try:
            hold()
        except LictlError as error:
            self._alarms.set("database", "", error.what)
        else:
            self._alarms.clear("database")

    def _streams(self, name: str) -> list[dict[str, Any]] | None:
        return status.streams(self._rooms, self._registry, name)

    def _wake(self, busy: bool) -> None:
        """Tells the delivery that blocks were written: at once when the rings are empty, else once a millisecond."""
        now = time.monotonic()
        if not busy or now - self._woken >= WAKE_S:
            self._woken = now
            self._rooms.workers.wake_all()

    # ---- stop, in the reverse order of start

    @property
    def _keeps(self) -> bool:
        """The capture goes on without a daemon."""
        return self._options.keep and self._stopped.is_set()

    def _empty(self) -> None:
        """Ends the capture, takes what the rings hold, closes the accounts."""
        rooms = self._rooms
        try:
            if not self._keeps:
                for attached in rooms.probe.attachments():
                    rooms.probe.detach(attached.ifindex, attached.hook)
                final_settlement(rooms, self._registry.orders())
        except LictlError as error:
            _log.error("not everything was taken", error=type(error).__name__, **log.place(error))
        rooms.datapath.stop()

    def _deliver_rest(self) -> None:
        """Gives connected agencies a moment to take the last blocks; what they do not take waits in the spools."""
        self._rooms.workers.wake_all()
        end = time.monotonic() + LAST_BLOCKS_S
        while self._rooms.workers.connected and time.monotonic() < end:
            streams = [stream for order in self._registry.orders() for stream in order.streams]
            if all(stream.spool.acknowledged >= stream.spool.last_block for stream in streams):
                return
            time.sleep(0.02)

    def _close_spools(self) -> None:
        if self._stopped.is_set() and not self._keeps:
            self._deliver_rest()
        in_parallel(self._close_streams, self._registry.orders())

    def _close_streams(self, order: LiveOrder) -> None:
        for stream in order.streams:
            try:
                if self._leave and not self._keeps:
                    kernel = status.kernel_counts(self._rooms, order)
                    stream.fold(account(stream.saved.base, stream.facts(stream.spool.cursor.total_records), kernel))
                else:
                    stream.save()
            except (LictlError, OSError) as error:
                _log.error("account not saved", order=order.id, error=type(error).__name__, **log.place(error))
            stream.spool.close()

    def _end_probe(self) -> None:
        if self._keeps or not self._leave:
            self._probe.close()
            return
        self._probe.destroy()
        pins.forget(self._home)
