# SPDX-License-Identifier: Apache-2.0
"""pcapng of synthesised headers: tshark must see what the record says, and nothing that it does not say."""

from __future__ import annotations

import io
import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from handover_records import UDP, encode_all, header, info, numbered, packet, select
from handover_tshark import capinfos, fields, tcpdump
from hypothesis import given
from hypothesis import strategies as st

from lictl import handover
from lictl.errors import RefusedError
from lictl.handover.decode import Record, decode
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.native import ffi

if TYPE_CHECKING:
    from pathlib import Path

V6 = {"ip_version": 6, "src": "2001:db8:7::1", "dst": "2001:db8::53"}
ICMP = {"proto": 1, "present": abi.HAS_IP | abi.HAS_ICMP | abi.HAS_LENGTH, "icmp_type": 3, "icmp_code": 1}
NAMES = [
    "ip.version", "ip.src", "ip.dst", "ip.proto", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen",
    "tcp.srcport", "tcp.dstport", "tcp.flags", "udp.srcport", "udp.dstport", "icmp.type", "icmp.code", "icmpv6.type",
    "sctp.srcport", "sctp.dstport", "ip.flags.mf", "ip.frag_offset", "frame.cap_len", "frame.len",
    "ip.checksum", "tcp.checksum", "udp.checksum", "icmp.checksum", "icmpv6.checksum", "ip.id", "ip.ttl",
]  # fmt: skip


def read(tmp_path: Path, rec: np.ndarray[Any, Any]) -> dict[str, str]:
    """What tshark sees, absent fields left out."""
    path = tmp_path / "h.pcapng"
    path.write_bytes(encode_all(handover.encoder("pcapng", info("headers")), rec)[0])
    (row,) = fields(path, NAMES)
    return {name: value for name, value in row.items() if value}


def packets(rec: np.ndarray[Any, Any]) -> list[Record]:
    data, _ = encode_all(handover.encoder("pcapng", info("headers")), rec)
    return [item for item in decode("pcapng", io.BytesIO(data)) if isinstance(item, Record)]


def test_tcp_over_ipv4(tmp_path: Path) -> None:
    """Addresses, ports, flags and length are the record's; all else is zero."""
    assert read(tmp_path, header(l3_len=1500)) == {
        "ip.version": "4", "ip.src": "203.0.113.7", "ip.dst": "198.51.100.1", "ip.proto": "6", "ip.len": "1500",
        "tcp.srcport": "40001", "tcp.dstport": "443", "tcp.flags": "0x0012", "ip.flags.mf": "0",
        "ip.frag_offset": "0", "frame.cap_len": "40", "frame.len": "1500", "ip.checksum": "0x0000",
        "tcp.checksum": "0x0000", "ip.id": "0x0000", "ip.ttl": "0",
    }  # fmt: skip


def test_udp_over_ipv6(tmp_path: Path) -> None:
    """The same for UDP and IPv6."""
    found = read(tmp_path, header(**{**UDP, **V6, "l3_len": 100}))
    assert found == {
        "ip.version": "6", "ipv6.src": "2001:db8:7::1", "ipv6.dst": "2001:db8::53", "ipv6.nxt": "17", "ipv6.plen": "60",
        "udp.srcport": "5353", "udp.dstport": "53", "udp.checksum": "0x0000", "frame.cap_len": "48",
        "frame.len": "100",
    }  # fmt: skip


def test_icmp(tmp_path: Path) -> None:
    """Type and code only: no identifier, no quoted packet, no checksum."""
    found = read(tmp_path, header(**ICMP, l3_len=84, tcp_flags=0, src_port=0, dst_port=0))
    assert (found["icmp.type"], found["icmp.code"], found["icmp.checksum"]) == ("3", "1", "0x0000")
    assert (found["frame.cap_len"], found["frame.len"]) == ("28", "84")
    found = read(tmp_path, header(**{**ICMP, **V6, "proto": 58, "icmp_type": 128}, l3_len=104))
    assert (found["icmpv6.type"], found["icmpv6.checksum"], found["frame.cap_len"]) == ("128", "0x0000", "48")


