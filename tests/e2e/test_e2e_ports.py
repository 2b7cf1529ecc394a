# SPDX-License-Identifier: Apache-2.0
"""Which port sees what: each packet of a target exactly once, however the box is attached."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from e2e_wire import assert_same_frames, ends, frames, own

from lictl.errors import LictlError
from lictl.lab import frames as f
from lictl.lab import topology, traffic
from lictl.lab.capture import Capture

if TYPE_CHECKING:
    from e2e_rig import Rig

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1, SINK = topology.SUB["sub1"], topology.SINK
WORD = "sub1ports0ports0"
TARGETS = (f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")


def busy(rig: Rig) -> None:
    """sub1 and its neighbour at work."""
    for host in ("sub1", "sub2"):
        rig.lab.run(host, traffic.http(WORD, 30_000))
        rig.lab.run(host, traffic.ping(WORD, ipv6=True))


@pytest.mark.parametrize("port", [topology.ACCESS, topology.CORE])
@pytest.mark.parametrize("mode", ["content", "headers"])
def test_one_port_sees_both_directions(fresh: Rig, port: str, mode: str) -> None:
    """With one of the two ports attached, ingress by XDP and egress by tc together take each packet once."""
    rig = fresh.up("--interface", f"{port}={port}")
    liid = rig.order(mode, *TARGETS)
    with Capture(rig.lab, "isp", port, rig.folder / "port.pcap") as capture:
        busy(rig)
    account = rig.settled(liid)
    wire = frames(capture.path, lambda frame: bool(own(SUB1) & set(ends(frame))))
    assert account["delivered"] == len(wire) > 0
    if mode == "content":
        assert_same_frames((p.data for p in wire), (p.data for p in rig.delivered(liid)))


def test_a_mac_target_with_the_access_port_only(fresh: Rig) -> None:
    """A MAC as target: what the subscriber sends and gets, both at the access port."""
    rig = fresh.up("--interface", "access=access")
    liid = rig.order("content", f"mac:{SUB1.mac}")
    with Capture(rig.lab, "isp", topology.ACCESS, rig.folder / "port.pcap") as capture:
        busy(rig)
    rig.settled(liid)
    wire = frames(capture.path, lambda frame: bool(own(SUB1) & set(ends(frame))))
    assert wire
    assert_same_frames((p.data for p in wire), (p.data for p in rig.delivered(liid)))


def test_a_mac_target_with_both_ports(fresh: Rig) -> None:
    """A MAC as target with the core attached too: still both directions at the access port, each packet once."""
    rig = fresh.up()
    liid = rig.order("content", f"mac:{SUB1.mac}")
    with Capture(rig.lab, "isp", topology.ACCESS, rig.folder / "port.pcap") as capture:
        busy(rig)
    rig.settled(liid)
    wire = frames(capture.path, lambda frame: bool(own(SUB1) & set(ends(frame))))
    assert_same_frames((p.data for p in wire), (p.data for p in rig.delivered(liid)))


@pytest.mark.parametrize("option", ["", "+drop"])
def test_a_mirror_port_takes_both_directions(fresh: Rig, option: str) -> None:
    """Copies of both directions that come in at a mirror port are taken once each; +drop keeps them from the stack."""
    rig = fresh.up("--mirror", f"core{option}")
    liid = rig.order("content", *TARGETS)
    mac = topology.ISP_CORE.mac
    mine = [
        f.eth(f.ipv4(SUB1.v4, SINK.v4, f.tcp(1, 80, b"up")), dst=mac),
        f.eth(f.ipv4(SINK.v4, SUB1.v4, f.tcp(80, 1, b"down")), dst=mac),
        f.eth(f.ipv6(SINK.v6, SUB1.v6, f.icmp6()), dst=mac),
    ]
    others = [f.eth(f.ipv4(SINK.v4, topology.SUB["sub2"].v4, f.tcp(80, 1, b"no")), dst=mac)]
    with (
        Capture(rig.lab, "isp", topology.CORE, rig.folder / "stack.pcap", way="in") as stack,
        traffic.Sender(rig.lab, "server", "eth0") as sender,
    ):
        sender.send(mine + others)
        time.sleep(0.1)
    assert rig.settled(liid)["delivered"] == len(mine)
    assert_same_frames(mine, (packet.data for packet in rig.delivered(liid)))
    passed = frames(stack.path, lambda frame: True)
    assert len(passed) == (0 if option else len(mine + others))


def test_generic_mode_on_request_is_reported(fresh: Rig) -> None:
    """--generic attaches in generic mode, says so in the status, and delivers the same."""
    rig = fresh.up("--generic")
    modes = {port["mode"] for port in rig.status()["interfaces"] if port["hook"] == "ingress"}
    assert modes == {"generic"}
    liid = rig.order("content", *TARGETS)
    with rig.wires() as wires:
        busy(rig)
    rig.settled(liid)
    assert_same_frames((p.data for p in wires.taken(SUB1)), (p.data for p in rig.delivered(liid)))


def test_native_mode_is_the_default_and_reported(fresh: Rig) -> None:
    """Without --generic the kernel reports native mode on both ports; after the end nothing is attached."""
    rig = fresh.up()
    modes = {port["name"]: port["mode"] for port in rig.status()["interfaces"] if port["hook"] == "ingress"}
    assert modes == {"access": "native", "core": "native"}
    assert rig.stop(rig.daemon) == 0
    links = json.loads(rig.lab.run("isp", ["ip", "-j", "-d", "link", "show"]).stdout)
    assert not [link["ifname"] for link in links if "xdp" in link]


def test_a_foreign_program_is_not_replaced_unasked(fresh: Rig) -> None:
    """A second daemon on the same ports is refused while the first one's program is attached."""
    rig = fresh.up()
    second = type(rig)(rig.lab, f"{rig.folder.name}-second")
    second.init()
    with pytest.raises(LictlError, match="ended with"):
        second.start_daemon()
    assert "access" in second.log()
    rig.status()
