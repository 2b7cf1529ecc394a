# SPDX-License-Identifier: Apache-2.0
"""The lab itself: traffic passes as it is sent, and nothing stays behind, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bounded
import pytest

from lictl.errors import MachineError
from lictl.lab import frames, namespace, services, tools, traffic
from lictl.lab import topology as topo
from lictl.lab.capture import Capture, read
from lictl.lab.lab import PREFIX, Lab, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.net

SUB, SERVER = topo.SUB["sub1"], topo.SERVER


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A running lab with its services."""
    with Lab(mtu=9000) as lab:
        services.start_http(lab)
        services.start_dns(lab)
        yield lab


def _traces(lab_id: str) -> list[str]:
    spaces = namespace.names(f"{PREFIX}{lab_id}")
    folders = [str(path) for path in Path("/tmp").glob(f"{PREFIX}{lab_id}*")]
    return spaces + folders


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("host", topo.SUBSCRIBERS)
def test_every_client_works(lab: Lab, host: str, ipv6: bool) -> None:
    """DNS, HTTP and ping work from each subscriber over both IP versions."""
    word = traffic.marker(host)
    answer = lab.run(host, traffic.dns(word, ipv6=ipv6)).stdout.strip()
    assert answer == (SERVER.v6 if ipv6 else SERVER.v4)
    lab.run(host, traffic.http(word, 100_000, ipv6=ipv6))
    assert " 0% packet loss" in lab.run(host, traffic.ping(word, 2, ipv6=ipv6)).stdout


def test_the_capture_holds_what_was_sent(lab: Lab, tmp_path: Path) -> None:
    """Tagged, tunnelled and long frames pass the access wire byte for byte, tags in place."""
    body = frames.ipv4(SUB.v4, SERVER.v4, frames.udp(4000, 9, b"x" * 100))
    sent = [
        frames.eth(frames.vlan(100, body)),
        frames.eth(frames.vlan(100, frames.vlan(200, body), tpid=frames.ETH_QINQ)),
        frames.eth(frames.pppoe(0x1234, body)),
        frames.eth(frames.mpls([16, 17], body)),
        frames.eth(frames.ipv4(SUB.v4, SERVER.v4, frames.udp(4000, 9, b"y" * 8900))),
        frames.eth(frames.ipv6(SUB.v6, SERVER.v6, frames.ext(frames.PROTO_DSTOPTS, frames.udp(1, 9, b"z")))),
    ]
    with Capture(lab, "isp", topo.ACCESS, tmp_path / "access.pcap") as capture:
        with traffic.Sender(lab, "sub1", "eth0") as sender:
            assert sender.send(sent) == len(sent)
        time.sleep(0.1)
    assert [packet.data for packet in read(capture.path) if packet.data in sent] == [bytes(frame) for frame in sent]


def test_checksums_are_real(lab: Lab, tmp_path: Path) -> None:
    """No offload leaves a half-made checksum or a super-frame on the wire."""
    with Capture(lab, "isp", topo.ACCESS, tmp_path / "a.pcap", "tcp") as capture:
        lab.run("sub1", traffic.http(traffic.marker("sub1"), 300_000))
    argv = ["tshark", "-n", "-r", str(capture.path), "-o", "tcp.check_checksum:TRUE", "-T", "fields"]
    text = subprocess.run(
        [*argv, "-e", "tcp.checksum.status"], check=True, capture_output=True, text=True, timeout=120
    ).stdout
    assert set(text.split()) == {"1"}
    assert max(len(packet.data) for packet in read(capture.path)) <= 9014


def test_the_sender_counts_exactly(lab: Lab) -> None:
    """What the sender counts is what the box's access port received."""

    def received() -> int:
        text = lab.run("isp", ["ip", "-j", "-s", "link", "show", "dev", topo.ACCESS]).stdout
        return int(json.loads(text)[0]["stats64"]["rx"]["packets"])

    frame = frames.eth(frames.ipv4("192.0.2.77", "192.0.2.78", frames.udp(1, 2, b"flood")), dst="02:00:00:00:00:99")
    before = received()
    with traffic.Sender(lab, "sw", topo.UPLINK) as sender:
        sender.send([frame] * 20_000)
        assert sender.frames == 20_000
    assert received() - before == 20_000


def test_close_leaves_nothing() -> None:
    """Namespaces, processes (also grandchildren) and files are gone after the with block."""
    with Lab() as lab:
        lab.start("sub1", ["sh", "-c", "sleep 1000 & sleep 1000"])
        (lab.folder / "file").write_text("x")
        deadline = time.monotonic() + 5
        while len(pids := namespace.processes([lab.name("sub1")])) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(pids) == 3
        assert _traces(lab.id)
    assert not _traces(lab.id)
    assert not [pid for pid in pids if namespace.alive(pid)]


def test_an_exception_leaves_nothing() -> None:
    """An exception inside the block passes through and the lab is gone."""
    with pytest.raises(RuntimeError, match="inside"), Lab() as lab:
        raise RuntimeError("inside")
    assert not _traces(lab.id)


def test_a_mount_in_its_folder_is_removed() -> None:
    """A file system that a process mounted below the lab's folder is unmounted."""
    with Lab() as lab:
        target = lab.folder / "bpf"
        target.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(target)], check=True, timeout=60)
    assert str(target) not in Path("/proc/self/mounts").read_text()
    assert not _traces(lab.id)


CHILD = """
import signal
import time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup, which a lab respects
from lictl.lab.lab import Lab
with Lab() as lab:
    lab.start("isp", ["sleep", "1000"])
    print(lab.id, flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a lost terminal end the program and the lab with it."""
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "env": environment()}
    with bounded.running([sys.executable, "-c", CHILD], **quiet) as process:
        lab_id = bounded.line(process.stdout).strip()
        assert lab_id
        assert _traces(lab_id)
        process.send_signal(number)
        assert bounded.ended(process, 20) != 0
    assert not _traces(lab_id)


def test_sweep_removes_the_lab_of_a_killed_process() -> None:
    """After kill -9 the next sweep removes that lab and its processes, and leaves the labs of living processes."""
    options = {"stdout": subprocess.PIPE, "env": environment()}
    with bounded.running([sys.executable, "-c", CHILD], **options) as process, Lab() as alive:
        lab_id = bounded.line(process.stdout).strip()
        Lab.sweep()
        assert _traces(lab_id), "a living process's lab was swept"
        bounded.kill(process)
        inside = namespace.processes(namespace.names(f"{PREFIX}{lab_id}"))
        assert inside
        Lab.sweep()
        assert not _traces(lab_id)
        assert not [pid for pid in inside if namespace.alive(pid)]
        assert len(_traces(alive.id)) == len(topo.HOSTS) + 1


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that is not installed is an error that says which Debian package has it."""
    monkeypatch.setitem(tools.PACKAGES, "no-such-tool-here", "the-package")
    with pytest.raises(MachineError, match="apt-get install the-package"):
        tools.require("no-such-tool-here")


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root the lab refuses before it makes anything."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MachineError, match="root"), Lab():
        pass
