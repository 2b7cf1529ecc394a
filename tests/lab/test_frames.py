# SPDX-License-Identifier: Apache-2.0
"""The frame builder, judged by tshark, an independent dissector."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from lictl.lab import frames as f

if TYPE_CHECKING:
    from pathlib import Path

A4, B4 = "192.0.2.1", "198.51.100.2"
A6, B6 = "2001:db8::1", "2001:db8:1::2"

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def _pcap(path: Path, packets: list[bytes]) -> Path:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    for number, packet in enumerate(packets):
        data += struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet
    path.write_bytes(data)
    return path


def _tshark(path: Path, *fields: str) -> list[list[str]]:
    options = [part for name in fields for part in ("-e", name)]
    checks = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"]
    preferences = [part for name in checks for part in ("-o", f"{name}:TRUE")]
    argv = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", *preferences, *options]
    text = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    return [line.split("|") for line in text.splitlines()]


STACKS = {
    "ipv4": (f.ipv4(A4, B4, f.tcp(1024, 80, b"x")), "eth:ethertype:ip:tcp"),
    "ipv6": (f.ipv6(A6, B6, f.udp(1024, 5000, b"x")), "eth:ethertype:ipv6:udp:data"),
    "vlan": (f.vlan(100, f.ipv4(A4, B4, f.icmp())), "eth:ethertype:vlan:ethertype:ip:icmp"),
    "qinq": (
        f.vlan(100, f.vlan(200, f.ipv6(A6, B6, f.icmp6())), tpid=f.ETH_QINQ),
        "eth:ethertype:ieee8021ad:ethertype:vlan:ethertype:ipv6:icmpv6",
    ),
    "pppoe": (f.pppoe(0x1234, f.ipv4(A4, B4, f.icmp())), "eth:ethertype:pppoes:ppp:ip:icmp"),
    "pppoe6": (f.pppoe(1, f.ipv6(A6, B6, f.icmp6())), "eth:ethertype:pppoes:ppp:ipv6:icmpv6"),
    "mpls": (f.mpls([16, 17], f.ipv4(A4, B4, f.icmp())), "eth:ethertype:mpls:ip:icmp"),
    "gre": (f.ipv4(A4, B4, f.gre(f.ipv4(B4, A4, f.icmp()))), "eth:ethertype:ip:gre:ip:icmp"),
    "ipip": (f.ipv4(A4, B4, f.ipv4(B4, A4, f.icmp())), "eth:ethertype:ip:ip:icmp"),
    "6in4": (f.ipv4(A4, B4, f.ipv6(A6, B6, f.icmp6())), "eth:ethertype:ip:ipv6:icmpv6"),
    "vxlan": (
        f.ipv4(A4, B4, f.udp(1, 4789, f.vxlan(7, f.eth(f.ipv4(B4, A4, f.icmp()))))),
        "eth:ethertype:ip:udp:vxlan:eth:ethertype:ip:icmp",
    ),
    "gtp": (f.ipv4(A4, B4, f.udp(2152, 2152, f.gtpu(9, f.ipv4(B4, A4, f.icmp())))), "eth:ethertype:ip:udp:gtp:ip:icmp"),
    "hopopts": (
        f.ipv6(A6, B6, f.ext(f.PROTO_HOPOPTS, f.ext(f.PROTO_DSTOPTS, f.tcp(1, 80, b"x")))),
        "eth:ethertype:ipv6:ipv6.hopopts:ipv6.dstopts:tcp",
    ),
    "auth": (f.ipv4(A4, B4, f.auth_header(f.icmp())), "eth:ethertype:ip:ah:icmp"),
    "options": (
        f.ipv4(A4, B4, f.tcp(1, 80, b"x", options=b"\2\4\5\xb4"), options=b"\x94\4\0\0"),
        "eth:ethertype:ip:tcp",
    ),
    "udplite": (f.ipv4(A4, B4, f.udp(1, 5000, b"x", lite=True)), "eth:ethertype:ip:udplite:data"),
    "discovery": (f.pppoe_discovery(0x09), "eth:ethertype:pppoed"),
}


def test_tshark_names_every_layer_as_built(tmp_path: Path) -> None:
    """Each composed stack is dissected into exactly the layers it was built from, with good checksums."""
    packets = [f.eth(layer) for layer, _ in STACKS.values()]
    columns = ("frame.protocols", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status")
    rows = _tshark(_pcap(tmp_path / "a.pcap", packets), *columns)
    assert len(rows) == len(STACKS)
    for (name, (_, layers)), (seen, *status) in zip(STACKS.items(), rows, strict=True):
        assert seen == layers, name
        assert "0" not in ",".join(status).split(","), f"{name}: bad checksum"


@pytest.mark.parametrize("size", [8, 64, 512])
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_reassemble(tmp_path: Path, version: int, size: int) -> None:
    """tshark puts the fragments together to the packet they were cut from."""
    body = bytes(range(256)) * 5
    datagram = f.udp(4000, 5000, body)
    packet = f.ipv4(A4, B4, datagram) if version == 4 else f.ipv6(A6, B6, datagram)
    pieces = [f.eth(piece) for piece in f.fragments(packet, size)]
    assert len(pieces) == -(-(8 + len(body)) // size)
    rows = _tshark(_pcap(tmp_path / "a.pcap", pieces), "udp.length", "udp.checksum.status", "data.data")
    assert rows[-1] == [str(8 + len(body)), "1", body.hex()]


def test_every_length_field_can_lie() -> None:
    """An override stands in the frame as given while the bytes around it stay where they are."""
    honest = f.ipv4(A4, B4, f.tcp(1, 2, b"payload"))
    assert struct.unpack_from("!H", f.ipv4(A4, B4, f.tcp(1, 2, b"payload"), total_length=9999), 2)[0] == 9999
    assert f.ipv4(A4, B4, ihl=15)[0] == 0x4F
    assert f.ipv4(A4, B4, version=7)[0] >> 4 == 7
    assert f.tcp(1, 2, data_offset=15)[12] >> 4 == 15
    assert struct.unpack_from("!H", f.udp(1, 2, b"abc", length=3), 4)[0] == 3
    assert struct.unpack_from("!H", f.ipv6(A6, B6, b"abc", payload_length=0), 4)[0] == 0
    assert f.ext(f.PROTO_DSTOPTS, b"", length=200)[1] == 200
    assert struct.unpack_from("!H", f.pppoe(1, honest, length=5), 4)[0] == 5
    assert struct.unpack_from("!I", f.mpls(16, honest, bottom=False))[0] & 0x100 == 0
    assert f.ipv4(A4, B4, b"abc", header_checksum=0xBEEF)[10:12] == b"\xbe\xef"


def test_padding_follows_the_packet() -> None:
    """A trailer lies behind the packet, whose own length does not count it."""
    packet = f.ipv4(A4, B4, f.icmp())
    frame = f.padded(f.eth(packet), 60, b"\xaa")
    assert len(frame) == 60
    assert frame == f.eth(packet, trailer=b"\xaa" * (60 - 14 - len(packet)))
    assert struct.unpack_from("!H", frame, 16)[0] == len(packet)
