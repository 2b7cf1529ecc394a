# SPDX-License-Identifier: Apache-2.0
"""A site in full work at the debug level: no target in its log, home, processes, status, or anywhere else it writes.

What needs no kernel program is in test_e2e_secrecy_at_rest.py.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import bounded
import pytest
from e2e_rig import Rig, wait_until
from e2e_secrets import Secrets, core_limit, exposed, files_of, of_address, of_mac, shown_of

from lictl.errors import LictlError
from lictl.lab import frames as f
from lictl.lab import namespace, topology, traffic
from lictl.lab.lab import Lab
from lictl.lab.site import AGENCY_NAME, Order
from lictl.times import format_rfc3339, now_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.net]

HOUR = 3_600_000_000_000
V4, PORTS, FLOW, V6 = "203.0.113.147", "203.0.113.171", "203.0.113.199", "2001:db8:7::51ac:e5"
MAC, PPPOE = "02:5e:c2:e7:a1:b7", "02:5e:c2:e7:d1:f9"
SAID = b"the words of a subscriber"
ACCESS = (f"mac:{MAC}", f"pppoe:{PPPOE}/0x1234")
ADDRESSES = (f"ip:{V4}", f"ip:{PORTS} ports:40000-40999", f"flow:tcp {FLOW}:43210-{topology.SINK.v4}:443", f"ip:{V6}")
SECRETS = Secrets(
    {address: of_address(address) for address in (V4, PORTS, FLOW, V6)}
    | {mac: of_mac(mac) for mac in (MAC, PPPOE)}
    | {"content": {SAID}}
)


def packets() -> list[bytes]:
    """A packet of each target."""
    sink, up = topology.SINK, {"dst": topology.ISP_ACCESS.mac}
    return [
        f.eth(f.ipv4(V4, sink.v4, f.udp(4000, 9, SAID)), src=topology.SUB["sub1"].mac, **up),
        f.eth(f.ipv4(PORTS, sink.v4, f.udp(40500, 9, SAID)), src=topology.SUB["sub1"].mac, **up),
        f.eth(f.ipv4(FLOW, sink.v4, f.tcp(43210, 443, SAID)), src=topology.SUB["sub1"].mac, **up),
        f.eth(f.ipv6(V6, sink.v6, f.udp(4000, 9, SAID)), src=topology.SUB["sub2"].mac, **up),
        f.eth(f.ipv4("203.0.113.12", sink.v4, f.udp(4000, 9, SAID)), src=MAC, **up),
        f.eth(f.pppoe(0x1234, f.ipv4("203.0.113.13", sink.v4, f.udp(4000, 9, SAID))), src=PPPOE, **up),
    ]


def order(liid: str, mode: str, *targets: str) -> str:
    """A warrant file."""
    return Order(liid, mode, targets, format_rfc3339(now_ns() - HOUR), format_rfc3339(now_ns() + HOUR)).toml()


@dataclass
class Day:
    """Everything that a site does, done once.

    Attributes:
        rig: the site.
        shown: what /proc told of its processes at several moments.
        limits: core file limits of its processes.
        statuses: the daemon's reports, and what an auditor was answered.
        homes: name and bytes of each file of the home, at several moments.
        modes: what others could have opened then.
    """

    rig: Rig
    shown: dict[str, bytes] = field(default_factory=dict)
    limits: list[list[str]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    homes: list[tuple[str, bytes]] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)

    def work(self) -> None:
        """Orders of every kind of target in both modes, the agency away and back, errors, deaths, reading, closing."""
        rig = self.rig
        rig.init()
        self.begin()
        names = [self.add("LIID1", "content", *ADDRESSES), self.add("LIID2", "headers", *ADDRESSES, *ACCESS),
                 self.add("LIID3", "content", *ACCESS)]  # fmt: skip
        self.send()
        self.look()  # the agency is away: all of it waits in the spools
        self.fail(names[0])
        rig.start_receiver()
        rig.wait_delivered(60)
        os.kill(rig.pid_of_worker(), signal.SIGKILL)
        self.send()
        assert rig.daemon is not None
        bounded.kill(rig.daemon)
        self.send()
        self.begin()
        rig.wait_delivered(60)
        self.look()
        self.ask("operator", "warrant.suspend", name=names[0])
        self.ask("approver", "warrant.resume", name=names[0])
        rig.stop(rig.receiver)
        self.send()
        self.read(names)
        self.look()
        for name in names:
            rig.revoke(name)
        rig.start_receiver()
        wait_until(lambda: not rig.status()["warrants"], 60, "the orders' end")
        self.ask("operator", "warrant.close", name=names[0])
        self.ask("approver", "warrant.destroy-key", name=names[0])
        self.read(names)
        self.look()
        rig.stop(rig.daemon)
        self.keep()

    def begin(self) -> None:
        """Starts the daemon at the debug level."""
        self.rig.start_daemon(env={**os.environ, "LICTL_LOG": "debug"})

    def add(self, liid: str, mode: str, *targets: str) -> str:
        """Puts an order into force."""
        added = self.ask("operator", "warrant.add", text=order(liid, mode, *targets), name="order", submit=True)
        self.ask("operator", "warrant.check", order=added["id"])
        confirmed = {"reason": "as the court ordered", "confirm_shared": True}
        self.ask("approver", "warrant.approve", name=added["id"], **confirmed)
        return str(added["id"])

    def ask(self, person: str, op: str, **args: object) -> object:
        """An operation, asked on the box."""
        return self.rig._on_the_box(lambda: getattr(self.rig.team, person)(op, **args))

    def send(self) -> None:
        """Packets of all targets."""
        with traffic.Sender(self.rig.lab, "sw", topology.UPLINK) as sender:
            for _ in range(20):
                sender.send(packets(), gap_s=0.002)
        time.sleep(0.5)

    def fail(self, name: str) -> None:
        """Errors with a target in hand, and noise at the control socket."""
        wrong = [order("LIID7", "content", f"ip:{V4}/33"), order("LIID8", "content", f"ip:{V4}", f"ip:{V4}"), V4]
        for text in wrong:
            self.refused("operator", "warrant.add", text=text, name=V4, submit=True)
        for op in ("warrant.show", "warrant.revoke", f"warrant.{V4}"):
            self.refused("operator", op, name=V4)
        self.refused("operator", "warrant.show", name=[V4])
        self.refused("operator", "warrant.show", **{V4: V6})
        self.refused("operator", "warrant.approve", name=name)
        self.refused("auditor", "warrant.add", text=order("LIID9", "content", f"ip:{V4}"), name="order")
        self.refused("operator", "warrant.amend", name=name, text=order("LIID1", "headers", f"mac:{MAC}"), file=V4)
        for noise in (V4.encode(), struct.pack(">I", 40) + V6.encode() * 3, struct.pack(">I", 1 << 30) + b"\x81"):
            self.rig._on_the_box(lambda noise=noise: self.noise(noise))

    def noise(self, data: bytes) -> None:
        """Bytes that are no request."""
        import socket

        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            folder = os.open(self.rig.home / "run", os.O_PATH | os.O_DIRECTORY)
            connection.connect(f"/proc/self/fd/{folder}/control.sock")
            os.close(folder)
            connection.sendall(data)
            connection.settimeout(1)
            connection.recv(100)

    def refused(self, person: str, op: str, **args: object) -> None:
        """An operation that is an error."""
        with pytest.raises(LictlError):
            self.ask(person, op, **args)

    def read(self, names: list[str]) -> None:
        """Everything that can be looked at; what an auditor and a monitoring system see is kept."""
        for name in names:
            with contextlib.suppress(LictlError):  # one whose key is destroyed
                self.ask("operator", "warrant.show", name=name)
                self.ask("approver", "warrant.certificate", name=name, rule="1.20004")
        asked = [("warrant.list", {"everything": True}), ("audit.show", {}), ("audit.head", {}),
                 ("audit.reconcile", {}), ("report", {}), ("profile.status", {}), ("agency.list", {}),
                 *(("warrant.show", {"name": name}) for name in names)]  # fmt: skip
        for op, args in asked:
            with contextlib.suppress(LictlError):
                self.statuses.append(repr(self.ask("auditor", op, **args)))

    def look(self) -> None:
        """Takes down what stands in processes, status and files now."""
        rig = self.rig
        self.statuses.append(repr(rig.status()))
        self.statuses.append(repr(rig.cli("status")))
        for pid in namespace.processes([rig.lab.name("isp")]):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"lictl" in command:
                    self.shown |= shown_of(pid)
                    self.limits.append(core_limit(pid))
        self.keep()

    def keep(self) -> None:
        """Takes the home's files down."""
        self.modes += exposed(self.rig.home)
        for path in files_of(self.rig.home):
            with contextlib.suppress(OSError):
                self.homes.append((str(path), path.read_bytes() if path.is_file() else b""))


