# SPDX-License-Identifier: Apache-2.0
"""A format's own bytes on TCP while agency, connection and daemon fail: nothing is lost, numbers stay."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from agency_kit import ReceiverProcess
from delivery_kit import wait_for
from feed_kit import Desk, Feed, fast

from lictl.collection.receiver import Receiver

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


def test_receiver_killed(tmp_path: Path) -> None:
    """After kill -9 in the middle of a flow the next receiver has all of it; repetitions carry the same numbers."""
    with Feed(tmp_path, "etsi-102232") as feed:
        with ReceiverProcess(tmp_path / "r") as first:
            feed.packets(300, 1500)
            feed.deliver(first.port, "tcp")
            wait_for(lambda: feed.link.sent > 0)
            for _ in range(20):
                feed.packets(30, 1500)
            first.kill()
        feed.packets(30, 1500)
        with Receiver(("127.0.0.1", first.port), tmp_path / "r").start() as second:
            feed.wait()
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
        feed.wait()


def test_absent_agency(tmp_path: Path) -> None:
    """Much lies in the spool when the agency comes at last; until then the state says that nobody answers."""
    port = free_port()
    with Feed(tmp_path, "etsi-103221-2") as feed:
        for _ in range(8):
            feed.packets(500, 1500)
        feed.deliver(port, "tcp")
        wait_for(lambda: "refused" in feed.link.error and feed.link.attempts > 1)
        with Receiver(("127.0.0.1", port), tmp_path / "r").start() as receiver:
            feed.wait()
            checked(receiver, feed)
        wait_for(lambda: not feed.link.error)


def test_slow_reader(tmp_path: Path) -> None:
    """An agency with a small buffer that reads by and by gets all in order; no more than the window is on its way."""
    with Feed(tmp_path, "etsi-102232") as feed, Desk(4096) as desk:
        for _ in range(20):
            feed.packets(50, 1500)
        feed.deliver(desk.port, "tcp", fast(window_bytes=1 << 18, chunk_bytes=1 << 16))
        desk.accept()
        wait_for(lambda: feed.link.sent > 0)
        assert not feed.delivered
        assert desk.read(len(feed.sent), 3000) == feed.sent
        feed.wait()


def test_worker_killed(tmp_path: Path) -> None:
    """A delivery process that dies is started again and goes on where the agency is."""
    with Feed(tmp_path, "etsi-102232") as feed, Receiver(LOCAL, tmp_path / "r").start() as receiver:
        feed.packets(300, 1500)
        feed.deliver(receiver.address[1], "tcp")
        wait_for(lambda: receiver.progress().records > 0)
        os.kill(feed.pid, signal.SIGKILL)
        feed.packets(300, 1500)
        feed.wait()
        wait_for(lambda: receiver.progress().records == 600)
        checked(receiver, feed)
