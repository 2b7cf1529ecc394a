# SPDX-License-Identifier: Apache-2.0
"""Faults under load: what fits the rings is not lost, and what is lost is counted, to the packet."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import bounded
import pytest
from e2e_load import Load, numbered, numbers
from e2e_rig import SECOND, wait_until

from lictl.lab import topology, traffic
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e_rig import Rig

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1 = topology.SUB["sub1"]
TARGET = f"ip:{SUB1.v4}"


def kill(process: subprocess.Popen[bytes] | None) -> None:
    """kill -9."""
    assert process is not None
    bounded.kill(process)


def everything_arrived(rig: Rig, liid: str, offered: int) -> None:
    """Every offered frame is delivered once, in order, without a loss."""
    account = rig.settled(liid)
    assert account["matched"] == account["delivered"] == offered
    assert sum(account["lost"].values()) == 0
    assert numbers(rig.delivered(liid)) == list(range(offered))


def test_daemon_killed_under_load(fresh: Rig) -> None:
    """kill -9 of the daemon: the kernel goes on, the next daemon takes over, nothing is lost or doubled."""
    rig = fresh.up()
    liid = rig.order("content", TARGET)
    with Load(rig.lab) as load:
        for _ in range(2):
            time.sleep(0.5)
            kill(rig.daemon)
            time.sleep(0.5)
            rig.start_daemon()
            assert rig.status()["daemon"]["took_over"]
        time.sleep(0.3)
    everything_arrived(rig, liid, load.offered)
    assert rig.verdict()["ok"]


def test_planned_restart_under_load(fresh: Rig) -> None:
    """serve --keep ended by SIGTERM: the capture goes on, the next daemon takes over, nothing is lost or doubled."""
    rig = fresh.up("--keep")
    liid = rig.order("content", TARGET)
    with Load(rig.lab) as load:
        time.sleep(0.5)
        assert rig.stop(rig.daemon) == 0
        time.sleep(0.3)
        rig.start_daemon()
        assert rig.status()["daemon"]["took_over"]
        time.sleep(0.3)
    everything_arrived(rig, liid, load.offered)


def test_revoked_while_the_daemon_is_dead(fresh: Rig) -> None:
    """An order that is revoked with the daemon dead stops in the kernel then, not when a daemon comes back."""
    rig = fresh.up()
    liid = rig.order("content", TARGET)
    with rig.wires() as wires, Load(rig.lab, per_second=1000):
        time.sleep(0.4)
        kill(rig.daemon)
        time.sleep(0.4)
        before = now_ns()
        rig.revoke(liid)
        after = now_ns()
        time.sleep(0.5)
        rig.start_daemon()
        time.sleep(0.3)
    wait_until(lambda: rig.status()["rings"] and not any(ring["waiting"] for ring in rig.status()["rings"]))
    time.sleep(1)
    delivered = [packet.data for packet in rig.delivered(liid)]
    wire = wires.taken(SUB1)
    surely = [packet.data for packet in wire if packet.ns < before]
    never = {packet.data for packet in wire if packet.ns > after + 1_000_000}
    assert len(surely) > 500
    assert len(never) > 500
    assert delivered[: len(surely)] == surely
    assert not never & set(delivered)


def test_worker_killed_under_load(fresh: Rig) -> None:
    """kill -9 of the delivery worker: another takes its place, nothing is lost or doubled."""
    rig = fresh.up()
    liid = rig.order("content", TARGET)
    with Load(rig.lab) as load:
        time.sleep(0.5)
        old = rig.pid_of_worker()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: rig.pid_of_worker(missing=old) not in (0, old), what="a new worker")
        time.sleep(0.3)
    everything_arrived(rig, liid, load.offered)
    assert rig.verdict()["ok"]


def test_receiver_killed_under_load(fresh: Rig) -> None:
    """kill -9 of the agency's receiver: what it had not acknowledged comes again, its file has each packet once."""
    rig = fresh.up()
    liid = rig.order("content", TARGET)
    with Load(rig.lab) as load:
        for _ in range(2):
            time.sleep(0.5)
            kill(rig.receiver)
            time.sleep(0.2)
            rig.start_receiver()
        time.sleep(0.3)
    everything_arrived(rig, liid, load.offered)
    assert rig.verdict()["ok"]


