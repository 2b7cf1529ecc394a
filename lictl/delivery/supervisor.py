# SPDX-License-Identifier: Apache-2.0
"""The daemon's side of a delivery worker: starts it, wakes it, hears how it is, starts it again when it died."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack

import lictl
from lictl.delivery.config import AgencyLike, LinkState, StreamConfig, Transport, WorkerConfig, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

_RESTART_MIN_S = 0.1
_RESTART_MAX_S = 5.0
_STEADY_S = 10.0
_LONGEST_REPORT = 64 << 20
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ")
_KEPT_PREFIX = "LICTL_"


@dataclass(frozen=True, slots=True)
class WorkerState:
    """How an agency's worker is.

    Attributes:
        agency: its name.
        pid: of the process, 0 while there is none.
        restarts: how often it died and was started again.
        streams: by name of the stream; as of the worker's last report.
    """

    agency: str
    pid: int
    restarts: int
    streams: dict[str, LinkState]


class AgencyWorker:
    """One agency's worker process.

    Args:
        agency: name, host and port.
        folder: the agency's folder in the spool; each stream's spool is the folder below it with the stream's name.
        streams: what to deliver; the spools must exist (Spool.open) before the worker is told of them.
        uid: the user that the process becomes; None: it stays who it is (tests).
        gid: the group that it becomes.
        options: see WorkerOptions.
        transport: see Transport; None: lictl's own protocol without TLS.
    """

    def __init__(
        self,
        agency: AgencyLike,
        folder: Path,
        streams: Iterable[StreamConfig] = (),
        *,
        uid: int | None = None,
        gid: int | None = None,
        options: WorkerOptions | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._name = agency.name
        self._config = WorkerConfig(
            agency.name, str(folder.absolute()), agency.host, agency.port, uid, gid, {}, options or WorkerOptions(),
            transport or Transport(),
        )  # fmt: skip
        self._streams = dict(enumerate(streams))
        self._numbers = {stream.name: number for number, stream in self._streams.items()}
        self._next_number = len(self._streams)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unsent = bytearray()
        self._states: dict[str, LinkState] = {}
        self._restarts = 0
        self._renewed = False
        self._stopping = threading.Event()
        self._monitor: threading.Thread | None = None

    # ---- life

    def start(self) -> None:
        """Starts the process and watches it from now on."""
        with self._lock:
            self._spawn()
        self._monitor = threading.Thread(target=self._watch, name=f"worker-{self._name}", daemon=True)
        self._monitor.start()

    def stop(self, *, drain: bool = False, timeout_s: float = 5.0) -> None:
        """Ends the worker at once, or with `drain` leaves it alone until the agency has everything."""
        self._stopping.set()
        with self._lock:
            process = self._process
            if process is not None and process.stdin is not None:
                if not drain:
                    self._send(msgpack.packb({"op": "stop"}))
                with contextlib.suppress(OSError):
                    process.stdin.close()
        if process is not None and not drain:
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):  # held by a disk that does not answer: left to it
                    process.wait(timeout_s)
        if self._monitor is not None and not drain:
            self._monitor.join(timeout_s)

    def renew(self, transport: Transport, timeout_s: float = 5.0) -> None:
        """Reaches the agency by another transport: the process ends, and the next one goes on behind what is confirmed.

        A process that has given up its rights cannot take keys up again, so it is replaced and not told.
        """
        with self._lock:
            self._config = replace(self._config, transport=transport)
            self._renewed = True
            process = self._process
            self._send(msgpack.packb({"op": "stop"}))
        if process is not None:
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()

    def _spawn(self) -> None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT_ENVIRONMENT or name.startswith(_KEPT_PREFIX)
        }
        environment["PYTHONPATH"] = str(Path(lictl.__file__).parent.parent)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lictl.delivery.worker", self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=environment,
            cwd="/",
        )
        if process.stdin is None:
            raise AssertionError("a pipe was asked for")
        os.set_blocking(process.stdin.fileno(), False)
        self._process = process
        self._unsent.clear()
        self._send(msgpack.packb(replace(self._config, streams=self._streams).to_plain()))

    def _watch(self) -> None:
        wait = _RESTART_MIN_S
        while (process := self._process) is not None:
            began = time.monotonic()
            try:
                self._hear(process)
            except Exception:  # what talks to an agency and makes no sense is ended, and harms nobody else
                process.kill()
            process.wait()  # no bound: this thread is there for the one process
            if time.monotonic() - began > _STEADY_S:
                wait = _RESTART_MIN_S
            if self._stopping.wait(wait):
                return
            wait = min(wait * 2, _RESTART_MAX_S)
            with self._lock:
                if self._stopping.is_set():
                    return
                error = "" if self._renewed else "the delivery process died"
                for name, state in self._states.items():
                    self._states[name] = replace(state, phase="waiting", error=error)
                self._restarts += not self._renewed
                self._renewed = False
                self._spawn()

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        """Takes reports until the process ends; fails at what is none."""
        if process.stdout is None:
            return
        reports = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=_LONGEST_REPORT)
        with process.stdout:
            while data := os.read(process.stdout.fileno(), 1 << 16):
                reports.feed(data)
                for report in reports:
                    self._take([LinkState.from_plain(plain) for plain in report["streams"].values()])

    def _take(self, states: list[LinkState]) -> None:
        with self._lock:
            for state in states:
                if state.name in self._numbers:
                    self._states[state.name] = state
            self._send(b"")

    # ---- talking

    def wake(self, stream: str | None = None) -> None:
        """Says that a stream has new blocks (None: any of them). Costs one small write and never blocks."""
        with self._lock:
            number = None if stream is None else self._numbers.get(stream)
            if self._unsent:
                self._send(b"")
            if not self._unsent:  # a worker whose pipe is full has wake-ups waiting already
                self._send(msgpack.packb(number), optional=True)

    def add_stream(self, stream: StreamConfig) -> None:
        """Begins to deliver another stream; its spool must exist."""
        with self._lock:
            if stream.name in self._numbers:
                return
            number = self._next_number
            self._next_number += 1
            self._streams[number] = stream
            self._numbers[stream.name] = number
            self._send(msgpack.packb({"op": "stream", "number": number, "stream": asdict(stream)}))

    def remove_stream(self, stream: str) -> None:
        """Ends the delivery of a stream, for one that is over and acknowledged, or before its spool is removed."""
        with self._lock:
            number = self._numbers.pop(stream, None)
            if number is not None:
                self._states.pop(stream, None)
                del self._streams[number]
                self._send(msgpack.packb({"op": "close", "number": number}))

    def state(self) -> WorkerState:
        """How the worker is, as far as it has said so."""
        with self._lock:
            alive = self._process is not None and self._process.poll() is None
            pid = self._process.pid if alive and self._process is not None else 0
            return WorkerState(self._name, pid, self._restarts, dict(self._states))

    def _send(self, data: bytes, *, optional: bool = False) -> None:
        """Writes to the pipe; what it does not take waits, unless it is optional and nothing of it went out."""
        process = self._process
        if process is None or process.stdin is None or process.stdin.closed:
            return
        self._unsent += data
        try:
            while self._unsent:
                sent = os.write(process.stdin.fileno(), self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            if optional and len(self._unsent) == len(data):
                self._unsent.clear()
        except OSError:  # it died; the monitor starts another one, which gets the whole configuration
            self._unsent.clear()
