# SPDX-License-Identifier: Apache-2.0
"""CRC-32C (Castagnoli, RFC 3720 appendix B.4) over anything that has a buffer.

An agency's machine may have no native core: then it is computed here, some hundred times slower, with the same result.
"""

from __future__ import annotations

import contextlib
from typing import Any

from lictl.errors import MachineError

_native: Any = None
with contextlib.suppress(MachineError):
    from lictl.probe import native as _native

Buffer = bytes | bytearray | memoryview
_POLYNOMIAL = 0x82F63B78


def crc32c(data: Buffer, crc: int = 0) -> int:
    """CRC of `data`, continued from `crc` (0 to begin with)."""
    if _native is None:
        return plain_crc32c(data, crc)
    return int(_native.lib.ln_crc32c(crc, _native.ffi.from_buffer(data), len(data)))


def plain_crc32c(data: Buffer, crc: int = 0) -> int:
    """The same without the native core."""
    table, crc = _TABLE, crc ^ 0xFFFFFFFF
    for octet in bytes(data):
        crc = table[(crc ^ octet) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _entry(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ (_POLYNOMIAL if octet & 1 else 0)
    return octet


_TABLE = tuple(map(_entry, range(256)))
