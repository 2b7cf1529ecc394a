# SPDX-License-Identifier: Apache-2.0
"""Delivery in TLS by a real worker process: who is trusted, what is said of a refusal, and that nothing leaves then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from delivery_kit import wait_for
from feed_kit import Desk, Feed
from tls_kit import server

from lictl.collection.receiver import Receiver
from lictl.lab.authority import Authority, Pair

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

LOCAL = ("127.0.0.1", 0)
FORMS = [("lictl", "text"), ("tcp", "etsi-102232")]


@pytest.fixture(scope="module")
def ours() -> Authority:
    """The authority that both sides trust."""
    return Authority("ours")


@pytest.fixture(scope="module")
def foreign() -> Authority:
    """Another one."""
    return Authority("foreign")


def way(authority: Authority, chain: Pair | None) -> dict[str, Any]:
    """Transport with TLS, the authority that is trusted and what is shown."""
    shown = {} if chain is None else {"certificate": chain.certificate, "key": chain.key}
    return {"tls": True, "ca": authority.pem, **shown}


def taken(receiver: Receiver) -> int:
    """Packets that it has."""
    return receiver.progress().records


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_mutual_certificates(tmp_path: Path, ours: Authority, kind: str, form: str) -> None:
    """Both sides show a certificate; all arrives, and the state tells until when the agency's is valid."""
    tls = server(tmp_path, ours.issue(days=1), ours.pem)
    with Feed(tmp_path, form) as feed, Receiver(LOCAL, tmp_path / "r", tls=tls).start() as receiver:
        feed.packets(500, 1500)
        feed.deliver(receiver.address[1], kind, **way(ours, ours.issue()))
        feed.packets(500, 1500)
        feed.wait()
        wait_for(lambda: taken(receiver) == 1000)
        wait_for(lambda: time.time() + 80_000 < feed.link.peer_until < time.time() + 90_000)
        assert receiver.verdict().ok
        assert feed.link.error == ""


def refused(folder: Path, kind: str, form: str, tls: ssl.SSLContext, transport: dict[str, Any], why: str) -> None:
    """The worker's state says why, again and again, and the agency has nothing."""
    with Feed(folder, form) as feed, Receiver(LOCAL, folder / "r", tls=tls).start() as receiver:
        for _ in range(8):  # so much that a refusal comes while it is on its way
            feed.packets(300, 1500)
        feed.deliver(receiver.address[1], kind, **transport)
        wait_for(lambda: why in feed.link.error and feed.link.attempts > 1, what=feed.link.error)
        assert taken(receiver) == 0
        assert not feed.spool.acknowledged


@pytest.mark.parametrize(("kind", "form"), FORMS)
@pytest.mark.parametrize("case", ["another CA", "expired", "not for 127.0.0.1"])
def test_agency_that_is_not_it(
    tmp_path: Path, ours: Authority, foreign: Authority, kind: str, form: str, case: str
) -> None:
    """A certificate of another CA, an expired one, one for another host: nothing is sent."""
    chain = {
        "another CA": foreign.issue,
        "expired": lambda: ours.issue(days=-1),
        "not for 127.0.0.1": lambda: ours.issue("127.0.0.2"),
    }[case]()
    refused(tmp_path, kind, form, server(tmp_path, chain), way(ours, None), case)


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_no_certificate_of_ours(tmp_path: Path, ours: Authority, kind: str, form: str) -> None:
    """An agency that wants one and gets none takes nothing, and the state names the option that is missing."""
    tls = server(tmp_path, ours.issue(), ours.pem)
    refused(tmp_path, kind, form, tls, way(ours, None), "wants a certificate of ours")


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_certificate_that_the_agency_does_not_know(
    tmp_path: Path, ours: Authority, foreign: Authority, kind: str, form: str
) -> None:
    """One of another authority is refused, and the state says that it is ours."""
    tls = server(tmp_path, ours.issue(), ours.pem)
    refused(tmp_path, kind, form, tls, way(ours, foreign.issue()), "certificate")


def test_plain_agency(tmp_path: Path, ours: Authority) -> None:
    """What answers in plain text gets nothing but the greeting of TLS."""
    with Feed(tmp_path, "etsi-102232") as feed, Desk() as desk:
        feed.packets()
        feed.deliver(desk.port, "tcp", **way(ours, None))
        sock = desk.accept()
        assert sock.recv(4096)[0] == 0x16
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        wait_for(lambda: feed.link.error == "What answers does not speak TLS.")


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_tail_of_a_burst(tmp_path: Path, ours: Authority, kind: str, form: str) -> None:
    """The last packet of a burst does not wait for the next one."""
    tls = server(tmp_path, ours.issue())
    with Feed(tmp_path, form) as feed, Receiver(LOCAL, tmp_path / "r", tls=tls).start() as receiver:
        feed.packets()
        feed.deliver(receiver.address[1], kind, **way(ours, None))
        wait_for(lambda: taken(receiver) == 1)
        took = []
        for burst in range(5):
            feed.packets(20)
            began = time.monotonic()
            wait_for(lambda count=burst * 20 + 21: taken(receiver) == count)
            took.append(time.monotonic() - began)
        assert min(took) < 0.2


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_receiver_that_comes_back(tmp_path: Path, ours: Authority, kind: str, form: str) -> None:
    """A receiver that went away in the middle gets what it does not have, and its verdict is good."""
    tls = server(tmp_path, ours.issue())
    with Feed(tmp_path, form) as feed:
        with Receiver(LOCAL, tmp_path / "r", tls=tls).start() as first:
            port = first.address[1]
            feed.packets(300, 1500)
            feed.deliver(port, kind, **way(ours, None))
            wait_for(lambda: taken(first) > 0)
            feed.packets(300, 1500)
        feed.packets(300, 1500)
        with Receiver(("127.0.0.1", port), tmp_path / "r", tls=tls).start() as second:
            feed.wait()
            assert second.verdict().ok
            assert taken(second) == 900
