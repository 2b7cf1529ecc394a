# SPDX-License-Identifier: Apache-2.0
"""The systems that are measured on a wire: lictl as an operator runs it, and the peers tcpdump and dumpcap.

All write into the same tmpfs and run on CPU 1; the generator has CPU 0, where the kernel's share of the capture also
runs, as veth hands packets over on the sender's CPU.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from bench.sink import taken
from bench.wire import TARGET, Wire
from lictl.home import Home
from lictl.lab import namespace as ns
from lictl.lab.authority import Authority
from lictl.lab.people import LAB_ROLES, Team
from lictl.lab.site import Order
from lictl.service.client import Client
from lictl.times import format_rfc3339, now_ns

if TYPE_CHECKING:
    from bench.programs import Programs

AGENCY_PORT = 41900
MINUTE = 60_000_000_000
QUIET_S = 1.5  # longer than a capture tool keeps its last, half-filled block: stopped sooner, it would lose that one
PIN = ["taskset", "-c", "1"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the packets of one trial.

    Attributes:
        offered: packets that reached the receiving interface.
        kept: packets of them that the system has.
        settled_s: seconds from the last packet to the system's having all of it.
    """

    offered: int
    kept: int
    settled_s: float

    @property
    def lossless(self) -> bool:
        """Nothing is missing."""
        return self.kept == self.offered


class System(Protocol):
    """One run of a system on a wire; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def outcome(self) -> Outcome:
        """Waits until the system is at rest, then counts."""


def pinned(wire: Wire, argv: list[str]) -> list[str]:
    """The command in the receiver's namespace, on the CPU of the measured system."""
    return [*ns.command(wire.receiver, PIN), *argv]


