# SPDX-License-Identifier: Apache-2.0
"""Descriptive text and msgpack: what goes in comes out of the decoder, for every field and any frame."""

from __future__ import annotations

import io
import ipaddress
import re
from typing import Any

import msgpack
import numpy as np
import pytest
from handover_records import T0, UDP, encode_all, header, info, numbered, packet
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl import handover
from lictl.handover.base import Gap
from lictl.handover.decode import Interface, Loss, Opening, Record, decode
from lictl.probe import abi
from lictl.times import parse_rfc3339

FORMS = ["text", "msgpack"]
CLOCKS = {1: "kernel", 2: "hardware", 3: "file"}

FIELDS = st.fixed_dictionaries(
    {
        "utc_ns": st.one_of(st.just(0), st.integers(0, 2**63 - 1), st.integers(T0, T0 + 10**12)),
        "slot_seq": st.integers(1, 2**32),
        "ifindex": st.sampled_from([1, 3, 4, 16383]),
        "hook": st.integers(0, 1),
        "dir": st.integers(0, 3),
        "clock": st.integers(1, 3),
        "ip_version": st.sampled_from([0, 4, 6]),
        "proto": st.integers(0, 255),
        "present": st.integers(0, 31),
        "tcp_flags": st.integers(0, 255),
        "src_port": st.integers(0, 65535),
        "dst_port": st.integers(0, 65535),
        "l3_len": st.integers(0, 2**32 - 1),
        "icmp_type": st.integers(0, 255),
        "icmp_code": st.integers(0, 255),
        "frag": st.integers(0, 2),
        "src": st.binary(min_size=16, max_size=16),
        "dst": st.one_of(st.binary(min_size=16, max_size=16), st.just(bytes(16)), st.just(bytes(15) + b"\1")),
    }
)


def shown(rec: Any) -> dict[str, Any]:
    """What a decoder must give for a record."""
    present = int(rec["present"])
    ip = bool(present & abi.HAS_IP and rec["ip_version"])
    size = 4 if rec["ip_version"] == 4 else 16

    def when(flag: int, value: Any) -> int | None:
        return int(value) if present & flag else None

    return {
        "utc_ns": int(rec["utc_ns"]),
        "direction": ("unknown", "from", "to", "both")[int(rec["dir"])],
        "clock": CLOCKS[int(rec["clock"])],
        "ip_version": int(rec["ip_version"]) if ip else None,
        "protocol": int(rec["proto"]) if ip else None,
        "source": str(ipaddress.ip_address(rec["src"].tobytes()[:size])) if ip else None,
        "destination": str(ipaddress.ip_address(rec["dst"].tobytes()[:size])) if ip else None,
        "source_port": when(abi.HAS_PORTS, rec["src_port"]),
        "destination_port": when(abi.HAS_PORTS, rec["dst_port"]),
        "ip_length": when(abi.HAS_LENGTH, rec["l3_len"]),
        "tcp_flags": when(abi.HAS_TCP_FLAGS, rec["tcp_flags"]),
        "icmp_type": when(abi.HAS_ICMP, rec["icmp_type"]),
        "icmp_code": when(abi.HAS_ICMP, rec["icmp_code"]),
        "fragment": ("none", "first", "later")[int(rec["frag"])],
    }


def decoded(form: str, data: bytes) -> list[Record]:
    return [item for item in decode(form, io.BytesIO(data)) if isinstance(item, Record)]


def matches(item: Record, expected: dict[str, Any]) -> None:
    assert {name: getattr(item, name) for name in expected} == expected


@pytest.mark.parametrize("form", FORMS)
@given(rows=st.lists(FIELDS, min_size=1, max_size=6))
def test_every_field_of_a_header_record_comes_back(form: str, rows: list[dict[str, Any]]) -> None:
    """All values, absent ones too, with interfaces and numbers."""
    recs = np.concatenate([header(**row) for row in rows])
    recs["slot_seq"] = np.cumsum(recs["slot_seq"])
    data, _ = encode_all(handover.encoder(form, info("headers")), recs)
    found = decoded(form, data)
    assert [item.sequence for item in found] == recs["slot_seq"].tolist()
    assert [item.lost_before for item in found] == [row["slot_seq"] - 1 for row in rows]
    for item, rec in zip(found, recs, strict=True):
        matches(item, shown(rec))
        assert item.data is None
    names = {i.number: (i.name, i.hook) for i in decode(form, io.BytesIO(data)) if isinstance(i, Interface)}
    for item, row in zip(found, rows, strict=True):
        name = {3: "eth1", 4: "eth2"}.get(row["ifindex"], f"if{row['ifindex']}")
        assert names[item.interface] == (name, ("ingress", "egress")[row["hook"]])


@pytest.mark.parametrize(("form", "options"), [("text", {}), ("text", {"encoding": "ascii"}), ("msgpack", {})])
@given(rows=st.lists(st.tuples(FIELDS, st.binary(max_size=200), st.integers(0, 250)), min_size=1, max_size=4))
def test_every_frame_comes_back(
    form: str, options: dict[str, str], rows: list[tuple[dict[str, Any], bytes, int]]
) -> None:
    """Octet for octet, wherever IP begins in it."""
    frames = [frame for _, frame, _ in rows]
    recs = np.concatenate([packet(frame, **{**row, "l3_off": at}) for row, frame, at in rows])
    recs["slot_seq"] = np.cumsum(recs["slot_seq"])
    data, _ = encode_all(handover.encoder(form, info("content", options)), recs, frames)
    found = decoded(form, data)
    assert [item.data for item in found] == frames
    for item, rec in zip(found, recs, strict=True):
        matches(item, shown(rec))
        assert item.wire_length is not None
        assert item.wire_length >= len(item.data or b"")


