# SPDX-License-Identifier: Apache-2.0
"""Group commit: one thread makes what all streams received durable, then tells the loop what to acknowledge."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.collection.evidence import Evidence
    from lictl.collection.store import StreamFile

    Committed = StreamFile | Evidence

_BATCH_S = 0.02
_BATCH_BYTES = 4 << 20


class Committer:
    """Commits at once when idle; under load every 20 ms or 4 MiB.

    Args:
        lock: guards the streams' books.
        durable: False leaves out the flushes: for benchmarks, a power loss takes what was acknowledged.
        done: called in the committer's thread for each stream with None, or why it is back at its last commit: the
            disk's error, or a ValueError of books that are larger than their slot.
    """

    def __init__(
        self, lock: threading.Lock, *, durable: bool, done: Callable[[Committed, OSError | ValueError | None], None]
    ) -> None:
        self._lock = lock
        self._durable = durable
        self._done = done
        self._dirty: dict[int, Committed] = {}
        self._bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    def add(self, file: Committed, size: int) -> None:
        """A stream received `size` bytes."""
        with self._changed:
            self._dirty[id(file)] = file
            self._bytes += size
            self._changed.notify()

    def stop(self) -> None:
        """Commits what is left and ends."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()  # no bound: what was received is on the disk before its files are closed

    def _run(self) -> None:
        last = 0.0
        while True:
            with self._changed:
                while not self._dirty:
                    if self._stopping:
                        return
                    self._changed.wait()  # no bound: what comes in or the stop ends it
                while not self._stopping and self._bytes < _BATCH_BYTES:
                    wait = last + _BATCH_S - time.monotonic()
                    if wait <= 0:
                        break
                    self._changed.wait(wait)
                files, self._dirty, self._bytes = list(self._dirty.values()), {}, 0
            last = time.monotonic()
            for file in files:
                self._commit(file)

    def _commit(self, file: Committed) -> None:
        with self._lock:
            snapshot = file.snapshot()
        try:
            file.commit(snapshot, durable=self._durable)
        except (OSError, ValueError) as error:
            with self._lock:
                file.roll_back()
            self._done(file, error)
        else:
            self._done(file, None)
