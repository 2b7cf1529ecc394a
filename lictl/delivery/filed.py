# SPDX-License-Identifier: Apache-2.0
"""Delivery into files: a block counts as acknowledged when the file that it is in is complete and on disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lictl.delivery.link import Link, Phase, Sent
from lictl.delivery.outbox import Outbox
from lictl.delivery.reader import Place
from lictl.errors import MachineError

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig
    from lictl.delivery.outbox import Commit
    from lictl.delivery.route import Route

_TURN_S = 0.05
_LOOK_S = 0.25
FULL = "the outbox is full: the agency has to fetch and delete, or the quota to be raised"


class FilesLink(Link):
    """Writes one stream's files."""

    def __init__(self, stream: StreamConfig, route: Route) -> None:
        super().__init__(stream, route)
        if route.shelf is None:
            raise MachineError("There is no outbox for this agency.", "Give it the transport files.")
        self._shelf = route.shelf
        self._outbox = Outbox(self._shelf, stream, self._reader.folder, self._reader.spool_id)
        self._last: Sent | None = None
        self._looked = 0.0
        self._alone = self._held = False

    @property
    def drained(self) -> bool:
        return self.phase is Phase.DONE or (
            self.phase is Phase.FLOWING and self._reader.at_end and not self._outbox.holds
        )

    def orphaned(self) -> None:
        """The next daemon begins with an OPEN block, so this file ends here in any case; why not now."""
        self._alone = True

    def close(self) -> None:
        super().close()
        self._outbox.close()

    def _begin(self) -> None:
        if self._held:  # the file in work goes on
            self._held = False
            self.phase = Phase.FLOWING
            self._pump()
            return
        commit = self._outbox.recover()
        if commit.number:
            self._committed(commit)
        if self.phase is Phase.DONE:
            return
        self._reader.seek(self._cursor.block + 1)
        self._sent_block, self._last = self._cursor.block, None
        self._error = ""
        self.phase = Phase.FLOWING
        self._pump()

    def _pump(self) -> None:
        """Writes what is new, for no longer than is fair to the other streams."""
        end = time.monotonic() + _TURN_S
        while self.phase is Phase.FLOWING and time.monotonic() < end:
            if self._shelf.holds_back(self._outbox.unfinished):
                self._hold()
                return
            self._error = ""
            found = self._reader.read(self._options.chunk_bytes)
            for item in found:
                commit = self._outbox.take(item)
                self._last = self._sent(item, self._last)
                if commit is not None:
                    self._committed(commit)
            if not found:
                self._finish_alone()
                return

    def _hold(self) -> None:
        """Nothing is read until there is room; for the daemon's alarms the agency takes nothing."""
        self._held = True
        self._error = FULL
        self._next_try = time.monotonic() + _LOOK_S
        self.phase = Phase.WAITING

    def _finish_alone(self) -> None:
        if self._alone and self._outbox.holds and (commit := self._outbox.finish()) is not None:
            self._committed(commit)

    def _committed(self, commit: Commit) -> None:
        place = Place(commit.segment, commit.end)
        self._confirm(Sent(commit.block, commit.total_records, commit.total_lost, place, 0, 0))
        if commit.ended:
            self.phase = Phase.DONE

    def _probe(self, now: float) -> None:
        if now - self._looked > _LOOK_S:
            self._looked = now
            self._shelf.prune(time.time())
            self._pump()

    def _drop(self) -> None:
        self._held = False
        self._outbox.abandon()

    def _waiting(self) -> tuple[int, int]:
        return self._outbox.since_ns, max(self._sent_block - self._cursor.block, 0)
