# SPDX-License-Identifier: Apache-2.0
"""The judge of demo and end-to-end tests can tell right from wrong."""

from __future__ import annotations

import base64
import contextlib
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.lab import frames as f
from lictl.lab import topology, traffic, verify
from lictl.lab.capture import LINK_ETHERNET, LINK_RAW, read

if TYPE_CHECKING:
    from pathlib import Path

SUB1, SUB3, SERVER = topology.SUB["sub1"], topology.SUB["sub3"], topology.SERVER
UP = f.ipv4(SUB1.v4, SERVER.v4, f.tcp(1024, 80, b"GET /"))
DOWN = f.ipv4(SERVER.v4, SUB1.v4, f.tcp(80, 1024, b"200"))
UP6 = f.ipv6(SUB1.v6, SERVER.v6, f.udp(5000, 53, b"query"))


def write(path: Path, packets: list[bytes], link: int = LINK_ETHERNET, magic: int = 0xA1B23C4D) -> Path:
    """A pcap file with one packet a second."""
    data = struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    for number, packet in enumerate(packets):
        data += struct.pack("<IIII", number, 5, len(packet), len(packet)) + packet
    path.write_bytes(data)
    return path


def test_times_have_the_files_resolution(tmp_path: Path) -> None:
    """Nanosecond and microsecond files give the same nanoseconds."""
    assert [p.ns for p in read(write(tmp_path / "n", [UP, UP]))] == [5, 1_000_000_005]
    assert [p.ns for p in read(write(tmp_path / "u", [UP], magic=0xA1B2C3D4))] == [5_000]


@given(st.binary(max_size=200))
def test_a_damaged_file_gives_an_answer_or_a_value_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever the bytes, the reader answers or says what is wrong."""
    path = tmp_path_factory.mktemp("d") / "x"
    for head in (b"", struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1), b"\x0a\x0d\x0d\x0a"):
        path.write_bytes(head + data)
        with contextlib.suppress(ValueError):
            read(path)


def test_the_wire_takes_each_direction_at_its_port(tmp_path: Path) -> None:
    """Sent packets come from the access file, received ones from the core file, others from none."""
    other = f.ipv4(SUB3.v4, SERVER.v4, f.icmp())
    access = write(tmp_path / "a", [f.padded(f.eth(UP)), f.eth(DOWN), f.eth(other), f.eth(UP6)])
    core = write(tmp_path / "c", [f.eth(DOWN), f.eth(UP)])
    assert verify.wire(access, core, SUB1) == [UP, UP6, DOWN]


def test_equal_content_has_no_difference(tmp_path: Path) -> None:
    """Trailers do not count, and different flows may change places."""
    path = write(tmp_path / "e", [f.padded(f.eth(UP6)), f.eth(DOWN), f.eth(UP)])
    assert verify.content_difference([UP, DOWN, UP6], [path]) == ""


@pytest.mark.parametrize(
    ("delivered", "reason"),
    [
        ([UP], "1 packets of the wire are missing"),
        ([UP, DOWN, DOWN], "1 were not on the wire"),
        ([UP, DOWN[:-1] + b"x"], "1 packets of the wire are missing, 1 were not"),
        ([], "2 packets of the wire are missing"),
    ],
)
def test_other_content_is_told(tmp_path: Path, delivered: list[bytes], reason: str) -> None:
    """A missing, doubled or changed packet is a difference."""
    path = write(tmp_path / "e", [f.eth(ip) for ip in delivered])
    assert reason in verify.content_difference([UP, DOWN], [path])


def test_disorder_within_a_flow_is_told(tmp_path: Path) -> None:
    """The same packets in another order of one flow are a difference."""
    second = f.ipv4(SUB1.v4, SERVER.v4, f.tcp(1024, 80, b"more", seq=6))
    path = write(tmp_path / "e", [f.eth(second), f.eth(UP)])
    assert "out of order" in verify.content_difference([UP, second], [path])


def test_headers_may_not_carry_a_byte_more(tmp_path: Path) -> None:
    """Exact headers pass; one byte of payload, a missing record and a wrong field do not."""
    expected = [UP, UP6]
    bare = [UP[:40], UP6[:48]]
    assert verify.headers_difference(expected, [write(tmp_path / "ok", bare, LINK_RAW)]) == ""
    assert "1 bytes follow" in verify.headers_difference(
        expected, [write(tmp_path / "b", [UP[:41], bare[1]], LINK_RAW)]
    )
    assert "1 header records are missing" in verify.headers_difference(
        expected, [write(tmp_path / "c", bare[:1], LINK_RAW)]
    )
    wrong = [UP[:33] + b"\x02" + UP[34:40], bare[1]]
    assert "1 are wrong" in verify.headers_difference(expected, [write(tmp_path / "d", wrong, LINK_RAW)])


@given(st.binary(max_size=20), st.binary(max_size=20), st.sampled_from(["raw", "hex", "HEX", "base64"]))
def test_a_secret_is_found_in_every_disguise(before: bytes, after: bytes, disguise: str) -> None:
    """Raw, in hex of either case, or in base64 at any alignment, whatever stands around it."""
    word = b"sub1deadbeef0123"
    data = before + word + after
    text = {
        "raw": data,
        "hex": data.hex().encode(),
        "HEX": data.hex().upper().encode(),
        "base64": base64.b64encode(data),
    }
    assert any(form in text[disguise] for _, form in verify.forms(word))


def test_a_secret_is_named_with_its_file(tmp_path: Path) -> None:
    """A hit says where; a folder without the secret gives none."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/file.txt").write_bytes(b"xx" + base64.b64encode(b"-sub1deadbeef0123-"))
    hits = verify.find(b"sub1deadbeef0123", [tmp_path])
    assert hits == ["file.txt: base64+1"]
    assert verify.find(b"sub2deadbeef0123", [tmp_path]) == []


def test_a_stranger_is_counted_by_packets(tmp_path: Path) -> None:
    """Packets to or from an address count, whatever its notation."""
    path = write(tmp_path / "e", [f.eth(UP), f.eth(f.ipv6(SERVER.v6, SUB3.v6, f.icmp6()))])
    assert verify.strangers([path], SUB3) == 1
    assert verify.strangers([path], SUB1) == 1


def test_markers_are_fit_for_every_client() -> None:
    """16 characters, unlike each other, good as a DNS label."""
    words = {traffic.marker(host) for host in topology.SUBSCRIBERS for _ in range(20)}
    assert len(words) == 60
    assert all(len(word) == 16 and word.isalnum() and word == word.lower() for word in words)
