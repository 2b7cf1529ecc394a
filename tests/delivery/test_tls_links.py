# SPDX-License-Identifier: Apache-2.0
"""Delivery in TLS: old versions, pinned certificates, settings that cannot be, and the last record of a burst."""

from __future__ import annotations

import os
import ssl
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from delivery_kit import Agency, append, open_sealed, record, sealed_stream, wait_for
from link_kit import QUICK, Loop
from tls_kit import TlsAgency

from lictl.delivery.config import Transport
from lictl.delivery.supervisor import AgencyWorker
from lictl.delivery.tls import client_context
from lictl.errors import UsageError
from lictl.lab.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.delivery.spool import Spool

OURS = Authority("ours")
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


def transport(ca: str = OURS.pem, *, ours: bool = True, least: str = "1.3") -> Transport:
    """In TLS, with a certificate of this side's or without."""
    pair = {"certificate": SENDER.certificate, "key": SENDER.key} if ours else {}
    return Transport("tcp", tls=True, tls_min=least, ca=ca, **pair)


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
    with pytest.raises(UsageError, match=r"cannot be used|not that of") as error:
        client_context(wrong)
    assert "PRIVATE" not in str(error.value)


def test_credentials_are_renewed_under_way(tmp_path: Path, root: Path, spool: Spool) -> None:
    """A certificate that has expired lets nothing out; with a new one all follows in order, without a crash counted.

    Renewed once more while octets are on their way, the stream goes on behind what the agency confirmed.
    """
    old, new = OURS.issue("operator.example", days=-1), OURS.issue("operator.example")
    with TlsAgency(tmp_path, AGENCY, OURS.pem) as agency:
        ended = replace(transport(), certificate=old.certificate, key=old.key)
        streams, place = [sealed_stream()], Agency("lea", "127.0.0.1", agency.port)
        worker = AgencyWorker(place, root, streams, options=QUICK, transport=ended)
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
            worker.renew(replace(transport(), certificate=new.certificate, key=new.key))
            append(spool, 10)
            wait_for(lambda: spool.acknowledged == 4)
            last = bytes(agency.heard[-1])
            assert last in (b"".join(map(record, range(first, 41))) for first in (21, 31))
            assert worker.state().restarts == 0
        finally:
            worker.stop()


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
