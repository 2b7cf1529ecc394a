# SPDX-License-Identifier: Apache-2.0
"""One PDU a datagram. UDP confirms nothing; a refusal (ICMP) is noticed, and what was sent just before is repeated."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery.blocks import BlockKind
from lictl.delivery.link import Link, Phase, Sent, payload_of, tells
from lictl.delivery.reader import Stored
from lictl.errors import IntegrityError
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.config import StreamConfig
    from lictl.delivery.reader import Damaged
    from lictl.delivery.resolve import Address
    from lictl.delivery.route import Route

_FRAMINGS = {"ber": lib.LN_FRAMING_BER, "length": lib.LN_FRAMING_LENGTH}
_TURN_BYTES = 1 << 20
_LOOK_S = 0.5
_READ = 2048
_READ_WRITE = selectors.EVENT_READ | selectors.EVENT_WRITE


class Port:
    """One connected UDP socket.

    Args:
        route: of the agency.
        address: to send to.
        ready: is called with the selector's mask.
    """

    def __init__(self, route: Route, address: Address, ready: Callable[[int], None]) -> None:
        family, place = address
        self._route = route
        self._ready = ready
        self._out = ffi.new("struct ln_datagrams *")
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.sock.connect(place)
        route.selector.register(self.sock, selectors.EVENT_READ, self)

    def event(self, mask: int) -> None:
        """What the loop calls."""
        self._ready(mask)

    def send(self, data: memoryview, framing: int) -> tuple[int, int]:
        """Sends datagrams from the front of a payload; returns octets done with, and datagrams that were too long.

        Raises:
            OSError: the agency's machine refuses them.
            IntegrityError: the payload does not fall apart into datagrams.
        """
        room = self._route.ceiling.room()
        if room <= 0:
            return 0, 0
        out = self._out
        code = lib.ln_datagrams_send(
            self.sock.fileno(), ffi.from_buffer(data), len(data), framing, min(room, _TURN_BYTES), out
        )
        self._route.ceiling.spend(out.octets)
        if code == -errno.EBADMSG:
            raise IntegrityError("A block does not fall apart into datagrams.", "Please report this.")
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        self._route.selector.modify(self.sock, selectors.EVENT_READ if out.consumed else _READ_WRITE, self)
        return int(out.consumed), int(out.too_long)

    def drain(self) -> None:
        """Drops what comes; raises OSError for a refusal."""
        try:
            while self.sock.recv(_READ):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Closes it."""
        self._route.selector.unregister(self.sock)
        self.sock.close()


class _Pending(NamedTuple):
    sent: Sent
    at: float


class DatagramLink(Link):
    """Delivers payloads datagram by datagram: one socket, and one more for events where the agency wants that."""

    def __init__(self, stream: StreamConfig, route: Route) -> None:
        super().__init__(stream, route)
        self._framing = _FRAMINGS[stream.framing]
        self._ports: list[Port] = []
        self._queue: deque[tuple[Port, memoryview, Sent]] = deque()
        self._pending: deque[_Pending] = deque()
        self._looked = 0.0

    @property
    def drained(self) -> bool:
        return self.phase is Phase.DONE or (
            self.phase is Phase.FLOWING and not self._pending and not self._queue and self._reader.at_end
        )

    def _waiting(self) -> tuple[int, int]:
        return (self._pending[0].sent.first_ns if self._pending else 0), len(self._pending)

    def _begin(self) -> None:
        block = self._cursor.block
        self._sent_block = block
        found = self._reader.seek_behind(block) if block else None
        if not block:
            self._reader.seek(1)
        if found is not None and found[0].kind == BlockKind.END and self._reader.at_end:
            self.phase = Phase.DONE
            return
        resolvers = [self._route.resolver, *([self._route.events] if self._route.events is not None else [])]
        places = [resolver.addresses() for resolver in resolvers]
        if not all(places):
            self._fail("the host name has no address")
            return
        self.phase = Phase.FLOWING
        for addresses in places:
            self._ports.append(Port(self._route, addresses[self._attempts % len(addresses)], self._event))
        self._pump()

    def _event(self, mask: int) -> None:
        self._guarded(lambda: self._ready(mask))

    def _ready(self, mask: int) -> None:
        for port in self._ports:
            port.drain()
        if mask & selectors.EVENT_WRITE:
            self._pump()

    # ---- sending

    def _pump(self) -> None:
        done = 0
        while self._ports and done < _TURN_BYTES:
            if not self._queue and not self._fill():
                return
            port, data, sent = self._queue[0]
            consumed, too_long = port.send(data, self._framing) if data else (0, 0)
            self._too_long += too_long
            done += consumed
            if consumed < len(data):
                self._queue[0] = port, data[consumed:], sent
                if not consumed:
                    return  # socket or ceiling: the next turn goes on
                continue
            self._queue.popleft()
            self._pending.append(_Pending(sent, time.monotonic()))

    def _fill(self) -> bool:
        options = self._options
        items = self._reader.read(options.chunk_bytes, options.window_blocks)
        for item in items:
            self._put(item)
        return bool(items)

    def _put(self, item: Stored | Damaged) -> None:
        last = self._queue[-1][2] if self._queue else self._pending[-1].sent if self._pending else None
        sent = self._sent(item, last)
        port, data = self._ports[0], memoryview(b"")
        if isinstance(item, Stored):
            data = payload_of(item)
            if tells(item.header.kind, self.stream):
                port = self._ports[-1]
        self._queue.append((port, data, sent))

    # ---- time and failure

    def _probe(self, now: float) -> None:
        last = None
        while self._pending and self._pending[0].at <= now - self._options.settle_s:
            last = self._pending.popleft().sent
        if last is not None:
            self._error = ""
            self._confirm(last)
            if self._end_block and last.block >= self._end_block and self._reader.at_end:
                self._drop()
                self.phase = Phase.DONE
                return
        if self._queue or now - self._looked > _LOOK_S:
            self._looked = now
            self._pump()

    def _drop(self) -> None:
        for port in self._ports:
            port.close()
        self._ports.clear()
        self._queue.clear()
        self._pending.clear()
