# SPDX-License-Identifier: Apache-2.0
"""The receiver's half of the delivery protocol (docs/formats/delivery-protocol.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.collection.connection import Connection, disk
from lictl.delivery import wire
from lictl.delivery.blocks import FLAG_SEALED, HEADER_BYTES, BlockKind, check_payload, header_key, parse_header
from lictl.delivery.wire import Frame, FrameType, ProtocolError

if TYPE_CHECKING:
    from lictl.collection.evidence import Evidence
    from lictl.collection.store import StreamFile

_BEFORE = frozenset({FrameType.HELLO})
_AFTER = frozenset({FrameType.BLOCK, FrameType.DAMAGED, FrameType.PING, FrameType.END})
_HELLO_BUFFER = 4096
_BLOCK_BUFFER = 1 << 16


class Peer:
    """Parses what one sender sends and books it."""

    known = False
    idle = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._receiver = connection.receiver
        self._file: StreamFile | None = None
        self._parser = wire.FrameParser(_BEFORE, _HELLO_BUFFER)
        self._first = 0
        self._key = 0
        self._dirty = False

    @property
    def capacity(self) -> int:
        """Of the parser's buffer."""
        return self._parser.capacity

    def space(self) -> memoryview:
        """Of the parser's buffer."""
        return self._parser.space()

    def received(self, n: int) -> None:
        """Takes the frames that are whole now."""
        self._parser.received(n)
        for frame in self._parser.frames():
            self._take(frame)

    def refusal(self, why: str) -> bytes:
        """A REFUSE frame."""
        return wire.refuse_frame(why)

    def turned(self, size: int) -> None:
        """Hands the stream to the committer."""
        if self._file is not None and self._dirty:
            self._dirty = False
            self._receiver.committer.add(self._file, size)

    def _take(self, frame: Frame) -> None:
        if frame.type is FrameType.BLOCK:
            self._block(frame.body)
        elif frame.type is FrameType.PING:
            self._connection.send(wire.number_frame(FrameType.PONG, wire.parse_number(frame.body)))
        elif frame.type is FrameType.HELLO:
            self._hello(frame.body)
        elif frame.type is FrameType.DAMAGED:
            self._damaged(frame.body)
        else:
            self._connection.closed = True

    def _hello(self, body: memoryview) -> None:
        hello = wire.parse_hello(body)
        common = set(hello.versions) & set(wire.VERSIONS)
        if not common:
            raise ProtocolError("No protocol version is spoken by both sides.")
        if hello.spool == wire.TEST_SPOOL:
            self._connection.send(wire.welcome_frame(max(common), 0))
            return
        with self._receiver.lock, disk():
            self._file = self._receiver.store.open(hello)
        self.known = True
        self._first = hello.first
        self._key = header_key(hello.spool)
        self._receiver.own(self._connection, self._file)
        self._parser.allow(_AFTER, _BLOCK_BUFFER)
        self._connection.send(wire.welcome_frame(max(common), self._file.durable))

    def _block(self, body: memoryview) -> None:
        file = self._file
        if file is None:
            raise ProtocolError("A block came before HELLO.")
        header = parse_header(self._key, body)
        if header.flags & FLAG_SEALED:
            raise ProtocolError("A block came as it lies in the sender's spool, sealed.")
        payload = body[HEADER_BYTES:]
        check_payload(header, payload)
        with self._receiver.lock, disk():
            if file.account.is_new(header, self._first):
                if header.kind != BlockKind.NOTE:  # left from a time when this agency fetched files
                    file.append(payload)
                file.account.add(header)
            else:
                file.account.duplicates += 1
        self._dirty = True

    def _damaged(self, body: memoryview) -> None:
        file = self._file
        if file is None:
            raise ProtocolError("A range came before HELLO.")
        with self._receiver.lock:
            file.account.add_damaged(wire.parse_damaged(body), self._first)
        self._dirty = True

    def committed(self, file: StreamFile | Evidence) -> None:
        """Tells the sender what is safe here."""
        if file is self._file and self._file.durable:
            self._connection.send(wire.number_frame(FrameType.ACK, self._file.durable))
