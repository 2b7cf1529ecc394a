# SPDX-License-Identifier: Apache-2.0
"""The sample agency in TLS: only senders with the right certificate, and never in plain text on the same port."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from authority_kit import Authority
from delivery_kit import wait_for
from pdu_kit import ETSI, ipcc, names

from lictl.collection.listening import server_context
from lictl.collection.receiver import Receiver
from lictl.errors import UsageError
from lictl.handover.etsi_pdu import KEEPALIVE, SESSION, tri

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = ("127.0.0.1", 0)


def sender(receiver: Receiver, ca: Path, chain: tuple[Path, Path] | None) -> ssl.SSLSocket:
    """A connection of an operator that trusts `ca` and shows `chain`."""
    context = ssl.create_default_context(cafile=str(ca))
    if chain is not None:
        context.load_cert_chain(*chain)
    return context.wrap_socket(socket.create_connection(receiver.address, 30), server_hostname="127.0.0.1")


def test_mutual_tls(tmp_path: Path) -> None:
    """PDUs and answers pass for the right certificate; none, a foreign one and plain text are refused and counted."""
    ours, theirs = Authority(tmp_path, "operator"), Authority(tmp_path, "stranger")
    tls = server_context(*ours.issue("agency"), ours.file)
    good, foreign = ours.issue("sender"), theirs.issue("impostor")
    with Receiver(LOCAL, tmp_path / "r", tls=tls).start() as receiver:
        with sender(receiver, ours.file, good) as sock:
            data = b"".join(map(ipcc, range(2000)))
            sock.sendall(data + names().pdu(0, 0, tri(KEEPALIVE), SESSION))
            assert ETSI.decode(sock.recv(4096)).message == "keep-aliveResponse"
        for refused, chain in enumerate((None, foreign), 1):
            with contextlib.suppress(OSError), sender(receiver, ours.file, chain) as sock:
                sock.sendall(ipcc(9))
                sock.recv(4096)
            wait_for(lambda count=refused: receiver.refused["no TLS"] >= count)
        with socket.create_connection(receiver.address, 30) as plain:
            plain.sendall(ipcc(9))
            wait_for(lambda: receiver.refused["no TLS"] == 3)
        (verdict,) = receiver.verdict().evidence
    assert (verdict.ok, verdict.pdus) == (True, 2000)
    assert (tmp_path / "r" / "LIID0001.etsi-102232").read_bytes() == data


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    """It is said at once, with the file's name."""
    ours = Authority(tmp_path, "operator")
    certificate, key = ours.issue("agency")
    with pytest.raises(UsageError, match="cannot be used"):
        server_context(key, certificate, None)
    with pytest.raises(UsageError, match="holds no CA"):
        server_context(certificate, key, key)
