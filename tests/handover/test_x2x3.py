# SPDX-License-Identifier: Apache-2.0
"""X2 and X3: the verified samples, an independent encoding by struct, tshark's view, keep-alives, options."""

from __future__ import annotations

import json
import struct
import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import HEADER_FIELDS, Stream, content, event, example, ip_packet, items, records
from handover_records import UUID, header, info, numbered, packet
from handover_tshark import fields
from handover_wire import TCP, capture
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.delivery.config import StreamConfig
from lictl.errors import RefusedError, UsageError
from lictl.handover.base import Gap
from lictl.handover.decode import Loss
from lictl.handover.decode_x2x3 import acknowledgement
from lictl.handover.decoded import DecodeError
from lictl.handover.dialects import dialect
from lictl.handover.pdu import Answer, split
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder
from lictl.handover.x2x3 import correlation_of
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.native import lib
from lictl.service.capture_file import CaptureFile, Matcher
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.kinds import MacTarget, PppoeTarget, VlanTarget
from lictl.targets.orders import ArmedOrder

NAME = "etsi-103221-2"
FORMAT = PDU_FORMATS[NAME]
PACKET = bytes.fromhex("4500001c000100004011b6c9cb007107c63364019c4001bb00080000")
# The sample of the two implementations that were held against each other, and the bare keep-alive.
SAMPLE = bytes.fromhex(
    "000500020000003c0000001c0005000329f28e1cf230486aa860f5a784ab917700000000000000010008000400011170"
    "0009000867c2f6c000000005"
) + PACKET  # fmt: skip
KEEPALIVE = bytes.fromhex("0005000300000028") + bytes(32)
DIRECTION = {0: 1, 1: 3, 2: 2, 3: 4}


def expected(rec: np.void, number: int, payload: bytes | None, width: int, own: bool = False) -> bytes:
    """A PDU put together by struct alone."""
    seconds, ns = divmod(int(rec["utc_ns"]), 10**9)
    stamp = struct.pack({8: "!II", 12: "!QI", 16: "!QQ"}[width], seconds, ns)
    attributes = [(8, struct.pack("!I", number)), (9, stamp)]
    ip = rec["present"] & abi.HAS_IP and rec["ip_version"] in (4, 6)
    version = int(rec["ip_version"])
    if payload is None:
        size, first = (4, 10) if version == 4 else (16, 12)
        if ip:
            attributes += [(first, rec["src"].tobytes()[:size]), (first + 1, rec["dst"].tobytes()[:size])]
        if rec["present"] & abi.HAS_PORTS:
            attributes += [(14 + at, struct.pack("!H", rec[name])) for at, name in enumerate(("src_port", "dst_port"))]
        if ip:
            attributes.append((16, bytes([rec["proto"]])))
    block = b"".join(struct.pack("!HH", kind, len(value)) + value for kind, value in attributes)
    kind = 4 if payload is None else {4: 5, 6: 6}[version] if ip else 7
    head = struct.pack(
        "!HHIIHH16sQ", 5, 1 if payload is None else 2, 40 + len(block), len(payload or b""), kind,
        DIRECTION[int(rec["dir"])], uuid.UUID(UUID).bytes, 1,
    )  # fmt: skip
    return head + block + (payload or b"")


def test_the_verified_sample() -> None:
    """Octet for octet, and it decodes."""
    rec, frame = packet(bytes(14) + PACKET, utc_ns=1740830400 * 10**9 + 5, slot_seq=70001), bytes(14) + PACKET
    assert Stream(NAME, "content", correlation="1").write(rec, [frame]).data == SAMPLE
    pdu = FORMAT.decode(SAMPLE)
    assert (pdu.kind, pdu.liid, pdu.stream, pdu.sequence, pdu.utc_ns) == ("cc", UUID, "1", 70000, 1740830400000000005)
    assert pdu.record is not None
    assert (pdu.record.data, pdu.record.direction) == (PACKET, "from")


@given(
    sizes=st.lists(st.one_of(st.integers(20, 100), st.integers(40, 9000)), min_size=1, max_size=4),
    version=st.sampled_from([4, 6]),
    width=st.sampled_from([8, 12, 16]),
    slot=st.integers(1, 2**33),
    direction=st.integers(0, 3),
)
@settings(max_examples=60)
def test_x3_is_what_struct_makes(sizes: list[int], version: int, width: int, slot: int, direction: int) -> None:
    """Any sizes, both versions of IP, each width of timestamp, numbers beyond 32 bits."""
    pairs = [content(max(size, 40), version=version, dir=direction) for size in sizes]
    recs = numbered([rec for rec, _ in pairs])
    recs["slot_seq"] += slot
    made = Stream(NAME, "content", correlation="1", timestamp=str(width)).write(recs, [frame for _, frame in pairs])
    assert split(FORMAT, made.data) == [
        expected(rec, (slot + at) % 2**32, frame[14:], width)
        for at, (rec, (_, frame)) in enumerate(zip(recs, pairs, strict=True))
    ]


