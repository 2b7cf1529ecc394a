# SPDX-License-Identifier: Apache-2.0
"""Delivery in TLS, over real sockets: whom it trusts, what it says where it does not, and no plain text, ever."""

from __future__ import annotations

import os
import ssl
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from delivery_kit import Agency, append, mark, open_sealed, record, sealed_stream, wait_for
from link_kit import QUICK, Loop, RawAgency, without_repeats
from tls_kit import NOW, Authority, TlsAgency

from lictl.collection.listening import server_context
from lictl.collection.receiver import Receiver
from lictl.delivery.blocks import BlockKind
from lictl.delivery.config import Transport
from lictl.delivery.supervisor import AgencyWorker
from lictl.delivery.tls import client_context
from lictl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.delivery.spool import Spool

OURS, THEIRS = Authority("ours"), Authority("theirs")
AGENCY, SENDER = OURS.issue(), OURS.issue("operator.example")


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


def transport(kind: str = "tcp", ca: str = OURS.pem, *, ours: bool = True, least: str = "1.3") -> Transport:
    """In TLS, with a certificate of this side's or without."""
    pair = {"certificate": SENDER.certificate, "key": SENDER.key} if ours else {}
    return Transport(kind, tls=True, tls_min=least, ca=ca, **pair)  # type: ignore[arg-type]


def test_raw_records_in_tls(tmp_path: Path, root: Path, spool: Spool) -> None:
    """TLS 1.3 with certificates on both sides: everything arrives, in order, and the end is told in order."""
    with TlsAgency(tmp_path, AGENCY, OURS.pem) as agency:
        loop = Loop(root, agency.port, transport())
        link = loop.add(sealed_stream())
        for _ in range(50):
            append(spool, 1000)
        loop.until(lambda: spool.acknowledged == 50)
        assert link.state().peer_until == pytest.approx(NOW.timestamp() + 90 * 86400, abs=2)
        mark(spool, BlockKind.END)
        loop.until(lambda: link.state().phase == "done")
        loop.close()
        wait_for(lambda: len(agency.data) == 50_000 * 16)
        assert without_repeats(agency.heard) == list(range(1, 50_001))
        assert agency.versions == ["TLSv1.3"]


def test_acknowledged_blocks_in_tls(tmp_path: Path, root: Path, spool: Spool) -> None:
    """lictl's own protocol goes in TLS too, to the receiver that agencies are given."""
    files = [tmp_path / name for name in ("pem", "key", "ca")]
    for file, text in zip(files, (AGENCY.certificate, AGENCY.key, OURS.pem), strict=True):
        file.write_text(text)
    for _ in range(20):
        append(spool, 500)
    with Receiver(("127.0.0.1", 0), tmp_path / "received", tls=server_context(*files)).start() as receiver:
        loop = Loop(root, receiver.address[1], transport("lictl"))
        link = loop.add(sealed_stream())
        loop.until(lambda: spool.acknowledged == 20)
        assert link.state().peer_until > 0
        (stream,) = receiver.verdict().streams
        assert (stream.ok, stream.records) == (True, 10_000)
        loop.close()


def test_a_reset_in_tls(tmp_path: Path, root: Path, spool: Spool) -> None:
    """A connection cut in the middle of a record is made anew; nothing is lost, and repeats carry their numbers."""
    for _ in range(300):
        append(spool, 100)
    with TlsAgency(tmp_path, AGENCY, OURS.pem) as agency:
        agency.cut_after = 100_003
        loop = Loop(root, agency.port, transport())
        loop.add(sealed_stream())
        loop.until(lambda: spool.acknowledged == 300)
        loop.close()
        wait_for(lambda: without_repeats(agency.heard)[-1:] == [30_000])
        assert len(agency.heard) == 2
        assert without_repeats(agency.heard) == list(range(1, 30_001))


