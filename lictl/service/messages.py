# SPDX-License-Identifier: Apache-2.0
"""Messages of the control socket: a 4-byte big-endian length, then msgpack, at most 1 MiB.

Request `{"op": str, "args": {str: value}}`; reply `{"ok": value}` or
`{"error": {"what": str, "fix": str, "code": int}}`, the code being the exit code of `lictl.errors`.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

import msgpack

if TYPE_CHECKING:
    import socket

MAX_MESSAGE = 1 << 20
_LENGTH = struct.Struct(">I")


class BadMessageError(Exception):
    """The other side sent something that is no message."""


def send(connection: socket.socket, value: Any) -> None:
    """Sends one message.

    Raises:
        BadMessageError: larger than MAX_MESSAGE.
        OSError: as of the socket.
    """
    body = msgpack.packb(value)
    if len(body) > MAX_MESSAGE:
        raise BadMessageError(f"a message of {len(body)} bytes is larger than {MAX_MESSAGE}")
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket, deadline_s: float) -> Any | None:
    """One message, or None where the other side closed between messages.

    Args:
        connection: a blocking socket.
        deadline_s: seconds that the whole message may take, so a slow sender holds nothing for long.

    Raises:
        BadMessageError: closed within a message, too large, no msgpack.
        TimeoutError: not complete in time.
    """
    end = time.monotonic() + deadline_s
    head = _read(connection, _LENGTH.size, end)
    if not head:
        return None
    (length,) = _LENGTH.unpack(head) if len(head) == _LENGTH.size else (-1,)
    if not 0 < length <= MAX_MESSAGE:
        raise BadMessageError(f"a message length of {length} is not in 1..{MAX_MESSAGE}")
    body = _read(connection, length, end)
    if len(body) != length:
        raise BadMessageError("the connection was closed within a message")
    try:
        return msgpack.unpackb(body, strict_map_key=True)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise BadMessageError(f"not msgpack: {type(error).__name__}") from None


def _read(connection: socket.socket, size: int, end: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the message was not complete in time")
        connection.settimeout(left)
        part = connection.recv(size - len(parts))
        if not part:
            break
        parts += part
    return bytes(parts)
