# SPDX-License-Identifier: Apache-2.0
"""One stream's connection to the agency: connect, greet, send, take acknowledgements, begin again."""

from __future__ import annotations

import contextlib
import enum
import os
import random
import selectors
import socket
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lictl.delivery import wire
from lictl.delivery.blocks import BlockKind
from lictl.delivery.config import LinkState, StreamConfig, WorkerOptions
from lictl.delivery.cursor import Cursor, CursorFile
from lictl.delivery.reader import Damaged, Place, SpoolReader
from lictl.delivery.resolve import Address, tune
from lictl.delivery.wire import FrameType, ProtocolError
from lictl.errors import IntegrityError
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWERS = frozenset({FrameType.WELCOME, FrameType.ACK, FrameType.PONG, FrameType.REFUSE})
_BUFFERS = 256
_TURN_BYTES = 8 << 20
_LOOK_S = 0.5


class Phase(enum.Enum):
    """Where a link stands."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    GREETING = "greeting"
    FLOWING = "flowing"
    DONE = "done"


class _Sent(NamedTuple):
    block: int
    total_records: int
    total_lost: int
    place: Place
    size: int
    first_ns: int


class Link:
    """Delivers one spool. All methods are called from the worker's one loop and never block.

    Args:
        stream: what is delivered; its folder lies in the current folder.
        addresses: gives the agency's addresses, empty while they are not known.
        selector: of the loop; events of this link's socket carry the link as data.
    """

    def __init__(
        self,
        stream: StreamConfig,
        addresses: Callable[[], list[Address]],
        selector: selectors.BaseSelector,
        options: WorkerOptions,
    ) -> None:
        self.stream = stream
        self.phase = Phase.WAITING
        self._addresses = addresses
        self._selector = selector
        self._options = options
        self._reader = SpoolReader(Path(stream.name), key=stream.key or None)
        self._cursor_file = CursorFile(self._reader.folder)
        self._cursor = self._cursor_file.read()
        self._sock: socket.socket | None = None
        self._parser = wire.FrameParser(_ANSWERS, 4096)
        self._mask = 0
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._unacked: deque[_Sent] = deque()
        self._unacked_bytes = 0
        self._sent_block = 0
        self._end_block = 0
        self._attempts = 0
        self._error = ""
        self._damaged = 0
        self._next_try = 0.0
        self._since = 0.0
        self._heard = 0.0
        self._pinged = 0.0
        self._looked = 0.0

    # ---- what the loop calls

    def wake(self) -> None:
        """There may be new blocks."""
        if self.phase is Phase.FLOWING:
            self._guarded(self._pump)

    def tick(self, now: float) -> None:
        """Looks after everything that depends on time; `now` is time.monotonic()."""
        if self.phase is Phase.WAITING:
            if now >= self._next_try:
                self._guarded(self._connect)
        elif self.phase in (Phase.CONNECTING, Phase.GREETING):
            if now - self._since > self._options.connect_s:
                self._fail("no answer")
        elif self.phase is Phase.FLOWING:
            self._guarded(self._probe)

    def event(self, mask: int) -> None:
        """The socket is ready."""
        self._guarded(lambda: self._ready(mask))

    @property
    def drained(self) -> bool:
        """Everything in the spool is acknowledged, or the stream is over."""
        return self.phase is Phase.DONE or (
            self.phase is Phase.FLOWING and not self._unacked and not self._queue and self._reader.at_end
        )

    def state(self) -> LinkState:
        """For the status report."""
        oldest = self._unacked[0].first_ns if self._unacked else 0
        return LinkState(
            name=self.stream.name,
            phase=self.phase.value,
            acknowledged=self._cursor.block,
            sent=self._sent_block,
            unacknowledged=len(self._unacked),
            lag_s=max((now_ns() - oldest) / 1e9, 0.0) if oldest else 0.0,
            attempts=self._attempts,
            error=self._error,
            last_ack_ns=self._cursor.time_ns,
            damaged=self._damaged,
        )

    def close(self) -> None:
        """Closes socket and files."""
        self._drop()
        self._reader.close()
        self._cursor_file.close()

    # ---- connecting

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self._fail(error.strerror or type(error).__name__)
        except IntegrityError as error:  # of the protocol, or the spool's key is not the one
            self._fail(error.what)

    def _connect(self) -> None:
        addresses = self._addresses()
        if not addresses:
            self._fail("the host name has no address")
            return
        family, address = addresses[self._attempts % len(addresses)]
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._sock = sock
        tune(sock, self._options)
        self._parser = wire.FrameParser(_ANSWERS, 4096)
        self._since = time.monotonic()
        self.phase = Phase.CONNECTING
        with contextlib.suppress(BlockingIOError):
            sock.connect(address)
        self._want(selectors.EVENT_WRITE)

    def _greet(self) -> None:
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
        self._put(wire.hello_frame(hello))
        self._flush()

    def _welcome(self, block: int) -> None:
        """The receiver holds everything up to `block`."""
        found = self._reader.seek_behind(block) if block else None
        if block and found is None and self._reader.at_end:
            raise ProtocolError("The agency says it holds a block that was never sent to it.")
        if not block:
            self._reader.seek(1)
        if found is not None and block > self._cursor.block:
            header, place = found
            self._confirm(_Sent(block, header.total_records, header.total_lost, place, 0, 0))
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

    def _put(self, data: bytes | memoryview) -> None:
        self._queue.append(memoryview(data))
        self._queued += len(data)

    def _pump(self) -> None:
        """Sends what the socket and the window take, but not more than a fair share at a time."""
        done = 0
        while self._flush():
            if done > _TURN_BYTES:
                self._want(selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            if not self._fill():
                return
            done += self._queued

    def _fill(self) -> bool:
        options = self._options
        room = options.window_bytes - self._unacked_bytes
        blocks = options.window_blocks - len(self._unacked)
        if self._unacked and (room <= 0 or blocks <= 0):
            return False
        for item in self._reader.read(max(min(room, options.chunk_bytes), 4096), max(blocks, 1)):
            if isinstance(item, Damaged):
                self._put(wire.damaged_frame(wire.DamagedRange(item.first_block, item.last_block, item.last_sequence)))
                last = self._unacked[-1] if self._unacked else None
                records = last.total_records if last else self._cursor.total_records
                lost = last.total_lost if last else self._cursor.total_lost
                sent = _Sent(item.last_block, records, lost, item.place, 0, 0)
                self._damaged += item.last_block - item.first_block + 1
            else:
                header = item.header
                self._put(wire.frame_head(FrameType.BLOCK, len(item.data)))
                self._put(item.data)
                sent = _Sent(
                    header.block,
                    header.total_records,
                    header.total_lost,
                    item.place,
                    len(item.data),
                    header.first_ns or header.last_ns,
                )
                if header.kind == BlockKind.END:
                    self._end_block = header.block
            self._unacked.append(sent)
            self._unacked_bytes += sent.size
            self._sent_block = sent.block
        return bool(self._queue)

    def _flush(self) -> bool:
        """Sends the queue; true when it is empty."""
        sock = self._sock
        if sock is None:
            return False
        while self._queue:
            try:
                n = sock.sendmsg([self._queue[i] for i in range(min(len(self._queue), _BUFFERS))])
            except BlockingIOError:
                self._want(selectors.EVENT_READ | selectors.EVENT_WRITE)
                return False
            self._queued -= n
            while n:
                first = self._queue[0]
                if n < len(first):
                    self._queue[0] = first[n:]
                    break
                n -= len(first)
                self._queue.popleft()
        self._want(selectors.EVENT_READ)
        return True

    # ---- receiving

    def _ready(self, mask: int) -> None:
        sock = self._sock
        if sock is None:
            return
        if self.phase is Phase.CONNECTING:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self._greet()
            return
        if mask & selectors.EVENT_READ:
            self._receive(sock)
        if self.phase is Phase.FLOWING:
            self._pump()
        elif self.phase is Phase.GREETING:
            self._flush()

    def _receive(self, sock: socket.socket) -> None:
        try:
            n = sock.recv_into(self._parser.space())
        except BlockingIOError:
            return
        if n == 0:
            raise ProtocolError("The agency closed the connection.")
        self._parser.received(n)
        self._heard = time.monotonic()
        acked = 0
        for frame in self._parser.frames():
            if self._sock is not sock:
                return
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
        if acked:
            self._acknowledged(acked)

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

    def _confirm(self, last: _Sent) -> None:
        self._attempts = 0
        if last.block <= self._cursor.block:  # an agency that lost its folder gets again what is still here
            return
        self._cursor = Cursor(last.block, last.total_records, last.total_lost, *last.place, now_ns())
        self._cursor_file.write(self._cursor)

    def _finish(self) -> None:
        """The stream is over and all of it confirmed."""
        self._put(wire.frame_head(FrameType.END, 0))
        self._flush()
        self._drop()
        self.phase = Phase.DONE

    # ---- time and failure

    def _probe(self) -> None:
        now = time.monotonic()
        silent = now - self._heard
        if silent > self._options.dead_s:
            raise ProtocolError("The agency has fallen silent.")
        if silent > self._options.ping_s and now - self._pinged > self._options.ping_s and not self._queue:
            self._pinged = now
            self._put(wire.number_frame(FrameType.PING, time.monotonic_ns()))
            self._flush()
        if now - self._looked > _LOOK_S:  # without a daemon nobody says that there is more
            self._looked = now
            self._pump()

    def _fail(self, why: str) -> None:
        self._drop()
        options = self._options
        wait = min(options.backoff_min_s * 2 ** min(self._attempts, 20), options.backoff_max_s)
        self._attempts += 1
        self._error = why
        self._next_try = time.monotonic() + wait * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
        self.phase = Phase.WAITING

    def _drop(self) -> None:
        if self._sock is not None:
            self._want(0)
            self._sock.close()
            self._sock = None
        self._queue.clear()
        self._unacked.clear()
        self._queued = self._unacked_bytes = self._end_block = 0

    def _want(self, mask: int) -> None:
        if self._sock is None or mask == self._mask:
            return
        if not self._mask:
            self._selector.register(self._sock, mask, self)
        elif mask:
            self._selector.modify(self._sock, mask, self)
        else:
            self._selector.unregister(self._sock)
        self._mask = mask