@given(rows=st.lists(HEADER_FIELDS, min_size=1, max_size=5), width=st.sampled_from([8, 12, 16]))
@settings(max_examples=60)
def test_x2_is_what_struct_makes(rows: list[dict[str, Any]], width: int) -> None:
    """Whatever a record proves stands in an attribute, and nothing else does."""
    recs = numbered([header(**row) for row in rows])
    made = Stream(NAME, "headers", correlation="1", timestamp=str(width)).write(recs)
    assert split(FORMAT, made.data) == [expected(rec, at, None, width) for at, rec in enumerate(recs)]


@given(HEADER_FIELDS)
@settings(max_examples=60)
def test_all_fields_come_back(row: dict[str, Any]) -> None:
    """With `fields=all` length, TCP flags and ICMP stand in the proprietary attribute, as far as they are proven."""
    (item,) = records(NAME, Stream(NAME, "headers", fields="all").write(header(**row)).data)
    present = row["present"]
    assert item.ip_length == (row["l3_len"] if present & abi.HAS_LENGTH else None)
    assert item.tcp_flags == (row["tcp_flags"] if present & abi.HAS_TCP_FLAGS else None)
    assert item.icmp_type == (row["icmp_type"] if present & abi.HAS_ICMP else None)
    assert item.fragment == ("none", "first", "later")[row["frag"]]


def test_a_frame_without_ip_is_an_ethernet_frame() -> None:
    """A MAC target's ARP request is delivered whole."""
    frame = bytes.fromhex("ffffffffffff 020000000002 0806") + b"\0\1\x08\0" + bytes(24)
    rec = packet(frame, present=0, ip_version=0, l3_off=0, l3_len=0)
    made = Stream(NAME, "content", correlation="1").write(rec, [frame])
    assert made.data == expected(rec[0], 0, frame, 8)
    assert FORMAT.decode(made.data).message == "X3 Ethernet"


def test_tshark_reads_x3(tmp_path: Path) -> None:
    """XID, number, time, direction and the packet inside, from the bytes that are delivered."""
    made = Stream(NAME, "content").write(*example("content", 1, 2, 5, 6))
    path = capture(tmp_path / "x3.pcap", split(FORMAT, made.data), TCP, 9999)
    names = ["li5g.type", "li5g.xid", "li5g.pd", "li5g.pf", "li5g.ts", "li5g.pl", "udp.dstport"]
    rows = fields(path, names, "-d", "tcp.port==9999,5gli")
    assert [row["li5g.pd"] for row in rows] == ["1", "3", "2", "4"]
    assert [row["li5g.pf"] for row in rows] == ["5", "6", "5", "6"]
    assert [row["udp.dstport"] for row in rows] == ["53"] * 4
    assert {(row["li5g.type"], row["li5g.xid"]) for row in rows} == {("2", UUID)}
    assert all("12:00:00.12345" in row["li5g.ts"] for row in rows)


def test_tshark_reads_x2(tmp_path: Path) -> None:
    """Addresses, ports and protocol of the reports, and the events between them."""
    stream = Stream(NAME, "headers", fields="all")
    data = stream.write(*example("headers", 1, 2)).data + stream.encoder.event(event("end"))
    path = capture(tmp_path / "x2.pcap", split(FORMAT, data), TCP, 9999)
    names = ["li5g.type", "li5g.srcip", "li5g.dstipv6", "li5g.srcport", "li5g.dstport", "li5g.ipproto", "li5g.pl"]
    first, second, third = fields(path, names, "-d", "tcp.port==9999,5gli")
    assert list(first.values()) == ["1", "203.0.113.7", "", "5353", "53", "17", "0"]
    assert list(second.values()) == ["1", "", "2001:db8::53", "40001", "443", "6", "0"]
    assert int(third["li5g.pl"]) > 0


def test_events_and_losses_are_x2() -> None:
    """Also beside content; they have no number, and say what happened in JSON."""
    stream = Stream(NAME, "content")
    pdu = FORMAT.decode(stream.encoder.event(event("begin")))
    assert (pdu.kind, pdu.event, pdu.sequence, pdu.record) == ("iri", "begin", None, None)
    told = json.loads(pdu.raw[int.from_bytes(pdu.raw[4:8]) :])
    assert told["targets"] == ["203.0.113.7", "2001:db8:7::/48"]
    assert (told["records"], told["lost"]) == (5, 2)
    gap = stream.encoder.gap(Gap(3, 8, "restart", 0, 10**9))
    assert FORMAT.decode(gap).loss == Loss(3, 7, "restart", 0, 10**9)
    assert items(NAME, gap) == [Loss(3, 8, "restart", 0, 10**9)]
    silent = Stream(NAME, "content", events="no").encoder
    assert silent.event(event("begin")) == silent.gap(Gap(3, 8, "restart", 0, 1)) == b""


def test_the_correlation_is_the_orders() -> None:
    """Stable for an XID, another for another, never 0 unless it is asked for; a number stands as it is."""
    one, other = uuid.UUID(UUID), uuid.UUID(int=7)
    assert correlation_of(one, "xid") == correlation_of(one, "xid") != correlation_of(other, "xid")
    assert 0 < correlation_of(one, "xid") < 2**63
    data = Stream(NAME, "content", correlation="0").write(*example("content", 1)).data
    assert FORMAT.decode(data).stream == "0"