def _launch(wire: Wire, argv: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as sink:
        return subprocess.Popen(pinned(wire, argv), stdout=sink, stderr=sink)


def _end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Handover:
    """How the agency gets its stream.

    Attributes:
        format: pcapng over lictl's acknowledged protocol, or etsi-102232, raw on a connection.
        tls: in TLS 1.3, with certificates of both sides.
    """

    format: str = "pcapng"
    tls: bool = False

    @property
    def raw(self) -> bool:
        """The format's own octets, without lictl's protocol."""
        return self.format == "etsi-102232"

    @property
    def country(self) -> str:
        """Where such a stream may leave."""
        return "NL" if self.raw else "US"

    def law(self, order: str) -> str:
        """The order, a warrant of the US, under that country's law."""
        national = order.replace('"title-iii"', '"national-warrant"').replace('"18 USC 2518"', '"Sv art. 126m"')
        return national if self.raw else order


PLAIN = Handover()


class Lictl:
    """A daemon with one mirror port and one order on TARGET; with or without an agency that receives.

    Args:
        mode: "content" or "headers".
        agency: a receiver runs; else everything stays in the spool.
        handover: how it gets its stream.
        targets: of the order.
        arm: puts the order into force.
    """

    def __init__(
        self, wire: Wire, folder: Path, mode: str = "content", agency: bool = True,
        handover: Handover = PLAIN, targets: tuple[str, ...] = (f"ip:{TARGET}",), arm: bool = True,
    ) -> None:  # fmt: skip
        self._wire, self._folder, self._mode, self._agency = wire, folder, mode, agency
        self._handover, self._targets, self._arm = handover, targets, arm
        self.home = folder / "home"
        self.evidence = folder / "evidence"
        self._processes: list[subprocess.Popen[bytes]] = []

    def _argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "lictl", "--home", str(self.home), "--json", *arguments]

    def cli(self, *arguments: str) -> Any:
        """What a command answers."""
        done = subprocess.run(self._argv(*arguments), capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(f"lictl {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._wire.run(self._wire.receiver, "ip link set lo up")
        log = self._folder / "log"
        try:
            roles = [word for role in LAB_ROLES for word in ("--role", role)]
            country = self._handover.country
            self.cli("init", "--operator", "BENCH", "--element", "bench", "--country", country, *roles)
            theirs = self._add_agency()
            if self._agency:
                self._processes.append(_launch(self._wire, self._receiver(theirs), log))
            argv = self._argv("serve", "--mirror", "in+drop", "--quota", "12G", "--log-level", "error")
            self._processes.append(_launch(self._wire, argv, log))
            self.client = Client(Home(self.home), timeout_s=30)
            self._until_up(log)
            if self._arm:
                self.arm()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _add_agency(self) -> list[str]:
        """Adds the agency; certificate, key and authority that it listens with, none where there is no TLS."""
        way = ["--host", "127.0.0.1", "--port", str(AGENCY_PORT), "--format", self._handover.format]
        way += ["--transport", "tcp"] if self._handover.raw else []
        theirs: list[str] = []
        if self._handover.tls:
            authority = Authority()
            ca = self._folder / "ca.pem"
            ca.write_text(authority.pem)
            theirs = [*map(str, authority.issue().save(self._folder, "agency")), str(ca)]
            ours = [*map(str, authority.issue("bench").save(self._folder, "operator")), str(ca)]
            way += ["--tls", *tls_options(ours)]
        self.cli("agency", "add", "agency", *way)
        return theirs

    def _receiver(self, files: list[str]) -> list[str]:
        """The agency's command: lictl's receiver, or for a raw stream one that keeps the octets as they come."""
        self.evidence.mkdir(exist_ok=True)
        if self._handover.raw:
            return [sys.executable, "-m", "bench.sink", str(AGENCY_PORT), str(self.evidence / "raw"), *files]
        listen = self._argv("receive", "--listen", f"127.0.0.1:{AGENCY_PORT}", "--into", str(self.evidence))
        return [*listen, *tls_options(files)]

    def _until_up(self, log: Path) -> None:
        limit = time.monotonic() + 30
        while True:
            try:
                self.client.call("status")
            except Exception as error:
                if time.monotonic() > limit or self._processes[-1].poll() is not None:
                    raise RuntimeError(f"the daemon does not answer: {log.read_text()}") from error
                time.sleep(0.1)
            else:
                return

    def order(self) -> Path:
        """The warrant file."""
        now = now_ns()
        order = Order(
            "BENCH1", self._mode, self._targets, format_rfc3339(now - MINUTE), format_rfc3339(now + 60 * MINUTE),
            ("agency",),
        )  # fmt: skip
        path = self._folder / "warrant.toml"
        path.write_text(self._handover.law(order.toml()))
        return path

    def arm(self) -> None:
        """Puts the order into force."""
        Team(Home(self.home)).add(self.order().read_text())

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            _end(process)
        subprocess.run(["umount", "-l", self.home / "run" / "bpf"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def stream(self) -> dict[str, Any]:
        """The account of the order's only stream."""
        report = self.client.call("status")
        return dict(report["warrants"][0]["streams"][0])

    def outcome(self) -> Outcome:
        """kept: delivered to the agency, or in the spool where there is none."""
        start, began = time.monotonic(), time.time()
        while True:
            stream = self.stream()
            waiting = stream["in_flight"] if self._agency else stream["in_ring"]
            if not waiting:
                break
            if time.monotonic() - start > 60:
                raise RuntimeError(f"does not come to rest: {stream}")
            time.sleep(0.005)
        settled = time.monotonic() - start
        kept = stream["matched"] - sum(stream["lost"].values())
        if self._agency and self._handover.raw:
            kept, last = taken(self.evidence / "raw")
            settled = max(0.0, last - began)
        return Outcome(stream["matched"], kept, settled)


def tls_options(files: list[str]) -> list[str]:
    """Options of `lictl` for certificate, key and authority; none for no files."""
    names = ("--tls-certificate", "--tls-key", "--tls-ca")
    return [word for pair in zip(names, files, strict=False) for word in pair]


class Tcpdump:
    """A capture tool with a filter for TARGET, writing to a file; its kernel buffer has 64 MiB as lictl's rings."""

    def __init__(self, wire: Wire, folder: Path, programs: Programs, tool: str = "tcpdump") -> None:
        self._wire, self._folder, self._programs, self._tool = wire, folder, programs, tool

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        # veth takes redirected frames only where an XDP program is; this one passes them on to the stack.
        self._wire.run(self._wire.receiver, f"ip link set in xdp pinned {self._programs.path('bench_pass')}")
        self._before = self._wire.received()
        self._file = self._folder / "capture.pcap"
        options = {
            "tcpdump": ["tcpdump", "-i", "in", "-n", "-Z", "root", "-B", "65536", "-s", "0", "-w", str(self._file)],
            "dumpcap": ["dumpcap", "-i", "in", "-q", "-B", "64", "-s", "0", "-w", str(self._file), "-f"],
        }
        self._process = _launch(self._wire, [*options[self._tool], f"host {TARGET}"], self._folder / "log")
        time.sleep(1.0)
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._process, signal.SIGINT)
        self._wire.run(self._wire.receiver, "ip link set in xdp off")
        shutil.rmtree(self._folder, ignore_errors=True)

    def outcome(self) -> Outcome:
        """Counts the packets in the file."""
        size, start = -1, time.monotonic()
        while self._file.stat().st_size != size:
            size = self._file.stat().st_size
            time.sleep(QUIET_S)
        offered = self._wire.received() - self._before
        _end(self._process, signal.SIGINT)
        done = subprocess.run(
            ["capinfos", "-c", "-M", "-T", "-r", self._file], check=True, capture_output=True, text=True
        )
        return Outcome(offered, int(done.stdout.split("\t")[-1]), time.monotonic() - start)


class Drop:
    """No system at all: a bare XDP_DROP, which shows what generator and wire bring at most."""

    def __init__(self, wire: Wire, programs: Programs) -> None:
        self._wire, self._programs = wire, programs

    def __enter__(self) -> Self:
        self._wire.run(self._wire.receiver, f"ip link set in xdp pinned {self._programs.path('bench_drop')}")
        self._before = self._wire.received()
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.run(self._wire.receiver, "ip link set in xdp off")

    def outcome(self) -> Outcome:
        """Everything that came is kept, in a manner of speaking."""
        offered = self._wire.received() - self._before
        return Outcome(offered, offered, 0.0)


def memory_folder() -> Path:
    """A folder in memory for everything that is written."""
    return Path("/dev/shm") / f"lictl-bench{os.getpid()}"
