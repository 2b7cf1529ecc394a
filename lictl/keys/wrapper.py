# SPDX-License-Identifier: Apache-2.0
"""Wrapping of keys under the site key, which never leaves the wrapper: a file here, an HSM or a TPM elsewhere.

The protocol asks for no more than PKCS#11 (C_Encrypt with CKM_AES_GCM) or a TPM 2.0 (seal and unseal with a policy)
can do: whole keys in, opaque bytes out, and an authenticated context.
"""

from __future__ import annotations

from typing import Protocol

from lictl.errors import IntegrityError
from lictl.keys.sealer import KEY_BYTES, derive, seal, unseal


class Wrapper(Protocol):
    """Wraps keys of 32 bytes."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Opaque bytes that only this site can open, bound to the context."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key.

        Raises:
            IntegrityError: changed, another context, or another site's.
        """
        ...


class FileWrapper:
    """A wrapper whose site key lies in a file of the home.

    Args:
        site_key: 32 bytes.
    """

    def __init__(self, site_key: bytes) -> None:
        self._key = derive(site_key, b"lictl key wrap v1")

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See `Wrapper.wrap`."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        return seal(self._key, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """See `Wrapper.unwrap`."""
        key = unseal(self._key, wrapped, context)
        if len(key) != KEY_BYTES:
            raise IntegrityError("A wrapped key has the wrong length.", "Restore the database from a backup.")
        return key
