# SPDX-License-Identifier: Apache-2.0
"""Small authorities, and an agency that takes raw connections in TLS."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


class Authority:
    """Issues certificates; `pem` is its own."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = _text(self._make(self._name, self._key, None, 365.0))

    def issue(self, name: str = "127.0.0.1", days: float = 90.0) -> Pair:
        """A certificate for a host name or address that ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Pair(_text(self._make(subject, key, name, days)), secret)

    def _make(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None, days: float
    ) -> x509.Certificate:
        ends = NOW + dt.timedelta(days=days)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(min(NOW, ends) - dt.timedelta(days=1)).not_valid_after(ends)
        builder = builder.add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


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
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.maximum_version = most
        chain = folder / "agency.pem"
        chain.write_text(pair.key + pair.certificate)
        self._context.load_cert_chain(chain)
        if client_ca is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(cadata=client_ca)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytearray] = []
        self.versions: list[str | None] = []
        self.condition = threading.Condition()
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
            with self.condition:
                self.heard[-1] += data
                self.condition.notify_all()

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
