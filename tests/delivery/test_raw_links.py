# SPDX-License-Identifier: Apache-2.0
"""A format's own bytes over TCP and UDP, over real sockets: faults, and that nothing is lost, in order."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from delivery_kit import append, gap, mark, open_sealed, sealed_stream
from link_kit import QUICK, Loop, RawAgency, without_repeats

from lictl.delivery import lane
from lictl.delivery.blocks import BlockKind
from lictl.delivery.config import Transport
from lictl.delivery.prelude import declarations
from lictl.handover.base import Gap, StreamInfo
from lictl.handover.decoded import DecodeError
from lictl.handover.pcapng import PcapngContent
from lictl.handover.pdu import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.delivery.spool import Spool

TCP, UDP = Transport("tcp"), Transport("udp")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Folder of one agency in a spool; the current folder comes back."""
    before = Path.cwd()
    folder = tmp_path / "spool" / "lea"
    folder.mkdir(parents=True)
    yield folder
    os.chdir(before)


@pytest.fixture
def spool(root: Path) -> Iterator[Spool]:
    """A sealed spool of one stream."""
    made = open_sealed(root / "W-1")
    yield made
    made.close()


class KeptAlive:
    """A dialect that asks "?" when idle and hears "!" as the answer, "+" as an acknowledged PDU."""

    keepalive_s = 0.05
    response_s = 0.3

    def __init__(self, _: object) -> None:
        self._count = 0

    def connected(self) -> bytes:
        return b"HELLO\n"

    def keepalive(self) -> bytes:
        return b"?"

    def test(self) -> bytes:
        return b""

    def received(self, data: bytes) -> list[Answer]:
        if data.strip(b"!+"):
            raise DecodeError("that is no answer")
        self._count += data.count(b"+")
        return [Answer(alive=True), Answer(acknowledged=self._count)]


class Acknowledged(KeptAlive):
    """The same, and each block asks to be acknowledged."""

    agreed = True

    def asks(self, payload: memoryview) -> int:
        return int(len(payload) > 0)


def test_payloads_go_out_as_they_are(root: Path, spool: Spool) -> None:
    """Nothing but the format's own octets, in order; the end closes the connection, and all counts as delivered."""
    mark(spool, BlockKind.OPEN, b"begin\n")
    with RawAgency() as agency:
        loop = Loop(root, agency.port, TCP)
        link = loop.add(sealed_stream())
        for _ in range(20):
            append(spool, 10)
        gap(spool, 3)
        mark(spool, BlockKind.END)
        loop.until(lambda: (agency.take(), link.state().phase == "done")[1])
        loop.until(lambda: (agency.take(), agency.sock is None)[1])
        loop.close()
        assert bytes(agency.heard[0]) == b"begin\n" + b"".join(b"%015d\n" % n for n in range(1, 201))
        assert spool.acknowledged == spool.last_block
        again = Loop(root, agency.port, TCP)
        late = again.add(sealed_stream())
        again.until(lambda: late.state().phase == "done")
        again.close()
        assert len(agency.heard) == 1, "nobody connects for what is over"


def test_events_go_to_their_own_receiver(root: Path, spool: Spool) -> None:
    """EVENT blocks leave on the second connection alone; both have to be there."""
    with RawAgency() as agency, RawAgency() as desk:
        loop = Loop(root, agency.port, Transport("tcp", "127.0.0.1", desk.port))
        loop.add(sealed_stream())
        append(spool, 1)
        mark(spool, BlockKind.EVENT, b"event\n")
        append(spool, 1)
        loop.until(lambda: (agency.take(), desk.take(), spool.acknowledged == 3)[2])
        assert (bytes(agency.heard[0]), bytes(desk.heard[0])) == (b"%015d\n%015d\n" % (1, 2), b"event\n")
        desk.close()
        desk_gone = desk.port
        append(spool, 1)
        loop.until(lambda: (agency.take(), loop.links[0].state().attempts > 1)[1])
        with RawAgency(desk_gone) as back:
            loop.until(lambda: (agency.take(), back.take(), spool.acknowledged == 4)[2])
        loop.close()


