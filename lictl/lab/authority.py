# SPDX-License-Identifier: Apache-2.0
"""A small certification authority, for agencies of a lab that are reached in TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: str
    key: str = field(repr=False)

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Writes NAME.pem and NAME.key (0600); returns both."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_text(self.certificate)
        key.touch(0o600)
        key.write_text(self.key)
        return certificate, key


class Authority:
    """Signs certificates with a key that nobody else has.

    Attributes:
        pem: its own certificate.
    """

    def __init__(self, name: str = "lab authority", days: float = 365.0) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = _text(self._signed(self._name, self._key, None, days))

    def issue(self, host: str = "127.0.0.1", days: float = 90.0, key_pem: str = "") -> Pair:
        """A certificate for a host name or address, and its key.

        Args:
            host: as its user will call it.
            days: until its end; negative: it has expired.
            key_pem: of an earlier pair, for a certificate that is renewed; "": a new key.
        """
        known = load_pem_private_key(key_pem.encode(), None) if key_pem else None
        key = known if isinstance(known, ec.EllipticCurvePrivateKey) else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Pair(_text(self._signed(subject, key, host, days)), secret)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None, days: float
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        ends = now + days * _DAY
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(min(now, ends) - _DAY).not_valid_after(ends)
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
