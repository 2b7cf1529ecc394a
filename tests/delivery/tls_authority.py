# SPDX-License-Identifier: Apache-2.0
"""Small certification authorities for the tests of TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

DAY = dt.timedelta(days=1)


class TestAuthority:
    """Signs certificates; all as PEM text."""

    __test__ = False

    def __init__(self, name: str) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._make(self._name, self._key, "127.0.0.1", dt.datetime.now(dt.UTC) + DAY, ca=True)

    def issue(self, address: str = "127.0.0.1", days: float = 1) -> tuple[str, str]:
        """Certificate and key for an address; with negative `days` it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return self._make(name, key, address, dt.datetime.now(dt.UTC) + days * DAY), secret

    def _make(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, address: str, until: dt.datetime, *, ca: bool = False
    ) -> str:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(until - 5 * DAY).not_valid_after(until)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def server(folder: Path, chain: tuple[str, str], ca: str = "") -> ssl.SSLContext:
    """Settings of an agency; with `ca` it wants a certificate signed by it."""
    file = folder / "agency.pem"
    file.write_text("".join(chain))
    file.chmod(0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if ca:
        context.load_verify_locations(cadata=ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