def test_an_agency_that_was_away_for_an_hour(root: Path, spool: Spool) -> None:
    """What gathers meanwhile arrives whole and in order, and then what is new."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    loop = Loop(root, port, TCP)
    link = loop.add(sealed_stream())
    for _ in range(60):  # a minute each
        append(spool, 100)
    loop.until(lambda: link.state().attempts > 2)
    assert "refused" in link.state().error
    with RawAgency(port) as agency:
        loop.until(lambda: (agency.take(), spool.acknowledged == 60)[1])
        append(spool, 5)
        loop.until(lambda: (agency.take(), spool.acknowledged == 61)[1])
        assert without_repeats(agency.heard) == list(range(1, 6006))
        assert link.state().error == ""
    loop.close()


def test_a_reset_in_the_middle_of_a_record(root: Path, spool: Spool) -> None:
    """All from the first block that did not settle comes again behind the opening; repeats have their numbers."""
    mark(spool, BlockKind.OPEN, b"begin\n")
    with RawAgency(receive_buffer=4096) as agency:
        loop = Loop(root, agency.port, TCP)
        loop.add(sealed_stream())
        for _ in range(400):
            append(spool, 50)
        for turn in range(3):
            size = 20_007 * (turn + 1)
            loop.until(lambda turn=turn, size=size: len(agency.take(1000)) > size and len(agency.heard) == turn + 1)
            agency.reset()
        loop.until(lambda: (agency.take(), spool.acknowledged == spool.last_block)[1])
        loop.close()
        assert without_repeats(agency.heard) == list(range(1, 20_001))
        assert all(bytes(heard).startswith(b"begin\n") for heard in agency.heard)
        assert sum(map(len, agency.heard)) > 16 * 20_000, "nothing was repeated: the reset met nothing"


def test_a_receiver_that_is_killed_with_unread_data(root: Path, spool: Spool) -> None:
    """TCP had acknowledged what it never read; because the connection did not live on, it is sent again."""
    append(spool, 50)
    with RawAgency() as agency:
        loop = Loop(root, agency.port, TCP, replace(QUICK, settle_s=30.0))
        link = loop.add(sealed_stream())
        lanes = link._lanes  # type: ignore[attr-defined]
        loop.until(lambda: link.state().sent == 1 and not any(each.unread for each in lanes))
        loop.until(lambda: (agency.take(1), agency.sock is not None and len(agency.heard[0]) == 1)[1])
        agency.reset()
        loop.until(lambda: len(agency.take()) == 800 and len(agency.heard) == 2)
        assert without_repeats(agency.heard[1:]) == list(range(1, 51))
        loop.close()


def test_a_slow_reader_delays_only_itself(root: Path) -> None:
    """It gets all, at its own speed, while another stream of the same agency is done at once."""
    slow, fast = open_sealed(root / "W-1"), open_sealed(root / "W-2")
    with RawAgency(receive_buffer=4096) as agency:
        loop = Loop(root, agency.port, TCP)
        first = loop.add(sealed_stream())
        for _ in range(100):
            append(slow, 1000)
        loop.until(lambda: len(agency.take(100)) > 1000)
        reader, agency.sock = agency.sock, None  # the next connection is another's
        loop.add(sealed_stream("W-2"))
        append(fast, 10)
        loop.until(lambda: (agency.take(), fast.acknowledged == 1)[1])
        assert slow.acknowledged < 100
        assert first.state().lag_s > 0
        agency.sock = reader
        agency.heard.append(agency.heard.pop(0))
        loop.until(lambda: (agency.take(), slow.acknowledged == 100)[1])
        assert without_repeats(agency.heard[-1:])[-1] == 100_000
        loop.close()
    for spool in (slow, fast):
        spool.close()


def test_keep_alives_that_are_not_answered(root: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection begins as the dialect says; idle it asks; answered it stays, unanswered it is made anew."""
    monkeypatch.setattr(lane, "dialect", KeptAlive)
    with RawAgency() as agency:
        loop = Loop(root, agency.port, TCP)
        link = loop.add(sealed_stream())
        answered = 0

        def answer() -> bool:
            nonlocal answered
            asked = agency.take().count(b"?")
            if agency.sock is not None and asked > answered:
                agency.sock.send(b"!")
                answered = asked
            return answered >= 12

        loop.until(answer)
        assert len(agency.heard) == 1
        loop.until(lambda: agency.take().startswith(b"HELLO\n") and len(agency.heard) == 2)
        assert agency.sock is not None
        agency.sock.send(b"what?")
        loop.until(lambda: "another protocol" in link.state().error)
        loop.close()


