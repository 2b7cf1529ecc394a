# SPDX-License-Identifier: Apache-2.0
"""One connection that carries a format's own bytes, with the keep-alives of its dialect."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lictl.delivery.channel import Channel
from lictl.delivery.settling import Settling
from lictl.delivery.wire import ProtocolError
from lictl.handover.decoded import DecodeError
from lictl.handover.dialects import dialect
from lictl.handover.pdu import Asking

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.config import StreamConfig
    from lictl.delivery.resolve import Address
    from lictl.delivery.route import Route

_READ = 1 << 16


class Lane:
    """One such connection; each has a dialect of its own.

    Args:
        stream: what is delivered.
        route: to the agency.
        address: to connect to.
        host: that the certificate has to name.
        ready: is called with the selector's mask.

    Attributes:
        put_octets: that were put here, whatever they are.
        asked: PDUs among them that ask to be acknowledged.
        acknowledged: PDUs that the agency has acknowledged.
        unread: octets of blocks that the other end's TCP has not acknowledged.
    """

    def __init__(
        self, stream: StreamConfig, route: Route, address: Address, host: str, ready: Callable[[int], None]
    ) -> None:
        self.channel = Channel(route, address, host, ready)
        self.put_octets = self.asked = self.acknowledged = 0
        self._dialect = dialect(stream)
        transport = route.transport
        alive = self._dialect.keepalive_s
        self._keepalive_s = (transport.keepalive_s or alive) if alive else 0.0
        self._response_s = (transport.response_s or self._dialect.response_s) if alive else 0.0
        self._settling = Settling(route.options.settle_s)
        self._buffer = memoryview(bytearray(_READ))
        self._spoke = 0.0
        self._asked_at = 0.0

    def advance(self) -> bool:
        """Goes on with connecting; true once it is established, and the dialect has said its first words."""
        if self.channel.established:
            return True
        if not self.channel.advance():
            return False
        self._put(self._dialect.connected())
        self._spoke = time.monotonic()
        return True

    def put(self, payload: memoryview) -> None:
        """A block's payload."""
        if isinstance(self._dialect, Asking):
            self.asked += self._dialect.asks(payload)
        self._put(payload)

    def _put(self, data: bytes | memoryview) -> None:
        if data:
            self.channel.put(data)
            self.put_octets += len(data)
            self._spoke = time.monotonic()

    def owes(self, asked: int) -> bool:
        """The agency has agreed to acknowledge PDUs, and has not done so up to this one."""
        return isinstance(self._dialect, Asking) and self._dialect.agreed and asked > self.acknowledged

    @property
    def unread(self) -> int:
        """Octets put here that the other end's TCP has not acknowledged."""
        return self.put_octets - self.channel.acknowledged()

    def settled(self, now: float) -> int:
        """Octets put here that count as delivered."""
        return self._settling.at(now, self.channel.acknowledged())

    def receive(self) -> None:
        """Takes what the agency says.

        Raises:
            ProtocolError: it closed, or speaks another protocol.
        """
        while True:
            n = self.channel.receive_into(self._buffer)
            if n < 0:
                return
            if n == 0:
                raise ProtocolError("The agency closed the connection.")
            try:
                answers = self._dialect.received(bytes(self._buffer[:n]))
            except DecodeError as error:
                raise ProtocolError(f"The agency speaks another protocol: {error}") from None
            for answer in answers:
                if answer.alive:
                    self._asked_at = 0.0
                if answer.acknowledged is not None:
                    self.acknowledged = answer.acknowledged
            if not self.channel.holds_more:
                return

    def probe(self, now: float) -> None:
        """Sends a keep-alive when one is due: the line is idle only while nothing is on its way to the agency.

        What is on its way and does not get there, or is not read, is found by TCP (`lictl.delivery.resolve.tune`); a
        keep-alive behind it could tell no more, and its answer would be late by what the agency has to read first.

        Raises:
            ProtocolError: the last one was not answered in time.
        """
        if not self._keepalive_s:
            return
        if self._asked_at and self._response_s and now - self._asked_at > self._response_s:
            raise ProtocolError("The agency does not answer keep-alives.")
        if self.channel.queued or self.unread:
            self._spoke = now
        elif now - self._spoke >= self._keepalive_s:
            self._put(self._dialect.keepalive())
            self._asked_at = self._asked_at or now
            self.channel.flush()
