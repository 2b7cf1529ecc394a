# SPDX-License-Identifier: Apache-2.0
"""The sample agency: takes deliveries from many senders, keeps standard files, judges what it got."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lictl.collection.committer import Committer
from lictl.collection.connection import Connection, PeerError
from lictl.collection.datagrams import DEFECT, DatagramPort
from lictl.collection.evidence_store import EvidenceStore
from lictl.collection.listening import Address, Listen, open_tcp, open_udp
from lictl.collection.store import StreamFile, StreamStore
from lictl.collection.stranger import speaker_for
from lictl.collection.verdict import Verdict, judge
from lictl.errors import MachineError, UnavailableError
from lictl.portable import CLOSE_ON_EXEC, lock, raise_file_limit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lictl.collection.evidence import Evidence
    from lictl.collection.integrity import Verifier

    Received = StreamFile | Evidence
    Failure = OSError | ValueError

LOCK_FILE = ".receiver.lock"
_TICK_S = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """What senders may take of this machine.

    Attributes:
        connections: open at once.
        streams: files.
        memory: bytes of all receive buffers together.
        books: bytes of the books of all PDUs' LIIDs together, see EvidenceStore.
        hello_s: seconds after its beginning by which a connection must have said who it is, TLS included.
        silence_s: seconds without a byte after which a connection is closed.
        idle_s: the same for formats in which a sender may say nothing for long.
    """

    connections: int = 8192
    streams: int = 8192
    memory: int = 2 << 30
    books: int = 1 << 30
    hello_s: float = 10.0
    silence_s: float = 120.0
    idle_s: float = 7200.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Sums for a live line: open connections, streams, and what all streams have so far."""

    connections: int
    streams: int
    records: int
    lost: int
    gaps: int
    duplicates: int
    bytes: int
    unopened: int