@pytest.mark.parametrize("mode", ["content", "headers"])
@pytest.mark.parametrize("name", ["", "W-12", "not a uuid"])
def test_an_order_without_a_uuid_is_refused(mode: Any, name: str) -> None:
    """An XID is a UUID; nothing is made up."""
    with pytest.raises(RefusedError, match="no UUID"):
        encoder(NAME, info(mode, uuid=name))


@pytest.mark.parametrize(
    "options", [{"version": "5"}, {"timestamp": "4"}, {"correlation": "-1"}, {"fields": "some"}, {"version": "00050"}]
)
def test_wrong_values_are_refused(options: dict[str, str]) -> None:
    """With what would be right."""
    with pytest.raises(UsageError, match=r"It is|Choose"):
        encoder(NAME, info("content", options))


def test_the_version_is_configurable() -> None:
    """In records, events and keep-alives."""
    stream = Stream(NAME, "content", version="0001")
    assert stream.write(*example("content", 1)).data[:2] == b"\0\1"
    assert stream.encoder.event(event("begin"))[:2] == b"\0\1"
    assert dialect(StreamConfig("s", "L", NAME, "x2x3", options={"version": "0500"})).keepalive()[:2] == b"\5\0"


def test_keepalives_and_their_answers() -> None:
    """The plain one is the verified sample; numbered ones count; an acknowledgement in pieces is an answer."""
    plain = dialect(StreamConfig("s", "L", NAME, "x2x3", options={"keepalive": "plain"}))
    assert plain.keepalive() == KEEPALIVE
    talk = dialect(StreamConfig("s", "L", NAME, "x2x3"))
    first, second = talk.keepalive(), talk.keepalive()
    assert first == bytes.fromhex("0005000300000030") + bytes(32) + bytes.fromhex("0008000400000000")
    assert [FORMAT.decode(pdu).sequence for pdu in (first, second)] == [0, 1]
    answer = acknowledgement(FORMAT.decode(second))
    assert answer == bytes.fromhex("0005000400000030") + bytes(32) + bytes.fromhex("0008000400000001")
    assert [talk.received(bytes([octet])) for octet in answer][-1] == [Answer(alive=True)]
    assert talk.received(answer + first + answer[:20]) == [Answer(alive=True)]
    assert talk.received(answer[20:]) == [Answer(alive=True)]
    assert talk.keepalive_s > 0 < talk.response_s


@pytest.mark.parametrize("data", [SAMPLE, b"HTTP/1.1 400 Bad Request\r\n", b"\0\5\0\4" + b"\xff" * 8])
def test_a_peer_that_speaks_something_else(data: bytes) -> None:
    """Is refused as soon as it shows."""
    with pytest.raises(DecodeError):
        dialect(StreamConfig("s", "L", NAME, "x2x3")).received(data)


@pytest.mark.parametrize("cut", range(1, len(SAMPLE)))
def test_a_cut_pdu_is_seen(cut: int) -> None:
    """A prefix is never taken for a whole PDU."""
    assert FORMAT.length(memoryview(SAMPLE)[:cut]) in (0, len(SAMPLE))
    with pytest.raises(DecodeError):
        FORMAT.decode(SAMPLE[:cut])


def test_the_bound_holds() -> None:
    """No record is longer than the bound by which room is checked."""
    for size in (20, 40, 64, 1500):
        rec, frame = content(max(size, 40))
        assert len(Stream(NAME, "content", timestamp="16").write(rec, [frame]).data) <= lib.ln_x2x3_bound(len(frame))
    rec = header(present=31, ip_version=6, src="2001:db8::1", dst="2001:db8::2")
    assert len(Stream(NAME, "headers", timestamp="16", fields="all").write(rec).data) <= lib.ln_x2x3_bound(0)
    assert ip_packet(40)[:1] == b"\x45"


@given(st.lists(st.one_of(st.binary(max_size=60), st.integers(0, len(PACKET)).map(lambda n: PACKET[:n])), max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_capture_of_raw_ip_has_no_other_frames(frames: list[bytes]) -> None:
    """Whatever stands in it and an order names: an IP packet is taken or nothing, so X3 calls none Ethernet."""
    named = (parse("ip:203.0.113.7"), MacTarget(bytes(6)), VlanTarget(0), PppoeTarget(bytes(6), 0))
    armed = [ArmedOrder(0, 1, abi.MODE_CONTENT, 0, 2**63, 0, named, "x")]
    matcher, batch, taken = Matcher(compile_tables(armed)), Batch(64), 0
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for each in (*frames, PACKET):
            file.write(struct.pack("<IIII", 1_700_000_000, 5, len(each), len(each)) + each)
        file.flush()
        source = CaptureFile(Path(file.name))
        while source.read(matcher, batch):
            taken += batch.n
            assert np.all(batch.records["present"] & abi.HAS_IP)
            assert set(batch.records["ip_version"].tolist()) <= {4, 6}
    assert taken >= 1