@pytest.mark.parametrize(
    ("proto", "name", "length"), [(132, "sctp", 32), (136, "udplite", 28), (33, "", 24), (200, "", 24)]
)
def test_other_transports(tmp_path: Path, proto: int, name: str, length: int) -> None:
    """Ports where they are proven, and no octet more than the base header."""
    found = read(tmp_path, header(proto=proto, present=abi.HAS_IP | abi.HAS_PORTS | abi.HAS_LENGTH))
    assert found["ip.proto"] == str(proto)
    assert found["frame.cap_len"] == str(length)
    if name == "sctp":
        assert (found["sctp.srcport"], found["sctp.dstport"]) == ("40001", "443")


@pytest.mark.parametrize("version", [4, 6])
def test_without_length(tmp_path: Path, version: int) -> None:
    """An order without lengths: the packet is as long as its synthesised headers, and readers find the ports."""
    rec = header(present=abi.HAS_IP | abi.HAS_PORTS | abi.HAS_TCP_FLAGS, l3_len=0, **(V6 if version == 6 else {}))
    found = read(tmp_path, rec)
    assert found["tcp.dstport"] == "443"
    assert found["frame.cap_len"] == found["frame.len"] == ("40" if version == 4 else "60")
    assert found["ip.len" if version == 4 else "ipv6.plen"] == ("40" if version == 4 else "20")


def test_hidden_ports(tmp_path: Path) -> None:
    """An order without ports: no transport header at all, whatever else the record holds."""
    found = read(tmp_path, header(present=abi.HAS_IP | abi.HAS_LENGTH | abi.HAS_TCP_FLAGS))
    assert not [name for name in found if name.startswith("tcp")]
    assert (found["frame.cap_len"], found["frame.len"]) == ("20", "60")


@pytest.mark.parametrize("extra", [{}, V6])
def test_later_fragments_have_no_ports(tmp_path: Path, extra: dict[str, Any]) -> None:
    """They are marked as fragments and no reader takes them for transport headers, nor puts them together."""
    recs = np.concatenate(
        [
            header(**{**UDP, **extra, "frag": abi.FRAG_FIRST, "l3_len": 1500}),
            header(**{**UDP, **extra, "frag": abi.FRAG_LATER, "l3_len": 700}),
        ]
    )
    path = tmp_path / "h.pcapng"
    path.write_bytes(encode_all(handover.encoder("pcapng", info("headers")), numbered(recs))[0])
    names = ["udp.dstport", "ip.frag_offset", "ip.flags.mf", "ipv6.fraghdr.offset", "ipv6.fraghdr.more", "frame.len"]
    first, later = fields(path, [*names, "_ws.malformed"], "-o", "ipv6.defragment:FALSE")
    assert (first["udp.dstport"], later["udp.dstport"]) == ("53", "")
    offset, more = ("ipv6.fraghdr.offset", "ipv6.fraghdr.more") if extra else ("ip.frag_offset", "ip.flags.mf")
    assert (first[offset], first[more], later[more]) == ("0", "1", "1")
    assert later[offset] in ("1", "8")
    assert not first["_ws.malformed"]
    assert not later["_ws.malformed"]
    assert (first["frame.len"], later["frame.len"]) == ("1500", "700")


def test_a_packet_shorter_than_its_header() -> None:
    """Never more octets than the packet had."""
    (item,) = packets(header(**ICMP, l3_len=24))
    assert (len(item.data or b""), item.wire_length) == (24, 24)


def test_a_record_that_proves_nothing_is_empty() -> None:
    """No stale field becomes an octet."""
    (item,) = packets(header(present=0, ip_version=4))
    assert item.data == b""


def test_beyond_65535() -> None:
    """A merged packet (GRO) longer than a length field: zero there, the true length beside it."""
    (item,) = packets(header(l3_len=70_000))
    assert ((item.data or b"")[2:4], item.wire_length) == (b"\0\0", 70_000)


def test_tools_open_it(tmp_path: Path) -> None:
    """capinfos and tcpdump accept the file."""
    path = tmp_path / "h.pcapng"
    path.write_bytes(encode_all(handover.encoder("pcapng", info("headers")), numbered([header()] * 5))[0])
    assert "Number of packets:   5" in capinfos(path)
    assert all("203.0.113.7.40001 > 198.51.100.1.443: Flags [S.]" in line for line in tcpdump(path))


def test_a_packet_record_is_refused() -> None:
    """A headers encoder given a packet record writes nothing of it."""
    frame = b"TAINTED" * 20
    encoder = handover.encoder("pcapng", info("headers"))
    encoder.opening()
    batch = Batch.of(packet(frame), [frame])
    selection = select(batch, abi.REC_PACKET)
    with pytest.raises(RefusedError, match="not of the kind"):
        list(encoder.encode(batch, selection))


