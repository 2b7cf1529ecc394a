# SPDX-License-Identifier: Apache-2.0
"""One worker an agency: a lock on its folder, and how a new worker asks an orphaned one to leave."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

LOCK_FILE = Path("worker.lock")
SUCCESSOR_FILE = Path("successor")
_POLL_S = 0.02


def take_over() -> int:
    """Waits until this process is the only worker of the current folder; the descriptor holds the lock.

    The file `successor` asks a worker whose daemon is gone to leave. However long that takes: two workers would deliver
    everything twice. The daemon's alarm `agency-down` tells of a wait that does not end.
    """
    fd = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            SUCCESSOR_FILE.touch(mode=0o600)
            time.sleep(_POLL_S)
        else:
            SUCCESSOR_FILE.unlink(missing_ok=True)
            return fd


def successor_waits() -> bool:
    """True when another worker has asked for the lock."""
    return SUCCESSOR_FILE.exists()