@pytest.mark.parametrize(
    ("form", "options"), [("text", {}), ("text", {"encoding": "ascii"}), ("msgpack", {}), ("pcapng", {})]
)
@pytest.mark.parametrize("size", [0, 1, 255, 256, 1500, 9000, 65_535, 65_536, 65_600])
def test_frames_of_every_length(form: str, options: dict[str, str], size: int) -> None:
    """Up to the longest that a record holds, many of them, over several chunks."""
    frames = [bytes((i + k) % 256 for k in range(size)) for i in range(20)]
    data, chunks = encode_all(
        handover.encoder(form, info("content", options)), numbered([packet(frame) for frame in frames]), frames
    )
    assert [item.data for item in decoded(form, data)] == frames
    assert sum(chunk.records for chunk in chunks) == 20


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["headers", "content"])
def test_opening_and_gap_come_back(form: str, mode: Any) -> None:
    """Names, also with spaces and letters beyond ASCII, and losses with their reason and times."""
    encoder = handover.encoder(form, info(mode, case_id="Fall Ä 7\\x", agency="FBI New York"))
    data = encoder.opening() + encoder.gap(Gap(7, 12, "disk", T0, T0 + 5)) + encoder.opening()
    opening, loss, again = decode(form, io.BytesIO(data))
    assert isinstance(opening, Opening)
    assert (opening.mode, opening.liid) == (mode, "LIID0001")
    assert (opening.about["case"], opening.about["agency"]) == ("Fall Ä 7\\x", "FBI New York")
    assert loss == Loss(7, 12, "disk", T0, T0 + 5)
    assert again == opening


def test_lines_read_as_the_grammar_says() -> None:
    """One line a record, TAG=value, nothing but visible ASCII and single spaces."""
    data, _ = encode_all(handover.encoder("text", info("headers")), header(**UDP, l3_len=71, dir=abi.DIR_TO))
    lines = data.decode("ascii").split("\n")
    assert lines[-1] == ""
    assert lines[-2] == (
        "HEADERS LIID=LIID0001 SEQ=1 TIME=2026-03-01T12:00:00.123456789Z LOST=0 IF=0 DIR=TO CLOCK=KERNEL IP=4 PROTO=17 "
        "SRC=203.0.113.7 DST=198.51.100.1 SPORT=5353 DPORT=53 LENGTH=71"
    )
    assert all(re.fullmatch(r"[A-Z-]+( [A-Z]+=[!-~]+)+", line) for line in lines[:-1])


@given(st.integers(0, 2**64 - 1))
def test_times_are_the_calendar(utc_ns: int) -> None:
    """Any 64-bit time of ns is written as RFC 3339 says; 500 years of it."""
    data, _ = encode_all(handover.encoder("text", info("headers")), header(utc_ns=min(utc_ns, 2**63 - 1)))
    text = data.decode().split(" TIME=")[1].split(" ")[0]
    assert parse_rfc3339(text) == min(utc_ns, 2**63 - 1)
    assert len(text) == 30


@given(st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0x0DB8]), min_size=8, max_size=8))
@settings(max_examples=300)
def test_ipv6_text_is_canonical(groups: list[int]) -> None:
    """As RFC 5952 says, judged by the standard library."""
    packed = b"".join(group.to_bytes(2, "big") for group in groups)
    data, _ = encode_all(handover.encoder("text", info("headers")), header(ip_version=6, src=packed))
    text = data.decode().split(" SRC=")[1].split(" ")[0]
    assert text == str(ipaddress.IPv6Address(packed))


def test_ascii_shows_text_as_text() -> None:
    """Printable octets stand for themselves, all else is escaped; the link header stays hex."""
    frame = bytes(range(14)) + b"GET / HTTP/1.1\r\nA\\b\x7f\xff"
    data, _ = encode_all(handover.encoder("text", info("content", {"encoding": "ascii"})), packet(frame), [frame])
    assert data.decode().endswith(
        f" FRAME={len(frame)} WIRE={len(frame)} LINK=000102030405060708090a0b0c0d "
        "DATA=GET / HTTP/1.1\\x0d\\x0aA\\x5cb\\x7f\\xff\n"
    )


def test_msgpack_is_read_by_any_library() -> None:
    """Plain arrays whose elements the opening names."""
    frame = b"\x02" * 14 + b"ip"
    data, _ = encode_all(handover.encoder("msgpack", info("content")), packet(frame), [frame])
    opening, interface, record = msgpack.Unpacker(io.BytesIO(data))
    names = dict(map(tuple, opening[1]["elements"]))
    assert dict(zip(names[interface[0]], interface, strict=True)) == {
        "type": 4, "interface": 0, "name": "eth1", "hook": "ingress",
    }  # fmt: skip
    found = dict(zip(names[record[0]], record, strict=True))
    assert found["frame"] == frame
    assert (found["sequence"], found["utc_ns"], found["ip_offset"]) == (1, T0, 14)
    assert found["source"] == b"\xcb\x00\x71\x07"
