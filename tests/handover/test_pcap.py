# SPDX-License-Identifier: Apache-2.0
"""Classic pcap: an independent encoding by struct, and tshark, capinfos and tcpdump as readers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from conformance import HEADER_FIELDS, Stream, content, example, items, records
from handover_records import T0, header, numbered
from handover_tshark import capinfos, fields, tcpdump
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.handover.decode import Opening, Record
from lictl.handover.decoded import DecodeError

if TYPE_CHECKING:
    from pathlib import Path


@given(sizes=st.lists(st.integers(40, 9000), min_size=1, max_size=5), version=st.sampled_from([4, 6]))
@settings(max_examples=40)
def test_content_is_what_struct_makes(sizes: list[int], version: int) -> None:
    """File header, then time, lengths and frame of each packet."""
    pairs = [content(size, version=version) for size in sizes]
    recs, frames = numbered([rec for rec, _ in pairs]), [frame for _, frame in pairs]
    expected = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    for at, frame in enumerate(frames):
        expected += struct.pack("<IIII", *divmod(T0 + 1000 * at, 10**9), len(frame), len(frame)) + frame
    assert Stream("pcap", "content").write(recs, frames).data == expected


@given(rows=st.lists(HEADER_FIELDS, min_size=1, max_size=5))
@settings(max_examples=40)
def test_headers_are_those_of_pcapng(rows: list[dict[str, Any]]) -> None:
    """The same synthesised packets, times and lengths as in pcapng, whose own tests judge them."""
    recs = numbered([header(**row) for row in rows])
    ours, theirs = (records(name, Stream(name, "headers").write(recs).data) for name in ("pcap", "pcapng"))
    assert [(r.data, r.utc_ns, r.wire_length) for r in ours] == [(r.data, r.utc_ns, r.wire_length) for r in theirs]


def test_tools_read_content(tmp_path: Path) -> None:
    """Packets, lengths and times to the nanosecond."""
    path = tmp_path / "a.pcap"
    path.write_bytes(Stream("pcap", "content").write(*example("content", 1, 2, 5)).data)
    rows = fields(path, ["frame.time_epoch", "frame.len", "udp.dstport"])
    assert [row["udp.dstport"] for row in rows] == ["53"] * 3
    assert [row["frame.time_epoch"] for row in rows] == [
        f"{(T0 + 1000 * at) // 10**9}.{(T0 + 1000 * at) % 10**9:09d}" for at in range(3)
    ]
    assert [row["frame.len"] for row in rows] == ["78", "590", "1514"]
    text = capinfos(path)
    assert "Number of packets:   3" in text
    assert "nanoseconds (9)" in text
    assert "203.0.113.7.5353 > 198.51.100.1.53" in tcpdump(path)[0]


def test_tools_read_headers(tmp_path: Path) -> None:
    """Bare IP with ports and flags."""
    path = tmp_path / "h.pcap"
    path.write_bytes(Stream("pcap", "headers").write(*example("headers", 1, 2)).data)
    first, second = tcpdump(path)
    assert "203.0.113.7.5353 > 198.51.100.1.53" in first
    assert "2001:db8:7::1.40001 > 2001:db8::53.443: Flags [S.]" in second


def test_a_stream_that_began_anew_is_read_on() -> None:
    """A second file header is one, not a packet."""
    stream = Stream("pcap", "content")
    data = stream.write(*example("content", 1)).data + stream.write(*example("content", 2, 3)).data
    found = items("pcap", data)
    assert sum(isinstance(item, Opening) for item in found) == 2
    assert [item.sequence for item in found if isinstance(item, Record)] == [1, 2, 3]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_other_pcap_is_read(order: str, magic: int, unit: int) -> None:
    """Either byte order, microseconds too."""
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 101)
    data += struct.pack(order + "IIII", 7, 5, 3, 9) + b"abc"
    (item,) = records("pcap", data)
    assert (item.utc_ns, item.wire_length, item.data, item.ip_offset) == (7 * 10**9 + 5 * unit, 9, b"abc", 0)


@pytest.mark.parametrize(
    "data", [b"\0" * 24, b"\x0a\x0d\x0d\x0a" + b"\0" * 40, struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1, 105)]
)
def test_what_is_no_such_file(data: bytes) -> None:
    """pcapng, noise and other link types are refused."""
    with pytest.raises(DecodeError):
        items("pcap", data)