@pytest.fixture(scope="module")
def day() -> Iterator[Day]:
    """The day, done."""
    with Lab() as lab:
        rig = Rig(lab, "secrecy")
        done = Day(rig)
        try:
            done.work()
            yield done
        finally:
            print(rig.log()[-4000:])
            rig.stop(rig.daemon)
            rig.stop(rig.receiver)


def test_the_day_was_a_full_one(day: Day) -> None:
    """The agency has every target and what was said: the search finds it where it belongs."""
    received = b"".join(path.read_bytes() for path in day.rig.files())
    assert SECRETS.within(received) == {V4, PORTS, FLOW, V6, MAC, PPPOE, "content"}
    assert day.rig.verdict()["ok"]
    assert any(name.endswith(".seg") and len(data) > 1000 for name, data in day.homes)


def test_log_names_no_target(day: Day) -> None:
    """All that the daemon and its delivery processes wrote, at the debug level, errors included."""
    log = day.rig.log()
    assert '"debug"' in log
    SECRETS.assert_absent("the log", log)


def test_home_holds_no_target(day: Day) -> None:
    """Every file, byte by byte, while orders are in force and after; names of files too."""
    for name, data in day.homes:
        SECRETS.assert_absent(name, data)
        SECRETS.assert_absent("a file's name", name)


def test_home_is_closed(day: Day) -> None:
    """0600 and 0700 at every moment, but for the way to the control socket."""
    assert sorted(set(day.modes)) == []


def test_processes_show_no_target(day: Day) -> None:
    """Titles, threads, command lines, environments; no core file is written, whatever happens."""
    assert any(b"lictl.delivery.worker" in data for data in day.shown.values())
    for where, data in day.shown.items():
        SECRETS.assert_absent(where, data)
    assert day.limits
    assert all(limits == ["0", "0"] for limits in day.limits)


def test_status_and_auditor_see_no_target(day: Day) -> None:
    """What a monitoring system reads, and all that the auditor's role is answered."""
    for answer in day.statuses:
        SECRETS.assert_absent("an answer", answer)


def test_machine_s_logs_name_no_target(day: Day) -> None:
    """The kernel's messages, and the journal where there is one."""
    commands = [["dmesg"], ["journalctl", "--no-pager", "--since", "-1h"]]
    for command in (command for command in commands if shutil.which(command[0])):
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        SECRETS.assert_absent(command[0], done.stdout)
    for defect in Path("/tmp").glob("lictl-defect-*"):
        assert defect.stat().st_mode & 0o077 == 0
    assert AGENCY_NAME in repr(day.statuses)
