# SPDX-License-Identifier: Apache-2.0
"""Keeps the audit chain's heads behind the acts: a revocation does not wait for the database."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from lictl import log
from lictl.errors import LictlError

if TYPE_CHECKING:
    from lictl.audit.anchor import Anchor

_log = log.get("audit")


PAUSE_S: Final = 0.05
STOP_S: Final = 30.0
"""How long a stop waits for the last head: behind it stands a database, or a syslog, that may not answer."""


class LateAnchor:
    """An anchor (`lictl.audit.anchor.Anchor`) that writes the last head a moment later, in a thread of its own.

    A crash in between leaves an older head outside: the entries behind it are on disk and signed all the same.
    """

    def __init__(self, anchor: Anchor) -> None:
        self._anchor = anchor
        self._latest: tuple[int, str] | None = None
        self._lock = threading.Lock()
        self._turn = threading.Event()
        self._failed: Exception | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)
        self._thread.start()

    def write(self, seq: int, hash: str) -> None:
        """See `Anchor.write`; what is overtaken by a newer head is left out.

        Raises:
            LictlError, OSError: the head before could not be kept; this one is tried all the same.
        """
        with self._lock:
            self._latest = (seq, hash)
            failed = self._failed
        self._turn.set()
        if failed is not None:
            raise failed

    def read(self) -> tuple[int, str] | None:
        """See `Anchor.read`."""
        return self._anchor.read()

    def stop(self) -> None:
        """Writes the last head; returns when that is done, or could not be done in time."""
        self._ending.set()
        self._turn.set()
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            _log.error("head not anchored", error="no answer in time")

    def _run(self) -> None:
        while not self._ending.is_set():
            self._turn.wait()  # no bound: a head or the stop ends it, and nothing else is done here
            self._turn.clear()
            self._keep()
            self._ending.wait(PAUSE_S)  # one act has several heads: the last is enough
        self._keep()

    def _keep(self) -> None:
        with self._lock:
            latest, self._latest = self._latest, None
        if latest is None:
            return
        try:
            self._anchor.write(*latest)
            self._failed = None
        except (LictlError, OSError) as error:
            self._failed = error
            _log.error("head not anchored", error=type(error).__name__, **log.place(error))
