# SPDX-License-Identifier: Apache-2.0
"""A format's own bytes on TCP, sent by a real worker process: order, keep-alives, acknowledgements, where events go.

While agency, connection and worker fail nothing is lost, and numbers stay.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from agency_kit import Desk, ReceiverProcess
from delivery_kit import wait_for
from feed_kit import Feed, fast, silent

from lictl.collection.receiver import Receiver
from lictl.handover.readers import PDU_FORMATS

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = ("127.0.0.1", 0)


def free_port() -> int:
    """One that nothing listens on."""
    with socket.create_server(LOCAL) as sock:
        return int(sock.getsockname()[1])


def checked(receiver: Receiver, feed: Feed) -> None:
    """Everything is there, in order, once."""
    (verdict,) = receiver.verdict().evidence
    assert (verdict.ok, verdict.missing, verdict.conflicts) == (True, 0, 0)
    assert (receiver.folder / verdict.files[0].name).read_bytes() == feed.sent


@pytest.mark.parametrize("form", ["etsi-102232", "atis-1000013", "etsi-103221-2"])
def test_everything_arrives_in_order(tmp_path: Path, form: str) -> None:
    """What was there before, what comes later and the end, PDU for PDU; the verdict is good, the link done."""
    with Feed(tmp_path, form) as feed, Receiver(LOCAL, tmp_path / "r").start() as receiver:
        feed.packets(50)
        feed.deliver(receiver.address[1], "tcp")
        for _ in range(20):
            feed.packets(30, 1500)
        feed.end()
        feed.drain()
        wait_for(lambda: feed.link.phase == "done")
        checked(receiver, feed)
        (verdict,) = receiver.verdict().evidence
        assert (verdict.content, verdict.duplicates) == (650, 0)


def test_keepalive_that_is_not_answered(tmp_path: Path) -> None:
    """Behind the packets, on an idle connection, comes a keep-alive of the format, in the agency's own time.

    An agency that accepts and says nothing is half-open: it is connected to anew, and the state says why.
    """
    with Feed(tmp_path, "etsi-102232") as feed, Desk() as desk:
        feed.packets()
        feed.deliver(desk.port, "tcp", fast(backoff_min_s=0.5, backoff_max_s=0.5), keepalive_s=0.1, response_s=0.3)
        desk.accept()
        assert desk.read(len(feed.sent)) == feed.sent
        form = PDU_FORMATS["etsi-102232"]
        head = desk.read(16)
        pdu = form.decode(head + desk.read(form.length(memoryview(head)) - len(head)))
        assert (pdu.message, pdu.kind, pdu.sequence) == ("keep-alive", "keepalive", 0)
        wait_for(lambda: feed.link.error == "The agency does not answer keep-alives.")
        desk.accept()


def test_answered_keepalives_keep_a_connection(tmp_path: Path) -> None:
    """The real receiver answers, so that nothing is ever sent twice although the answers are due at once."""
    with Feed(tmp_path, "etsi-103221-2") as feed, Receiver(LOCAL, tmp_path / "r").start() as receiver:
        feed.packets(3)
        feed.deliver(receiver.address[1], "tcp", keepalive_s=0.1, response_s=3)
        feed.drain()
        wait_for(lambda: receiver.progress().records == 3)
        feed.packets(3)
        feed.drain()
        assert feed.link.error == ""
        (verdict,) = receiver.verdict().evidence
    assert (verdict.ok, verdict.pdus, verdict.duplicates) == (True, 6, 0)


def test_acknowledged_pdus(tmp_path: Path) -> None:
    """Where PDUs are acknowledged nothing counts as delivered before; the real receiver agrees and acknowledges."""
    with Feed(tmp_path, "etsi-102232", options={"acknowledgement": "request"}) as feed:
        with Receiver(LOCAL, tmp_path / "r").start() as receiver:
            feed.packets(20)
            feed.deliver(receiver.address[1], "tcp")
            for _ in range(5):
                feed.packets(20)
            feed.drain()
            (verdict,) = receiver.verdict().evidence
        assert (verdict.ok, verdict.content, verdict.duplicates) == (True, 120, 0)


def test_headers_orders_go_where_events_go(tmp_path: Path) -> None:
    """Of an order for headers everything goes there."""
    with Feed(tmp_path, "etsi-102232", "headers") as feed, Desk() as content, Desk() as events:
        feed.packets(5)
        feed.event()
        feed.deliver(content.port, "tcp", events_host="127.0.0.1", events_port=events.port)
        plain = content.accept()
        events.accept()
        told = bytes(feed.sent + feed.told)
        assert events.read(len(told)) == told
        assert silent(plain)


def test_receiver_killed(tmp_path: Path) -> None:
    """After kill -9 in the middle of a flow the next receiver has all of it; repetitions carry the same numbers."""
    with Feed(tmp_path, "etsi-102232") as feed:
        with ReceiverProcess(tmp_path / "r") as first:
            feed.packets(300, 1500)
            # On a busy machine a receiver leaves unread for longer than the tests' usual time to settle.
            feed.deliver(first.port, "tcp", fast(settle_s=2.0))
            wait_for(lambda: feed.link.sent > 0)
            for _ in range(20):
                feed.packets(30, 1500)
            first.kill()
        feed.packets(30, 1500)
        with Receiver(("127.0.0.1", first.port), tmp_path / "r").start() as second:
            feed.drain()
            checked(second, feed)


@pytest.mark.parametrize("form", ["etsi-102232", "atis-1000013"])
def test_reset_in_the_middle_of_a_pdu(tmp_path: Path, form: str) -> None:
    """The next connection begins with a whole PDU that does not count as delivered, and goes on from there in order."""
    with Feed(tmp_path, form) as feed, Desk(4096) as desk:
        feed.packets(400, 1500)
        feed.packets(400, 1500)
        feed.deliver(desk.port, "tcp")
        desk.accept()
        cut = len(feed.pdus()[0]) * 300 + 100
        assert desk.read(cut) == feed.sent[:cut]
        desk.reset()
        desk.accept()
        assert desk.read(len(feed.sent)) == feed.sent
        feed.drain()


def test_absent_agency(tmp_path: Path) -> None:
    """Much lies in the spool when the agency comes at last; until then the state says that nobody answers."""
    port = free_port()
    with Feed(tmp_path, "etsi-103221-2") as feed:
        for _ in range(8):
            feed.packets(150, 1500)
        feed.deliver(port, "tcp")
        wait_for(lambda: "refused" in feed.link.error and feed.link.attempts > 1)
        with Receiver(("127.0.0.1", port), tmp_path / "r").start() as receiver:
            feed.drain()
            checked(receiver, feed)
        wait_for(lambda: not feed.link.error)


def test_worker_killed(tmp_path: Path) -> None:
    """A delivery process that dies is started again and goes on where the agency is."""
    with Feed(tmp_path, "etsi-102232") as feed, Receiver(LOCAL, tmp_path / "r").start() as receiver:
        feed.packets(300, 1500)
        feed.deliver(receiver.address[1], "tcp")
        wait_for(lambda: receiver.progress().records > 0)
        os.kill(feed.pid, signal.SIGKILL)
        feed.packets(300, 1500)
        feed.drain()
        wait_for(lambda: receiver.progress().records == 600)
        checked(receiver, feed)
