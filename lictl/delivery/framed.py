# SPDX-License-Identifier: Apache-2.0
"""lictl's own protocol: greet, send blocks, take acknowledgements (docs/formats/delivery-protocol.md)."""

from __future__ import annotations

import selectors
import time
from collections import deque
from typing import TYPE_CHECKING

from lictl.delivery import wire
from lictl.delivery.blocks import BlockKind
from lictl.delivery.channel import Channel
from lictl.delivery.link import Link, Phase, Sent
from lictl.delivery.reader import Damaged
from lictl.delivery.wire import FrameType, ProtocolError

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig
    from lictl.delivery.route import Route

_ANSWERS = frozenset({FrameType.WELCOME, FrameType.ACK, FrameType.PONG, FrameType.REFUSE})
_TURN_BYTES = 8 << 20
_LOOK_S = 0.5


class FramedLink(Link):
    """Delivers by acknowledged blocks."""

    def __init__(self, stream: StreamConfig, route: Route) -> None:
        super().__init__(stream, route)
        self._channel: Channel | None = None
        self._parser = wire.FrameParser(_ANSWERS, 4096)
        self._unacked: deque[Sent] = deque()
        self._unacked_bytes = 0
        self._heard = self._pinged = self._looked = 0.0

    @property
    def drained(self) -> bool:
        return self.phase is Phase.DONE or (
            self.phase is Phase.FLOWING
            and not self._unacked
            and self._channel is not None
            and not self._channel.queued
            and self._reader.at_end
        )

    @property
    def _peer_until(self) -> int:
        return self._channel.peer_until if self._channel is not None else 0

    def _waiting(self) -> tuple[int, int]:
        return (self._unacked[0].first_ns if self._unacked else 0), len(self._unacked)

    # ---- connecting

    def _begin(self) -> None:
        addresses = self._route.resolver.addresses()
        if not addresses:
            self._fail("the host name has no address")
            return
        self._parser = wire.FrameParser(_ANSWERS, 4096)
        self.phase = Phase.CONNECTING
        address = addresses[self._attempts % len(addresses)]
        self._channel = Channel(self._route, address, self._route.host, self._event)

    def _greet(self, channel: Channel) -> None:
        stream = self.stream
        hello = wire.Hello(
            liid=stream.liid,
            stream=stream.name,
            spool=self._reader.spool_id,
            format=stream.format,
            suffix=stream.suffix,
            mode=stream.mode,
            operator=stream.operator,
            element=stream.element,
            first=self._reader.first_block,
        )
        self.phase = Phase.GREETING
        channel.put(wire.hello_frame(hello))
        channel.flush()

    def _welcome(self, block: int) -> None:
        """The receiver holds everything up to `block`."""
        found = self._reader.seek_behind(block) if block else None
        if block and found is None and self._reader.at_end:
            raise ProtocolError("The agency says it holds a block that was never sent to it.")
        if not block:
            self._reader.seek(1)
        if found is not None and block > self._cursor.block:
            header, place = found
            self._confirm(Sent(block, header.total_records, header.total_lost, place, 0, 0))
        self._end_block = block if found is not None and found[0].kind == BlockKind.END else 0
        self._sent_block = block
        self._error = ""
        self.phase = Phase.FLOWING
        self._heard = self._pinged = time.monotonic()
        if self._end_block and self._reader.at_end:
            self._finish()
            return
        self._pump()
        if not self._unacked:
            self._attempts = 0

    # ---- sending

    def _pump(self) -> None:
        """Sends what socket, ceiling and window take, but not more than a fair share at a time."""
        channel = self._channel
        done = 0
        while channel is not None and channel.flush():
            if done > _TURN_BYTES:
                channel.want(selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            if not self._fill(channel):
                return
            done += channel.queued

    def _fill(self, channel: Channel) -> bool:
        options = self._options
        room = options.window_bytes - self._unacked_bytes
        blocks = options.window_blocks - len(self._unacked)
        if self._unacked and (room <= 0 or blocks <= 0):
            return False
        for item in self._reader.read(max(min(room, options.chunk_bytes), 4096), max(blocks, 1)):
            if isinstance(item, Damaged):
                channel.put(
                    wire.damaged_frame(wire.DamagedRange(item.first_block, item.last_block, item.last_sequence))
                )
            else:
                channel.put(wire.frame_head(FrameType.BLOCK, len(item.data)))
                channel.put(item.data)
            sent = self._sent(item, self._unacked[-1] if self._unacked else None)
            self._unacked.append(sent)
            self._unacked_bytes += sent.size
        return channel.queued > 0

    # ---- receiving

    def _event(self, mask: int) -> None:
        self._guarded(lambda: self._ready(mask))

    def _ready(self, mask: int) -> None:
        channel = self._channel
        if channel is None:
            return
        if self.phase is Phase.CONNECTING:
            if channel.advance():
                self._greet(channel)
            return
        if mask & selectors.EVENT_READ:
            self._receive(channel)
        if self.phase is Phase.FLOWING:
            self._pump()
        elif self.phase is Phase.GREETING:
            channel.flush()

    def _receive(self, channel: Channel) -> None:
        acked = 0
        while self._channel is channel:
            n = channel.receive_into(self._parser.space())
            if n < 0:
                break
            if n == 0:
                raise ProtocolError("The agency closed the connection.")
            self._parser.received(n)
            self._heard = time.monotonic()
            acked = self._take(channel) or acked
            if not channel.holds_more:
                break
        if acked and self._channel is channel:
            self._acknowledged(acked)

    def _take(self, channel: Channel) -> int:
        """Takes the frames that came; returns the last block acknowledged, 0 for none."""
        acked = 0
        for frame in self._parser.frames():
            if self._channel is not channel:
                break
            if frame.type is FrameType.REFUSE:
                raise ProtocolError(f"The agency refused: {wire.parse_refuse(frame.body)}")
            if self.phase is Phase.GREETING and frame.type is FrameType.WELCOME:
                version, block = wire.parse_welcome(frame.body)
                if version not in wire.VERSIONS:
                    raise ProtocolError("The agency chose a protocol version that is not spoken here.")
                self._welcome(block)
            elif self.phase is Phase.FLOWING and frame.type is FrameType.ACK:
                acked = wire.parse_number(frame.body)
            elif frame.type is not FrameType.PONG:
                raise ProtocolError("The agency sent a frame out of turn.")
        return acked

    def _acknowledged(self, block: int) -> None:
        if block > self._sent_block:
            raise ProtocolError("The agency acknowledged a block that was not sent.")
        last = None
        while self._unacked and self._unacked[0].block <= block:
            last = self._unacked.popleft()
            self._unacked_bytes -= last.size
        if last is not None:
            self._confirm(last)
        if self._end_block and block >= self._end_block and self._reader.at_end:
            self._finish()

    def _finish(self) -> None:
        """The stream is over and all of it confirmed."""
        if self._channel is not None:
            self._channel.put(wire.frame_head(FrameType.END, 0))
            self._channel.flush()
        self._drop()
        self.phase = Phase.DONE

    # ---- time and failure

    def _probe(self, now: float) -> None:
        channel = self._channel
        if channel is None:
            return
        silent = now - self._heard
        if silent > self._options.dead_s:
            raise ProtocolError("The agency has fallen silent.")
        if silent > self._options.ping_s and now - self._pinged > self._options.ping_s and not channel.queued:
            self._pinged = now
            channel.put(wire.number_frame(FrameType.PING, time.monotonic_ns()))
            channel.flush()
        if channel.throttled or now - self._looked > _LOOK_S:  # without a daemon nobody says that there is more
            self._looked = now
            self._pump()

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._unacked.clear()
        self._unacked_bytes = self._end_block = 0
