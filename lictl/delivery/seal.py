# SPDX-License-Identifier: Apache-2.0
"""Blocks sealed at rest: payload and position are AES-256-GCM ciphertext, the header is bound to them.

Sealed bytes are a nonce (12), the ciphertext and the tag (16). Nonces are random, so a block that was torn and is
written again under its old number uses another one. NIST SP 800-38D 8.3 allows 2^32 random nonces for a key; a key
serves 2^20 blocks here, two nonces each. Format: docs/formats/delivery-protocol.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lictl.delivery.blocks import (
    FLAG_SEALED,
    SEAL_BYTES,
    TRAILER_CHECK,
    begin_header,
    finish_header,
    pack_header,
    pack_trailer,
)
from lictl.delivery.scratch import scratch
from lictl.errors import IntegrityError
from lictl.keys.sealer import KEY_BYTES, derive

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.delivery.blocks import Header, Numbers
    from lictl.delivery.crc import Buffer
    from lictl.delivery.recovery import Recovered

_NONCE = 12
_TAG = 16
_EPOCH_BITS = 20
_POSITION = b"position"

if _NONCE + _TAG != SEAL_BYTES:
    raise AssertionError("seal layout")


class SealError(IntegrityError):
    """Sealed blocks that the key at hand does not open, or that were put in place of others."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "Restore the home's keys as they were when it was written; the spool stays as it is.")


class BlockSeal:
    """Seals and opens the blocks of one spool. Not for several threads at once.

    Args:
        key: of the stream, 32 bytes; the worker gets no other.
        spool_id: 32 hex digits; a stream whose spool is made anew has other block keys.
    """

    def __init__(self, key: bytes, spool_id: str) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a stream's key has {KEY_BYTES} bytes")
        self._key = key
        self._spool_id = spool_id
        self._epoch = -1
        self._cipher = AESGCM(key)

    def _of(self, block: int) -> AESGCM:
        """The cipher for a block: its key follows from the stream's, the spool and the million the block is in."""
        epoch = block >> _EPOCH_BITS
        if epoch != self._epoch:
            info = b"lictl spool " + self._spool_id.encode() + epoch.to_bytes(8, "little")
            self._cipher = AESGCM(derive(self._key, info))
            self._epoch = epoch
        return self._cipher

    def seal(self, block: int, begun: bytes, payload: Buffer, position: bytes) -> tuple[memoryview, bytes]:
        """Sealed payload, valid until this thread uses its scratch memory again, and sealed position.

        Args:
            block: its number.
            begun: header of the block as it will be stored, from `begin_header`.
        """
        cipher, nonces = self._of(block), os.urandom(2 * _NONCE)
        first, second = nonces[:_NONCE], nonces[_NONCE:]
        sealed = scratch(len(payload) + SEAL_BYTES)
        sealed[:_NONCE] = first
        cipher.encrypt_into(first, payload, begun, sealed[_NONCE:])
        return sealed, second + cipher.encrypt(second, position, begun + _POSITION)

    def payload_into(self, header: Header, sealed: memoryview, out: memoryview) -> None:
        """Opens a block's payload into `out` of len(sealed) - SEAL_BYTES bytes.

        Raises:
            InvalidTag: another key, or not what was sealed with this header; `out` holds nothing of use.
        """
        self._of(header.block).decrypt_into(sealed[:_NONCE], sealed[_NONCE:], header.begun, out)

    def position(self, header: Header, sealed: bytes) -> bytes:
        """Opens the position that was stored behind a block; InvalidTag as above."""
        if len(sealed) < SEAL_BYTES:
            raise InvalidTag
        return self._of(header.block).decrypt(sealed[:_NONCE], sealed[_NONCE:], header.begun + _POSITION)


def pack_block(
    key: int, seal: BlockSeal | None, kind: int, flags: int, payload: Buffer, position: bytes, numbers: Numbers
) -> tuple[bytes, Buffer, bytes]:
    """Header, payload and trailer as they are stored; the payload is valid until this thread packs again.

    Args:
        key: of the spool's header checksums.
        seal: None: the block stays readable.
    """
    if seal is None:
        trailer = pack_trailer(position)
        return pack_header(key, kind, flags, payload, len(trailer), numbers), payload, trailer
    lengths = len(payload) + SEAL_BYTES, len(position) + SEAL_BYTES + TRAILER_CHECK
    begun = begin_header(kind, flags | FLAG_SEALED, *lengths, numbers)
    sealed, sealed_position = seal.seal(numbers[1], begun, payload, position)
    return finish_header(key, begun, sealed), sealed, pack_trailer(sealed_position)


def position_of(found: Recovered, seal: BlockSeal | None, folder: Path) -> bytes:
    """The position that recovery found, opened.

    Raises:
        SealError: the spool is sealed, and the key is not there or not the one.
    """
    header = found.position_of
    if seal is None and found.last is not None and found.last.flags & FLAG_SEALED:
        raise SealError(f"The spool {folder} is sealed and its key is not there.")
    if header is None or seal is None or not header.flags & FLAG_SEALED:
        return found.position
    try:
        return seal.position(header, found.position)
    except InvalidTag:
        raise SealError(f"The spool {folder} is sealed, and not with the key that is there.") from None
