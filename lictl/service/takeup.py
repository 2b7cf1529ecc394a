# SPDX-License-Identifier: Apache-2.0
"""Taking up the orders of an earlier daemon while their packets go on filling the rings.

To open a spool costs some milliseconds, so with thousands of orders a busy site would overflow its rings if all were
opened before anything is drained. Hence: the rings are drained first and again after every few spools, and an order
whose packet is met on the way has its spool opened there and then.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lictl.probe.batch import groups
from lictl.service.parallel import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lictl.probe.batch import Batch
    from lictl.service.rooms import Rooms
    from lictl.warrants.model import Warrant


class TakeUp:
    """Used by one thread, before the data path's own runs.

    Args:
        rooms: the data path's rings are drained by the calling thread.
        armed: orders that the kernel may have records of.
        open_all: takes up some orders at once.
    """

    def __init__(self, rooms: Rooms, armed: Iterable[Warrant], open_all: Callable[[Sequence[Warrant]], None]) -> None:
        self._rooms = rooms
        self._left = {warrant.claim: warrant for warrant in armed}
        self._open_all = open_all

    def run(self, others: Sequence[Warrant]) -> None:
        """Takes up every order; the rings are drained in between.

        Args:
            others: orders that the kernel has no record of. They come when what an earlier daemon left is taken: with
                a store that was restored from a backup, a new order's claim may have been another order's before.
        """
        if self._rooms.probe.took_over:
            self._rooms.probe.grace()
        self._drain()
        while self._left:
            self._open_some([self._left.pop(claim) for claim in list(self._left)[:THREADS]])
        at_once = THREADS if self._rooms.probe.took_over else max(len(others), 1)
        for begin in range(0, len(others), at_once):
            self._open_some(others[begin : begin + at_once])

    def meet(self, batch: Batch) -> None:
        """Takes up the orders of a batch that are not yet; before the batch is mediated."""
        if self._left:
            met = [self._left.pop(group.claim) for group in groups(batch) if group.claim in self._left]
            if met:
                self._open_all(met)

    def _open_some(self, some: Sequence[Warrant]) -> None:
        self._open_all(some)
        self._drain()

    def _drain(self) -> None:
        if self._rooms.probe.took_over:
            self._rooms.datapath.drain_past(time.monotonic_ns())
