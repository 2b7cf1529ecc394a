# SPDX-License-Identifier: Apache-2.0
"""CRC-32C (Castagnoli, RFC 3720 appendix B.4) over anything that has a buffer."""

from __future__ import annotations

from lictl.probe.native import ffi, lib

Buffer = bytes | bytearray | memoryview


def crc32c(data: Buffer, crc: int = 0) -> int:
    """CRC of `data`, continued from `crc` (0 to begin with)."""
    return int(lib.ln_crc32c(crc, ffi.from_buffer(data), len(data)))
