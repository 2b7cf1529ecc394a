# SPDX-License-Identifier: Apache-2.0
"""What a receiver must have heard before it can read on in the middle of a stream: the opening, later declarations.

A connection that begins anew begins with it, where the format is a file and not a sequence of PDUs.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

import msgpack

from lictl.delivery.blocks import BlockKind
from lictl.handover.readers import PDU_FORMATS
from lictl.keys.sealer import seal, unseal

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig
    from lictl.delivery.folder import Folder

_FILE: Final = "prelude"
_CONTEXT: Final = b"lictl prelude"
_INTERFACE: Final = 1
_BLOCK: Final = struct.Struct("<II")
# In each declaration of an interface, as lictl.handover.pcapng writes them: found fast, then looked at closely.
_SIGNS: Final = (b", frames without link-layer trailers", b", synthesised headers", b", losses")


class Prelude:
    """That of one stream, as of the last block that counts as delivered.

    Args:
        stream: whose.
        folder: its spool's; the prelude is kept there, sealed as the spool is.
        block: the last one that counts as delivered.
    """

    def __init__(self, stream: StreamConfig, folder: Folder, block: int) -> None:
        self._format = stream.format
        self._key = stream.key
        self._folder = folder
        self.needed = stream.framing == "stream" and stream.format not in PDU_FORMATS
        self._versions: list[tuple[int, bytes]] = self._load(block) if self.needed else []

    @property
    def data(self) -> bytes:
        """Its octets."""
        return self._versions[-1][1] if self._versions else b""

    def of(self, kind: int, payload: memoryview) -> tuple[bool, bytes]:
        """What a block adds: whether everything begins anew with it, and what belongs to the prelude."""
        if not self.needed:
            return False, b""
        if kind == BlockKind.OPEN:
            return True, bytes(payload)
        return False, declarations(self._format, payload)

    def add(self, block: int, anew: bool, data: bytes) -> None:
        """A block with this counts as delivered; the cursor is written after it."""
        if anew or data:
            self._versions = [*self._versions[-1:], (block, data if anew else self.data + data)]
            self._save()

    def _load(self, block: int) -> list[tuple[int, bytes]]:
        """What is kept, without a version that is ahead of the cursor: the process died between the two."""
        try:
            stored = self._folder.read(_FILE)
        except FileNotFoundError:
            return []
        plain = unseal(self._key, stored, _CONTEXT) if self._key else stored
        return [(at, data) for at, data in msgpack.unpackb(plain) if at <= block]

    def _save(self) -> None:
        plain: bytes = msgpack.packb(self._versions)
        stored = seal(self._key, plain, _CONTEXT) if self._key else plain
        fd = self._folder.open(_FILE + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with os.fdopen(fd, "wb", closefd=False) as file:
                file.write(stored)
        finally:
            os.close(fd)
        self._folder.rename(_FILE + ".new", _FILE)


def declarations(format_: str, payload: memoryview) -> bytes:
    """The declarations among the records of a block's payload, in their order."""
    if format_ == "text":
        data = bytes(payload)
        if b"INTERFACE ID=" not in data:
            return b""
        return b"".join(line for line in data.splitlines(keepends=True) if line.startswith(b"INTERFACE "))
    if format_ == "pcapng":
        data = bytes(payload)
        if any(sign in data for sign in _SIGNS):
            return _interfaces(data)
    return b""


def _interfaces(data: bytes) -> bytes:
    """The interface description blocks (draft-ietf-opsawg-pcapng, 4.2)."""
    found, at = [], 0
    while at + _BLOCK.size <= len(data):
        kind, size = _BLOCK.unpack_from(data, at)
        if size < 12:
            break
        if kind == _INTERFACE:
            found.append(data[at : at + size])
        at += size
    return b"".join(found)
