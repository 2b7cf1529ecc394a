# SPDX-License-Identifier: Apache-2.0
"""The keys that a site has for one agency: signatures over what is delivered, and a key for sealed payloads.

All come from one secret of 32 bytes, which the store keeps wrapped. The agency gets the public halves, and the payload
key on a way of its own.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lictl.keys.sealer import derive

# Order of the group of P-256 (FIPS 186-5, SEC 2: 2.4.2).
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HASHES: Final[dict[str, type[HashAlgorithm]]] = {"sha256": SHA256, "sha512": SHA512}


class AgencyKeys:
    """Keys for one agency.

    Args:
        secret: 32 random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self.eddsa_seed: bytes = derive(secret, b"lictl agency ed25519")
        """Private half of the key of `sign_eddsa`: all that a delivery process gets to sign with."""
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(self.eddsa_seed)
        self._p256 = _p256(secret)
        self.payload_key: bytes = derive(secret, b"lictl agency payload")
        """AES-256, for formats that seal their payloads."""

    def sign_eddsa(self, message: bytes) -> bytes:
        """Ed25519 (RFC 8032), 64 bytes."""
        return self._ed25519.sign(message)

    def sign_ecdsa(self, message: bytes, digest: str = "sha256") -> bytes:
        """ECDSA over P-256, a DER sequence of r and s (RFC 3279 2.2.3); `digest`: "sha256" or "sha512"."""
        return self._p256.sign(message, ECDSA(_HASHES[digest]()))

    @property
    def eddsa_pem(self) -> bytes:
        """The public key of `sign_eddsa` (RFC 8410), as `openssl pkey -pubin` reads it."""
        return self._ed25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def ecdsa_pem(self) -> bytes:
        """The public key of `sign_ecdsa`."""
        return self._p256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _p256(secret: bytes) -> EllipticCurvePrivateKey:
    # 512 bits reduced: no visible bias (FIPS 186-5, A.2.1).
    wide = hashlib.sha512(derive(secret, b"lictl agency p256")).digest()
    return derive_private_key(int.from_bytes(wide) % (_P256_ORDER - 1) + 1, SECP256R1())
