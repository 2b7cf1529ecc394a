# SPDX-License-Identifier: Apache-2.0
"""Signatures of the audit chain: Ed25519 (RFC 8032)."""

from __future__ import annotations

from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from lictl.errors import IntegrityError, UsageError

PUBLIC_KEY_BYTES = 32


class Signer(Protocol):
    """Signs; the private key stays inside (a file, a PKCS#11 token with CKM_EDDSA)."""

    @property
    def public_key(self) -> bytes:
        """32 bytes (RFC 8032)."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        ...


class KeySigner:
    """A signer that holds its private key in memory.

    Args:
        private_key: 32 bytes (the seed of RFC 8032).
    """

    def __init__(self, private_key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)

    @property
    def public_key(self) -> bytes:
        """See `Signer.public_key`."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """See `Signer.sign`."""
        return self._key.sign(message)

    def to_pem(self) -> bytes:
        """The private key for its file (PKCS#8, RFC 8410)."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signature_is_good(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of the private key signed this message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_pem(public_key: bytes) -> bytes:
    """The public key as auditors get it (SubjectPublicKeyInfo, RFC 8410); `openssl pkey -pubin` reads it."""
    return Ed25519PublicKey.from_public_bytes(public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_pem(pem: bytes) -> bytes:
    """The 32 bytes of a public key file.

    Raises:
        UsageError: it is no Ed25519 public key in PEM.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("This is no Ed25519 public key in PEM form.", "Give the audit.pub of the site.")
    try:
        return key.public_bytes_raw()
    except ValueError:
        raise IntegrityError("The public key is damaged.", "Give the audit.pub of the site.") from None
