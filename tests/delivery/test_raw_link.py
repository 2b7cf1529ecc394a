# SPDX-License-Identifier: Apache-2.0
"""A format's own bytes on TCP, sent by a real worker process: order, keep-alives, acknowledgements, where events go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from delivery_kit import wait_for
from feed_kit import Desk, Feed, fast, silent

from lictl.collection.receiver import Receiver
from lictl.handover.pdu import split
from lictl.handover.readers import PDU_FORMATS

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = ("127.0.0.1", 0)


@pytest.mark.parametrize("form", ["etsi-102232", "atis-1000013", "etsi-103221-2"])
def test_everything_arrives_in_order(tmp_path: Path, form: str) -> None:
    """What was there before, what comes later and the end, PDU for PDU; the verdict is good, the link done."""
    with Feed(tmp_path, form) as feed, Receiver(LOCAL, tmp_path / "r").start() as receiver:
        feed.packets(50)
        feed.deliver(receiver.address[1], "tcp")
        for _ in range(20):
            feed.packets(30, 1500)
        feed.end()
        feed.wait()
        wait_for(lambda: feed.link.phase == "done")
        (verdict,) = receiver.verdict().evidence
        assert (verdict.ok, verdict.content, verdict.missing, verdict.duplicates) == (True, 650, 0, 0)
        assert (receiver.folder / verdict.files[0].name).read_bytes() == feed.sent


def test_keepalive_when_idle(tmp_path: Path) -> None:
    """Behind the packets, on an idle connection, comes a keep-alive of the format."""
    with Feed(tmp_path, "etsi-102232") as feed, Desk() as desk:
        feed.packets()
        feed.deliver(desk.port, "tcp", keepalive_s=0.1, response_s=30)
        desk.accept()
        assert desk.read(len(feed.sent)) == feed.sent
        form = PDU_FORMATS["etsi-102232"]
        head = desk.read(16)
        pdu = form.decode(head + desk.read(form.length(memoryview(head)) - len(head)))
        assert (pdu.message, pdu.kind, pdu.sequence) == ("keep-alive", "keepalive", 0)


def test_answered_keepalives_keep_a_connection(tmp_path: Path) -> None:
    """The real receiver answers, so that nothing is ever sent twice although the answers are due at once."""
    with Feed(tmp_path, "etsi-103221-2") as feed, Receiver(LOCAL, tmp_path / "r").start() as receiver:
        feed.packets(3)
        feed.deliver(receiver.address[1], "tcp", keepalive_s=0.1, response_s=3)
        feed.wait()
        wait_for(lambda: receiver.progress().records == 3)
        feed.packets(3)
        feed.wait()
        assert feed.link.error == ""
        (verdict,) = receiver.verdict().evidence
    assert (verdict.ok, verdict.pdus, verdict.duplicates) == (True, 6, 0)


def test_unanswered_keepalive(tmp_path: Path) -> None:
    """An agency that accepts and says nothing is half-open: it is connected to anew, and the state says why."""
    with Feed(tmp_path, "etsi-102232") as feed, Desk() as desk:
        feed.packets()
        feed.deliver(desk.port, "tcp", fast(backoff_min_s=3, backoff_max_s=3), keepalive_s=0.1, response_s=0.3)
        desk.accept()
        wait_for(lambda: feed.link.error == "The agency does not answer keep-alives.")
        desk.accept()


def test_acknowledged_pdus(tmp_path: Path) -> None:
    """Where PDUs are acknowledged nothing counts as delivered before; the real receiver agrees and acknowledges."""
    with Feed(tmp_path, "etsi-102232", options={"acknowledgement": "request"}) as feed:
        with Receiver(LOCAL, tmp_path / "r").start() as receiver:
            feed.packets(20)
            feed.deliver(receiver.address[1], "tcp")
            for _ in range(5):
                feed.packets(20)
            feed.wait()
            (verdict,) = receiver.verdict().evidence
        assert (verdict.ok, verdict.content, verdict.duplicates) == (True, 120, 0)


def test_events_on_their_own_connection(tmp_path: Path) -> None:
    """Events go where events go, content where content goes, notes nowhere."""
    with Feed(tmp_path, "etsi-102232") as feed, Desk() as content, Desk() as events:
        feed.event()
        feed.note(b"a note for files")
        feed.packets(5)
        feed.deliver(content.port, "tcp", events_host="127.0.0.1", events_port=events.port)
        sockets = content.accept(), events.accept()
        assert content.read(len(feed.sent)) == feed.sent
        assert feed.told
        assert events.read(len(feed.told)) == feed.told
        assert all(silent(sock) for sock in sockets)
        feed.wait()


def test_headers_orders_go_where_events_go(tmp_path: Path) -> None:
    """Of an order for headers everything goes there."""
    with Feed(tmp_path, "etsi-102232", "headers") as feed, Desk() as content, Desk() as events:
        feed.packets(5)
        feed.deliver(content.port, "tcp", events_host="127.0.0.1", events_port=events.port)
        plain = content.accept()
        events.accept()
        assert len(split(PDU_FORMATS["etsi-102232"], events.read(len(feed.sent)))) == 5
        assert silent(plain)
