# SPDX-License-Identifier: Apache-2.0
"""Sealing of what names a subscriber: AES-256-GCM (NIST SP 800-38D) under a key of its own for each warrant.

A sealed blob is: version (1 byte, 1), nonce (12 random bytes), ciphertext, tag (16 bytes). The context is
authenticated and not stored: a blob that was moved to another row or column does not open there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lictl.errors import IntegrityError

if TYPE_CHECKING:
    from lictl.keys.wrapper import Wrapper

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
VERSION: Final = b"\x01"
OVERHEAD: Final = len(VERSION) + NONCE_BYTES + TAG_BYTES


def derive(key: bytes, info: bytes) -> bytes:
    """A key for one purpose: 32 bytes of HKDF-SHA256 (RFC 5869, no salt).

    Args:
        key: 32 bytes of full entropy.
        info: names the purpose; another purpose, another key.
    """
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


def seal(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Seals a value; the same value sealed twice looks different.

    Args:
        key: 32 bytes. At most 2**32 blobs under one key (SP 800-38D, 8.3).
        plaintext: any length.
        context: where the blob belongs, such as b"warrants.file:ID".
    """
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def unseal(key: bytes, blob: bytes, context: bytes) -> bytes:
    """The plaintext of a sealed blob.

    Raises:
        IntegrityError: it was changed, belongs elsewhere or was sealed under another key. Names no content.
    """
    if len(blob) < OVERHEAD or blob[:1] != VERSION:
        raise IntegrityError("A sealed value is damaged.", "Restore it from a backup of the same site.")
    nonce = blob[1 : 1 + NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, bytes(blob[1 + NONCE_BYTES :]), context)
    except InvalidTag:
        raise IntegrityError(
            "A sealed value does not open: it was changed, moved, or belongs to another key.",
            "Restore database and keys from a backup of the same site.",
        ) from None


class Sealer:
    """Keys of warrants and what they seal.

    Args:
        wrapper: wraps the keys for storage (`SiteKey.wrapper`).
    """

    def __init__(self, wrapper: Wrapper) -> None:
        self._wrapper = wrapper

    def new_key(self) -> bytes:
        """A random key of 32 bytes. Store only what `wrap` makes of it."""
        return os.urandom(KEY_BYTES)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """The key as it may be stored."""
        return self._wrapper.wrap(key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key again.

        Raises:
            IntegrityError: the wrapped key was changed, or another site key wrapped it.
        """
        return self._wrapper.unwrap(wrapped, context)

    def seal(self, key: bytes, plaintext: bytes, context: bytes) -> bytes:
        """See `seal`."""
        return seal(key, plaintext, context)

    def open(self, key: bytes, blob: bytes, context: bytes) -> bytes:
        """See `unseal`.

        Raises:
            IntegrityError: as of `unseal`.
        """
        return unseal(key, blob, context)
