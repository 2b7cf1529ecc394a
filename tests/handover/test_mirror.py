# SPDX-License-Identifier: Apache-2.0
"""TZSP and PacketCable CCC: an independent encoding by struct, tshark's view, what cannot be carried."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conformance import Stream, content, example, records
from handover_records import T0, info, numbered, packet
from handover_tshark import fields
from handover_wire import UDP, capture
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.errors import RefusedError, UsageError
from lictl.handover.ccc import case_of, cccid_of
from lictl.handover.decode_mirror import CccFormat, datagrams
from lictl.handover.decoded import DecodeError
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder

if TYPE_CHECKING:
    from pathlib import Path

NTP = 2_208_988_800
SIZES = st.lists(st.one_of(st.integers(40, 100), st.integers(40, 9000)), min_size=1, max_size=4)


def sent(data: bytes) -> list[bytes]:
    """What goes out: each datagram without the length before it."""
    return list(datagrams(io.BytesIO(data)))


@given(sizes=SIZES, version=st.sampled_from([4, 6]), tagged=st.booleans())
@settings(max_examples=40)
def test_tzsp_is_what_struct_makes(sizes: list[int], version: int, tagged: bool) -> None:
    """Version, type, encapsulation, tags where they are asked for, the end, the frame."""
    pairs = [content(size, version=version) for size in sizes]
    recs, frames = numbered([rec for rec, _ in pairs]), [frame for _, frame in pairs]
    made = Stream("tzsp", "content", tags="yes" if tagged else "no").write(recs, frames)
    expected = []
    for at, frame in enumerate(frames):
        seconds, ns = divmod(T0 + 1000 * at, 10**9)
        tags = struct.pack("!BBIBBII", 40, 4, at + 1, 82, 8, seconds, ns) if tagged else b""
        expected.append(b"\x01\x00\x00\x01" + tags + b"\x01" + frame)
    assert sent(made.data) == expected


@given(sizes=SIZES, version=st.sampled_from([4, 6]), header=st.sampled_from([4, 12, 20]), ns=st.integers(0, 2**62))
@settings(max_examples=60)
def test_ccc_is_what_struct_makes(sizes: list[int], version: int, header: int, ns: int) -> None:
    """CCCID, NTP time, case id, packet; any time comes back to the nanosecond."""
    pairs = [content(size, version=version) for size in sizes]
    recs, frames = np.concatenate([rec for rec, _ in pairs]), [frame for _, frame in pairs]
    recs["utc_ns"], recs["slot_seq"] = ns, np.arange(1, len(recs) + 1)
    made = Stream("ccc", "content", header=str(header), cccid="4711", case="99").write(recs, frames)
    seconds, rest = divmod(ns, 10**9)
    head = struct.pack("!IIIQ", 4711, (seconds + NTP) % 2**32, -(-(rest << 32) // 10**9), 99)[:header]
    assert sent(made.data) == [head + frame[14:] for frame in frames]
    for datagram in sent(made.data):
        pdu = CccFormat(header).decode(datagram)
        if header > 4 and seconds < 4_200_000_000:
            assert pdu.utc_ns == ns
        assert PDU_FORMATS["ccc"].decode(datagram).record == pdu.record


def test_tshark_reads_tzsp(tmp_path: Path) -> None:
    """The packets inside, and number and time from the tags."""
    names = ["tzsp.encap", "udp.dstport", "tzsp.packet_id", "frame.protocols"]
    for tags in ("no", "yes"):
        made = Stream("tzsp", "content", tags=tags).write(*example("content", 1, 2, 7))
        path = capture(tmp_path / f"{tags}.pcap", sent(made.data), UDP, 37008)
        rows = fields(path, names, "-d", "udp.port==37008,tzsp", "-E", "occurrence=l")
        assert [(row["tzsp.encap"], row["udp.dstport"]) for row in rows] == [("1", "53")] * 3
        assert [row["tzsp.packet_id"] for row in rows] == (["1", "2", "7"] if tags == "yes" else [""] * 3)
        assert rows[1]["frame.protocols"].startswith("eth:ethertype:ip:udp:tzsp:eth:ethertype:ipv6:udp")


@pytest.mark.parametrize(("header", "dissector"), [("4", "pcli"), ("12", "pcli12"), ("20", "pcli20")])
def test_tshark_reads_ccc(tmp_path: Path, header: str, dissector: str) -> None:
    """CCCID, time and case id of each header, and the packet behind it."""
    made = Stream("ccc", "content", header=header).write(*example("content", 1, 3, 5))
    path = capture(tmp_path / "ccc.pcap", sent(made.data), UDP, 9001)
    names = ["pcli.cccid", "pcli.timestamp", "pcli.case_id", "ip.dst", "udp.dstport"]
    row = fields(path, names, "-d", f"udp.port==9001,{dissector}", "-d", "pcli.payload,ip", "-E", "occurrence=l")[0]
    assert (row["pcli.cccid"], row["ip.dst"]) == (str(cccid_of("LIID0001")), "198.51.100.1")
    assert row["udp.dstport"] == "53"
    assert ("12:00:00.123456789" in row["pcli.timestamp"]) == (header != "4")
    assert (int(row["pcli.case_id"] or "0", 0) == case_of("CASE 1")) == (header == "20")


@pytest.mark.parametrize("name", ["tzsp", "ccc"])
def test_what_does_not_fit_into_a_datagram_is_counted(name: str) -> None:
    """A merged packet is left out; the account has it as lost and unfit, and what stands around it is delivered."""
    small, large = content(64, slot_seq=1), content(65530, slot_seq=2)
    last = content(80, slot_seq=5)
    recs = np.concatenate([small[0], large[0], last[0]])
    stream = Stream(name, "content")
    made = stream.write(recs, [small[1], large[1], last[1]])
    (chunk,) = made.chunks
    assert (chunk.records, chunk.lost, chunk.unfit, chunk.last_sequence) == (2, 3, 1, 5)
    assert stream.encoder.too_long == 1
    assert [len(item.data or b"") % 100 for item in records(name, made.data)] in ([78, 94], [64, 80])


def test_a_frame_without_ip_is_counted_in_ccc() -> None:
    """CCC carries IP alone; TZSP carries the frame."""
    frame = bytes.fromhex("ffffffffffff 020000000002 0806") + bytes(28)
    rec = packet(frame, present=0, ip_version=0, l3_off=0, l3_len=0)
    stream = Stream("ccc", "content")
    ccc = stream.write(rec, [frame])
    assert stream.encoder.too_long == 0
    assert [(chunk.records, chunk.lost, chunk.unfit) for chunk in ccc.chunks] == [(0, 1, 1)]
    assert ccc.data == b""
    assert sent(Stream("tzsp", "content").write(rec, [frame]).data) == [b"\1\0\0\1\1" + frame]


def test_the_names_in_ccc() -> None:
    """Stable, different for different orders; a case id that is a number stands as it is."""
    assert cccid_of("LIID0001") == cccid_of("LIID0001") != cccid_of("LIID0002")
    assert case_of("4711") == 4711
    assert case_of("CASE 1") == case_of("CASE 1") != case_of("CASE 2")
    assert (cccid_of("x", "7"), case_of("x", "8")) == (7, 8)
    with pytest.raises(UsageError, match="32 bits"):
        encoder("ccc", info("content", {"cccid": "4294967296"}))


@pytest.mark.parametrize("name", ["tzsp", "ccc"])
def test_headers_orders_are_refused(name: str) -> None:
    """There is no class that could be made for them."""
    with pytest.raises(RefusedError, match="cannot carry an order for headers"):
        encoder(name, info("headers"))


def test_tags_of_others_are_passed_over() -> None:
    """Padding, unknown tags and those of radios stand before the frame without harm; an endless list is an error."""
    pdu = PDU_FORMATS["tzsp"].decode(bytes.fromhex("01000001 00 0a01c4 ff020102 2804000000ff 01") + b"frame")
    assert pdu.record is not None
    assert (pdu.sequence, pdu.record.data) == (255, b"frame")
    with pytest.raises(DecodeError, match="no end"):
        PDU_FORMATS["tzsp"].decode(bytes.fromhex("01000001 0aff01"))
