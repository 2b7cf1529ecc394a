# SPDX-License-Identifier: Apache-2.0
"""The daemon: its home, the kernel's side, the rest; begun in an order that is safe, and taken apart again."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from lictl import log
from lictl.delivery.privilege import hide_memory
from lictl.probe.clock import Clock
from lictl.service import bpffs, guard, pins
from lictl.service.alarms import Alarms
from lictl.service.loading import Ending, Loading
from lictl.service.notify import notify
from lictl.service.ports import Ports
from lictl.service.steps import ClockSteps
from lictl.service.users import delivery_uid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.home import Home
    from lictl.probe.probe import Probe
    from lictl.service.options import ServeOptions
    from lictl.service.serving import Serving

SWITCH_S = 0.001
"""A thread that computes holds up another one for so long (Python: 5 ms): who stops an order waits a few times."""

_log = log.get("daemon")


class Daemon:
    """Serves one home until it is told to stop.

    Start: lock - files looked at - kernel state loaded or taken over, and meanwhile: store, interfaces looked up -
    orders that are not in force removed - streams opened, the rings drained meanwhile - orders armed - capture
    attached - data path, housekeeping, control socket.
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
        self._pins_at = options.pin_dir or home.bpf
        self._stopped = threading.Event()
        self._ending = Ending(self._stopped, options.keep)
        self._alarms = Alarms()
        self._steps = ClockSteps(self._alarms)
        self._serving: Serving | None = None

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
            stack.enter_context(_uncollected())
            stack.enter_context(guard.DaemonLock(self._home))
            guard.open_passages(self._home)
            uid = delivery_uid()
            guard.check_files(self._home, uid)
            # What --fresh removes is gone only where the rest can be opened.
            loading = None if self._options.fresh else self._load(stack)
            # Read in only now: it takes as long as the kernel takes to verify the program, on another CPU.
            from lictl.service.office import open_office
            from lictl.service.serving import Serving

            office = stack.enter_context(open_office(self._home, self._unwritten))
            damage = office.record.chain.damage
            self._alarms.when(damage != "", "audit", "chain", f"The audit chain was changed from outside: {damage}")
            ports = self.PORTS(self._alarms, self._options)
            probe, clock = self._take(loading or self._load(stack), stack)
            self._serving = Serving(
                office, probe, clock, ports, self._alarms, self._steps, self._options, uid, self._ending,
                leave=not probe.took_over,  # a start that fails ends only what it began itself
            )  # fmt: skip
            self._serving.start(stack)
            sys.setswitchinterval(SWITCH_S)  # not before: the threads of a start would change places at every turn
            gc.freeze()
            gc.enable()
            notify("READY=1")
            _log.info("serving", took_over=probe.took_over, orders=len(self._serving.orders.orders()))
            yield self
            notify("STOPPING=1")
            _log.info("stopping", keep=self._options.keep)

    # ---- start

    def _unwritten(self, seq: int) -> None:
        self._alarms.set("audit", "outcome", f"The outcome of act {seq} could not be recorded; the next start does it.")

    def _load(self, stack: contextlib.ExitStack) -> Loading:
        bpffs.ensure(self._pins_at)
        stack.callback(bpffs.remove, self._pins_at)
        pins.check_netns(self._home)
        loading = Loading(self._pins_at, self._options.ring_bytes, self._options.fresh)
        stack.callback(loading.abandon)
        return loading

    def _take(self, loading: Loading, stack: contextlib.ExitStack) -> tuple[Probe, Clock]:
        probe = loading.take()
        stack.callback(self._end_probe, probe)
        pins.note(self._home, pins.Pins(str(self._pins_at), self._options.ring_bytes, pins.this_netns()))
        clock = Clock(probe, self._steps.stepped)
        stack.callback(clock.stop)
        clock.start()
        return probe, clock

    # ---- stop

    def _end_probe(self, probe: Probe) -> None:
        leave = not probe.took_over if self._serving is None else self._serving.leave
        if self._ending.keeps or not leave:
            probe.close()
            return
        probe.destroy()
        pins.forget(self._home)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No looking for cycles while everything is made that lives as long as the daemon; `serving` ends that.

    What stands then is frozen: a collection that walked a thousand orders would hold up who stops one for a tenth of
    a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
