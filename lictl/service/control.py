# SPDX-License-Identifier: Apache-2.0
"""The control socket: local, with peer credentials; there is no network control port.

Every user of the machine can connect; what the kernel says of the other end, held against the role table, decides on
each request. Some threads wait for connections, and who takes one serves it: a command is handed over to nobody. A
connection that sends garbage, too much or too slowly is closed; none of that touches the others or the data path.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lictl import log
from lictl.errors import LictlError, RefusedError, UsageError
from lictl.home import SOCKET_MODE
from lictl.people import permits
from lictl.people.actor import Actor, Peer, actor, peer_of
from lictl.service import messages

if TYPE_CHECKING:
    from lictl.home import Home

MAX_CLIENTS = 32
# Those that may do nothing wait in a room of their own: they must not keep out those who may.
MAX_STRANGERS = 4
WAITING = 4
"""Threads that wait for connections."""
REQUEST_SECONDS = 10.0
REFUSAL_SECONDS = 1.0

Handler = Callable[..., Any]
_log = log.get("control")


class ControlServer:
    """Serves named operations to those who have a role for them.

    Args:
        home: its socket; a stale one is replaced (the caller holds the daemon's lock).
        operations: name to function; it gets the actor and the request's arguments by name, returns msgpack values.
        judge: raises where the actor may not do the operation.
        refused: told of each one that was refused for want of a role, once that is answered: who, the operation and its
            arguments as they were asked for. It never fails.
    """

    def __init__(
        self,
        home: Home,
        operations: Mapping[str, Handler],
        judge: Callable[[Actor, str], None] = permits.check,
        refused: Callable[[Actor, object, object], None] = lambda actor, op, args: None,
    ) -> None:
        self._home = home
        self._path = home.socket
        self._operations = operations
        self._judge = judge
        self._refused = refused
        self._slots = threading.BoundedSemaphore(MAX_CLIENTS)
        self._strangers = threading.BoundedSemaphore(MAX_STRANGERS)
        self._stopping = False
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~SOCKET_MODE)
        try:
            with messages.address(self._path) as address:
                self._listener.bind(address)
        finally:
            os.umask(before)
        self._listener.listen(MAX_CLIENTS)
        self._lock = threading.Lock()
        self._waiting = 0
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        """Begins to answer."""
        with self._lock:
            for _ in range(WAITING):
                self._begin()

    def stop(self) -> None:
        """Answers no new connection and removes the socket."""
        self._stopping = True
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            waiting = set(self._threads)
        for thread in waiting:
            thread.join(timeout=5)

    def _begin(self) -> None:
        """One more thread that waits; under the lock."""
        thread = threading.Thread(target=self._wait, name="control", daemon=True)
        self._waiting += 1
        self._threads.add(thread)
        thread.start()

    def _wait(self) -> None:
        """Takes connections, one at a time, as long as it is needed for that."""
        thread = threading.current_thread()
        while (connection := self._accept()) is not None:
            with self._lock:
                self._waiting -= 1
                self._threads.discard(thread)  # a stop waits for nobody who is being served
                if self._waiting == 0:
                    self._begin()
            self._take(connection)
            with self._lock:
                if self._waiting >= WAITING:
                    return
                self._waiting += 1
                self._threads.add(thread)

    def _accept(self) -> socket.socket | None:
        while not self._stopping:
            try:
                return self._listener.accept()[0]
            except OSError:
                if not self._stopping:
                    _log.error("accept failed")
                    threading.Event().wait(0.1)  # out of descriptors: do not spin
        return None

    def _take(self, connection: socket.socket) -> None:
        peer, who, refusal = self._judge_peer(connection)
        room = self._slots if refusal is None else self._strangers
        if not room.acquire(blocking=False):
            connection.close()
            _log.warning("connection refused", reason="too many clients")
            return
        try:
            with connection:
                if refusal is not None or peer is None:
                    self._turn_away(connection, who, refusal or LictlError(""))
                else:
                    self._serve(connection, peer)
        except (OSError, messages.BadMessageError) as error:
            _log.debug("connection ended", reason=type(error).__name__)
        finally:
            room.release()

    def _judge_peer(self, connection: socket.socket) -> tuple[Peer | None, Actor | None, LictlError | None]:
        """Who it is as far as that can be told, and the refusal where that person may do nothing at all."""
        peer = who = None
        try:
            peer = peer_of(connection)
            who = actor(self._home, peer)
            if who.roles or who.owner:
                return peer, who, None
            refusal: LictlError = RefusedError(
                f"{who.name} (uid {who.uid}) has no role at this site.",
                "Ask the owner of the home for `lictl role grant`.",
            )
        except LictlError as error:
            refusal = error
        except OSError as error:
            refusal = LictlError(f"who asks cannot be told: {error.strerror}.")
        _log.warning("connection refused", reason=type(refusal).__name__, uid=peer.uid if peer else None)
        return peer, who, refusal

    def _turn_away(self, connection: socket.socket, who: Actor | None, refusal: LictlError) -> None:
        # Read first: whoever is still writing when we close would see a broken pipe, not the reason.
        request = messages.receive(connection, REFUSAL_SECONDS, messages.MAX_REQUEST)
        try:
            messages.send(connection, _failure(refusal), messages.MAX_REPLY)
        finally:  # also who hangs up before the answer was refused
            if who is not None and isinstance(request, dict):
                self._refused(who, request.get("op"), request.get("args"))

    def _serve(self, connection: socket.socket, peer: Peer) -> None:
        while (request := messages.receive(connection, REQUEST_SECONDS, messages.MAX_REQUEST)) is not None:
            connection.settimeout(REQUEST_SECONDS)
            answer, refused = self._answer(request, peer)
            try:
                messages.send(connection, answer, messages.MAX_REPLY)
            finally:
                if refused is not None:
                    self._refused(refused, request["op"], request.get("args"))

    def _answer(self, request: Any, peer: Peer) -> tuple[dict[str, Any], Actor | None]:
        """The reply, and who it was where the operation was refused for want of a role."""
        try:
            if not (isinstance(request, dict) and isinstance(request.get("op"), str)):
                raise UsageError("a request is a map with `op` and `args`.")
            args = request.get("args", {})
            if not (isinstance(args, dict) and all(isinstance(name, str) for name in args)):
                raise UsageError("`args` is a map with text keys.")
            handler = self._operations.get(request["op"])
            if handler is None:
                raise UsageError("the daemon does not know this operation.", "Use the lictl of the daemon's version.")
            who = actor(self._home, peer)  # a role that was withdrawn meanwhile counts no more
            try:
                self._judge(who, request["op"])
            except RefusedError as error:
                return _failure(error), who
            try:
                return {"ok": handler(who, **args)}, None
            except TypeError as error:
                # Wrong arguments are the caller's; a TypeError from further down is ours.
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    raise UsageError("the operation does not take these arguments.") from None
                raise
        except LictlError as error:
            return _failure(error), None
        except Exception as error:
            _log.error("operation failed", op=str(request.get("op")), error=type(error).__name__, **log.place(error))
            return _failure(
                LictlError(f"a defect of the daemon ({type(error).__name__}).", "Its log says where.")
            ), None


def _failure(error: LictlError) -> dict[str, Any]:
    return {"error": {"what": error.what, "fix": error.fix, "code": error.exit_code}}