def test_agency_away_and_back(fresh: Rig) -> None:
    """Packets taken while the agency was away are all there, in order, once it is back."""
    rig = fresh
    rig.init()
    rig.start_daemon()
    liid = rig.order("content", TARGET)
    with Load(rig.lab) as load:
        time.sleep(1.5)
    account = rig.account(liid)
    assert account["delivered"] == 0
    assert account["in_flight"] == load.offered
    rig.start_receiver()
    everything_arrived(rig, liid, load.offered)


def test_the_link_to_the_agency_breaks(fresh: Rig) -> None:
    """A cut link in the middle of a delivery costs nothing once it is back."""
    rig = fresh.up()
    liid = rig.order("content", TARGET)
    with Load(rig.lab) as load:
        time.sleep(0.3)
        rig.lab.set_link("agency", "eth0", up=False)
        time.sleep(1)
        rig.lab.restore_link("agency", "eth0")
        time.sleep(0.3)
    everything_arrived(rig, liid, load.offered)


@pytest.fixture
def small_disk(fresh: Rig) -> Iterator[Path]:
    """The spool lies on a file system of 6 MiB."""
    fresh.init()
    spool = fresh.home / "spool"
    spool.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "lictl-test", str(spool)], check=True, timeout=60
    )
    yield spool
    fresh.stop(fresh.daemon)
    subprocess.run(["umount", "-l", str(spool)], check=True, timeout=60)


def test_disk_full(fresh: Rig, small_disk: Path) -> None:
    """With the disk full the loss is counted and alarmed; what was spooled arrives, and then the stream goes on."""
    rig = fresh
    rig.start_daemon()
    liid = rig.order("content", TARGET)
    with traffic.Sender(rig.lab, "sw", topology.UPLINK) as sender:
        for number in range(12_000):
            sender.send([numbered(number, 1000)])
    wait_until(lambda: rig.account(liid)["matched"] == sender.frames, what="all matched")
    wait_until(lambda: sum(rig.account(liid)["lost"].values()) > 0, what="a loss counted")
    wait_until(lambda: rig.alarmed("spool", "quota"), what="the alarm of a spool that cannot be written")
    rig.start_receiver()
    rig.settled(liid)
    wait_until(lambda: shutil.disk_usage(small_disk).free > 4 << 20, what="what has arrived removed from the disk")
    with traffic.Sender(rig.lab, "sw", topology.UPLINK) as later:
        for number in range(100):
            later.send([numbered(sender.frames + number, 64)], gap_s=0.001)
    account = rig.settled(liid)
    got = numbers(rig.delivered(liid))
    assert account["matched"] == sender.frames + 100
    assert account["delivered"] == len(got) == len(set(got))
    assert account["delivered"] + sum(account["lost"].values()) == account["matched"]
    assert got == sorted(got)
    assert got[-100:] == list(range(sender.frames, sender.frames + 100))
    verdict = rig.verdict()
    assert verdict["ok"]
    assert sum(stream["lost"] for stream in verdict["streams"]) == sum(account["lost"].values())


def test_ring_overflow_is_counted_exactly(fresh: Rig) -> None:
    """A flood that the ring cannot hold while the daemon stands still: offered = delivered + lost."""
    rig = fresh.up("--ring-mib", "1")
    liid = rig.order("content", TARGET)
    assert rig.daemon is not None
    os.kill(rig.daemon.pid, signal.SIGSTOP)
    with traffic.Sender(rig.lab, "sw", topology.UPLINK) as sender:
        for number in range(20_000):
            sender.send([numbered(number, 256)])
    os.kill(rig.daemon.pid, signal.SIGCONT)
    account = rig.settled(liid)
    wait_until(lambda: rig.alarmed("ring-lost"), what="the alarm of a ring that was full")
    got = numbers(rig.delivered(liid))
    assert account["matched"] == sender.frames
    assert account["lost"]["ring"] == sender.frames - len(got) > 0
    assert got == sorted(set(got))
    drops = sum(packet.drops for packet in rig.delivered(liid))
    with traffic.Sender(rig.lab, "sw", topology.UPLINK) as later:
        later.send([numbered(sender.frames, 64)])
    account = rig.settled(liid)
    last = rig.delivered(liid)[-1]
    assert numbers([last]) == [sender.frames]
    assert drops + last.drops <= account["lost"]["ring"]
    rig.revoke(liid)  # losses on a CPU that took nothing since are told within a second, or at the end
    wait_until(lambda: all(order["liid"] != liid for order in rig.status()["warrants"]), what="the order's end told")
    verdict = rig.verdict()
    assert verdict["ok"]
    assert sum(stream["lost"] for stream in verdict["streams"]) == account["lost"]["ring"]


