# SPDX-License-Identifier: Apache-2.0
"""Messages of the control socket: a 4-byte big-endian length, then msgpack.

A request has at most 2 MiB (a warrant file fits), a reply, which comes from the daemon, at most 64 MiB.

Request `{"op": str, "args": {str: value}}`; reply `{"ok": value}` or
`{"error": {"what": str, "fix": str, "code": int}}`, the code being the exit code of `lictl.errors`.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from typing import TYPE_CHECKING, Any

import msgpack

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

MAX_REQUEST = 2 << 20
MAX_REPLY = 64 << 20
_MAX_PATH = 100  # struct sockaddr_un holds 108 bytes
_LENGTH = struct.Struct(">I")


class BadMessageError(Exception):
    """The other side sent something that is no message."""


@contextlib.contextmanager
def address(path: Path) -> Iterator[str]:
    """What to bind or connect to for a socket at `path`, also where that is longer than a socket address can be."""
    text = str(path)
    if len(os.fsencode(text)) <= _MAX_PATH:
        yield text
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def send(connection: socket.socket, value: Any, limit: int) -> None:
    """Sends one message.

    Raises:
        BadMessageError: larger than `limit`.
        OSError: as of the socket.
    """
    body = msgpack.packb(value)
    if len(body) > limit:
        raise BadMessageError(f"a message of {len(body)} bytes is larger than {limit}")
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket, deadline_s: float, limit: int) -> Any | None:
    """One message, or None where the other side closed between messages.

    Args:
        connection: a blocking socket.
        deadline_s: seconds that the whole message may take, so a slow sender holds nothing for long.
        limit: bytes.

    Raises:
        BadMessageError: closed within a message, too large, no msgpack.
        TimeoutError: not complete in time.
    """
    end = time.monotonic() + deadline_s
    head = _read(connection, _LENGTH.size, end)
    if not head:
        return None
    (length,) = _LENGTH.unpack(head) if len(head) == _LENGTH.size else (-1,)
    if not 0 < length <= limit:
        raise BadMessageError(f"a message length of {length} is not in 1..{limit}")
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
