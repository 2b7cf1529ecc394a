# SPDX-License-Identifier: Apache-2.0
"""lictl with a clock that a test can step: as a script, it reads shifts (decimal ns) from standard input, one a line.

The machine's clock is never touched: both clock sources of lictl (`lictl.times`, the native one) add
LICTL_CLOCK_OFFSET_NS, which is changed while they run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lictl.lab.site import BOTH_PORTS

if TYPE_CHECKING:
    from e2e_rig import Rig

VARIABLE = "LICTL_CLOCK_OFFSET_NS"


class SteppedDaemon:
    """The rig's daemon, whose clock can be stepped."""

    def __init__(self, rig: Rig) -> None:
        """Starts it; returns when it answers."""
        command = [sys.executable, str(Path(__file__).resolve()), *rig.argv("serve", *BOTH_PORTS)[3:]]
        with (rig.folder / "daemon.log").open("ab") as log:
            env = {**os.environ, VARIABLE: "0"}
            rig.daemon = rig.lab.start("isp", command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=env)
        self._process = rig.daemon
        rig.await_daemon()

    def step(self, to_ns: int) -> None:
        """Sets the daemon's clock to so much before or behind the machine's."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{to_ns}\n".encode())
        self._process.stdin.flush()


def _listen() -> None:
    from lictl.probe import clock

    for line in sys.stdin:
        os.environ[VARIABLE] = line.strip()  # os.environ calls setenv, which the native clock reads
        clock.inject(0)  # wakes the clock's thread, as the kernel does when the real clock is stepped


if __name__ == "__main__":
    threading.Thread(target=_listen, daemon=True).start()
    from lictl.cli import main

    main()
