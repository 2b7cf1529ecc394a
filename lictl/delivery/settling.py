# SPDX-License-Identifier: Apache-2.0
"""When what a connection carried counts as delivered, where the agency itself says nothing."""

from __future__ import annotations

from collections import deque


class Settling:
    """Takes how far a connection has come, gives how far it had come `settle_s` ago."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._seen: deque[tuple[float, int]] = deque()
        self._settled = 0

    def at(self, now: float, reached: int) -> int:
        """The octets that had been taken before the delay.

        Args:
            now: time.monotonic().
            reached: octets taken until now; never less than before.
        """
        if not self._seen or self._seen[-1][1] < reached:
            self._seen.append((now, reached))
        while self._seen and self._seen[0][0] <= now - self._settle_s:
            self._settled = self._seen.popleft()[1]
        return self._settled
