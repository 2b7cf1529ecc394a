# SPDX-License-Identifier: Apache-2.0
"""A sender that does exactly what a test says."""

from __future__ import annotations

import contextlib
import socket

from lictl.delivery import wire
from lictl.delivery.blocks import header_key, pack_header
from lictl.delivery.wire import FrameParser, FrameType, Hello

SPOOL = "0123456789abcdef" * 2


def hello(liid: str = "L-1", stream: str = "W-1", spool: str = SPOOL, suffix: str = "txt", first: int = 1) -> Hello:
    """A sender's greeting."""
    return Hello(liid, stream, spool, "text", suffix, "content", "op", "el", first)


class Stream:
    """Makes blocks with numbers that follow one another."""

    def __init__(self, spool: str = SPOOL) -> None:
        self.key = header_key(spool)
        self.block = 0
        self.sequence = 0
        self.records = 0
        self.lost = 0

    def data(self, payload: bytes, records: int = 1, lost: int = 0, **changes: int) -> bytes:
        """The next DATA block; `changes` replaces header fields by name."""
        first = self.sequence + lost + 1
        self.block += 1
        self.sequence += lost + records
        self.records += records
        self.lost += lost
        fields = {
            "kind": 2, "flags": 0, "records": records, "block": self.block, "first_sequence": first,
            "last_sequence": self.sequence, "lost": lost, "first_ns": 1_000_000_000, "last_ns": 2_000_000_000,
            "total_records": self.records, "total_lost": self.lost, **changes,
        }  # fmt: skip
        kind, flags, *numbers = fields.values()
        return pack_header(self.key, kind, flags, payload, 0, tuple(numbers)) + payload  # type: ignore[arg-type]


def block_frame(block: bytes) -> bytes:
    """A BLOCK frame."""
    return wire.frame_head(FrameType.BLOCK, len(block)) + block


class Sender:
    """One connection to a receiver."""

    def __init__(self, address: tuple[str, int], greeting: Hello | None = None) -> None:
        self.sock = socket.create_connection(address, 30)
        self._parser = FrameParser(frozenset(FrameType))
        self._frames: list[tuple[FrameType, bytes]] = []
        self.durable = -1
        if greeting is not None:
            self.send(wire.hello_frame(greeting))
            kind, body = self.next()
            assert kind is FrameType.WELCOME, wire.parse_refuse(memoryview(body))
            self.durable = wire.parse_welcome(memoryview(body))[1]

    def send(self, data: bytes) -> None:
        """Raw bytes."""
        self.sock.sendall(data)

    def next(self) -> tuple[FrameType, bytes]:
        """The next frame from the receiver."""
        while not self._frames:
            n = self.sock.recv_into(self._parser.space())
            if not n:
                raise ConnectionResetError("the receiver closed the connection")
            self._parser.received(n)
            self._frames = [(frame.type, bytes(frame.body)) for frame in self._parser.frames()]
        return self._frames.pop(0)

    def wait_ack(self, block: int) -> None:
        """Returns when `block` is acknowledged."""
        while True:
            kind, body = self.next()
            assert kind is FrameType.ACK, kind
            if wire.parse_number(memoryview(body)) >= block:
                return

    def refusal(self) -> str:
        """Waits until the receiver hangs up; the reason that it gave, if any."""
        reason = ""
        with contextlib.suppress(OSError):
            while True:
                kind, body = self.next()
                if kind is FrameType.REFUSE:
                    reason = wire.parse_refuse(memoryview(body))
        return reason

    def close(self) -> None:
        """Hangs up."""
        self.sock.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
