# SPDX-License-Identifier: Apache-2.0
"""A daemon on a mirror port in a namespace of its own, an agency beside it, and raw frames on the wire."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import bounded

from lictl.home import Home
from lictl.lab import namespace
from lictl.lab.people import Team, lab_roles
from lictl.lab.site import stated
from lictl.service import bpffs
from lictl.service.client import Client
from lictl.service.founding import found
from lictl.service.site import Site
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TARGET = "203.0.113.77"
OTHER = "198.51.100.1"
PORT = 41900
PATIENCE_S = 60.0


def frame(source: str, destination: str, payload: bytes) -> bytes:
    """Ethernet, IPv4 and UDP; payload is left at the end."""
    udp = struct.pack(">HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    ip = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(udp),
        0,
        0,
        64,
        17,
        0,
        socket.inet_aton(source),
        socket.inet_aton(destination),
    )
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + ip + udp


def when(seconds: float) -> str:
    """RFC 3339 of a time relative to now."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def order(liid: str, *, mode: str = "content", starts: float = -3600, ends: float = 3600, targets: str = f"ip:{TARGET}",
          agencies: tuple[str, ...] = ("agency",)) -> str:  # fmt: skip
    """A warrant file; times relative to now, in seconds."""
    content = mode == "content"
    lines = [
        "[authority]",
        f'kind = "{"title-iii" if content else "pen-trap"}"',
        f'citation = "{"18 USC 2518" if content else "18 USC 3123"}"',
        'court = "Superior Court of Example County"',
        f'docket = "D-{liid}"',
        'signed_by = "Judge A. Example"',
        f"signed_at = {when(min(starts, 0) - 60)}",
        'presented_by = "Det. B. Example"',
        *stated(mode),
        "[intercept]",
        f'case_id = "CASE-{liid}"',
        f'liid = "{liid}"',
        f'mode = "{mode}"',
        f"starts = {when(starts)}",
        f"ends = {when(ends)}",
        f"targets = {json.dumps(targets.split(','))}",
    ]
    for agency in agencies:
        lines += ["[[delivery]]", f'agency = "{agency}"']
    return "\n".join(lines) + "\n"


