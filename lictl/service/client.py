# SPDX-License-Identifier: Apache-2.0
"""The command line's side of the control socket."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from lictl.errors import BY_EXIT_CODE, LictlError, UnavailableError
from lictl.service import messages

if TYPE_CHECKING:
    from lictl.home import Home


class NoDaemonError(UnavailableError):
    """Nobody listens on the home's control socket: nothing was asked."""


class Client:
    """Asks the daemon of a home. One connection a call."""

    def __init__(self, home: Home, timeout_s: float = 30.0) -> None:
        self._path = home.socket
        self._timeout_s = timeout_s

    @property
    def daemon_runs(self) -> bool:
        """True where a daemon answers on the socket."""
        try:
            self._connect().close()
        except NoDaemonError:
            return False
        return True

    def call(self, op: str, /, **args: Any) -> Any:
        """The daemon's result.

        Raises:
            NoDaemonError: no daemon runs.
            UnavailableError: it did not answer.
            LictlError: what the daemon refused or failed, of the class of its exit code.
        """
        with self._connect() as connection:
            try:
                messages.send(connection, {"op": op, "args": args}, messages.MAX_REQUEST)
                reply = messages.receive(connection, self._timeout_s, messages.MAX_REPLY)
            except (OSError, messages.BadMessageError) as error:
                raise UnavailableError(
                    f"the daemon did not answer: {error}.", "See its log; `lictl status` shows whether it works."
                ) from None
        if not isinstance(reply, dict) or not ("ok" in reply or "error" in reply):
            raise UnavailableError("the daemon closed the connection without an answer.", "See its log.")
        if "error" in reply:
            failure = reply["error"]
            raise BY_EXIT_CODE.get(failure["code"], LictlError)(failure["what"], failure["fix"])
        return reply["ok"]

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout_s)
        limit = time.monotonic() + self._timeout_s
        try:
            with messages.address(self._path) as address:
                while not self._taken(connection, address):
                    if time.monotonic() > limit:
                        raise UnavailableError(
                            f"the daemon at {self._path} takes no more connections.", "See its log; try again later."
                        )
                    time.sleep(0.01)
        except OSError as error:
            connection.close()
            raise NoDaemonError(
                f"no daemon answers at {self._path} ({error.strerror}).", "Start it with `lictl serve`."
            ) from None
        except UnavailableError:
            connection.close()
            raise
        return connection

    @staticmethod
    def _taken(connection: socket.socket, address: str) -> bool:
        """False where as many connections wait as the daemon lets wait: it is there, and busy (unix(7), EAGAIN)."""
        try:
            connection.connect(address)
        except BlockingIOError:
            return False
        return True
