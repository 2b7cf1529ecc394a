# SPDX-License-Identifier: Apache-2.0
"""One connection to an agency: a TCP socket, in TLS where the agency has it, that never blocks.

It knows how many of the octets given to it the other end's TCP has acknowledged (SIOCOUTQ, tcp(7)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import socket
import ssl
import struct
import termios
from collections import deque
from typing import TYPE_CHECKING

from lictl.delivery.resolve import tune
from lictl.delivery.tls import TlsError, explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.resolve import Address
    from lictl.delivery.route import Route

_BUFFERS = 256
_RECORDS = 1 << 18
_READ = 1 << 16


class Channel:
    """One connection. All methods are called from the worker's one loop.

    Args:
        route: of the agency.
        address: to connect to.
        host: that the certificate has to name.
        ready: is called with the selector's mask when the socket is ready.

    Attributes:
        established: connected, and in TLS greeted.
        queued: octets that were put and not handed to the kernel.
        throttled: the ceiling holds back what is queued.
        peer_until: end of the peer certificate's validity, seconds since 1970; 0: no TLS.
    """

    def __init__(self, route: Route, address: Address, host: str, ready: Callable[[int], None]) -> None:
        family, place = address
        self.established = self.throttled = False
        self.queued = 0
        self.peer_until = 0
        self._route = route
        self._host = host
        self._ready = ready
        self._mask = 0
        self._connected = False
        self._queue: deque[memoryview] = deque()
        self._handed = 0  # octets that the kernel has taken
        self._wire: deque[memoryview] = deque()  # in TLS: records on their way to the kernel
        self._ends: deque[tuple[int, int]] = deque()  # in TLS: octets on the wire, and of the content, behind a record
        self._encrypted = self._plain = self._plain_acknowledged = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if route.tls is not None:
            self._tls = route.tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        tune(self.sock, route.options)
        with contextlib.suppress(BlockingIOError):
            self.sock.connect(place)
        self.want(selectors.EVENT_WRITE)

    def event(self, mask: int) -> None:
        """What the loop calls."""
        self._ready(mask)

    def advance(self) -> bool:
        """Goes on with connecting; true once the channel is established.

        Raises:
            OSError: there is no connection.
            TlsError: there is no secure one.
        """
        if not self._connected:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self._connected = True
        if self._tls is None:
            self.established = True
        else:
            self._shake_hands(self._tls)
        if not self.established:
            self.want(selectors.EVENT_READ | (selectors.EVENT_WRITE if self._wire else 0))
        return self.established

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        self._take_in()
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._hand_over()  # the alert that says why
            raise explain(error, self._host) from None
        else:
            self.established = True
            certificate = tls.getpeercert() or {}
            self.peer_until = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        self._hand_over()

    # ---- sending

    def put(self, data: bytes | memoryview) -> None:
        """Octets to send, in order; the memory must stay as it is."""
        if data:
            self._queue.append(memoryview(data))
            self.queued += len(data)

    def flush(self) -> bool:
        """Hands over what the kernel takes and the ceiling allows; true when nothing is left.

        Raises:
            OSError, TlsError: the connection is gone.
        """
        self.throttled = False
        if self._tls is None:
            done = self._flush_plain()
        else:
            try:
                done = self._flush_tls(self._tls)
            except OSError:
                self._hear_alert(self._tls)
                raise
        waits = not done and not self.throttled
        self.want(selectors.EVENT_READ | selectors.EVENT_WRITE if waits else selectors.EVENT_READ)
        return done

    def _flush_plain(self) -> bool:
        ceiling = self._route.ceiling
        while self._queue:
            room = ceiling.room()
            if room <= 0:
                self.throttled = True
                return False
            buffers = [self._queue[i] for i in range(min(len(self._queue), _BUFFERS))]
            if ceiling.limited:
                buffers = _within(buffers, room)
            try:
                n = self.sock.sendmsg(buffers)
            except BlockingIOError:
                return False
            ceiling.spend(n)
            self._handed += n
            self.queued -= n
            _advance(self._queue, n)
        return True

    def _flush_tls(self, tls: ssl.SSLObject) -> bool:
        ceiling = self._route.ceiling
        while self._hand_over():
            if not self._queue:
                return True
            room = ceiling.room()
            if room <= 0:
                self.throttled = True
                return False
            room = min(room, _RECORDS)
            while self._queue and room > 0:
                piece = self._queue[0][:room]
                tls.write(piece)
                _advance(self._queue, len(piece))
                ceiling.spend(len(piece))
                room -= len(piece)
                self.queued -= len(piece)
                self._plain += len(piece)
            self._collect()
            self._ends.append((self._encrypted, self._plain))
        return False

    def _collect(self) -> None:
        """Takes what TLS wants to send."""
        data = self._outgoing.read()
        if data:
            self._wire.append(memoryview(data))
            self._encrypted += len(data)

    def _hand_over(self) -> bool:
        """TLS records to the kernel; true when none is left."""
        self._collect()
        while self._wire:
            try:
                n = self.sock.send(self._wire[0])
            except BlockingIOError:
                return False
            self._handed += n
            _advance(self._wire, n)
        return True

    def acknowledged(self) -> int:
        """How many of the octets put here the other end's TCP has acknowledged."""
        waiting = fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        through = self._handed - int(struct.unpack("i", waiting)[0])
        if self._tls is None:
            return through
        while self._ends and self._ends[0][0] <= through:
            self._plain_acknowledged = self._ends.popleft()[1]
        return self._plain_acknowledged

    # ---- receiving

    def receive_into(self, space: memoryview) -> int:
        """Puts what came into `space`; -1: nothing yet, 0: the other end has closed.

        Raises:
            OSError, TlsError: the connection is gone.
        """
        if self._tls is None:
            try:
                return self.sock.recv_into(space)
            except BlockingIOError:
                return -1
        # What is there is read first: an agency that sends faster than is read fills the kernel's buffers, never ours.
        ended = not (self.holds_more or self._take_in())
        try:
            n = self._tls.read(len(space), space)
        except ssl.SSLWantReadError:
            self._hand_over()
            return 0 if ended else -1
        except ssl.SSLZeroReturnError:
            return 0
        except ssl.SSLError as error:
            raise explain(error, self._host) from None
        return int(n)

    @property
    def holds_more(self) -> bool:
        """TLS has octets that were not read, of which the socket does not tell."""
        return self._tls is not None and (self._tls.pending() > 0 or self._incoming.pending > 0)

    def _hear_alert(self, tls: ssl.SSLObject) -> None:
        """Of a connection that broke while sending: raises what the agency said before, which tells more than a reset.

        In TLS 1.3 an agency refuses our certificate behind the handshake, when content is on its way already.
        """
        with contextlib.suppress(OSError):
            while data := self.sock.recv(_READ):
                self._incoming.write(data)
        try:
            while tls.read(_READ):
                pass
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            return
        except ssl.SSLError as error:
            raise explain(error, self._host) from None

    def _take_in(self) -> bool:
        """Gives TLS what the socket has; false when the other end has closed."""
        try:
            data = self.sock.recv(_READ)
        except BlockingIOError:
            return True
        if data:
            self._incoming.write(data)
            return True
        self._incoming.write_eof()
        if not self.established:
            raise TlsError("The agency closed the connection during the TLS handshake.", "See its receiver's log.")
        return False

    # ---- end

    def want(self, mask: int) -> None:
        """What the loop watches for."""
        selector = self._route.selector
        if mask == self._mask:
            return
        if not self._mask:
            selector.register(self.sock, mask, self)
        elif mask:
            selector.modify(self.sock, mask, self)
        else:
            selector.unregister(self.sock)
        self._mask = mask

    def close(self) -> None:
        """Closes it; in TLS says so first (close_notify) where the kernel takes it."""
        self.want(0)
        if self._tls is not None and self.established:
            with contextlib.suppress(OSError):
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                self._hand_over()
        self.sock.close()


def _within(buffers: list[memoryview], room: int) -> list[memoryview]:
    found = []
    for each in buffers:
        found.append(each[:room])
        room -= len(each)
        if room <= 0:
            break
    return found


def _advance(queue: deque[memoryview], n: int) -> None:
    """Takes `n` octets off the front."""
    while n:
        first = queue[0]
        if n < len(first):
            queue[0] = first[n:]
            return
        n -= len(first)
        queue.popleft()
