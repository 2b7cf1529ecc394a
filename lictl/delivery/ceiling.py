# SPDX-License-Identifier: Apache-2.0
"""The most octets a second that one agency is sent: a token bucket which all its streams share."""

from __future__ import annotations

import time

_BURST_S = 0.02
_LEAST_BURST = 4096
UNLIMITED = 1 << 62


class Ceiling:
    """The bucket of one worker.

    Args:
        bytes_per_s: 0: no ceiling.
    """

    def __init__(self, bytes_per_s: int) -> None:
        self._rate = bytes_per_s
        self._most = max(int(bytes_per_s * _BURST_S), _LEAST_BURST)
        self._room = float(self._most)
        self._filled = time.monotonic()

    @property
    def limited(self) -> bool:
        """There is a ceiling."""
        return self._rate > 0

    def room(self) -> int:
        """Octets that may leave now; 0 or less: none."""
        if not self._rate:
            return UNLIMITED
        now = time.monotonic()
        self._room = min(self._room + (now - self._filled) * self._rate, self._most)
        self._filled = now
        return int(self._room)

    def spend(self, octets: int) -> None:
        """So many have left; more than there was room for are made up for later."""
        if self._rate:
            self._room -= octets
