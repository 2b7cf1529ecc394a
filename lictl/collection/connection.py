# SPDX-License-Identifier: Apache-2.0
"""One sender's connection: octets in and out, TLS, limits; what they mean is its speaker's business."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from typing import TYPE_CHECKING, Protocol

from lictl.collection.evidence_store import NoRoomError
from lictl.delivery.blocks import BlockError
from lictl.delivery.wire import ProtocolError
from lictl.handover.decoded import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.collection.evidence import Evidence
    from lictl.collection.receiver import Receiver
    from lictl.collection.store import StreamFile

_MAX_UNSENT = 1 << 16
_TURN_BYTES = 4 << 20
_TURN_READS = 16


class PeerError(Exception):
    """The connection has to be closed; `reason` is a class of reasons, fit to be counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


class Speaker(Protocol):
    """Speaks one protocol on a connection."""

    known: bool
    """The sender has said who it is."""
    idle: bool
    """The sender may be silent for long."""

    @property
    def capacity(self) -> int:
        """Octets of memory that it holds."""

    def space(self) -> memoryview:
        """Where to receive into."""

    def received(self, n: int) -> None:
        """`n` octets were put at the beginning of `space()`.

        Raises:
            ProtocolError, BlockError, DecodeError, PeerError: the connection has to go.
        """

    def refusal(self, why: str) -> bytes:
        """What tells the sender why the connection ends, if the protocol has a way."""

    def turned(self, size: int) -> None:
        """So many octets came in this turn of the loop: what was taken is handed to the committer."""

    def committed(self, file: StreamFile | Evidence) -> None:
        """What it booked in a file is on disk."""


class Connection:
    """A socket with a speaker.

    Attributes:
        sock: the connection.
        speaker: who takes what comes; the first one replaces itself when it knows the protocol.
        since: time.monotonic() of the beginning.
        heard: time.monotonic() of the last octet.
        closed: the sender is done.
        memory: octets that the speaker holds, as the receiver counts them.
        files: that it has fed.
        shaken: TLS is agreed, or there is none.
    """

    def __init__(self, sock: socket.socket, receiver: Receiver, tls: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._tls: ssl.SSLSocket | None = None
        if tls is not None:
            sock = self._tls = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.sock = sock
        self.speaker: Speaker
        self.since = self.heard = time.monotonic()
        self.closed = False
        self.memory = 0
        self.files: set[StreamFile | Evidence] = set()
        self.receiver = receiver
        self.shaken = tls is None
        self._wanted = selectors.EVENT_READ
        self._unsent = b""
        self._received = 0

    @property
    def wanted(self) -> int:
        """Events to wait for."""
        if not self.shaken:
            return self._wanted
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def ready(self, mask: int) -> None:
        """Takes what the socket has.

        Raises:
            PeerError: the connection has to go.
        """
        if not self.shaken and not self._shake():
            return
        if mask & selectors.EVENT_WRITE:
            self.send(b"")
        if not mask & selectors.EVENT_READ:
            return
        self._received = 0
        try:
            self._receive_all()
        except ProtocolError as error:
            self._refuse(error.what)
            raise PeerError("protocol error", error.what) from error
        except NoRoomError as error:
            raise PeerError(error.reason, str(error)) from error
        except DecodeError as error:
            raise PeerError("protocol error", str(error)) from error
        except BlockError as error:
            self._refuse(error.what)
            raise PeerError("bad checksum", error.what) from error
        except OSError as error:
            raise PeerError("connection lost") from error
        finally:
            self.speaker.turned(self._received)

    def _shake(self) -> bool:
        if self._tls is None:
            return True
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._wanted = selectors.EVENT_READ
            return False
        except ssl.SSLWantWriteError:
            self._wanted = selectors.EVENT_WRITE
            return False
        except OSError as error:  # an SSLError is one
            raise PeerError("no TLS" if isinstance(error, ssl.SSLError) else "connection lost") from error
        self.shaken = True
        return True

    def _receive_all(self) -> None:
        for _ in range(_TURN_READS):
            if self.closed or self._received > _TURN_BYTES or not self._receive():
                break
        # What TLS has decrypted wakes no selector: it is taken now.
        while self._tls is not None and not self.closed and self._tls.pending():
            self._receive()

    def _receive(self) -> bool:
        """One read of the socket; False when there is nothing more."""
        speaker = self.speaker
        space = speaker.space()
        self.count()
        try:
            n = self.sock.recv_into(space)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        if not n:
            self.closed = True
            return False
        self.heard = time.monotonic()
        self._received += n
        speaker.received(n)
        return n == len(space) or self._tls is not None or speaker is not self.speaker

    def overdue(self, now: float) -> str:
        """Why the connection has to go at a moment of time.monotonic(), fit to be counted; "": it may stay."""
        limits = self.receiver.limits
        if not (self.speaker.known and self.shaken):  # from the beginning: octets one by one are no introduction
            return "not introduced" if now - self.since > limits.hello_s else ""
        return "silent" if now - self.heard > (limits.idle_s if self.speaker.idle else limits.silence_s) else ""

    def count(self) -> None:
        """Tells the receiver how much memory the speaker takes; PeerError where there is no more."""
        self.receiver.memory += self.speaker.capacity - self.memory
        self.memory = self.speaker.capacity
        if self.receiver.memory > self.receiver.limits.memory:
            raise PeerError("out of memory")

    def send(self, data: bytes) -> None:
        """Sends, or keeps for later what the socket does not take.

        Raises:
            PeerError: the sender does not read, or is gone.
        """
        self._unsent += data
        try:
            while self._unsent:
                self._unsent = self._unsent[self.sock.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if len(self._unsent) > _MAX_UNSENT:
                raise PeerError("does not read its acknowledgements") from None
        except OSError as error:
            raise PeerError("connection lost") from error

    def _refuse(self, why: str) -> None:
        with contextlib.suppress(PeerError):
            self.send(self.speaker.refusal(why))

    def close(self) -> None:
        """Closes the socket."""
        with contextlib.suppress(OSError):
            self.sock.close()


@contextlib.contextmanager
def disk() -> Iterator[None]:
    """An OSError in here is the disk's, not the connection's."""
    try:
        yield
    except OSError as error:
        raise PeerError("disk error") from error
