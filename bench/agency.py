# SPDX-License-Identifier: Apache-2.0
"""An agency that notes when each block came, and acknowledges at once."""

from __future__ import annotations

import socket
import threading
import time
from typing import Self

from lictl.delivery import blocks, wire
from lictl.delivery.wire import FrameType

_ACCEPTED = frozenset({FrameType.HELLO, FrameType.BLOCK, FrameType.PING, FrameType.END, FrameType.DAMAGED})


class Agency:
    """Listens on loopback of the namespace of the thread that makes it; serves one connection at a time.

    Attributes:
        first: (arrival, the block's oldest packet), UTC nanoseconds, of each block with records.
        last: (arrival, the block's newest packet).
        records: packets received.
    """

    def __init__(self, port: int) -> None:
        self.first: list[tuple[int, int]] = []
        self.last: list[tuple[int, int]] = []
        self.records = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        parser = wire.FrameParser(_ACCEPTED)
        key = 0
        while data := connection.recv(1 << 20):
            arrival = time.time_ns()
            for frame in parser.feed(data):
                if frame.type is FrameType.HELLO:
                    key = blocks.header_key(wire.parse_hello(frame.body).spool)
                    connection.sendall(wire.welcome_frame(1, 0))
                elif frame.type is FrameType.BLOCK:
                    header = blocks.parse_header(key, frame.body)
                    self._note(header, arrival)
                    connection.sendall(wire.number_frame(FrameType.ACK, header.block))
                elif frame.type is FrameType.PING:
                    connection.sendall(wire.number_frame(FrameType.PONG, wire.parse_number(frame.body)))

    def _note(self, header: blocks.Header, arrival: int) -> None:
        if header.records:
            self.records += header.records
            self.first.append((arrival, header.first_ns))
            self.last.append((arrival, header.last_ns))
