# SPDX-License-Identifier: Apache-2.0
"""Links in the test's own process and loop, and agencies that take raw connections."""

from __future__ import annotations

import os
import selectors
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from agency_kit import Line

from lictl.delivery.config import StreamConfig, Transport, WorkerConfig, WorkerOptions
from lictl.delivery.links import make_link
from lictl.delivery.route import make_route

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lictl.delivery.link import Link

QUICK = WorkerOptions(settle_s=0.05, backoff_min_s=0.02, backoff_max_s=0.1, connect_s=5.0)


class Loop:
    """What a worker's loop does, for links of one agency.

    Args:
        folder: the agency's in the spool; becomes the current folder.
        port: of its receiver on this machine.
        transport: how it is reached.
        options: of the worker.
        host: of its receiver.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        transport: Transport,
        options: WorkerOptions = QUICK,
        host: str = "127.0.0.1",
    ) -> None:
        os.chdir(folder)
        self.selector = selectors.DefaultSelector()
        self.route = make_route(
            WorkerConfig("lea", str(folder), host, port, options=options, transport=transport), self.selector
        )
        self.links: list[Link] = []

    def add(self, stream: StreamConfig, **changes: object) -> Link:
        """Begins to deliver a stream."""
        link = make_link(replace(stream, **changes), self.route)  # type: ignore[arg-type]
        self.links.append(link)
        return link

    def until(self, condition: Callable[[], object], seconds: float = 20.0, what: str = "") -> None:
        """Works until the condition holds; fails the test when it never does."""
        end = time.monotonic() + seconds
        while not condition():
            now = time.monotonic()
            assert now < end, f"waited {seconds} s in vain {what} {[link.state() for link in self.links]}"
            for key, mask in self.selector.select(0.002):
                key.data.event(mask)
            for link in self.links:
                link.wake()
                link.tick(now)

    def close(self) -> None:
        """Closes every link."""
        for link in self.links:
            link.close()
        self.selector.close()


class RawAgency(Line):
    """Takes connections one after the other and keeps what came on each; never blocks."""

    def __init__(self, port: int = 0, receive_buffer: int | None = None, host: str = "127.0.0.1") -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind((host, port))
        self.listener.listen()
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.heard: list[bytearray] = []

    def accept(self) -> bool:
        """Accepts what connects, and reads nothing; false while there is no connection."""
        if self.sock is None:
            try:
                self.sock, _ = self.listener.accept()
            except BlockingIOError:
                return False
            self.sock.setblocking(False)
            self.heard.append(bytearray())
        return True

    def take(self, most: int = 1 << 20) -> bytes:
        """Accepts what connects, reads what is there; returns all of the newest connection."""
        if not self.accept() or self.sock is None:
            return b""
        try:
            data = self.sock.recv(most)
        except BlockingIOError:
            pass
        else:
            self.heard[-1] += data
            if not data:
                self.hang_up()
        return bytes(self.heard[-1])

    def close(self) -> None:
        """Closes everything."""
        self.hang_up()
        self.listener.close()

    def __enter__(self) -> RawAgency:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def without_repeats(connections: list[bytearray], size: int = 16) -> list[int]:
    """The numbers of the records that came, each once: a record cut by a reset is dropped, a repeated one too."""
    numbers: list[int] = []
    for heard in connections:
        for line in bytes(heard).split(b"\n")[:-1]:
            if line.isdigit() and len(line) == size - 1 and (not numbers or int(line) > numbers[-1]):
                numbers.append(int(line))
    return numbers
