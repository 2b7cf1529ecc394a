# SPDX-License-Identifier: Apache-2.0
"""The way to the agency: its addresses, looked up without ever blocking the loop, and the socket's settings."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lictl.delivery.config import WorkerOptions

Address = tuple[int, tuple[str, int]]
"""Address family, and host and port."""

_FRESH_S = 60.0


class Resolver:
    """Addresses of one host; a name is looked up in a thread and again after a minute.

    Args:
        host: address or name.
        port: TCP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._found: list[Address] = []
        self._asked = 0.0
        self._thread: threading.Thread | None = None
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            self._is_name = True
        else:
            self._is_name = False
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            self._found = [(family, (host, port))]

    def addresses(self) -> list[Address]:
        """What is known now; empty before the first answer."""
        due = not self._found or time.monotonic() - self._asked > _FRESH_S
        if self._is_name and due and (self._thread is None or not self._thread.is_alive()):
            self._asked = time.monotonic()
            self._thread = threading.Thread(target=self._look_up, name="resolve", daemon=True)
            self._thread.start()
        return self._found

    def _look_up(self) -> None:
        try:
            answers = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError:
            return  # what was known stays
        self._found = [(family, (str(address[0]), self._port)) for family, _, _, _, address in answers]


def tune(sock: socket.socket, options: WorkerOptions) -> None:
    """No delay for small blocks; a peer that vanished is noticed by the kernel too (RFC 5482 user timeout)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(int(options.ping_s), 1))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(int(options.ping_s / 2), 1))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(options.dead_s * 1000))
