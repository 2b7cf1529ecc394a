# SPDX-License-Identifier: Apache-2.0
"""Memory that a thread uses again for each block: of fresh memory, every page costs a fault."""

from __future__ import annotations

import threading

_LEAST = 1 << 16
_KEPT = 4 << 20
_local = threading.local()


def scratch(size: int) -> memoryview:
    """`size` bytes of this thread's memory, valid until it asks again; content is undefined."""
    buffer: bytearray | None = getattr(_local, "buffer", None)
    if buffer is None or len(buffer) < size:
        buffer = bytearray(max(size, _LEAST))
        if size <= _KEPT:
            _local.buffer = buffer
    return memoryview(buffer)[:size]
