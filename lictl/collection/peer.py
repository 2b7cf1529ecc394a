# SPDX-License-Identifier: Apache-2.0
"""One sender's connection to the receiver."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from typing import TYPE_CHECKING

from lictl.delivery import wire
from lictl.delivery.blocks import (
    FLAG_SEALED,
    HEADER_BYTES,
    BlockError,
    BlockKind,
    check_payload,
    header_key,
    parse_header,
)
from lictl.delivery.wire import Frame, FrameType, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.collection.receiver import Receiver
    from lictl.collection.store import StreamFile

_BEFORE = frozenset({FrameType.HELLO})
_AFTER = frozenset({FrameType.BLOCK, FrameType.DAMAGED, FrameType.PING, FrameType.END})
_HELLO_BUFFER = 4096
_BLOCK_BUFFER = 1 << 16
_MAX_UNSENT = 1 << 16
_TURN_BYTES = 4 << 20


class PeerError(Exception):
    """The connection has to be closed; `reason` is a class of reasons, fit to be counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


class Peer:
    """Parses what one sender sends and books it.

    Attributes:
        sock: the connection.
        file: the stream it delivers, None before its HELLO.
        heard: time.monotonic() of its last byte.
        closed: it has said or shown that it is done.
        memory: bytes of its receive buffer, as the receiver counts them.
    """

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.file: StreamFile | None = None
        self.heard = time.monotonic()
        self.closed = False
        self._receiver = receiver
        self._parser = wire.FrameParser(_BEFORE, _HELLO_BUFFER)
        self._first = 0
        self._key = 0
        self._unsent = b""
        self._received = 0
        self._dirty = False
        self.memory = 0

    @property
    def wanted(self) -> int:
        """Events to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def ready(self, mask: int) -> None:
        """Takes what the socket has.

        Raises:
            PeerError: the connection has to go.
        """
        if mask & selectors.EVENT_WRITE:
            self._send(b"")
        if not mask & selectors.EVENT_READ:
            return
        self._received = 0
        try:
            for _ in range(16):
                if self.closed or not self._receive():
                    break
                if self._received > _TURN_BYTES:
                    break
        except ProtocolError as error:
            self._refuse(error.what)
            raise PeerError("protocol error", error.what) from error
        except BlockError as error:
            self._refuse(error.what)
            raise PeerError("bad checksum", error.what) from error
        except OSError as error:
            raise PeerError("connection lost") from error
        finally:
            if self.file is not None and self._dirty:
                self._dirty = False
                self._receiver.committer.add(self.file, self._received)

    def _receive(self) -> bool:
        """One read of the socket; False when there is nothing more."""
        space = self._parser.space()
        self._receiver.memory += self._parser.capacity - self.memory
        self.memory = self._parser.capacity
        if self._receiver.memory > self._receiver.limits.memory:
            raise PeerError("out of memory")
        try:
            n = self.sock.recv_into(space)
        except BlockingIOError:
            return False
        if not n:
            self.closed = True
            return False
        self.heard = time.monotonic()
        self._received += n
        self._parser.received(n)
        for frame in self._parser.frames():
            self._take(frame)
        return n == len(space)

    def _take(self, frame: Frame) -> None:
        if frame.type is FrameType.BLOCK:
            self._block(frame.body)
        elif frame.type is FrameType.PING:
            self._send(wire.number_frame(FrameType.PONG, wire.parse_number(frame.body)))
        elif frame.type is FrameType.HELLO:
            self._hello(frame.body)
        elif frame.type is FrameType.DAMAGED:
            self._damaged(frame.body)
        else:
            self.closed = True

    def _hello(self, body: memoryview) -> None:
        hello = wire.parse_hello(body)
        common = set(hello.versions) & set(wire.VERSIONS)
        if not common:
            raise ProtocolError("No protocol version is spoken by both sides.")
        if hello.spool == wire.TEST_SPOOL:
            self._send(wire.welcome_frame(max(common), 0))
            return
        with self._receiver.lock, _disk():
            self.file = self._receiver.store.open(hello)
        self._first = hello.first
        self._key = header_key(hello.spool)
        self._receiver.own(self, self.file)
        self._parser.allow(_AFTER, _BLOCK_BUFFER)
        self._send(wire.welcome_frame(max(common), self.file.durable))

    def _block(self, body: memoryview) -> None:
        file = self.file
        if file is None:
            raise ProtocolError("A block came before HELLO.")
        header = parse_header(self._key, body)
        if header.flags & FLAG_SEALED:
            raise ProtocolError("A block came as it lies in the sender's spool, sealed.")
        payload = body[HEADER_BYTES:]
        check_payload(header, payload)
        with self._receiver.lock, _disk():
            if file.account.is_new(header, self._first):
                if header.kind != BlockKind.NOTE:  # left from a time when this agency fetched files
                    file.append(payload)
                file.account.add(header)
            else:
                file.account.duplicates += 1
        self._dirty = True

    def _damaged(self, body: memoryview) -> None:
        file = self.file
        if file is None:
            raise ProtocolError("A range came before HELLO.")
        with self._receiver.lock:
            file.account.add_damaged(wire.parse_damaged(body), self._first)
        self._dirty = True

    def acknowledge(self, block: int) -> None:
        """Tells the sender that everything up to `block` is safe here."""
        if block:
            self._send(wire.number_frame(FrameType.ACK, block))

    def _send(self, data: bytes) -> None:
        self._unsent += data
        try:
            while self._unsent:
                self._unsent = self._unsent[self.sock.send(self._unsent) :]
        except BlockingIOError:
            if len(self._unsent) > _MAX_UNSENT:
                raise PeerError("does not read its acknowledgements") from None
        except OSError as error:
            raise PeerError("connection lost") from error

    def _refuse(self, why: str) -> None:
        with contextlib.suppress(PeerError):
            self._send(wire.refuse_frame(why))

    def close(self) -> None:
        """Closes the socket."""
        self.sock.close()


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """An OSError in here is the disk's, not the connection's."""
    try:
        yield
    except OSError as error:
        raise PeerError("disk error") from error
