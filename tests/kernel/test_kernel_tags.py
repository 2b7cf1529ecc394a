# SPDX-License-Identifier: Apache-2.0
"""Tags that stand beside the frame: at egress a VLAN device leaves the outermost one to the card."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fixtures_common import U4
from kernel_builds import tables_of
from kernel_case import O4, P4, T4, content, headers, hook

from lictl.lab import namespace
from lictl.lab.frames import eth, ipv4, udp, vlan
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.interfaces import HookConfig, PortConfig
from lictl.probe.probe import Probe
from lictl.probe.tables import KernelTables

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.net,
    pytest.mark.tree,
    pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang to build the program that pushes the tag"),
]


@pytest.fixture
def push_tag(tmp_path: Path) -> Path:
    """A tc program that gives every frame the tag 100 beside its bytes."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    program = tmp_path / "push_tag.o"
    source = Path(__file__).with_name("push_tag.bpf.c")
    include = [f"-I/usr/include/{multiarch}"] if multiarch else []
    subprocess.run(
        ["clang", "-O2", "-g", "-target", "bpf", *include, "-c", source, "-o", program], check=True, timeout=120
    )
    return program


def _run(space: str, *words: str) -> None:
    done = subprocess.run(namespace.command(space, words), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{words}: {done.stderr}"


@pytest.fixture
def wire(netns_prefix: str) -> Iterator[str]:
    """A namespace with a veth pair."""
    name = f"{netns_prefix}tags"
    namespace.create(name)
    try:
        _run(name, "ip", "link", "add", "a0", "type", "veth", "peer", "name", "b0")
        for device in ("a0", "b0"):
            _run(name, "ip", "link", "set", device, "addrgenmode", "none", "up")
        yield name
    finally:
        namespace.remove([name])


def test_a_tag_beside_the_frame_counts_as_its_outermost(wire: str, push_tag: Path) -> None:
    """vlan:100 and vlan:100.7 name frames whose first tag is not in their bytes; records hold the bytes there are."""
    ifindex = namespace.inside(wire, lambda: socket.if_nametoindex("a0"))
    orders = (content(1, "vlan:100"), content(2, "vlan:100.7"), headers(3, f"ip:{T4}"), content(4, "vlan:7"))
    frames = [eth(U4), eth(vlan(7, U4)), eth(ipv4(O4, P4, udp(1, 2, bytes(1400))))]
    with Probe.open(None, 1 << 20) as probe:
        tables = KernelTables(probe)
        tables.ports([PortConfig(ifindex, abi.ROLE_ACCESS, HookConfig(), hook(3, 3, abi.DIR_TO))])
        tables.apply(None, tables_of(orders))
        namespace.inside(wire, lambda: probe.attach(ifindex, abi.AT_EGRESS))
        # Of filters with one priority the one added last runs first: the tag is there when the probe looks.
        _run(
            wire,
            "tc",
            "filter",
            "add",
            "dev",
            "a0",
            "egress",
            "pref",
            "1",
            "bpf",
            "da",
            "obj",
            str(push_tag),
            "sec",
            "tc",
        )
        with namespace.packet_socket(wire, "a0") as sender:
            for frame in frames:
                sender.send(frame)
        batch = Batch(64)
        probe.drain(batch)
        got = {}
        for index, record in enumerate(batch.records):
            got.setdefault(abi.slot_of(int(record["claim"])), []).append((batch.frame(index), int(record["dir"])))
    assert got == {
        1: [(frames[0], abi.DIR_TO), (frames[2], abi.DIR_TO)],
        2: [(frames[1], abi.DIR_TO)],
        3: [(b"", abi.DIR_FROM), (b"", abi.DIR_FROM)],
    }
