# SPDX-License-Identifier: Apache-2.0
"""sd_notify(3) without libsystemd: one datagram to the socket that systemd names."""

from __future__ import annotations

import os
import socket
from typing import Final

_PATIENCE_S: Final = 5.0


def notify(state: str) -> bool:
    """Tells systemd the state (`READY=1`, `STOPPING=1`, `WATCHDOG=1`); False where no systemd listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(_PATIENCE_S)  # a systemd that takes nothing holds up neither start nor housekeeping
            connection.connect(address)
            connection.sendall(state.encode())
    except OSError:
        return False
    return True