def test_keep_alive_error_names_the_cause(root: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agency's own times win over the dialect's, and the error says what was missing."""
    monkeypatch.setattr(lane, "dialect", KeptAlive)
    with RawAgency() as agency:
        loop = Loop(root, agency.port, Transport("tcp", keepalive_s=0.02, response_s=0.1))
        link = loop.add(sealed_stream())
        loop.until(lambda: (agency.take(), "keep-alive" in link.state().error)[1])
        loop.close()


def test_acknowledged_pdus_count_and_no_others(root: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PDUs are acknowledged, TCP's word is not enough: only what the agency confirmed is delivered."""
    monkeypatch.setattr(lane, "dialect", Acknowledged)
    with RawAgency() as agency:
        loop = Loop(root, agency.port, Transport("tcp", keepalive_s=60.0))
        loop.add(sealed_stream())
        for _ in range(3):
            append(spool, 1)
        loop.until(lambda: agency.take().count(b"\n") == 4)
        assert agency.sock is not None
        agency.sock.send(b"++")
        loop.until(lambda: spool.acknowledged == 2)
        end = time.monotonic() + 0.3
        loop.until(lambda: time.monotonic() > end)
        assert spool.acknowledged == 2
        agency.reset()
        loop.until(lambda: len(agency.take()) > 6 and len(agency.heard) == 2)
        assert bytes(agency.heard[1]) == b"HELLO\n" + b"%015d\n" % 3
        loop.close()


def test_a_ceiling_holds(root: Path, spool: Spool) -> None:
    """200 kB under a ceiling of 400 kB/s take half a second, all streams together."""
    for _ in range(10):
        append(spool, 625, size=32)
    with RawAgency() as agency:
        loop = Loop(root, agency.port, Transport("tcp", bytes_per_s=400_000))
        loop.add(sealed_stream())
        began = time.monotonic()
        loop.until(lambda: len(agency.take()) == 200_000)
        assert time.monotonic() - began > 0.4
        loop.close()


def test_the_prelude_of_a_file_format() -> None:
    """Of pcapng, the blocks that declare interfaces; of text, the lines; numbers stay those of the section."""
    info = StreamInfo("L", "C", "content", "op", "el", "US", "lea", str)
    encoder = PcapngContent(info)
    opening = encoder.opening()
    told = encoder.gap(Gap(2, 5, "ring", 1, 2))
    (size,) = (int.from_bytes(told[4:8], "little"),)
    assert declarations("pcapng", memoryview(told)) == told[:size]
    assert declarations("pcapng", memoryview(encoder.gap(Gap(1, 9, "ring", 1, 2)))) == b""
    assert declarations("pcapng", memoryview(opening)) == b""
    line = b"INTERFACE ID=0 HOOK=INGRESS NAME=a\n"
    assert declarations("text", memoryview(b"PACKET SEQ=1\n" + line + b"PACKET SEQ=2\n")) == line


def test_a_prelude_is_kept_and_never_ahead(root: Path, spool: Spool) -> None:
    """A worker that starts anew in the middle begins with the opening and the declarations before the place."""
    line = b"INTERFACE ID=0 HOOK=INGRESS NAME=a\n"
    mark(spool, BlockKind.OPEN, b"begin\n")
    mark(spool, BlockKind.DATA, line)
    append(spool, 1)
    with RawAgency() as agency:
        loop = Loop(root, agency.port, TCP)
        loop.add(sealed_stream())
        loop.until(lambda: (agency.take(), spool.acknowledged == 3)[1])
        loop.close()
        agency.hang_up()
        append(spool, 1)
        loop = Loop(root, agency.port, TCP)
        loop.add(sealed_stream())
        loop.until(lambda: (agency.take(), spool.acknowledged == 4)[1])
        loop.close()
        assert bytes(agency.heard[1]) == b"begin\n" + line + b"%015d\n" % 2
    assert b"begin" not in (root / "W-1" / "prelude").read_bytes()


# ---- UDP


def element(number: int, size: int = 60) -> bytes:
    """A BER SEQUENCE whose content is a number."""
    return b"\x30\x82" + size.to_bytes(2, "big") + number.to_bytes(4, "big") + bytes(size - 4)


def framed(number: int, size: int = 60) -> bytes:
    """The same content behind its length, which is not sent."""
    return size.to_bytes(4, "big") + number.to_bytes(4, "big") + bytes(size - 4)


def put(spool: Spool, payload: bytes) -> None:
    """A DATA block of one record."""
    n = spool.next_sequence
    spool.append(
        BlockKind.DATA, payload, records=1, first_sequence=n, last_sequence=n, lost=0, first_ns=1, last_ns=1,
        position=b"",
    )  # fmt: skip


def datagrams(sock: socket.socket) -> list[bytes]:
    """What is there."""
    found = []
    while True:
        try:
            found.append(sock.recv(1 << 16))
        except BlockingIOError:
            return found


@pytest.mark.parametrize(("framing", "make", "head"), [("ber", element, 4), ("length", framed, 0)])
def test_a_pdu_is_a_datagram(root: Path, spool: Spool, framing: str, make: object, head: int) -> None:
    """However many stand in a block; those that no datagram can hold are counted; events go to their own port."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as desk:
        for each in (sock, desk):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        loop = Loop(root, sock.getsockname()[1], Transport("udp", "127.0.0.1", desk.getsockname()[1]))
        link = loop.add(sealed_stream(), framing=framing)
        put(spool, b"".join(make(n) for n in range(100)))  # type: ignore[operator]
        put(spool, make(100, 65_000) + make(101, 65_530) + make(102))  # type: ignore[operator]
        mark(spool, BlockKind.EVENT, make(7))  # type: ignore[operator]
        found: list[bytes] = []
        loop.until(lambda: (found.extend(datagrams(sock)), spool.acknowledged == 3)[1])
        numbers = [int.from_bytes(each[head : head + 4], "big") for each in found]
        assert numbers == [*range(101), 102]
        assert {len(each) for each in found} == {60 + head, 65_000 + head}
        assert [each[head : head + 4] for each in datagrams(desk)] == [b"\0\0\0\7"]
        assert link.state().too_long == 1
        mark(spool, BlockKind.END)
        loop.until(lambda: link.state().phase == "done")
        loop.close()


def test_a_refusal_is_noticed_and_repeated(root: Path, spool: Spool) -> None:
    """Nobody listens: nothing counts as delivered; when somebody does, it begins with the first one."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.close()
    for number in range(50):
        put(spool, element(number))
    loop = Loop(root, port, UDP)
    link = loop.add(sealed_stream(), framing="ber")
    loop.until(lambda: link.state().attempts > 2)
    assert "refused" in link.state().error.lower()
    assert spool.acknowledged == 0
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        sock.setblocking(False)
        found: list[bytes] = []
        loop.until(lambda: (found.extend(datagrams(sock)), spool.acknowledged == 50)[1])
        assert [int.from_bytes(each[4:8], "big") for each in found] == list(range(50))
    loop.close()


def test_datagrams_are_paced(root: Path, spool: Spool) -> None:
    """A ceiling spreads them: 40 kB at 100 kB/s take some 0.4 s, and a small receive buffer loses none."""
    put(spool, b"".join(element(n, 996) for n in range(40)))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        loop = Loop(root, sock.getsockname()[1], Transport("udp", bytes_per_s=100_000))
        loop.add(sealed_stream(), framing="ber")
        found: list[bytes] = []
        began = time.monotonic()
        loop.until(lambda: (found.extend(datagrams(sock)), len(found) == 40)[1])
        assert time.monotonic() - began > 0.3
        loop.close()


@pytest.mark.parametrize("payload", [b"\x30\x80\0\0", b"\x30", b"\x30\x05abc", b"\x3f\x81", b"\x30\x89123456789"])
def test_what_is_no_ber_is_not_sent(root: Path, spool: Spool, payload: bytes) -> None:
    """Neither cut short nor of indefinite length: the link says so and sends nothing of it."""
    put(spool, payload)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        loop = Loop(root, sock.getsockname()[1], UDP)
        link = loop.add(sealed_stream(), framing="ber")
        loop.until(lambda: "fall apart" in link.state().error)
        assert datagrams(sock) == []
        loop.close()
