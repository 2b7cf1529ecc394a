# SPDX-License-Identifier: Apache-2.0
"""What the delivery of one stream is, however it travels: phases, attempts, and how far the agency has it."""

from __future__ import annotations

import enum
import random
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery.blocks import HEADER_BYTES, BlockKind
from lictl.delivery.config import LONGEST_ERROR, LinkState, StreamConfig
from lictl.delivery.cursor import Cursor, CursorFile
from lictl.delivery.reader import Place, SpoolReader, Stored
from lictl.errors import IntegrityError
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.reader import Damaged
    from lictl.delivery.route import Route


class Phase(enum.Enum):
    """Where a link stands."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    GREETING = "greeting"
    FLOWING = "flowing"
    DONE = "done"


class Sent(NamedTuple):
    """A block that was sent and is not confirmed."""

    block: int
    total_records: int
    total_lost: int
    place: Place
    size: int
    first_ns: int


def payload_of(item: Stored) -> memoryview:
    """What of a block is the format's own: nothing of a note, which is for files alone."""
    return item.data[HEADER_BYTES:] if item.header.kind != BlockKind.NOTE else item.data[:0]


def tells(kind: int, stream: StreamConfig) -> bool:
    """Whether a block belongs where events go (HI2, CmII): an event, and everything of an order for headers."""
    return kind == BlockKind.EVENT or stream.mode == "headers"


class Link(ABC):
    """Delivers one spool. All methods are called from the worker's one loop and never block.

    Args:
        stream: what is delivered; its folder lies in the current folder.
        route: to the agency.
    """

    def __init__(self, stream: StreamConfig, route: Route) -> None:
        self.stream = stream
        self.phase = Phase.WAITING
        self._route = route
        self._options = route.options
        self._reader = SpoolReader(Path(stream.name), key=stream.key or None)
        self._cursor_file = CursorFile(self._reader.folder)
        self._cursor = self._cursor_file.read()
        self._sent_block = 0
        self._end_block = 0
        self._attempts = 0
        self._error = ""
        self._damaged = 0
        self._too_long = 0
        self._last_peer_until = 0
        self._next_try = 0.0
        self._since = 0.0

    # ---- what the loop calls

    def wake(self) -> None:
        """There may be new blocks."""
        if self.phase is Phase.FLOWING:
            self._guarded(self._pump)

    def tick(self, now: float) -> None:
        """Looks after everything that depends on time; `now` is time.monotonic()."""
        if self.phase is Phase.WAITING:
            if now >= self._next_try:
                self._since = now
                self._guarded(self._begin)
        elif self.phase in (Phase.CONNECTING, Phase.GREETING):
            if now - self._since > self._options.connect_s:
                self._fail("no answer")
        elif self.phase is Phase.FLOWING:
            self._guarded(lambda: self._probe(now))

    def orphaned(self) -> None:  # noqa: B027  it is one to most links
        """The daemon is gone; nothing comes before another one opens the spool."""

    @property
    @abstractmethod
    def drained(self) -> bool:
        """Everything in the spool is confirmed, or the stream is over."""

    def state(self) -> LinkState:
        """For the status report."""
        oldest, count = self._waiting()
        return LinkState(
            name=self.stream.name,
            phase=self.phase.value,
            acknowledged=self._cursor.block,
            sent=self._sent_block,
            unacknowledged=count,
            lag_s=max((now_ns() - oldest) / 1e9, 0.0) if oldest else 0.0,
            attempts=self._attempts,
            error=self._error[:LONGEST_ERROR],
            last_ack_ns=self._cursor.time_ns,
            damaged=self._damaged,
            too_long=self._too_long,
            peer_until=self._peer_until or self._last_peer_until,
        )

    def close(self) -> None:
        """Closes connections and files."""
        self._drop()
        self._reader.close()
        self._cursor_file.close()

    # ---- what each kind does

    @abstractmethod
    def _begin(self) -> None:
        """Begins an attempt, and sets the phase."""

    @abstractmethod
    def _pump(self) -> None:
        """Sends what may be sent now."""

    @abstractmethod
    def _probe(self, now: float) -> None:
        """While it flows: what depends on time."""

    @abstractmethod
    def _drop(self) -> None:
        """Closes the connection and forgets what belongs to it; may be called again."""

    @abstractmethod
    def _waiting(self) -> tuple[int, int]:
        """UTC ns of the oldest packet sent and not confirmed, 0 for none; and how many such blocks there are."""

    @property
    def _peer_until(self) -> int:
        """End of validity of the agency's certificate, seconds since 1970; 0: no TLS."""
        return 0

    # ---- shared

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self._fail(error.strerror or type(error).__name__)
        except IntegrityError as error:  # of the protocol, or the spool's key is not the one
            self._fail(error.what)

    def _sent(self, item: Stored | Damaged, last: Sent | None) -> Sent:
        """What is kept of a block until it is confirmed; `last`: the one before it, None: it is the cursor's next."""
        if isinstance(item, Stored):
            header = item.header
            if header.kind == BlockKind.END:
                self._end_block = header.block
            self._sent_block = header.block
            first_ns = header.first_ns or header.last_ns
            return Sent(header.block, header.total_records, header.total_lost, item.place, len(item.data), first_ns)
        self._damaged += item.last_block - item.first_block + 1
        self._sent_block = item.last_block
        before = last or self._cursor
        return Sent(item.last_block, before.total_records, before.total_lost, item.place, 0, 0)

    def _confirm(self, last: Sent) -> None:
        """The agency has everything up to this block."""
        self._attempts = 0
        if last.block <= self._cursor.block:  # an agency that lost its folder gets again what is still here
            return
        self._cursor = Cursor(last.block, last.total_records, last.total_lost, *last.place, now_ns())
        self._cursor_file.write(self._cursor)

    def _fail(self, why: str) -> None:
        self._last_peer_until = self._peer_until or self._last_peer_until  # one that has ended is shown to nobody again
        self._drop()
        self._end_block = 0
        options = self._options
        wait = min(options.backoff_min_s * 2 ** min(self._attempts, 20), options.backoff_max_s)
        self._attempts += 1
        self._error = why
        self._next_try = time.monotonic() + wait * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
        self.phase = Phase.WAITING
