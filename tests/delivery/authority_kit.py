# SPDX-License-Identifier: Apache-2.0
"""A small certificate authority for tests of TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime.now(dt.UTC)


class Authority:
    """Makes certificates in a folder."""

    def __init__(self, folder: Path, name: str, days: float = 1.0) -> None:
        self.folder = folder
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(self._make(self.name, self.key, ca=True, days=days).public_bytes(Encoding.PEM))

    def issue(
        self, name: str, days: float = 1.0, host: str = "127.0.0.1", key: Path | None = None
    ) -> tuple[Path, Path]:
        """Certificate and key for a host, by default 127.0.0.1; it ends in so many days, or has ended.

        Args:
            name: of its holder, and of the files.
            days: until its end.
            host: that it names.
            key: file of a key that is there already.
        """
        known = None if key is None else load_pem_private_key(key.read_bytes(), None)
        pair = known if isinstance(known, ec.EllipticCurvePrivateKey) else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(self._make(subject, pair, ca=False, days=days, host=host).public_bytes(Encoding.PEM))
        secret.write_bytes(pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, secret

    def _make(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
        days: float = 1.0,
        host: str = "127.0.0.1",
    ) -> x509.Certificate:
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(NOW - dt.timedelta(days=9)).not_valid_after(NOW + dt.timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        return builder.add_extension(alternative, critical=False).sign(self.key, hashes.SHA256())
