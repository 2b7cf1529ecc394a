# SPDX-License-Identifier: Apache-2.0
"""A lictl site in the lab: home, daemon on the ISP's box, receiver on the agency's host; all by command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.errors import BY_EXIT_CODE, LictlError, UnavailableError
from lictl.home import Home
from lictl.lab import namespace, topology
from lictl.lab.people import LAB_ROLES, Team
from lictl.times import format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from lictl.lab.lab import Lab

    T = TypeVar("T")

AGENCY_NAME = "lab-agency"
AGENCY_PORT = 41900
_HOUR_NS = 3_600_000_000_000
BOTH_PORTS = ("--interface", f"{topology.ACCESS}=access", "--interface", f"{topology.CORE}=core")


def stated(mode: str) -> tuple[str, ...]:
    """What an order of that mode states beside court and signature: 18 USC 2518(4), or 18 USC 3123(b)(1)."""
    both = ('offence = "distribution of narcotics, 21 USC 841"', 'subject = "unknown"')
    line = "the internet access of a lab subscriber"
    if mode != "content":
        return *both, 'subscriber = "unknown"', f'attributes = "addressing and routing of {line}"'
    return (
        *both,
        'predicate = "18 USC 2516(1)(e)"',
        f'facilities = "{line}"',
        'communications = "electronic communications about the offence"',
        'authorised_agency = "Lab Agency"',
        'authorised_by = "C. Example"',
        "ends_at_first = false",
    )


@dataclass(frozen=True, slots=True)
class Order:
    """What a warrant file says.

    Attributes:
        liid: names the interception towards the agency.
        mode: "content" or "headers".
        targets: as the warrant file writes them.
        starts: RFC 3339 text.
        ends: RFC 3339 text.
        agencies: names of agencies.
    """

    liid: str
    mode: str
    targets: Sequence[str]
    starts: str
    ends: str
    agencies: Sequence[str] = (AGENCY_NAME,)

    def toml(self) -> str:
        """The warrant file; a pen register order for headers, a Title III order for content."""
        content = self.mode == "content"
        lines = [
            "[authority]",
            f'kind = "{"title-iii" if content else "pen-trap"}"',
            f'citation = "{"18 USC 2518" if content else "18 USC 3123"}"',
            'court = "Superior Court of Example County"',
            f'docket = "LAB-{self.liid}"',
            'signed_by = "Judge A. Example"',
            f'signed_at = "{format_rfc3339(parse_rfc3339(self.starts) - _HOUR_NS)}"',
            'presented_by = "Det. B. Example"',
            *stated(self.mode),
            "",
            "[intercept]",
            f'case_id = "CASE-{self.liid}"',
            f'liid = "{self.liid}"',
            f'mode = "{self.mode}"',
            f'starts = "{self.starts}"',
            f'ends = "{self.ends}"',
            f"targets = {json.dumps(list(self.targets))}",
        ]
        for agency in self.agencies:
            lines += ["", "[[delivery]]", f'agency = "{agency}"']
        return "\n".join(lines) + "\n"


class Site:
    """One home below the lab's folder, and the processes that belong to it.

    Attributes:
        folder: holds all below.
        home: the daemon's home.
        evidence: what the agency's receiver wrote.
        daemon: the running daemon, or None.
        receiver: the running receiver, or None.
    """

    def __init__(self, lab: Lab, name: str = "site") -> None:
        self.lab = lab
        self.folder = lab.folder / name
        self.folder.mkdir()
        self.home = self.folder / "home"
        self.evidence = self.folder / "evidence"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.receiver: subprocess.Popen[bytes] | None = None

    # ---- commands ----

    def argv(self, *arguments: str) -> list[str]:
        """The command line of lictl for this home, answering in JSON."""
        return [sys.executable, "-m", "lictl", "--home", str(self.home), "--json", *arguments]

    def cli(self, *arguments: str, timeout: float = 30) -> Any:
        """What a command answers, given on the box.

        Raises:
            LictlError: the subclass of the command's exit code, with its message.
        """
        done = self.lab.run("isp", self.argv(*arguments), timeout=timeout, check=False)
        if done.returncode:
            kind = BY_EXIT_CODE.get(done.returncode, LictlError)
            raise kind(f"lictl {' '.join(arguments[:2])}: {(done.stderr or done.stdout).strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def init(self, *, handover: str = "pcapng") -> None:
        """Makes the home and adds the lab's agency."""
        roles = [word for role in LAB_ROLES for word in ("--role", role)]
        self.cli("init", "--operator", "LAB-ISP", "--element", "lab-box", "--country", "US", *roles)
        self.add_agency(AGENCY_NAME, handover)

    def add_agency(self, name: str, handover: str) -> None:
        """Adds an agency at the agency host."""
        argv = ["--host", topology.AGENCY.v4, "--port", str(AGENCY_PORT), "--format", handover]
        self.cli("agency", "add", name, *argv)

    @property
    def team(self) -> Team:
        """The people who handle its orders."""
        return Team(Home(self.home))

    def add(self, order: Order) -> str:
        """Puts an order into force by two people; returns its id."""
        return str(self._on_the_box(lambda: self.team.add(order.toml(), order.liid)["id"]))

    def revoke(self, name: str) -> None:
        """Ends an order now."""
        self._on_the_box(lambda: self.team.revoke(name))

    def _on_the_box(self, action: Callable[[], T]) -> T:
        """Where no daemon runs, a capture that was left behind is found in its own namespace only."""
        return namespace.inside(self.lab.name("isp"), action)

    def status(self) -> dict[str, Any]:
        """The running daemon's report."""
        report = self.cli("status")
        if not isinstance(report, dict):
            raise UnavailableError("lictl status gave no report.")
        return report

    # ---- processes ----

    def start_receiver(self, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """Starts the agency's receiver; returns when it listens, or at once without ``wait``."""
        listen = f"{topology.AGENCY.v4}:{AGENCY_PORT}"
        with (self.folder / "receiver.log").open("ab") as log:
            argv = self.argv("receive", "--listen", listen, "--into", str(self.evidence), *arguments)
            self.receiver = self.lab.start("agency", argv, stdout=log, stderr=log)
        if wait:
            self.await_receiver()
        return self.receiver

    def start_daemon(
        self, *arguments: str, env: dict[str, str] | None = None, wait: bool = True
    ) -> subprocess.Popen[bytes]:
        """Starts the daemon on the box, on both ports unless told otherwise; returns when it answers, or at once."""
        ports = () if any(a in ("--interface", "--mirror") for a in arguments) else BOTH_PORTS
        with (self.folder / "daemon.log").open("ab") as log:
            argv = self.argv("serve", *ports, *arguments)
            self.daemon = self.lab.start("isp", argv, stdout=log, stderr=log, env=env)
        if wait:
            self.await_daemon()
        return self.daemon

    def await_receiver(self, timeout: float = 20) -> None:
        """Returns when the receiver that was started listens; UnavailableError if it ends or takes too long."""
        limit = time.monotonic() + timeout
        while not self.lab.listens("agency", AGENCY_PORT):
            self._check_alive(self.receiver, "receiver.log")
            if time.monotonic() > limit:
                raise UnavailableError(f"The receiver does not listen: {self.log('receiver.log')[-2000:].strip()}")
            time.sleep(0.05)

    def await_daemon(self, timeout: float = 30) -> None:
        """Returns when the daemon that was started answers; UnavailableError if it ends or takes too long."""
        limit = time.monotonic() + timeout
        while True:
            try:
                self.status()
            except LictlError:
                self._check_alive(self.daemon, "daemon.log")
                if time.monotonic() > limit:
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self, process: subprocess.Popen[bytes] | None, *, timeout: float = 20) -> int:
        """Asks a process to end (SIGTERM) and returns its exit code; kills it when it takes too long."""
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=timeout)
            raise

    def wait_delivered(self, timeout: float = 20) -> dict[str, Any]:
        """Waits until nothing is in flight for any order; returns the report of that moment.

        Raises:
            UnavailableError: where something still is after ``timeout`` seconds.
        """
        limit = time.monotonic() + timeout
        while True:
            report = self.status()
            waiting = sum(stream["in_flight"] for warrant in report["warrants"] for stream in warrant["streams"])
            if waiting == 0:
                return report
            if time.monotonic() > limit:
                raise UnavailableError(f"{waiting} packets are not delivered after {timeout:g} s.", self.log()[-2000:])
            time.sleep(0.1)

    def log(self, name: str = "daemon.log") -> str:
        """What a process wrote into its log file."""
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def _check_alive(self, process: subprocess.Popen[bytes] | None, log: str) -> None:
        if process is None or process.poll() is not None:
            code = None if process is None else process.returncode
            raise UnavailableError(f"The process of {log} ended with {code}: {self.log(log)[-2000:].strip()}")
