# SPDX-License-Identifier: Apache-2.0
"""One background thread that flushes the spools of this process at their interval."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Protocol


class Syncable(Protocol):
    """What the thread needs of a spool."""

    interval_s: float

    def sync(self) -> int:
        """Flushes; returns the last block that is on disk."""


class Syncer:
    """Flushes registered spools; the thread lives as long as one is registered."""

    def __init__(self) -> None:
        self._spools: weakref.WeakSet[Syncable] = weakref.WeakSet()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._next = 0.0

    def add(self, spool: Syncable) -> None:
        """Begins to flush a spool."""
        with self._wake:
            self._spools.add(spool)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spool-sync", daemon=True)
                self._next = time.monotonic() + spool.interval_s
                self._thread.start()
            elif time.monotonic() + spool.interval_s < self._next:  # a thousand that are opened wake it not once each
                self._next = time.monotonic() + spool.interval_s
                self._wake.notify()

    def remove(self, spool: Syncable) -> None:
        """Stops flushing it."""
        with self._wake:
            self._spools.discard(spool)
            if not self._spools:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._spools and (left := self._next - time.monotonic()) > 0:
                    self._wake.wait(left)
                spools = list(self._spools)
                if not spools:
                    self._thread = None
                    return
            for spool in spools:
                spool.sync()
            with self._wake:
                self._next = time.monotonic() + min((spool.interval_s for spool in self._spools), default=0.0)
            del spools


SYNCER = Syncer()
