# SPDX-License-Identifier: Apache-2.0
"""One PDU a datagram, sent by a real worker process; and how payloads fall apart into datagrams."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

import pytest
from delivery_kit import wait_for
from feed_kit import Feed
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.collection.listening import Listen
from lictl.collection.receiver import Receiver
from lictl.delivery.blocks import BlockKind
from lictl.handover.pdu import split
from lictl.handover.readers import PDU_FORMATS
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCAL = ("127.0.0.1", 0)
LONGEST = 65507


class Pair:
    """Two UDP sockets, one connected to the other."""

    def __init__(self) -> None:
        self.inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.inside.bind(LOCAL)
        self.inside.settimeout(30)
        self.outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.outside.connect(self.inside.getsockname())
        self.port: int = self.inside.getsockname()[1]

    def send(self, data: bytes, framing: int) -> tuple[int, list[bytes], int, int]:
        """Code, the datagrams that arrived, octets done with, and how many were too long."""
        out = ffi.new("struct ln_datagrams *")
        # At the end of memory of exactly this size, so that a sanitizer sees a read beyond it.
        memory = ffi.new("uint8_t[]", data or b"\0")
        code = lib.ln_datagrams_send(self.outside.fileno(), memory, len(data), framing, 1 << 30, out)
        return code, [self.inside.recv(1 << 17) for _ in range(out.sent)], int(out.consumed), int(out.too_long)

    def close(self) -> None:
        """Closes both."""
        self.inside.close()
        self.outside.close()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """For the tests of splitting."""
    made = Pair()
    yield made
    made.close()


def element(content: bytes, tag: bytes, octets: int) -> bytes:
    """BER with a length of so many octets, 0: the short form where it fits."""
    size = len(content)
    if not octets and size < 0x80:
        return tag + bytes([size]) + content
    octets = max(octets, (size.bit_length() + 7) // 8, 1)
    return tag + bytes([0x80 | octets]) + size.to_bytes(octets) + content


ELEMENTS = st.builds(
    element, st.binary(max_size=300), st.sampled_from([b"\x30", b"\xa1", b"\xbf\x81\x01"]), st.integers(0, 8)
)
PARTS = st.binary(max_size=300)


@given(parts=st.lists(ELEMENTS, max_size=150))
@settings(max_examples=40, deadline=None)
def test_elements_leave_one_by_one(pair: Pair, parts: list[bytes]) -> None:
    """Whatever form the lengths have, each element is a datagram."""
    data = b"".join(parts)
    assert pair.send(data, lib.LN_FRAMING_BER) == (0, parts, len(data), 0)


@given(parts=st.lists(PARTS, max_size=150))
@settings(max_examples=40, deadline=None)
def test_parts_behind_lengths_leave_one_by_one(pair: Pair, parts: list[bytes]) -> None:
    """The lengths themselves are not sent."""
    data = b"".join(len(part).to_bytes(4) + part for part in parts)
    assert pair.send(data, lib.LN_FRAMING_LENGTH) == (0, parts, len(data), 0)


@given(data=st.binary(min_size=1, max_size=64), length=st.booleans())
@settings(max_examples=200, deadline=None)
def test_anything_else_is_an_error(pair: Pair, data: bytes, length: bool) -> None:
    """Random octets: what leaves stands at the front of them, and either all was done with or EBADMSG says not."""
    code, sent, consumed, too_long = pair.send(data, lib.LN_FRAMING_LENGTH if length else lib.LN_FRAMING_BER)
    assert code in (0, -errno.EBADMSG)
    assert (code == 0) == (consumed == len(data))
    assert consumed == sum(map(len, sent)) + (4 * len(sent) if length else 0)
    assert not too_long


@given(part=st.binary(min_size=1, max_size=64), cut=st.integers(1, 64), length=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_part_that_is_cut_short(pair: Pair, part: bytes, cut: int, length: bool) -> None:
    """It is an error and does not leave."""
    data = len(part).to_bytes(4) + part if length else element(part, b"\x30", 0)
    short = data[: -min(cut, len(data) - 1)]
    code, sent, _, _ = pair.send(short, lib.LN_FRAMING_LENGTH if length else lib.LN_FRAMING_BER)
    assert (code, sent) == (-errno.EBADMSG, [])


@pytest.mark.parametrize("form", ["atis-1000013", "etsi-102232"])
def test_splits_as_the_reader_does(tmp_path: Path, pair: Pair, form: str) -> None:
    """What the encoder made falls apart as its reader cuts it."""
    with Feed(tmp_path, form) as feed:
        for octets in (28, 100, 128, 300, 1500):
            feed.packets(20, octets)
        pdus = split(PDU_FORMATS[form], bytes(feed.sent))
        assert pair.send(bytes(feed.sent), lib.LN_FRAMING_BER) == (0, pdus, len(feed.sent), 0)


def test_longer_than_a_datagram(pair: Pair) -> None:
    """Such a part is counted and left out, the longest that fits leaves."""
    parts = [b"a" * LONGEST, b"b" * (LONGEST + 1), b"c", b"d" * 70000]
    data = b"".join(len(part).to_bytes(4) + part for part in parts)
    assert pair.send(data, lib.LN_FRAMING_LENGTH) == (0, [parts[0], parts[2]], len(data), 2)


# ---- by a worker


@pytest.mark.parametrize("form", ["atis-1000013", "tzsp"])
def test_each_pdu_a_datagram(tmp_path: Path, form: str) -> None:
    """All arrive, the receiver's verdict is good, and the stream is over behind its end."""
    with Feed(tmp_path, form) as feed, Receiver([], tmp_path / "r", udp=[Listen(LOCAL)]).start() as receiver:
        feed.packets(50)
        feed.deliver(receiver.address[1], "udp")
        for _ in range(10):
            feed.packets(20, 1000)
        feed.end()
        feed.drain()
        wait_for(lambda: feed.link.phase == "done")
        wait_for(lambda: receiver.progress().records == 250)
        (verdict,) = receiver.verdict().evidence
        assert (verdict.ok, verdict.content, verdict.missing) == (True, 250, 0)
        assert (receiver.folder / verdict.files[0].name).read_bytes() == feed.sent