@pytest.mark.parametrize(
    ("presented", "trusted", "ours", "error"),
    [
        (THEIRS.issue(), OURS.pem, True, "certificate of another CA"),
        (OURS.issue(days=-1), OURS.pem, True, "certificate has expired"),
        (OURS.issue("agency.example"), OURS.pem, True, "certificate is not for 127.0.0.1"),
        (AGENCY, OURS.pem, False, "wants a certificate of ours"),
    ],
    ids=["other-ca", "expired", "other-name", "none-of-ours"],
)
def test_refused_certificates(
    tmp_path: Path, root: Path, spool: Spool, presented: object, trusted: str, ours: bool, error: str
) -> None:
    """The reason is named, nothing counts as delivered, and not one record reaches whoever answered."""
    append(spool, 10)
    with TlsAgency(tmp_path, presented, OURS.pem) as agency:  # type: ignore[arg-type]
        loop = Loop(root, agency.port, transport(ca=trusted, ours=ours))
        link = loop.add(sealed_stream())
        loop.until(lambda: error in link.state().error, what=f"for {error!r}")
        loop.until(lambda: link.state().attempts > 2)
        loop.close()
        assert spool.acknowledged == 0
        assert agency.data == b""


def test_a_foreign_sender_is_refused_by_the_agency(tmp_path: Path, root: Path, spool: Spool) -> None:
    """An agency that does not know our authority says so, and what we say to the operator names that."""
    append(spool, 10)
    with TlsAgency(tmp_path, AGENCY, THEIRS.pem) as agency:
        loop = Loop(root, agency.port, transport())
        link = loop.add(sealed_stream())
        loop.until(lambda: "does not know the authority of our certificate" in link.state().error)
        loop.close()
        assert spool.acknowledged == 0


def test_plain_text_never_goes(root: Path, spool: Spool) -> None:
    """Something that speaks no TLS gets a greeting of TLS and nothing else; there is no way back to plain text."""
    append(spool, 10)
    with RawAgency() as agency:
        loop = Loop(root, agency.port, transport())
        link = loop.add(sealed_stream())

        def answered() -> bool:
            agency.take()
            if agency.sock is not None and agency.heard[-1]:
                agency.sock.send(b"SSH-2.0-agency\r\n")
                agency.hang_up()
            return len(agency.heard) > 2

        loop.until(answered)
        assert "does not speak TLS" in link.state().error
        loop.close()
        assert all(heard[:1] in (b"", b"\x16") for heard in agency.heard)
        assert not any(b"000000000000001" in heard for heard in agency.heard)
        assert spool.acknowledged == 0


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
        loop = Loop(root, agency.port, transport(ca=OURS.issue().certificate, ours=False))
        link = loop.add(sealed_stream())
        loop.until(lambda: "another CA" in link.state().error)
        loop.close()
        loop = Loop(root, agency.port, transport(ca=AGENCY.certificate, ours=False))
        loop.add(sealed_stream())
        loop.until(lambda: spool.acknowledged == 1)
        loop.close()


@pytest.mark.parametrize(
    "wrong",
    [
        Transport("tcp", tls=True, ca="no PEM"),
        Transport("tcp", tls=True, ca=OURS.pem, certificate=SENDER.certificate, key=AGENCY.key),
        Transport("tcp", tls=True, ca=OURS.pem, certificate=SENDER.certificate, key="no key"),
    ],
)
def test_settings_that_cannot_be_used(wrong: Transport) -> None:
    """No PEM, or a key of another certificate: said when they are given, without a byte of them."""
    with pytest.raises(UsageError, match="cannot be used") as error:
        client_context(wrong)
    assert "PRIVATE" not in str(error.value)


def test_the_last_record_of_a_burst_leaves_at_once(tmp_path: Path, root: Path, spool: Spool) -> None:
    """From a real worker, in TLS: a record is at the agency in a few milliseconds though nothing follows it."""
    with TlsAgency(tmp_path, AGENCY, OURS.pem) as agency:
        worker = AgencyWorker(
            Agency("lea", "127.0.0.1", agency.port), root, [sealed_stream()], options=QUICK, transport=transport()
        )
        worker.start()
        try:
            append(spool, 1)
            wait_for(lambda: agency.data)
            took = []
            for number in range(2, 102):
                began = time.monotonic()
                append(spool, 1)
                worker.wake("W-1")
                with agency.condition:
                    assert agency.condition.wait_for(lambda n=number: agency.data.endswith(record(n)), 10)
                took.append(time.monotonic() - began)
        finally:
            worker.stop()
    print(f"append to agency in TLS: median {statistics.median(took) * 1e6:.0f} us, worst {max(took) * 1e6:.0f} us")
    assert statistics.median(took) < 0.05
