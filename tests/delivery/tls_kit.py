# SPDX-License-Identifier: Apache-2.0
"""Agencies in TLS: what they show and want, and one that takes raw connections."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.lab.authority import Pair


def server(folder: Path, pair: Pair, ca: str | None = None) -> ssl.SSLContext:
    """Settings of an agency; with `ca` it wants a certificate signed by it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair.save(folder, "agency"))
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=ca)
    return context


class TlsAgency:
    """Accepts connections in a thread and keeps what came on each, decrypted.

    Args:
        folder: for its files.
        pair: its certificate.
        client_ca: who has to have signed the sender's; None: it asks for none.
        most: newest TLS version that it speaks.
    """

    def __init__(
        self, folder: Path, pair: Pair, client_ca: str | None = None, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> None:
        self._context = server(folder, pair, client_ca)
        self._context.maximum_version = most
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytearray] = []
        self.versions: list[str | None] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(30)
            with contextlib.suppress(OSError), self._context.wrap_socket(sock, server_side=True) as secure:
                self._take(secure)

    def _take(self, secure: ssl.SSLSocket) -> None:
        self.versions.append(secure.version())
        self.heard.append(bytearray())
        while data := secure.recv(1 << 16):
            self.heard[-1] += data

    @property
    def data(self) -> bytes:
        """All that came, of all connections."""
        return b"".join(map(bytes, self.heard))

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> TlsAgency:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