RECORDS = st.fixed_dictionaries(
    {
        "present": st.integers(0, 31),
        "ip_version": st.sampled_from([0, 4, 6, 4, 6, 9]),
        "proto": st.sampled_from([0, 1, 6, 17, 33, 44, 47, 50, 58, 59, 89, 132, 136, 255]),
        "frag": st.integers(0, 3),
        "l3_len": st.one_of(st.integers(0, 120), st.integers(0, 2**32 - 1)),
        "tcp_flags": st.integers(0, 255),
        "src_port": st.integers(0, 65535),
        "dst_port": st.integers(0, 65535),
        "icmp_type": st.integers(0, 255),
        "icmp_code": st.integers(0, 255),
        "dir": st.integers(0, 255),
        "clock": st.integers(0, 255),
        "src": st.binary(min_size=16, max_size=16),
        "dst": st.binary(min_size=16, max_size=16),
        "wire_len": st.integers(0, 2**32 - 1),
        "l3_off": st.integers(0, 65535),
    }
)


@given(st.lists(RECORDS, min_size=1, max_size=5), st.sampled_from(["pcapng", "text", "msgpack"]))
def test_no_octet_of_data_leaves(rows: list[dict[str, Any]], form: str) -> None:
    """For any record whatever, with cap_len and data pointing to tainted memory, the output is the same as without."""
    recs = numbered([header(**row) for row in rows])
    encoder = handover.encoder(form, info("headers"))
    clean, _ = encode_all(encoder, recs)
    taint = b"\xde\xad\xbe\xef" * 100
    batch = Batch.of(recs, [b""] * len(recs))
    batch.recs["cap_len"][: len(recs)] = len(taint)
    batch.data[: len(recs)] = int(ffi.cast("uintptr_t", ffi.from_buffer(taint)))
    tainted = encoder.opening() + b"".join(
        bytes(chunk.payload) for chunk in encoder.encode(batch, select(batch, abi.REC_HEADER))
    )
    assert tainted == clean
    batch.data[: len(recs)] = 1  # an address that cannot be read: touching it would end this process
    assert (
        encoder.opening()
        + b"".join(bytes(chunk.payload) for chunk in encoder.encode(batch, select(batch, abi.REC_HEADER)))
        == clean
    )
    list(decode(form, io.BytesIO(clean)))


@given(RECORDS)
def test_only_what_is_proven_leaves(row: dict[str, Any]) -> None:
    """Fields that `present` does not vouch for change nothing."""
    rec = header(**row)
    (before,) = packets(rec)
    changed = rec.copy()
    for flag, names in {
        abi.HAS_IP: ("src", "dst", "ip_version", "proto"),
        abi.HAS_PORTS: ("src_port", "dst_port"),
        abi.HAS_TCP_FLAGS: ("tcp_flags",),
        abi.HAS_ICMP: ("icmp_type", "icmp_code"),
        abi.HAS_LENGTH: ("l3_len",),
    }.items():
        if not row["present"] & flag:
            for name in names:
                changed[name] ^= 0x55
    (after,) = packets(changed)
    assert after == before


@given(RECORDS)
def test_the_synthesised_header_says_what_the_record_says(row: dict[str, Any]) -> None:
    """Version, addresses and protocol stand where RFC 791 and RFC 8200 put them."""
    (item,) = packets(header(**row))
    data = item.data or b""
    if not row["present"] & abi.HAS_IP or row["ip_version"] not in (4, 6):
        assert data == b""
        return
    base = 20 if row["ip_version"] == 4 else 40
    if row["present"] & abi.HAS_LENGTH and row["l3_len"] < base:
        assert len(data) == row["l3_len"]
        return
    assert data[0] >> 4 == row["ip_version"]
    if row["ip_version"] == 4:
        assert data[12:20] == row["src"][:4] + row["dst"][:4]
        assert data[9] == row["proto"]
        assert data[10:12] == b"\0\0"
    else:
        assert data[8:40] == row["src"] + row["dst"]
    assert str(ipaddress.ip_address(data[12:16] if base == 20 else data[8:24]))
    assert len(data) <= base + 8 + 20
    if row["frag"] == abi.FRAG_LATER:
        assert len(data) <= base + (8 if base == 40 else 0)
