# SPDX-License-Identifier: Apache-2.0
"""The one thread that takes records out of the rings and gives them to the mediator.

Per batch: drain, mediate, release; the rings are released only when the batch stands in every spool it belongs to, so
what a killed daemon had not written is still there for the next. Work that needs the data path to stand still for a
moment (accounting, closing a stream) is run by this thread between two batches.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lictl import log
from lictl.errors import LictlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.service.alarms import Alarms

CAPACITY = 8192
WAIT_US = 100_000
# While few records come, they are let gather for so long: it keeps blocks and system calls few, and latency low.
NAP_US = 200
FEW = CAPACITY // 16
# A batch that cannot be written is tried again this often, then given up: its loss shows as a jump in the stream.
ATTEMPTS = 12
FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 1.0

_log = log.get("datapath")
T = TypeVar("T")


class Source(Protocol):
    """What the data path needs of `lictl.probe.probe.Probe`."""

    def drain(self, batch: Any) -> int: ...
    def release(self) -> None: ...
    def wait(self, timeout_us: int) -> bool: ...
    def nap(self, timeout_us: int) -> bool: ...
    def wake(self) -> None: ...


class DataPath:
    """Runs `take` on every batch, in one thread.

    Args:
        source: the probe.
        batch: memory for one batch.
        take: writes a batch to the spools; must be repeatable (sequencing drops what was taken).
        taken: called after each batch with True, and once with False when the rings have run empty.
        alarms: gets `mediation`.
    """

    def __init__(
        self,
        source: Source,
        batch: Any,
        take: Callable[[Any], None],
        taken: Callable[[bool], None],
        alarms: Alarms,
    ) -> None:
        self._source = source
        self._batch = batch
        self._take = take
        self._taken = taken
        self._alarms = alarms
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._unwritten = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="datapath", daemon=True)
        self.batches = 0
        self.records = 0
        self.given_up = 0

    def start(self) -> None:
        """Begins to drain."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the batch in work; waiting calls are still run."""
        self._stop.set()
        self._source.wake()
        self._thread.join(timeout=60)

    @property
    def alive(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    def call(self, work: Callable[[], T], timeout_s: float = 60.0) -> T:
        """Runs `work` in the data path's thread between two batches and returns its result.

        Raises:
            LictlError: the data path has ended or did not come to it in time.
        """
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return work()
        future: Future[T] = Future()
        self._calls.put((work, future))
        self._source.wake()
        try:
            return future.result(timeout_s)
        except TimeoutError:
            if future.cancel():
                raise LictlError(
                    "the data path does not answer.", "Restart lictl; the rings keep what waits."
                ) from None
            return future.result(timeout_s)

    def drain_past(self, ktime_ns: int) -> None:
        """Takes every record from before this moment (CLOCK_MONOTONIC); only within a `call`.

        Batches are merged by time, so one that ends behind the moment shows that all rings are drained up to it.

        Raises:
            LictlError: a batch that could not be written waits for its next attempt; nothing may be drained over it.
        """
        if self._unwritten:
            raise LictlError("records wait to be written.", "See the alarm; it is tried again.")
        while (taken := self._turn()) > 0:
            if int(self._batch.recs["ktime_ns"][taken - 1]) > ktime_ns:
                return

    def _run(self) -> None:
        busy = False
        while not self._stop.is_set():
            taken = self._turn()
            self._run_calls()
            if taken:
                busy = True
                if taken < FEW:
                    self._source.nap(NAP_US)
                continue
            if busy:
                busy = False
                self._taken(False)
            self._source.wait(WAIT_US)
        self._run_calls()

    def _turn(self) -> int:
        taken = self._source.drain(self._batch)
        if taken <= 0:
            self._source.release()  # what the program discarded takes room in a ring, too
            return 0
        self._mediate(taken)
        self._source.release()
        self.batches += 1
        self.records += taken
        self._taken(True)
        return taken

    def _mediate(self, taken: int) -> None:
        pause = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._take(self._batch)
            except Exception as error:
                _log.error("batch not written", attempt=attempt, error=type(error).__name__, **log.place(error))
                self._alarms.set("mediation", "", "A batch of records could not be written to the spools.")
                if attempt < ATTEMPTS:
                    self._unwritten = True
                    self._run_calls()
                    self._unwritten = False
                    time.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                if self.given_up == 0:
                    self._alarms.clear("mediation")
                return
        self.given_up += taken

    def _run_calls(self) -> None:
        while True:
            try:
                work, future = self._calls.get_nowait()
            except queue.Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