def test_flood_with_the_daemon_at_work(fresh: Rig) -> None:
    """A flood through a small ring, drained meanwhile: offered = delivered + lost, whatever the machine can do."""
    rig = fresh.up("--ring-mib", "1")
    liid = rig.order("content", TARGET)
    with traffic.Sender(rig.lab, "sw", topology.UPLINK) as sender:
        sender.send(numbered(number, 900) for number in range(30_000))
    account = rig.settled(liid)
    assert account["matched"] == sender.frames == 30_000
    got = numbers(rig.delivered(liid))
    assert len(got) == account["delivered"]
    assert len(got) + sum(account["lost"].values()) == 30_000
    assert got == sorted(set(got))


def test_interface_down_and_up(fresh: Rig) -> None:
    """An access port that goes down and comes back is still attached, and its packets are taken as before."""
    rig = fresh.up()
    liid = rig.order("content", TARGET, f"ip:{SUB1.v6}")
    with rig.wires() as wires:
        rig.lab.run("sub1", traffic.ping("sub1downdowndown", 5))
        rig.lab.set_link("isp", topology.ACCESS, up=False)
        time.sleep(0.3)
        rig.lab.restore_link("isp", topology.ACCESS)
        wait_until(lambda: rig.lab.passes("sub1"), what="packets pass again")
        rig.lab.run("sub1", traffic.ping("sub1downdowndown", 5))
    account = rig.settled(liid)
    wire = wires.taken(SUB1)
    assert account["delivered"] == len(wire) >= 20
    assert [p.data for p in rig.delivered(liid)] == [p.data for p in wire]


def test_an_order_ends_on_time_while_the_daemon_is_dead(fresh: Rig) -> None:
    """The kernel stops at the end of the window to within a millisecond, and takes all packets until then."""
    rig = fresh.up()
    ends = (now_ns() // SECOND + 5) * SECOND
    liid = rig.order("content", TARGET, ends_ns=ends)
    with rig.wires() as wires, Load(rig.lab, per_second=1500):
        time.sleep(0.5)
        kill(rig.daemon)
        time.sleep(max(0.0, (ends - now_ns()) / SECOND + 0.5))
    rig.start_daemon()
    rig.wait_delivered()
    delivered = rig.delivered(liid)
    assert delivered
    assert max(packet.ns for packet in delivered) < ends
    wire = wires.taken(SUB1)
    surely = [packet.data for packet in wire if packet.ns < ends - 1_000_000]
    never = {packet.data for packet in wire if packet.ns >= ends + 1_000_000}
    assert [packet.data for packet in delivered][: len(surely)] == surely
    assert len(never) > 100
    assert not never & {packet.data for packet in delivered}


def test_an_order_that_has_not_begun_takes_nothing_yet(fresh: Rig) -> None:
    """The first packet taken is the first one of the window, by the packet's own time."""
    rig = fresh.up()
    starts = (now_ns() // SECOND + 4) * SECOND
    liid = rig.order("content", TARGET, starts_ns=starts)
    with rig.wires() as wires, Load(rig.lab, per_second=1000):
        time.sleep(max(0.0, (starts - now_ns()) / SECOND + 0.5))
    rig.settled(liid)
    delivered = rig.delivered(liid)
    assert min(packet.ns for packet in delivered) >= starts
    before = {packet.data for packet in wires.taken(SUB1) if packet.ns < starts - 1_000_000}
    after = [packet.data for packet in wires.taken(SUB1) if packet.ns >= starts + 1_000_000]
    assert before
    assert not before & {packet.data for packet in delivered}
    assert [packet.data for packet in delivered][-len(after) :] == after
