# SPDX-License-Identifier: Apache-2.0
"""A site whose daemon has loopback for its only port, and a generator of its own process: no link, no namespace.

As a script (``python -m bench.loopback FOLDER``) it is the generator: for each slot that it reads, a line each, it
sends packets until the kernel takes one, says when, sends on until the kernel takes none, and says when that was.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lictl.home import Home
from lictl.lab import frames
from lictl.lab.loopback import Feed
from lictl.lab.people import Team, lab_roles
from lictl.lab.site import Order
from lictl.service.client import Client
from lictl.service.founding import found
from lictl.service.site import Site
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

AGENCY_PORT = 41901
TARGET, PEER = "203.0.113.7", "198.51.100.1"
MINUTE = 60_000_000_000
FRAME = bytes(frames.eth(frames.ipv4(TARGET, PEER, frames.udp(4000, 53, bytes(470)))))
PATIENCE_S = 600.0
GONE = 3
"""So many packets in a row that are not taken end an order for the generator."""


class LoopbackSite:
    """A home in `folder` and its daemon; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.team = Team(self.home)
        self.client = Client(self.home, timeout_s=PATIENCE_S)
        self._log = folder / "log"
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.home.root.parent.mkdir(parents=True, exist_ok=True)
        found(self.home, Site(operator="BENCH", element="bench", country="US"), lab_roles())
        store = Store.of(self.home)
        store.add_agency(Agency("agency", "127.0.0.1", AGENCY_PORT, "pcapng"))
        store.close()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> float:
        """Starts the daemon; seconds until it answers."""
        began = time.monotonic()
        with self._log.open("ab") as log:
            argv = [sys.executable, "-m", "lictl.lab.loopback", str(self.home.root), "16"]
            self._daemon = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log)
        while not self.client.daemon_runs:
            if self._daemon.poll() is not None or time.monotonic() - began > PATIENCE_S:
                raise RuntimeError(f"the daemon does not answer: {self._log.read_text()[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - began

    def end(self) -> None:
        """Ends the daemon."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGTERM)
            self._daemon.wait(PATIENCE_S)

    def submitted(self, name: str, targets: Sequence[str] = (f"ip:{TARGET}",)) -> str:
        """Id of an order that waits for its approval."""
        now = now_ns()
        times = format_rfc3339(now - MINUTE), format_rfc3339(now + 600 * MINUTE)
        text = Order(name, "content", targets, *times, ("agency",)).toml()
        added = self.team.operator("warrant.add", text=text, name=name, submit=True)
        return str(added["id"])

    def approve(self, order: str) -> dict[str, Any]:
        """Puts it into force."""
        done: dict[str, Any] = self.team.approver("warrant.approve", name=order)
        return done

    def slot(self, order: str) -> int:
        """Where an order in force stands in the kernel."""
        store = Store.of(self.home)
        try:
            return store.get(order).slot
        finally:
            store.close()


class Generator:
    """The other process; a context manager."""

    def __init__(self, home: Home) -> None:
        self._folder = home.bpf

    def __enter__(self) -> Self:
        argv = [sys.executable, "-m", "bench.loopback", str(self._folder)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def watch(self, slot: int) -> None:
        """Begins to send, and to look at a slot."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{slot}\n")
        self._process.stdin.flush()

    def moment(self) -> int:
        """CLOCK_MONOTONIC, ns: of the first packet that was taken; asked again, of the last."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _generate(folder: Path) -> None:
    with Feed(folder) as feed:
        for line in sys.stdin:
            slot = int(line)
            known = feed.matched(slot)
            taken, missed = 0, 0
            while missed < GONE:
                feed.send(FRAME)
                moment, count = time.monotonic_ns(), feed.matched(slot)
                if count > known:
                    if not taken:
                        print(moment, flush=True)
                    taken, known, missed = moment, count, 0
                elif taken:
                    missed += 1
            print(taken, flush=True)


if __name__ == "__main__":
    _generate(Path(sys.argv[1]))