def test_refused_port(tmp_path: Path) -> None:
    """Nothing counts as delivered to a port that refuses, the state says why; all arrives once the agency is back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        port = sock.getsockname()[1]
    with Feed(tmp_path, "atis-1000013") as feed:
        feed.packets(30)
        feed.deliver(port, "udp")
        wait_for(lambda: "refused" in feed.link.error and feed.link.attempts > 1)
        assert not feed.spool.acknowledged
        feed.packets(30)
        with Receiver([], tmp_path / "r", udp=[Listen(("127.0.0.1", port))]).start() as receiver:
            feed.drain()
            wait_for(lambda: receiver.progress().records == 60)
            (verdict,) = receiver.verdict().evidence
            assert (verdict.ok, verdict.content) == (True, 60)
        wait_for(lambda: not feed.link.error)


def test_too_long_ones_are_told(tmp_path: Path) -> None:
    """The state counts what no datagram can carry; what follows arrives."""
    pair = Pair()
    with Feed(tmp_path, "tzsp") as feed:
        part = b"x" * (LONGEST + 1)
        payload = len(part).to_bytes(4) + part + (3).to_bytes(4) + b"abc"
        feed.spool.append(
            BlockKind.DATA, payload, records=2, first_sequence=1, last_sequence=2, lost=0, first_ns=1, last_ns=1,
            position=b"",
        )  # fmt: skip
        feed.deliver(pair.port, "udp")
        assert pair.inside.recv(1 << 17) == b"abc"
        wait_for(lambda: feed.link.too_long == 1)
        feed.drain()
    pair.close()


def test_ceiling(tmp_path: Path) -> None:
    """No more octets a second leave than the agency takes."""
    pair = Pair()
    with Feed(tmp_path, "tzsp") as feed:
        feed.packets(200, 1000)
        feed.deliver(pair.port, "udp", bytes_per_s=200_000)
        pair.inside.recv(1 << 16)
        began = time.monotonic()
        for _ in range(199):
            pair.inside.recv(1 << 16)
        assert time.monotonic() - began > 0.7
        feed.drain()
    pair.close()