class Rig:
    """One site. Use as a context: nothing is left behind.

    Attributes:
        home: of the site.
        space: name of the namespace; `wire0` is the sender's end, `wire1` the mirror port.
        evidence: folder of the agency's files.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.space = f"{prefix}{os.urandom(3).hex()}"
        self.evidence = folder / "evidence"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.agency: subprocess.Popen[bytes] | None = None
        self._sent = 0

    def __enter__(self) -> Rig:
        found(self.home, Site(operator="ISP-7", element="box-1", country="US"), lab_roles())
        store = Store.of(self.home)
        store.add_agency(Agency("agency", "127.0.0.1", PORT, "pcapng"))
        store.close()
        namespace.create(self.space)
        for argv in (
            ["ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1"],
            ["ip", "link", "set", "lo", "up"],
            ["ip", "link", "set", "wire0", "up"],
            ["ip", "link", "set", "wire1", "up"],
        ):
            subprocess.run(self.inside(*argv), check=True, timeout=120)
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.daemon, self.agency):
            if process is not None and process.poll() is None:
                bounded.kill(process)
        namespace.remove([self.space])
        subprocess.run(["umount", "-l", str(self.home.bpf)], capture_output=True, check=False, timeout=60)

    def inside(self, *argv: str) -> list[str]:
        """A command line that runs in the namespace."""
        return namespace.command(self.space, list(argv))

    def lictl(self, *arguments: str) -> list[str]:
        """A lictl command line for this home, in the namespace."""
        return self.inside(sys.executable, "-m", "lictl", "--home", str(self.home.root), *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command's outcome."""
        return subprocess.run(self.lictl(*arguments), capture_output=True, text=True, timeout=60, check=False)

    # ---- processes

    def serve(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts the daemon on the mirror port; returns when it answers."""
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                self.lictl("serve", "--mirror", "wire1", "--ring-mib", "1", *arguments),
                stdout=log, stderr=log, env={**os.environ, "LICTL_LOG": "debug", **(env or {})},
            )  # fmt: skip
        self.wait(lambda: self.daemon.poll() is not None or Client(self.home).daemon_runs, "the daemon answers")
        assert self.daemon.poll() is None, self.log.read_text()
        return self.daemon

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the daemon by a signal; its exit code."""
        assert self.daemon is not None
        self.daemon.send_signal(number)
        return self.daemon.wait(timeout=PATIENCE_S)

    def receive(self) -> None:
        """Starts the agency."""
        with (self.folder / "agency.log").open("ab") as log:
            argv = self.lictl("receive", "--listen", f"127.0.0.1:{PORT}", "--into", str(self.evidence))
            self.agency = subprocess.Popen(argv, stdout=log, stderr=log)
        self.wait(lambda: "Listening" in (self.folder / "agency.log").read_text(), "the agency listens")

    def verdict(self) -> dict[str, Any]:
        """Ends the agency; what it says of all that it received."""
        assert self.agency is not None
        self.agency.terminate()
        self.agency.wait(timeout=PATIENCE_S)
        verdict: dict[str, Any] = json.loads((self.evidence / "verdict.json").read_text())
        return verdict

    @property
    def log(self) -> Path:
        """The daemon's log."""
        return self.folder / "daemon.log"

    # ---- the daemon's word

    def call(self, op: str, **args: Any) -> Any:
        """An operation of the control socket, as root."""
        return Client(self.home, timeout_s=PATIENCE_S).call(op, **args)

    @property
    def team(self) -> Team:
        """The people who handle its orders."""
        return Team(self.home)

    def add(self, liid: str, **how: Any) -> dict[str, Any]:
        """Puts an order into force by two people."""
        return self.team.add(order(liid, **how))

    def revoke(self, liid: str) -> None:
        """Ends an order."""
        self.team.revoke(liid)

    def status(self) -> dict[str, Any]:
        """The report, every account of which must add up."""
        report: dict[str, Any] = self.call("status")
        for warrant in report["warrants"]:
            for stream in warrant["streams"]:
                parts = stream["delivered"] + sum(stream["lost"].values()) + stream["withheld"] + stream["in_flight"]
                assert stream["matched"] == parts, stream
        return report

    def stream(self, liid: str) -> dict[str, Any]:
        """The account of an order's only stream."""
        (stream,) = self.warrant(liid)["streams"]
        assert isinstance(stream, dict)
        return stream

    def warrant(self, liid: str) -> dict[str, Any]:
        """An order's part of the report."""
        (warrant,) = [w for w in self.status()["warrants"] if w["liid"] == liid]
        assert isinstance(warrant, dict)
        return warrant

    def settled(self, liid: str, matched: int) -> dict[str, Any]:
        """Waits until the order has matched so many packets and all are delivered."""
        self.wait(lambda: self.stream(liid)["matched"] == matched and self.stream(liid)["in_flight"] == 0,
                  lambda: f"{matched} packets are settled: {self.status()['warrants']}")  # fmt: skip
        return self.stream(liid)

    def gone(self, liid: str) -> None:
        """Waits until the daemon has nothing more to do for an order."""
        self.wait(lambda: not [w for w in self.status()["warrants"] if w["liid"] == liid], f"{liid} is finished")

    def alarms(self) -> list[str]:
        """Names of the alarms that stand, those of this machine apart."""
        return [alarm["name"] for alarm in self.status()["alarms"] if alarm["name"] != "clock"]

    # ---- the wire

    def send(self, count: int, source: str = TARGET, destination: str = OTHER, size: int = 64) -> None:
        """Puts numbered frames on the wire."""
        with namespace.packet_socket(self.space, "wire0") as wire:
            for _ in range(count):
                wire.send(frame(source, destination, struct.pack(">I", self._sent).ljust(size, b"\xa5")))
                self._sent += 1

    def attached(self) -> bool:
        """An XDP program is on the mirror port."""
        shown = subprocess.run(
            self.inside("ip", "link", "show", "wire1"), capture_output=True, text=True, check=True, timeout=60
        )
        return "xdp" in shown.stdout

    def pinned(self) -> bool:
        """A bpffs is mounted in the home."""
        return self.home.bpf.is_dir() and bpffs.is_bpffs(self.home.bpf)

    def numbers(self) -> list[int]:
        """Numbers of the frames in the agency's files, in their order."""
        found = []
        for path in sorted(self.evidence.glob("*.pcapng")):
            data = path.read_bytes()
            at = -1
            while (at := data.find(struct.pack(">HH", 4000, 5000), at + 1)) >= 0:
                found.append(int.from_bytes(data[at + 8 : at + 12], "big"))
        return found

    def wait(self, condition: Callable[[], bool], what: str | Callable[[], str]) -> None:
        """Waits for a condition, up to PATIENCE_S."""
        limit = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > limit:
                text = what if isinstance(what, str) else what()
                raise AssertionError(
                    f"not in time: {text}\n{self.log.read_text()[-3000:] if self.log.exists() else ''}"
                )
            time.sleep(0.05)
