# SPDX-License-Identifier: Apache-2.0
"""Sealing a chunk of PS-PDUs: one call of the cipher for the n-th blocks of all of them (native/etsi_seal.c)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from lictl.errors import LictlError
from lictl.handover.etsi_integrity import MAX_COVERED
from lictl.handover.etsi_seal import Sealer
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from lictl.handover.etsi_state import State

_BLOCK = 16


class _Scratch(threading.local):
    """Each thread's: what is between two rounds."""

    def __init__(self) -> None:
        self.offsets = ffi.new("uint32_t[]", MAX_COVERED)
        self.blocks = ffi.new("uint32_t[]", MAX_COVERED)
        self.sealed = ffi.new("uint32_t *")
        self.next = ffi.new("uint8_t[]", _BLOCK * MAX_COVERED)
        self.done = ffi.new("uint8_t[]", _BLOCK * (MAX_COVERED + 1))
        self.next_view = memoryview(ffi.buffer(self.next))
        self.done_view = memoryview(ffi.buffer(self.done))


_scratch = _Scratch()


class ChunkSealer(Sealer):
    """Seals many PS-PDUs as `Sealer` seals one."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        # Single blocks only: what chains them is ln_cbc_step.
        self._blocks = Cipher(AES(key), ECB()).encryptor()  # noqa: S305

    def seal_all(self, state: State, pdus: bytes, numbers: Any, count: int, ns: int, out: Any, room: int) -> int:
        """Writes `count` sealed PDUs to `out`; returns their octets.

        Args:
            state: of the stream.
            pdus: as native/etsi.c wrote them, one behind the other.
            numbers: ``uint32_t *``: their sequence numbers.
            count: at most MAX_COVERED.
            ns: UTC time of one of them.
            out: ``uint8_t *``.
            room: octets there.
        """
        if not state.sealed_since:
            state.sealed_since = ns // 1_000_000_000
        scratch = _scratch
        scratch.sealed[0] = state.sealed
        size = lib.ln_etsi_seal_layout(
            ffi.from_buffer(pdus), count, state.sealed_since, scratch.sealed, out, room, scratch.offsets, scratch.blocks
        )
        if size < 0:
            raise LictlError("sealed PDUs are too long for an output buffer.", "Please report this: it cannot happen.")
        state.sealed = int(scratch.sealed[0])
        for turn in range(1 << 16):
            left = lib.ln_cbc_step(
                out, scratch.offsets, scratch.blocks, numbers, count, turn, scratch.done, scratch.next
            )
            if not left:
                break
            self._blocks.update_into(scratch.next_view[: _BLOCK * left], scratch.done_view)
        return int(size)
