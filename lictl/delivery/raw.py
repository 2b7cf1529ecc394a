# SPDX-License-Identifier: Apache-2.0
"""A format's own bytes on TCP: no application says what arrived, so TCP's acknowledgements do.

A block counts as delivered when the other end's TCP has acknowledged all of it and the connection lived on for a while,
or when the agency acknowledged its PDUs, where the dialect has agreed on that. After a reset everything from the first
block that does not count is sent again, with the same numbers in it.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery.blocks import BlockKind
from lictl.delivery.lane import Lane
from lictl.delivery.link import Link, Phase, Sent, payload_of, tells
from lictl.delivery.prelude import Prelude
from lictl.delivery.reader import Stored

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig
    from lictl.delivery.reader import Damaged
    from lictl.delivery.resolve import Resolver
    from lictl.delivery.route import Route

_TURN_BYTES = 8 << 20
_LOOK_S = 0.5


class _Pending(NamedTuple):
    """A block on a lane: delivered once `octets` of the lane settled and `asked` of its PDUs are acknowledged."""

    sent: Sent
    lane: Lane
    octets: int
    asked: int
    anew: bool
    declares: bytes


class RawLink(Link):
    """Delivers payloads as they are: one connection, and one more for events where the agency wants that."""

    def __init__(self, stream: StreamConfig, route: Route) -> None:
        super().__init__(stream, route)
        self._prelude = Prelude(stream, self._reader.folder, self._cursor.block)
        self._lanes: list[Lane] = []
        self._pending: deque[_Pending] = deque()
        self._fresh = True
        self._looked = 0.0

    @property
    def drained(self) -> bool:
        return self.phase is Phase.DONE or (self.phase is Phase.FLOWING and not self._pending and self._reader.at_end)

    @property
    def _peer_until(self) -> int:
        return min((lane.channel.peer_until for lane in self._lanes), default=0)

    def _waiting(self) -> tuple[int, int]:
        return (self._pending[0].sent.first_ns if self._pending else 0), len(self._pending)

    # ---- connecting

    def _begin(self) -> None:
        if self._rewind():
            self.phase = Phase.DONE
            return
        route = self._route
        ways: list[tuple[str, Resolver]] = [(route.host, route.resolver)]
        if route.events is not None:
            ways.append((route.transport.events_host, route.events))
        places = [resolver.addresses() for _, resolver in ways]
        if not all(places):
            self._fail("the host name has no address")
            return
        self.phase = Phase.CONNECTING
        for (host, _), addresses in zip(ways, places, strict=True):
            address = addresses[self._attempts % len(addresses)]
            self._lanes.append(Lane(self.stream, route, address, host, self._event))

    def _rewind(self) -> bool:
        """Goes behind the last block that counts as delivered; true where the stream is over with it."""
        block = self._cursor.block
        self._sent_block = block
        found = self._reader.seek_behind(block) if block else None
        if not block:
            self._reader.seek(1)
        return found is not None and found[0].kind == BlockKind.END and self._reader.at_end

    def _event(self, mask: int) -> None:
        self._guarded(lambda: self._ready(mask))

    def _ready(self, mask: int) -> None:
        if self.phase is Phase.CONNECTING:
            if all([lane.advance() for lane in self._lanes]):  # noqa: C419  each of them goes on
                self.phase = Phase.FLOWING
                self._error = ""
                self._fresh = True
        elif mask & selectors.EVENT_READ:
            for lane in self._lanes:
                lane.receive()
        if self.phase is Phase.FLOWING:
            self._settle(time.monotonic())
            self._pump()

    # ---- sending

    def _pump(self) -> None:
        """Sends what sockets, ceiling and window take, but not more than a fair share at a time."""
        done = 0
        while self._lanes and all([lane.channel.flush() for lane in self._lanes]):  # noqa: C419  each of them
            if done > _TURN_BYTES:
                self._lanes[0].channel.want(selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            if not self._fill():
                return
            done += sum(lane.channel.queued for lane in self._lanes)

    def _fill(self) -> bool:
        """Queues some blocks; false where there are none, or too much is on its way."""
        options = self._options
        unread = sum(lane.unread for lane in self._lanes)
        room = options.window_bytes - unread
        if unread and room <= 0:
            return False
        items = self._reader.read(max(min(room, options.chunk_bytes), 4096), options.window_blocks)
        for item in items:
            self._queue(item)
        return bool(items)

    def _queue(self, item: Stored | Damaged) -> None:
        sent = self._sent(item, self._pending[-1].sent if self._pending else None)
        lane, anew, declares = self._lanes[0], False, b""
        if isinstance(item, Stored):  # of a damaged block nothing can be said here: the numbers jump
            kind, payload = item.header.kind, payload_of(item)
            if tells(kind, self.stream):
                lane = self._lanes[-1]
            anew, declares = self._prelude.of(kind, payload)
            if self._fresh and not anew:
                lane.put(memoryview(self._prelude.data))
            self._fresh = False
            lane.put(payload)
        self._pending.append(_Pending(sent, lane, lane.put_octets, lane.asked, anew, declares))

    # ---- what arrived

    def _settle(self, now: float) -> None:
        """Confirms what counts as delivered by now."""
        settled = {id(lane): lane.settled(now) for lane in self._lanes}
        last = None
        while self._pending:
            head = self._pending[0]
            if head.octets > settled[id(head.lane)] or head.lane.owes(head.asked):
                break
            last = self._pending.popleft()
            self._prelude.add(last.sent.block, last.anew, last.declares)
        if last is not None:
            self._confirm(last.sent)
            if self._end_block and last.sent.block >= self._end_block and self._reader.at_end:
                self._drop()
                self.phase = Phase.DONE

    # ---- time and failure

    def _probe(self, now: float) -> None:
        self._settle(now)
        for lane in self._lanes:
            lane.probe(now)
        throttled = any(lane.channel.throttled for lane in self._lanes)
        if throttled or self._pending or now - self._looked > _LOOK_S:
            self._looked = now
            self._pump()

    def _drop(self) -> None:
        for lane in self._lanes:
            lane.channel.close()
        self._lanes.clear()
        self._pending.clear()
