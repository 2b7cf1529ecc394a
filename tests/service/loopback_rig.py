# SPDX-License-Identifier: Apache-2.0
"""A site whose daemon has loopback for its only port, packets by BPF_PROG_TEST_RUN, and a clock that can be stepped."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import bounded
from daemon_rig import OTHER, TARGET, Rig, frame

from lictl.handover.decode_pcapng import decode_pcapng
from lictl.handover.decoded import Record
from lictl.lab.loopback import OFFSET, Feed
from lictl.lab.people import lab_roles
from lictl.service.client import Client
from lictl.service.founding import found
from lictl.service.site import Site
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from pathlib import Path

_NUMBER = 14 + 20 + 8


class LoopbackRig(Rig):
    """One site, without links and namespaces.

    Attributes:
        port: of the agency.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "")
        # One that is free: without a namespace of its own, the rig shares the machine's loopback with others.
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def __enter__(self) -> LoopbackRig:
        found(self.home, Site(operator="ISP-7", element="box-1", country="US"), lab_roles())
        store = Store.of(self.home)
        store.add_agency(Agency("agency", "127.0.0.1", self.port, "pcapng"))
        store.close()
        return self

    def __exit__(self, *_: object) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.stop()  # not killed: its delivery processes would go on
        if self.agency is not None and self.agency.poll() is None:
            bounded.kill(self.agency)
        subprocess.run(["umount", "-l", str(self.home.bpf)], capture_output=True, check=False, timeout=60)

    def inside(self, *argv: str) -> list[str]:
        """The command line itself."""
        return list(argv)

    def serve(self, *_: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts the daemon, whose clock is the machine's; returns when it answers."""
        argv = [sys.executable, "-m", "lictl.lab.loopback", str(self.home.root), "4"]
        environment = {**os.environ, OFFSET: "0", "LICTL_LOG": "debug", **(env or {})}
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        self.wait(lambda: self.daemon.poll() is not None or Client(self.home).daemon_runs, "the daemon answers")
        assert self.daemon.poll() is None, self.log.read_text()
        return self.daemon

    def receive(self) -> None:
        """Starts the agency."""
        with (self.folder / "agency.log").open("ab") as log:
            argv = self.lictl("receive", "--listen", f"127.0.0.1:{self.port}", "--into", str(self.evidence))
            self.agency = subprocess.Popen(argv, stdout=log, stderr=log)
        self.wait(lambda: "Listening" in (self.folder / "agency.log").read_text(), "the agency listens")

    def step(self, to_ns: int) -> None:
        """Sets the daemon's clock to so much before or behind the machine's; returns when it has noticed."""
        assert self.daemon is not None
        assert self.daemon.stdin is not None
        steps = self.status()["clock"]["steps"]
        self.daemon.stdin.write(f"{to_ns}\n".encode())
        self.daemon.stdin.flush()
        self.wait(lambda: self.status()["clock"]["steps"] == steps + 1, "the step is noticed")

    def records(self, liid: str) -> dict[int, int]:
        """Number of each frame that the agency has of an order, and the time that it carries, in their order."""
        found: dict[int, int] = {}
        for path in sorted(self.evidence.glob(f"*{liid}*.pcapng")):
            with path.open("rb") as file:
                for item in decode_pcapng(file):
                    if isinstance(item, Record):
                        assert item.data is not None
                        (number,) = struct.unpack_from(">Q", item.data, _NUMBER)
                        assert number not in found, "delivered twice"
                        found[number] = item.utc_ns
        return found


class Flow:
    """Sends numbered frames from 0 in a thread until its end; a context manager.

    Attributes:
        sent: frames so far.
    """

    def __init__(self, rig: LoopbackRig, per_second: int = 500) -> None:
        self._rig = rig
        self._pause_s = 1 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent = 0

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        bounded.join(self._thread)

    def _run(self) -> None:
        with Feed(self._rig.home.bpf) as feed:
            while not self._stop.is_set():
                feed.send(frame(TARGET, OTHER, struct.pack(">Q", self.sent)))
                self.sent += 1
                time.sleep(self._pause_s)
