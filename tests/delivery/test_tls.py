# SPDX-License-Identifier: Apache-2.0
"""Delivery in TLS: who is trusted, what is said of a refusal, and that nothing leaves then; renewal, and speed."""

from __future__ import annotations

import ssl
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from agency_kit import Desk
from delivery_kit import Agency, append, record, sealed_stream, wait_for
from feed_kit import Feed
from link_kit import QUICK, Loop
from tls_kit import TlsAgency, server

from lictl.collection.receiver import Receiver
from lictl.delivery.channel import Channel
from lictl.delivery.config import Transport
from lictl.delivery.supervisor import AgencyWorker
from lictl.delivery.tls import client_context
from lictl.errors import UsageError
from lictl.lab.authority import Authority, Pair

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.delivery.spool import Spool

LOCAL = ("127.0.0.1", 0)
FORMS = [("lictl", "text"), ("tcp", "etsi-102232")]
OURS, FOREIGN = Authority("ours"), Authority("foreign")
AGENCY, SENDER = OURS.issue(days=1), OURS.issue("operator.example")


def way(pair: Pair | None = SENDER, ca: str = OURS.pem) -> dict[str, Any]:
    """Transport in TLS: what is shown, and the authority that is trusted."""
    shown = {} if pair is None else {"certificate": pair.certificate, "key": pair.key}
    return {"tls": True, "ca": ca, **shown}


def transport(pair: Pair | None = SENDER, ca: str = OURS.pem, least: str = "1.3") -> Transport:
    """The same of a format's own bytes."""
    return Transport("tcp", tls_min=least, **way(pair, ca))


def taken(receiver: Receiver) -> int:
    """Packets that it has."""
    return receiver.progress().records


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_mutual_certificates(tmp_path: Path, kind: str, form: str) -> None:
    """Both sides show a certificate; all arrives, and the state tells until when the agency's is valid."""
    tls = server(tmp_path, AGENCY, OURS.pem)
    with Feed(tmp_path, form) as feed, Receiver(LOCAL, tmp_path / "r", tls=tls).start() as receiver:
        feed.packets(500, 1500)
        feed.deliver(receiver.address[1], kind, **way())
        feed.packets(500, 1500)
        feed.drain()
        wait_for(lambda: taken(receiver) == 1000)
        wait_for(lambda: time.time() + 80_000 < feed.link.peer_until < time.time() + 90_000)
        assert receiver.verdict().ok
        assert feed.link.error == ""


def refused(
    folder: Path, how: tuple[str, str], tls: ssl.SSLContext, shown: Pair | None, why: str, batches: int
) -> None:
    """The worker's state says why, again and again, and the agency has nothing."""
    kind, form = how
    with Feed(folder, form) as feed, Receiver(LOCAL, folder / "r", tls=tls).start() as receiver:
        for _ in range(batches):
            feed.packets(300, 1500)
        feed.deliver(receiver.address[1], kind, **way(shown))
        wait_for(lambda: why in feed.link.error and feed.link.attempts > 1, what=feed.link.error)
        assert taken(receiver) == 0
        assert not feed.spool.acknowledged


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("case", ["another CA", "expired", "not for 127.0.0.1"])
def test_agency_that_is_not_it(tmp_path: Path, how: tuple[str, str], case: str) -> None:
    """A certificate of another CA, an expired one, one for another host: nothing is sent."""
    pair = {
        "another CA": FOREIGN.issue,
        "expired": lambda: OURS.issue(days=-1),
        "not for 127.0.0.1": lambda: OURS.issue("127.0.0.2"),
    }[case]()
    refused(tmp_path, how, server(tmp_path, pair), None, case, batches=1)


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize(
    ("shown", "why"), [(None, "wants a certificate of ours"), (FOREIGN.issue(), "certificate")], ids=["none", "foreign"]
)
def test_certificate_that_the_agency_does_not_take(
    tmp_path: Path, how: tuple[str, str], shown: Pair | None, why: str
) -> None:
    """None where it wants one, or one of another authority: it takes nothing, and the state says that it is ours.

    There is so much to send that the refusal comes while it is on its way.
    """
    refused(tmp_path, how, server(tmp_path, AGENCY, OURS.pem), shown, why, batches=8)


def test_plain_agency(tmp_path: Path) -> None:
    """What answers in plain text gets nothing but the greeting of TLS."""
    with Feed(tmp_path, "etsi-102232") as feed, Desk() as desk:
        feed.packets()
        feed.deliver(desk.port, "tcp", **way(None))
        sock = desk.accept()
        assert sock.recv(4096)[0] == 0x16
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        wait_for(lambda: feed.link.error == "What answers does not speak TLS.")


def test_old_tls_only_where_it_is_allowed(tmp_path: Path, root: Path, spool: Spool) -> None:
    """An agency that cannot do 1.3 is refused, unless 1.2 was allowed for it."""
    append(spool, 10)
    with TlsAgency(tmp_path, AGENCY, OURS.pem, ssl.TLSVersion.TLSv1_2) as agency:
        loop = Loop(root, agency.port, transport())
        link = loop.add(sealed_stream())
        loop.until(lambda: "TLS version" in link.state().error)
        assert agency.data == b""
        loop.close()
        loop = Loop(root, agency.port, transport(least="1.2"))
        loop.add(sealed_stream())
        loop.until(lambda: spool.acknowledged == 1)
        loop.close()
        assert agency.versions == ["TLSv1.2"]


