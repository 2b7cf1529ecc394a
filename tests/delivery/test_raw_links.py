# SPDX-License-Identifier: Apache-2.0
"""A format's own bytes over TCP, in the test's own loop: what only shows when each step can be looked at."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from delivery_kit import append, gap, mark, open_sealed, record, sealed_stream
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
    from pathlib import Path

    from lictl.delivery.spool import Spool

TCP, UDP = Transport("tcp"), Transport("udp")


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
    """EVENT blocks leave on the second connection alone, NOTE blocks on neither; both have to be there."""
    with RawAgency() as agency, RawAgency() as desk:
        loop = Loop(root, agency.port, Transport("tcp", "127.0.0.1", desk.port))
        loop.add(sealed_stream())
        append(spool, 1)
        mark(spool, BlockKind.EVENT, b"event\n")
        mark(spool, BlockKind.NOTE, b"a note for files\n")
        append(spool, 1)
        loop.until(lambda: (agency.take(), desk.take(), spool.acknowledged == 4)[2])
        assert (bytes(agency.heard[0]), bytes(desk.heard[0])) == (b"%015d\n%015d\n" % (1, 2), b"event\n")
        desk.close()
        desk_gone = desk.port
        append(spool, 1)
        loop.until(lambda: (agency.take(), loop.links[0].state().attempts > 1)[1])
        with RawAgency(desk_gone) as back:
            loop.until(lambda: (agency.take(), back.take(), spool.acknowledged == 5)[2])
        loop.close()


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
    """It gets all in order, at its own speed, while another stream of the same agency is done at once.

    No more than the window is on its way to it, and a block that is longer than what is read at once is sent in parts.
    """
    slow, fast = open_sealed(root / "W-1"), open_sealed(root / "W-2")
    with RawAgency(receive_buffer=4096) as agency:
        loop = Loop(root, agency.port, TCP, replace(QUICK, window_bytes=1 << 16, chunk_bytes=1 << 13))
        first = loop.add(sealed_stream())
        for _ in range(30):
            append(slow, 1000)
        loop.until(lambda: len(agency.take(100)) > 1000)
        reader, agency.sock = agency.sock, None  # the next connection is another's
        loop.add(sealed_stream("W-2"))
        append(fast, 10)
        loop.until(lambda: (agency.take(), fast.acknowledged == 1)[1])
        assert slow.acknowledged < 30
        assert 0 < first.state().unacknowledged <= 5
        assert first.state().lag_s > 0
        agency.sock = reader
        agency.heard.append(agency.heard.pop(0))
        loop.until(lambda: (agency.take(), slow.acknowledged == 30)[1])
        assert without_repeats(agency.heard[-1:]) == list(range(1, 30_001))
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


@pytest.mark.parametrize("blocks", [2, 64])
def test_no_keep_alive_while_something_is_on_its_way(
    root: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    """Whether it waits in this process or in TCP's buffers: the line is idle once the agency's machine has it all, and
    an agency that reads slowly is not taken for a dead one, which could not have answered in time."""
    monkeypatch.setattr(lane, "dialect", KeptAlive)
    for _ in range(blocks):
        append(spool, 4096)
    with RawAgency(receive_buffer=4096) as agency:
        loop = Loop(root, agency.port, Transport("tcp"))
        link = loop.add(sealed_stream())
        loop.until(agency.accept)
        until = time.monotonic() + 3 * KeptAlive.response_s
        loop.until(lambda: time.monotonic() > until)
        assert link.state().attempts == 0
        assert agency.sock is not None
        agency.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # from now on it reads fast
        loop.until(lambda: agency.take().endswith(b"?"))
        records = b"".join(map(record, range(1, blocks * 4096 + 1)))
        assert bytes(agency.heard[0]) == b"HELLO\n" + records + b"?"
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