class Receiver:
    """Listens, receives, verifies, acknowledges.

    Args:
        listen: address and port, port 0 takes a free one; or several ports, each with its format.
        folder: where the files go; made with mode 0700; one receiver at a time.
        durable: acknowledge only what is on disk (fsync). False is for benchmarks.
        on_progress: called twice a second while `run` works.
        limits: see Limits.
        udp: ports for datagrams.
        tls: of all TCP ports; None: they are plain.
        verifier: of integrity PDUs.
        payload_keys: of sealed payloads; none: these are kept closed.

    Raises:
        UnavailableError: the address cannot be listened on, or another receiver has the folder.
        MachineError: the folder cannot be used.
        IntegrityError: a stream's state in the folder is damaged.
    """

    def __init__(
        self,
        listen: Address | list[Listen],
        folder: Path,
        *,
        durable: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
        limits: Limits | None = None,
        udp: Sequence[Listen] = (),
        tls: ssl.SSLContext | None = None,
        verifier: Verifier | None = None,
        payload_keys: tuple[bytes, ...] = (),
    ) -> None:
        self.folder = folder
        self.payload_keys = payload_keys
        self.limits = limits or Limits()
        self.refused: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.memory = 0
        self._on_progress = on_progress
        self._tls = tls
        self._listeners: list[tuple[socket.socket, str]] = []
        self._datagrams: list[DatagramPort] = []
        self._resources = contextlib.ExitStack()
        with contextlib.ExitStack() as opened:
            raise_file_limit()
            self._lock_folder(opened)
            self.store = StreamStore(folder, self.limits.streams)
            opened.callback(self.store.close)
            self.evidence = EvidenceStore(folder, self.limits.streams, verifier, self.limits.books)
            opened.callback(self.evidence.close)
            self._open_ports(opened, _ports(listen), udp)
            self._resources = opened.pop_all()
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._peers: set[Connection] = set()
        self._feeders: dict[int, set[Connection]] = {}
        self._committed: deque[tuple[Received, Failure | None]] = deque()
        self.committer = Committer(self.lock, durable=durable, done=self._on_committed)
        self._stopping = False
        self._thread: threading.Thread | None = None

    def _open_ports(self, opened: contextlib.ExitStack, tcp: Sequence[Listen], udp: Sequence[Listen]) -> None:
        for listen in tcp:
            listener = open_tcp(listen.address)
            opened.callback(listener.close)
            self._listeners.append((listener, listen.format))
        for listen in udp:
            sock = open_udp(listen.address)
            opened.callback(sock.close)
            self._datagrams.append(DatagramPort(sock, self, listen.format))

    def _lock_folder(self, opened: contextlib.ExitStack) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)
            opened.callback(os.close, fd)
            lock(fd)
        except BlockingIOError:
            raise UnavailableError(f"Another receiver uses {self.folder}.", "Choose another folder.") from None
        except OSError as error:
            what = f"The folder {self.folder} cannot be used: {error.strerror}."
            raise MachineError(what, "Name one that you can write to.") from None

    # ---- life

    @property
    def address(self) -> tuple[str, int]:
        """Address and port of the first TCP port, of the first UDP port where there is none."""
        return self.addresses[0]

    @property
    def addresses(self) -> list[Address]:
        """Of all ports: TCP, then UDP."""
        socks = [listener for listener, _ in self._listeners] + [port.sock for port in self._datagrams]
        return [(str(name[0]), int(name[1])) for name in (sock.getsockname() for sock in socks)]

    def start(self) -> Receiver:
        """Runs in a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self.run, name="receiver", daemon=True)
        self._thread.start()
        return self

    def run(self) -> None:
        """Receives until `stop` is called, from a signal handler or another thread."""
        for listener, format_ in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener, format_))
        for port in self._datagrams:
            self._selector.register(port.sock, selectors.EVENT_READ, port.ready)
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._acknowledge)
        next_tick = 0.0
        while not self._stopping:
            for key, mask in self._selector.select(_TICK_S):
                if isinstance(key.data, Connection):
                    self._serve(key.data, mask)
                else:
                    key.data()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK_S
                self._tick()

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    def close(self) -> None:
        """Stops, commits what was received, and closes everything."""
        self.stop()
        if self._thread is not None:
            # no bound: a turn of the loop takes a bounded number of reads, and its files are not closed under it.
            self._thread.join()
        self.committer.stop()
        for peer in list(self._peers):
            self._drop(peer, "")
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
        self._resources.close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- judging

    def progress(self) -> Progress:
        """What was received so far."""
        with self.lock:
            accounts = [file.account for file in self.store.files.values()]
            books = [file.books for file in self.evidence.files.values()]
            return Progress(
                len(self._peers),
                len(accounts) + len(books),
                sum(account.records for account in accounts) + sum(book.pdus for book in books),
                sum(account.lost for account in accounts) + sum(book.lost for book in books),
                sum(account.gaps for account in accounts) + sum(book.gaps for book in books),
                sum(account.duplicates for account in accounts) + sum(book.duplicates for book in books),
                sum(account.size for account in accounts) + sum(book.sizes.get("", 0) for book in books),
                sum(book.unopened for book in books),
            )

    def verdict(self) -> Verdict:
        """Judges every stream; reads every file for its digest. Not after `close`."""
        streams, evidence = list(self.store.files.values()), list(self.evidence.files.values())
        return judge(streams, evidence, dict(self.refused), self.lock)

    def write_verdict(self) -> Verdict:
        """Judges and writes ``verdict.json`` into the folder."""
        verdict = self.verdict()
        verdict.write(self.folder)
        return verdict

    # ---- the loop

    def _accept(self, listener: socket.socket, format_: str) -> None:
        for _ in range(64):
            try:
                sock, _address = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # out of descriptors: those who wait are served when others leave
                self.refused["no descriptor left"] += 1
                return
            if len(self._peers) >= self.limits.connections:
                self.refused["too many connections"] += 1
                sock.close()
                continue
            try:
                peer = Connection(sock, self, self._tls)
                peer.speaker = speaker_for(peer, format_, int(listener.getsockname()[1]))
            except OSError:  # it is gone again
                sock.close()
                continue
            self._peers.add(peer)
            self._selector.register(peer.sock, selectors.EVENT_READ, peer)

    def _serve(self, peer: Connection, mask: int) -> None:
        if peer not in self._peers:  # another connection of the same stream took its place
            return
        try:
            peer.ready(mask)
        except PeerError as error:
            self._drop(peer, error.reason)
            return
        except Exception as error:  # a defect that one sender has found is no other sender's
            self._drop(peer, f"{DEFECT}{type(error).__name__}")
            return
        if peer.closed:
            self._drop(peer, "")
        else:
            self._watch(peer)

    def _watch(self, peer: Connection) -> None:
        self._selector.modify(peer.sock, peer.wanted, peer)

    def own(self, peer: Connection, file: StreamFile) -> None:
        """The newest connection of a stream is the one that counts: an older one hangs half open."""
        for older in self._feeders.get(id(file), set()) - {peer}:
            self._drop(older, "")
        self.feed(peer, file)

    def feed(self, peer: Connection, file: Received) -> None:
        """A connection puts something in a file: it wants to know when that is on disk."""
        peer.files.add(file)
        self._feeders.setdefault(id(file), set()).add(peer)

    def _drop(self, peer: Connection, reason: str) -> None:
        if reason:
            self.refused[reason] += 1
        if peer in self._peers:
            self._peers.discard(peer)
            self.memory -= peer.memory
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(peer.sock)
        for file in peer.files:
            self._feeders.get(id(file), set()).discard(peer)
        peer.files.clear()
        peer.close()

    def _on_committed(self, file: Received, error: Failure | None) -> None:
        self._committed.append((file, error))
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    def _acknowledge(self) -> None:
        """Runs in the loop after a commit."""
        with contextlib.suppress(BlockingIOError):
            self._wake_in.recv(4096)
        while self._committed:
            file, error = self._committed.popleft()
            for peer in list(self._feeders.get(id(file), ())):
                if error is not None:
                    self._drop(peer, "disk error" if isinstance(error, OSError) else "books are full")
                    continue
                try:
                    peer.speaker.committed(file)
                except PeerError as failed:
                    self._drop(peer, failed.reason)
                else:
                    self._watch(peer)

    def _tick(self) -> None:
        now = time.monotonic()
        for peer in list(self._peers):
            if why := peer.overdue(now):
                self._drop(peer, why)
        if self._on_progress is not None:
            self._on_progress(self.progress())


def _ports(listen: Address | list[Listen]) -> list[Listen]:
    return [Listen(listen)] if isinstance(listen, tuple) else listen
