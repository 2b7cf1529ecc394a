# SPDX-License-Identifier: Apache-2.0
"""From a stored block to the block that is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from lictl.delivery.blocks import (
    FLAG_SEALED,
    HEADER_BYTES,
    SEAL_BYTES,
    BlockError,
    Header,
    check_payload,
    pack_header,
    parse_header,
    parse_trailer,
)
from lictl.delivery.seal import BlockSeal, SealError

if TYPE_CHECKING:
    from lictl.delivery.crc import Buffer


class BlockOpener:
    """Checks the blocks of one spool and opens them.

    Args:
        header_key: of the spool's header checksums.
        spool_id: 32 hex digits.
        key: of the stream; None: blocks that are sealed cannot be opened.
    """

    def __init__(self, header_key: int, spool_id: str, key: bytes | None) -> None:
        self._header_key = header_key
        self._seal = None if key is None else BlockSeal(key, spool_id)
        self._proven = False
        self._sealed_from: int | None = None

    def open(self, header: Header, stored: Buffer) -> tuple[Header, memoryview]:
        """The header as it is sent, and its bytes with the payload behind them; memory of their own.

        Args:
            header: as stored.
            stored: header, payload and trailer.

        Raises:
            BlockError: this block is damaged, or was put in place of another one.
            SealError: the key is not there, or does not open this spool.
        """
        view = memoryview(stored)
        payload = view[HEADER_BYTES : header.sent_bytes]
        if not header.flags & FLAG_SEALED:
            check_payload(header, payload)
            if self._sealed_from is not None and header.block > self._sealed_from:
                raise BlockError(f"Block {header.block} is not sealed, those before it are.")
            return header, memoryview(bytes(view[: header.sent_bytes]))
        if self._seal is None:
            raise SealError("The spool is sealed and its key is not there.")
        out = memoryview(bytearray(HEADER_BYTES + header.payload_len - SEAL_BYTES))
        try:
            self._seal.payload_into(header, payload, out[HEADER_BYTES:])
        except InvalidTag:
            raise self._judged(header, payload, view[header.sent_bytes :]) from None
        self._proven = True
        self._sealed_from = header.block if self._sealed_from is None else min(self._sealed_from, header.block)
        flags = header.flags & ~FLAG_SEALED
        out[:HEADER_BYTES] = pack_header(
            self._header_key, header.kind, flags, out[HEADER_BYTES:], header.trailer_len, header.numbers
        )
        return parse_header(self._header_key, out), out

    def _judged(self, header: Header, payload: memoryview, trailer: memoryview) -> BlockError | SealError:
        """Why a block does not open: damaged, replaced, or the key."""
        try:
            check_payload(header, payload)
            if self._seal is not None and not self._proven:
                self._seal.position(header, parse_trailer(trailer))
        except BlockError as error:
            return error
        except InvalidTag:
            return SealError("The spool is sealed, and not with the key that is there.")
        self._proven = True
        return BlockError(f"Block {header.block} is not what was sealed.")
