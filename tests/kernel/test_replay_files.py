# SPDX-License-Identifier: Apache-2.0
"""Capture files through the native build: what they give, and what a damaged one gives."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fixtures_common import MARK, U4, U6
from fuzz_seeds import pcap, pcapng
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_builds import IFINDEX, NativeBuild, tables_of
from kernel_case import P4, STANDARD, T4, content, fields_of, headers, hook

from lictl.lab.frames import eth, ipv4, udp
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from pathlib import Path


FRAMES = [eth(U4), eth(U6), eth(ipv4("192.0.2.1", "192.0.2.2", udp(1, 2))), eth(U4, trailer=MARK)]


class _File:
    """An open capture file."""

    def __init__(self, path: Path, native: NativeBuild) -> None:
        self.error = ffi.new("char[512]")
        handle = ffi.new("struct ln_file **")
        self.opened = lib.ln_file_open(str(path).encode(), handle, self.error, 512)
        self.handle = ffi.gc(handle[0], lib.ln_file_close) if self.opened == 0 else None
        self.native = native
        self.batch = Batch(256)

    def next(self) -> int:
        """One batch more; its size or a negative errno."""
        return int(
            lib.ln_file_batch(self.handle, self.native.matcher, IFINDEX, abi.AT_INGRESS, self.batch.c, self.error, 512)
        )

    @property
    def reason(self) -> str:
        """What the last failure said."""
        return bytes(ffi.string(self.error)).decode()


@pytest.fixture
def standard(native: NativeBuild) -> NativeBuild:
    """The native build with both kinds of order on the target."""
    native.load(tables_of(STANDARD), hook())
    return native


def _all(file: _File) -> list[tuple[dict[str, Any], bytes, int]]:
    rows = []
    while (count := file.next()) > 0:
        for index in range(count):
            head = file.batch.recs[index]
            rows.append((fields_of(head), file.batch.frame(index), int(head["utc_ns"])))
    assert count == 0, file.reason
    return rows


@pytest.mark.parametrize("make", [pcap, pcapng], ids=["pcap", "pcapng"])
def test_a_file_gives_what_its_frames_give(standard: NativeBuild, tmp_path: Path, make: Any) -> None:
    """Every frame of a file makes the records that it makes alone, with its own time."""
    (tmp_path / "f").write_bytes(make(FRAMES * 200))
    rows = _all(_File(tmp_path / "f", standard))
    alone = [(record.fields, record.data) for frame in FRAMES for record in standard.run(frame).records]
    assert [row[:2] for row in rows] == alone * 200
    assert len(rows) == 1200
    assert {row[2] for row in rows} == ({1_700_000_000_000_005_000} if make is pcap else {0x18 << 32 | 0x1234})


def test_nanoseconds_of_a_file_are_kept(standard: NativeBuild, tmp_path: Path) -> None:
    """A file of nanoseconds is read as such."""
    (tmp_path / "f").write_bytes(pcap(FRAMES, 0xA1B23C4D))
    assert {row[2] for row in _all(_File(tmp_path / "f", standard))} == {1_700_000_000_000_000_005}


@pytest.mark.parametrize("make", [pcap, pcapng], ids=["pcap", "pcapng"])
def test_raw_ip_files(standard: NativeBuild, tmp_path: Path, make: Any) -> None:
    """Link type raw: the packet begins at the first byte."""
    (tmp_path / "f").write_bytes(make([U4, U6], link=101))
    rows = _all(_File(tmp_path / "f", standard))
    assert [row[1] for row in rows] == [b"", U4, b"", U6]
    assert {row[0]["l3_off"] for row in rows} == {0}


@pytest.mark.parametrize("link", [0, 105, 113, 127, 228])
def test_other_link_types_are_refused(standard: NativeBuild, tmp_path: Path, link: int) -> None:
    """A file of another link layer is refused with its name: nothing of it is guessed at."""
    (tmp_path / "f").write_bytes(pcap(FRAMES, link=link))
    file = _File(tmp_path / "f", standard)
    assert file.opened < 0
    assert str(link) in file.reason


@pytest.mark.parametrize("cut", [1, 5, 15, 17, 40])
def test_a_damaged_file_gives_what_comes_before_the_damage(standard: NativeBuild, tmp_path: Path, cut: int) -> None:
    """The records before the damage are handed out, then the place is named, as often as it is asked."""
    whole = pcap(FRAMES)
    (tmp_path / "f").write_bytes(whole[:-cut])
    file = _File(tmp_path / "f", standard)
    assert file.next() == 4
    for _ in range(3):
        assert file.next() < 0
        assert file.reason.startswith("frame 4: ")
        assert file.batch.n == 0
    totals, counts = standard.counters()
    assert int(totals["records"][0]) == 4
    assert [int(counts[slot]["emitted"]) for slot in (1, 2)] == [2, 2]


def test_an_impossible_time_is_named(standard: NativeBuild, tmp_path: Path) -> None:
    """A fraction beyond a second is damage, not a time of its own."""
    file = bytearray(pcap(FRAMES[:2], 0xA1B23C4D))
    struct.pack_into("<I", file, 24 + 16 + len(FRAMES[0]) + 4, 4_000_000_000)
    (tmp_path / "f").write_bytes(file)
    opened = _File(tmp_path / "f", standard)
    assert opened.next() == 2
    assert opened.next() < 0
    assert "frame 2" in opened.reason


def test_short_captures_of_a_file(standard: NativeBuild, tmp_path: Path) -> None:
    """A frame that was cut when captured keeps its own length; the content is what is there."""
    frame = eth(ipv4(T4, P4, udp(1, 2, MARK * 20)))
    whole = pcap([frame[:60]])
    (tmp_path / "f").write_bytes(whole[:36] + struct.pack("<I", len(frame)) + whole[40:])
    (header, packet) = _all(_File(tmp_path / "f", standard))
    assert (packet[0]["cap_len"], packet[0]["wire_len"]) == (60, len(frame))
    assert packet[1] == frame[:60]
    assert header[0]["l3_len"] == len(frame) - 14


def test_a_frame_that_no_record_holds_is_counted(native: NativeBuild) -> None:
    """Content of a frame beyond the longest record is lost and counted as such; a headers order has its record."""
    native.load(tables_of((headers(1, f"ip:{T4}"), content(2, f"ip:{T4}", "mac:02:00:00:00:00:0a"))), hook())
    frame = eth(bytes(abi.MAX_FRAME), ethertype=0x1234)
    outcome = native.run(frame)
    assert outcome.records == []
    assert outcome.counts == {2: {"seen": 1, "matched": 1, "lost_frame": 1, "bytes": len(frame)}}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([pcap, pcapng]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
    st.integers(0, 700),
)
def test_any_bytes_are_read_or_refused(
    standard: NativeBuild, tmp_path: Path, make: Any, changes: list[tuple[int, int]], end: int
) -> None:
    """A file with changed bytes and a cut end is read as far as it goes; every record lies inside what it points to."""
    data = bytearray(make(FRAMES))
    for at, value in changes:
        data[at % len(data)] = value
    (tmp_path / "f").write_bytes(data[:end])
    file = _File(tmp_path / "f", standard)
    if file.opened < 0:
        assert file.reason
        return
    while (count := file.next()) > 0:
        assert np.all(file.batch.records["cap_len"] <= file.batch.records["wire_len"])
        assert all(len(file.batch.frame(index)) == file.batch.recs["cap_len"][index] for index in range(count))
    assert count == 0 or file.reason.startswith("frame ")
