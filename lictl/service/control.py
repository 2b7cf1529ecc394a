# SPDX-License-Identifier: Apache-2.0
"""The control socket: local, with peer credentials; there is no network control port.

One thread accepts, one thread a connection serves. A connection that sends garbage, too much or too slowly is closed;
none of that touches the others or the data path.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lictl import log
from lictl.errors import LictlError, RefusedError, UsageError
from lictl.service import messages

if TYPE_CHECKING:
    from pathlib import Path

MAX_CLIENTS = 32
REQUEST_SECONDS = 10.0
REFUSAL_SECONDS = 1.0
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)

Handler = Callable[..., Any]
_log = log.get("control")


class ControlServer:
    """Serves named operations to root and to the owner of the home.

    Args:
        path: of the socket; a stale one is replaced (the caller holds the daemon's lock).
        operations: name to function; it gets the request's arguments by name and returns msgpack values.
    """

    def __init__(self, path: Path, operations: Mapping[str, Handler]) -> None:
        self._path = path
        self._operations = operations
        self._slots = threading.BoundedSemaphore(MAX_CLIENTS)
        self._stopping = False
        self._owner = path.parent.stat().st_uid
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            with messages.address(path) as address:
                self._listener.bind(address)
        finally:
            os.umask(before)
        self._listener.listen(MAX_CLIENTS)
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answers no new connection and removes the socket."""
        self._stopping = True
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if not self._stopping:
                    _log.error("accept failed")
                    threading.Event().wait(0.1)  # out of descriptors: do not spin
                continue
            if not self._slots.acquire(blocking=False):
                connection.close()
                _log.warning("connection refused", reason="too many clients")
                continue
            threading.Thread(target=self._serve, args=(connection,), name="control-client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                _, uid, _ = _CREDENTIALS.unpack(
                    connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                )
                if uid not in (0, self._owner):
                    _log.warning("connection refused", reason="uid", uid=uid)
                    # Read first: whoever is still writing when we close would see a broken pipe, not the reason.
                    messages.receive(connection, REFUSAL_SECONDS, messages.MAX_REQUEST)
                    refusal = RefusedError(f"uid {uid} may not control this site.", "Run lictl as root.")
                    messages.send(connection, _failure(refusal), messages.MAX_REPLY)
                    return
                while (request := messages.receive(connection, REQUEST_SECONDS, messages.MAX_REQUEST)) is not None:
                    connection.settimeout(REQUEST_SECONDS)
                    messages.send(connection, self._answer(request), messages.MAX_REPLY)
        except (OSError, messages.BadMessageError) as error:
            _log.debug("connection ended", reason=type(error).__name__)
        finally:
            self._slots.release()

    def _answer(self, request: Any) -> dict[str, Any]:
        try:
            if not (isinstance(request, dict) and isinstance(request.get("op"), str)):
                raise UsageError("a request is a map with `op` and `args`.")
            args = request.get("args", {})
            if not (isinstance(args, dict) and all(isinstance(name, str) for name in args)):
                raise UsageError("`args` is a map with text keys.")
            handler = self._operations.get(request["op"])
            if handler is None:
                raise UsageError("the daemon does not know this operation.", "Use the lictl of the daemon's version.")
            try:
                return {"ok": handler(**args)}
            except TypeError as error:
                # Wrong arguments are the caller's; a TypeError from further down is ours.
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    raise UsageError("the operation does not take these arguments.") from None
                raise
        except LictlError as error:
            return _failure(error)
        except Exception as error:
            _log.error("operation failed", op=str(request.get("op")), error=type(error).__name__, **log.place(error))
            return _failure(LictlError(f"a defect of the daemon ({type(error).__name__}).", "Its log says where."))


def _failure(error: LictlError) -> dict[str, Any]:
    return {"error": {"what": error.what, "fix": error.fix, "code": error.exit_code}}
