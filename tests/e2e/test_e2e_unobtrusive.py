# SPDX-License-Identifier: Apache-2.0
"""Promise 9: subscribers' packets pass unchanged and in order, whatever happens to the daemon."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bounded
import pytest
from e2e_load import Load, numbers
from e2e_wire import frames

from lictl.lab import topology, traffic
from lictl.lab.capture import Capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from e2e_rig import Rig

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1, SERVER = topology.SUB["sub1"], topology.SERVER
TARGETS = (f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
WORD = "sub1quiet0quiet0"


def hang(rig: Rig) -> None:
    """The daemon stands still for a while."""
    assert rig.daemon is not None
    os.kill(rig.daemon.pid, signal.SIGSTOP)
    time.sleep(1)
    os.kill(rig.daemon.pid, signal.SIGCONT)


def die(rig: Rig) -> None:
    """The daemon is killed and started again."""
    assert rig.daemon is not None
    bounded.kill(rig.daemon)
    time.sleep(0.3)
    rig.start_daemon()


def orders(rig: Rig) -> None:
    """Orders come and go."""
    for _ in range(2):
        rig.revoke(rig.order("content", *TARGETS))


def backlog_drops() -> int:
    """Packets that this machine dropped before any interface, because a CPU's queue was full (softnet_stat)."""
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A loss inside the block counts, unless the machine itself dropped packets meanwhile: that is no verdict."""
    before = backlog_drops()
    try:
        yield
    except AssertionError:
        if backlog_drops() != before:
            pytest.skip("this machine dropped packets of its own meanwhile (softnet backlog): no verdict")
        raise


def gentle(rig: Rig) -> None:
    """Keeps TCP's bursts shorter than the 256 packets that a veth queues once XDP is attached."""
    for host in ("sub1", "server"):
        for name in ("rmem", "wmem"):
            rig.lab.run(host, ["sysctl", "-q", "-w", f"net.ipv4.tcp_{name}=4096 65536 131072"])


def one_queue(rig: Rig) -> None:
    """Behind the box, each host takes packets on one CPU: on whichever is free, the kernel itself mixes their order."""
    # A sysfs of the host's own namespace, which only this shell sees.
    script = "mount -t sysfs lictl /sys && echo 1 >/sys/class/net/eth0/queues/rx-0/rps_cpus"
    for host in ("sub1", "server"):
        rig.lab.run(host, ["unshare", "--mount", "sh", "-c", script])


@pytest.mark.parametrize("event", [hang, die, orders])
def test_packets_through_the_box_during(fresh: Rig, event: Callable[[Rig], None]) -> None:
    """Numbered packets, pings and a download pass the box meanwhile: none lost, changed or out of order."""
    rig = fresh.up()
    gentle(rig)
    one_queue(rig)
    rig.order("content", *TARGETS)
    with undisturbed():
        ping = rig.lab.start("sub1", traffic.ping(WORD, 400, ipv6=True, interval_s=0.005), stdout=subprocess.PIPE)
        fetch = rig.lab.start("sub1", traffic.http(WORD, 30_000_000))
        server = Capture(rig.lab, "server", "eth0", rig.folder / "server.pcap", "udp port 9", way="in")
        with server, Load(rig.lab, per_second=1000) as load:
            event(rig)
            assert fetch.wait(timeout=60) == 0
            output, _ = ping.communicate(timeout=60)
        assert b" 0% packet loss" in output, output.decode()[-300:]
        passed = frames(server.path, lambda frame: True)
        assert numbers(passed) == list(range(load.offered))
        assert {len(packet.data) for packet in passed} == {14 + 20 + 8 + 64}


def test_attach_and_detach_under_load(fresh: Rig) -> None:
    """Attaching and detaching while a download and pings run: the download is whole, the pings keep their order."""
    rig = fresh
    rig.init()
    gentle(rig)
    with undisturbed():
        ping = rig.lab.start("sub1", traffic.ping(WORD, 600, interval_s=0.005), stdout=subprocess.PIPE)
        fetch = rig.lab.start("sub1", traffic.http(WORD, 50_000_000))
        rig.start_daemon()
        assert rig.stop(rig.daemon) == 0
        assert fetch.wait(timeout=60) == 0
        output, _ = ping.communicate(timeout=60)
        answers = [int(number) for number in re.findall(rb"icmp_seq=(\d+)", output)]
        assert answers == sorted(answers)
        # The driver itself frees what stands in its queue when a program is taken off: not more than that may miss.
        assert len(answers) >= 598


def test_without_an_order_nothing_is_taken(fresh: Rig) -> None:
    """An attached program without orders passes everything and records nothing."""
    rig = fresh.up()
    rig.lab.run("sub1", traffic.http(WORD, 100_000))
    report = rig.status()
    assert report["warrants"] == []
    assert all(ring["waiting"] == 0 and ring["consumed"] == 0 for ring in report["rings"])
    assert rig.files() == []