def test_the_agencys_own_certificate_can_be_pinned(tmp_path: Path, root: Path, spool: Spool) -> None:
    """Given in place of an authority, it alone counts: not even another one of the same authority."""
    append(spool, 10)
    with TlsAgency(tmp_path, AGENCY) as agency:
        loop = Loop(root, agency.port, transport(None, OURS.issue().certificate))
        link = loop.add(sealed_stream())
        loop.until(lambda: "another CA" in link.state().error)
        loop.close()
        loop = Loop(root, agency.port, transport(None, AGENCY.certificate))
        loop.add(sealed_stream())
        loop.until(lambda: spool.acknowledged == 1)
        loop.close()


@pytest.mark.parametrize(
    "wrong",
    [
        transport(None, "no PEM"),
        transport(replace(SENDER, key=AGENCY.key)),
        transport(replace(SENDER, key="no key")),
    ],
)
def test_settings_that_cannot_be_used(wrong: Transport) -> None:
    """No PEM, or a key of another certificate: said when they are given, without a byte of them."""
    with pytest.raises(UsageError, match=r"cannot be used|not that of") as error:
        client_context(wrong)
    assert "PRIVATE" not in str(error.value)


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_the_last_packet_of_a_burst_leaves_at_once(tmp_path: Path, kind: str, form: str) -> None:
    """One packet after another is at the agency in a few milliseconds, though nothing follows it."""
    tls = server(tmp_path, AGENCY)
    with Feed(tmp_path, form) as feed, Receiver(LOCAL, tmp_path / "r", tls=tls).start() as receiver:
        feed.packets(20)
        feed.deliver(receiver.address[1], kind, **way(None))
        wait_for(lambda: taken(receiver) == 20)
        took = []
        for number in range(21, 61):
            began = time.monotonic()
            feed.packets()
            wait_for(lambda count=number: taken(receiver) == count)
            took.append(time.monotonic() - began)
    print(f"{kind} in TLS, packet to agency: median {statistics.median(took) * 1e3:.1f} ms, worst {max(took):.3f} s")
    assert statistics.median(took) < 0.05


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_ceiling(tmp_path: Path, kind: str, form: str, secure: bool) -> None:
    """No more octets a second leave than the agency takes, and all of them arrive."""
    tls = server(tmp_path, AGENCY) if secure else None
    with Feed(tmp_path, form) as feed, Receiver(LOCAL, tmp_path / "r", tls=tls).start() as receiver:
        feed.packets(300, 1000)
        began = time.monotonic()
        feed.deliver(receiver.address[1], kind, bytes_per_s=300_000, **(way(None) if secure else {}))
        wait_for(lambda: taken(receiver) == 300)
        assert time.monotonic() - began > 0.7
        assert receiver.verdict().ok


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_receiver_that_comes_back(tmp_path: Path, kind: str, form: str) -> None:
    """A receiver that went away in the middle gets what it does not have, and its verdict is good."""
    tls = server(tmp_path, AGENCY)
    with Feed(tmp_path, form) as feed:
        with Receiver(LOCAL, tmp_path / "r", tls=tls).start() as first:
            port = first.address[1]
            feed.packets(300, 1500)
            feed.deliver(port, kind, **way(None))
            wait_for(lambda: taken(first) > 0)
            feed.packets(300, 1500)
        feed.packets(300, 1500)
        with Receiver(("127.0.0.1", port), tmp_path / "r", tls=tls).start() as second:
            feed.drain()
            assert second.verdict().ok
            assert taken(second) == 900


class Flood(TlsAgency):
    """Talks without end and reads nothing."""

    def _take(self, secure: ssl.SSLSocket) -> None:
        self.heard.append(bytearray())
        for _ in range(256):
            secure.sendall(bytes(1 << 16))


def test_an_agency_that_floods_us_takes_no_memory(
    tmp_path: Path, root: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it talks: little is taken at once, and between that the loop goes on to everything else."""
    append(spool, 10)
    held, heard, receive = [0], [0], Channel.receive_into

    def watched(channel: Channel, space: memoryview) -> int:
        n = receive(channel, space)
        held[0] = max(held[0], channel._incoming.pending)
        heard[0] += max(n, 0)
        return n

    monkeypatch.setattr(Channel, "receive_into", watched)
    with Flood(tmp_path, AGENCY) as agency:
        loop = Loop(root, agency.port, transport(None))
        loop.add(sealed_stream())
        loop.until(lambda: heard[0] > 4 << 20)
        loop.close()
    print(f"{held[0]} octets held at most")
    assert held[0] <= 1 << 16


def test_credentials_are_renewed_under_way(tmp_path: Path, root: Path, spool: Spool) -> None:
    """A certificate that has expired lets nothing out; with a new one all follows in order, without a crash counted.

    Renewed once more while octets are on their way, the stream goes on behind what the agency confirmed.
    """
    old, new = OURS.issue("operator.example", days=-1), OURS.issue("operator.example")
    with TlsAgency(tmp_path, AGENCY, OURS.pem) as agency:
        place = Agency("lea", "127.0.0.1", agency.port)
        worker = AgencyWorker(place, root, [sealed_stream()], options=QUICK, transport=transport(old))
        worker.start()
        try:
            append(spool, 10)
            wait_for(lambda: "has expired" in "".join(s.error for s in worker.state().streams.values()))
            assert spool.acknowledged == 0
            assert agency.data == b""
            append(spool, 10)
            began = time.monotonic()
            worker.renew(transport())
            wait_for(lambda: spool.acknowledged == 2)
            print(f"renewed and confirmed after {time.monotonic() - began:.2f} s")
            assert agency.data == b"".join(map(record, range(1, 21)))
            append(spool, 10)
            worker.wake()
            wait_for(lambda: agency.data.endswith(record(30)))
            worker.renew(transport(new))
            append(spool, 10)
            wait_for(lambda: spool.acknowledged == 4)
            last = bytes(agency.heard[-1])
            assert last in (b"".join(map(record, range(first, 41))) for first in (21, 31))
            assert worker.state().restarts == 0
        finally:
            worker.stop()
