# SPDX-License-Identifier: Apache-2.0
"""Crafted frames: tags, tunnels of the access line, labels, extension headers, fragments, trailers, jumbo frames."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from e2e_tshark import header_fields
from e2e_wire import assert_same_frames, assert_times_close, cut, ends, frames, own

from lictl.lab import frames as f
from lictl.lab import topology, traffic, verify
from lictl.lab.capture import LINK_RAW

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e_rig import Rig

pytestmark = [pytest.mark.kernel, pytest.mark.net]

MTU = 9000
SUB1, SUB2, SERVER = topology.SUB["sub1"], topology.SUB["sub2"], topology.SINK
WORD = b"sub1craft0craft0"
BIG = WORD * 540  # 8,640 bytes


def up(payload: bytes = f.udp(4000, 9, WORD)) -> f.Layer:
    """A packet of sub1 to an address that does not answer."""
    return f.ipv4(SUB1.v4, SERVER.v4, payload)


def up6(payload: bytes = f.udp(4000, 9, WORD)) -> f.Layer:
    """The same in IPv6."""
    return f.ipv6(SUB1.v6, SERVER.v6, payload)


def eth(payload: bytes, trailer: bytes = b"", src: str = SUB1.mac) -> bytes:
    """A frame to the box, padded to the least length of Ethernet with bytes that must not leave."""
    return f.padded(f.eth(payload, dst=topology.ISP_ACCESS.mac, src=src, trailer=trailer), 60, b"\xee")


# Frames whose outermost IP addresses name sub1, by what is special about them.
CRAFTED: dict[str, list[bytes]] = {
    "vlan": [eth(f.vlan(100, up())), eth(f.vlan(100, up6()))],
    "qinq": [eth(f.vlan(100, f.vlan(200, up()), tpid=f.ETH_QINQ)), eth(f.vlan(1, f.vlan(2, f.vlan(3, up6()))))],
    "pppoe": [eth(f.pppoe(0x1234, up())), eth(f.pppoe(0x1234, up6())), eth(f.vlan(7, f.pppoe(9, up())))],
    "mpls": [eth(f.mpls(16, up())), eth(f.mpls([16, 17, 18, 19], up6()))],
    "extension": [
        eth(up6(f.ext(f.PROTO_HOPOPTS, f.ext(f.PROTO_DSTOPTS, f.tcp(4000, 80, WORD))))),
        eth(up6(f.auth_header(f.udp(4000, 9, WORD)))),
    ],
    "fragments": [eth(piece) for piece in f.fragments(up(f.udp(4000, 9, WORD * 100)), 512)],
    "fragments6": [eth(piece) for piece in f.fragments(up6(f.udp(4000, 9, WORD * 100)), 512)],
    "trailer": [eth(up(), b"not yours" * 5), eth(up(f.tcp(1, 2, b"k")))],
    "options": [eth(f.ipv4(SUB1.v4, SERVER.v4, f.tcp(1, 80, WORD, options=b"\2\4\5\xb4"), options=b"\x94\4\0\0"))],
    "jumbo": [eth(up(f.udp(4000, 9, BIG))), eth(up6(f.tcp(4000, 9, BIG))), eth(f.vlan(100, up(f.udp(1, 9, BIG))))],
    "tunnels": [eth(up(f.gre(f.ipv4(SUB2.v4, SERVER.v4, f.icmp())))), eth(up(f.ipv4(SUB2.v4, SERVER.v4, f.icmp())))],
    "others": [eth(up(f.sctp(5, 6, b"chunk"))), eth(up(f.udp(1, 2, WORD, lite=True))), eth(up(f.icmp(3, 1, up())))],
}

# Frames of others that must be in no file: sub1 stands in them, but not as an end of the outermost IP packet.
OTHERS = [
    eth(f.ipv4(SUB2.v4, SERVER.v4, f.icmp(3, 3, up())), src=SUB2.mac),
    eth(f.ipv4(SUB2.v4, SERVER.v4, f.gre(up())), src=SUB2.mac),
    eth(f.ipv4(SUB2.v4, SERVER.v4, f.udp(1, 4789, f.vxlan(1, f.eth(up())))), src=SUB2.mac),
    eth(f.ipv6(SUB2.v6, SERVER.v6, f.ext(f.PROTO_DSTOPTS, up(), next_header=4)), src=SUB2.mac),
    eth(b"\0\1\x08\0\6\4\0\1" + bytes(20), src=SUB2.mac)[:12] + b"\x08\x06" + bytes(46),
]


def send(rig: Rig, packets: list[bytes]) -> None:
    """Puts frames on the access wire, towards the box."""
    with traffic.Sender(rig.lab, "sw", topology.UPLINK) as sender:
        sender.send(packets, gap_s=0.001)
    time.sleep(0.05)


@pytest.mark.parametrize("kind", CRAFTED)
def test_crafted_frames_are_delivered_as_they_are(rig: Rig, kind: str) -> None:
    """Content has link headers and IP packet of every frame, without trailer; frames of others are absent."""
    liid = rig.order("content", f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
    with rig.wires(kind) as wires:
        send(rig, CRAFTED[kind] + OTHERS)
    account = rig.settled(liid)
    rig.revoke(liid)
    wire = frames(wires.access, lambda frame: ends(frame)[0] in own(SUB1))
    assert_same_frames((cut(frame) for frame in CRAFTED[kind]), (packet.data for packet in wire))
    delivered = rig.delivered(liid)
    assert_same_frames((packet.data for packet in wire), (packet.data for packet in delivered))
    assert_times_close(wire, delivered)
    assert account["delivered"] == len(CRAFTED[kind])


@pytest.mark.parametrize("kind", CRAFTED)
def test_headers_of_crafted_frames(rig: Rig, kind: str) -> None:
    """A headers order gets one record a frame: addresses and length as tshark reads them, and no content."""
    liid = rig.order("headers", f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
    with rig.wires(kind) as wires:
        send(rig, CRAFTED[kind] + OTHERS)
    assert rig.settled(liid)["delivered"] == len(CRAFTED[kind])
    rig.revoke(liid)
    expected = [_addressing(fields) for _, fields in header_fields(wires.access, f"eth.src == {SUB1.mac}")]
    given = [_addressing(fields) for path in rig.files(liid) for _, fields in header_fields(path)]
    assert sorted(given) == sorted(expected)
    for packet in rig.delivered(liid):
        assert packet.link == LINK_RAW
        assert len(packet.data) <= verify.header_length(packet.data)
    data = b"".join(path.read_bytes() for path in rig.files(liid))
    assert not [name for name, form in verify.forms(WORD) if form in data]


def _addressing(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and lengths; of stacked IP headers tshark's first is the outermost."""
    return tuple(fields[index] for index in (0, 1, 3, 4, 5, 6))


def test_tcpreplay_is_delivered_as_it_is(rig: Rig) -> None:
    """A capture file replayed by tcpreplay arrives as it stands in the file."""
    liid = rig.order("content", f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
    sent = [frame for kind in CRAFTED.values() for frame in kind]
    path = rig.folder / "replay.pcap"
    _write_pcap(path, sent + OTHERS)
    with rig.wires("tcpreplay"):
        rig.lab.run("sw", ["tcpreplay", "--intf1", topology.UPLINK, "--pps", "500", str(path)])
    rig.settled(liid)
    rig.revoke(liid)
    assert_same_frames((cut(frame) for frame in sent), (packet.data for packet in rig.delivered(liid)))


def _write_pcap(path: object, packets: list[bytes]) -> None:
    argv = ["text2pcap", "-q", "-F", "pcap", "-", str(path)]
    text = "\n".join("0000 " + packet.hex(" ") for packet in packets) + "\n"
    subprocess.run(argv, input=text.encode(), check=True, capture_output=True, timeout=120)


LINK_TARGETS: dict[str, tuple[str, Callable[[], list[bytes]], Callable[[], list[bytes]]]] = {
    "vlan": (
        "vlan:100",
        lambda: [eth(f.vlan(100, up())), eth(f.vlan(100, f.ipv6(SUB2.v6, SERVER.v6, f.icmp6())))],
        lambda: [eth(up()), eth(f.vlan(101, up())), eth(f.vlan(100, f.vlan(200, up())))],
    ),
    "qinq": (
        "vlan:100.200",
        lambda: [eth(f.vlan(100, f.vlan(200, up()), tpid=f.ETH_QINQ))],
        lambda: [eth(f.vlan(100, up())), eth(f.vlan(200, f.vlan(100, up()))), eth(f.vlan(100, f.vlan(201, up())))],
    ),
    "mac": (
        f"mac:{SUB1.mac}",
        lambda: [eth(up()), eth(f.vlan(5, up6())), eth(f.ipv4("10.9.8.7", SERVER.v4, f.icmp()))],
        lambda: [eth(up(), src=SUB2.mac)],
    ),
    "pppoe": (
        f"pppoe:{SUB1.mac}/0x1234",
        lambda: [eth(f.pppoe(0x1234, up())), eth(f.vlan(8, f.pppoe(0x1234, up6())))],
        lambda: [eth(f.pppoe(0x1235, up())), eth(f.pppoe(0x1234, up()), src=SUB2.mac), eth(up())],
    ),
}


@pytest.mark.parametrize("kind", LINK_TARGETS)
def test_link_layer_targets(rig: Rig, kind: str) -> None:
    """A VLAN, VLAN pair, MAC or PPPoE session as target: its frames at the access port, no other's."""
    target, mine, others = LINK_TARGETS[kind]
    liid = rig.order("content", target)
    send(rig, mine() + others())
    assert rig.settled(liid)["delivered"] == len(mine())
    rig.revoke(liid)
    assert_same_frames((cut(frame) for frame in mine()), (packet.data for packet in rig.delivered(liid)))


def test_port_range_of_a_shared_address(rig: Rig) -> None:
    """An address with ports: the ports of the range in either direction, and no port beyond its edges."""
    shared = "198.51.100.9"
    liid = rig.order("content", f"ip:{shared} ports:10240-11263")
    inside = [eth(f.ipv4(shared, SERVER.v4, f.udp(port, 53, WORD))) for port in (10240, 10777, 11263)]
    outside = [eth(f.ipv4(shared, SERVER.v4, f.udp(port, 10500, WORD))) for port in (10239, 11264, 53)]
    later = [eth(piece) for piece in f.fragments(f.ipv4(shared, SERVER.v4, f.udp(10300, 53, WORD * 40)), 256)]
    send(rig, inside + outside + later)
    assert rig.settled(liid)["delivered"] == len(inside) + 1
    rig.revoke(liid)
    assert_same_frames((cut(x) for x in [*inside, later[0]]), (packet.data for packet in rig.delivered(liid)))


def test_jumbo_frames_of_real_clients(rig: Rig) -> None:
    """TCP with 9,000-byte frames in both directions equals the wire."""
    liid = rig.order("content", f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
    with rig.wires("jumbo") as wires:
        rig.lab.run("sub1", traffic.http(WORD.decode(), 400_000))
        rig.lab.run("sub1", traffic.http(WORD.decode(), 400_000, ipv6=True))
    rig.settled(liid)
    rig.revoke(liid)
    wire = wires.taken(SUB1)
    assert max(len(packet.data) for packet in wire) > 8900
    assert_same_frames((p.data for p in wire), (p.data for p in rig.delivered(liid)))
