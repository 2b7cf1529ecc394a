# SPDX-License-Identifier: Apache-2.0
"""The delivery worker: one process an agency, without any capability, that sends what the spools hold.

Started by `supervisor.AgencyWorker` as ``python -m lictl.delivery.worker AGENCY``. Standard input carries msgpack:
first a WorkerConfig, then updates; an integer is the number of a stream that has new blocks, nil means all of them.
Standard output carries status reports. When standard input ends the daemon is gone: the worker goes on until
everything is acknowledged, or until a new worker asks for its place.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from lictl.delivery.config import LinkState, StreamConfig, Transport, WorkerConfig
from lictl.delivery.filing import Filing
from lictl.delivery.links import make_link
from lictl.delivery.lock import successor_waits, take_over
from lictl.delivery.privilege import Folders, drop_privileges, hide_memory
from lictl.delivery.route import Route, make_route
from lictl.errors import LictlError
from lictl.portable import raise_file_limit

if TYPE_CHECKING:
    from lictl.delivery.link import Link

_TICK_S = 0.05
_FINE_TICK_S = 0.005
"""Under a ceiling: what it holds back leaves in small parts."""
_REPORT_S = 0.25
_STDIN, _STDOUT = 0, 1


class Worker:
    """The loop of one worker process; its current folder is the agency's."""

    def __init__(self, config: WorkerConfig, route: Route, messages: msgpack.Unpacker) -> None:
        self._route = route
        self._messages = messages
        self._selector = route.selector
        self._tick_s = _FINE_TICK_S if route.ceiling.limited else _TICK_S
        self._links: dict[int, Link] = {}
        self._absent: dict[int, StreamConfig] = {}
        self._orphan = False
        self._running = True
        self._reported: dict[int, LinkState] = {}
        self._unsent = b""
        for number, stream in config.streams.items():
            self._add(number, stream)

    def run(self) -> None:
        """Works until told to stop, or, without a daemon, until nothing is left to do."""
        os.set_blocking(_STDIN, False)
        os.set_blocking(_STDOUT, False)
        self._selector.register(_STDIN, selectors.EVENT_READ, None)
        self._handle_messages()
        next_tick = next_report = 0.0
        while self._running:
            for key, mask in self._selector.select(max(next_tick - time.monotonic(), 0.0)):
                if key.data is None:
                    self._read_stdin()
                else:
                    key.data.event(mask)
            now = time.monotonic()
            if now < next_tick:
                continue
            next_tick = now + self._tick_s
            for link in self._links.values():
                link.tick(now)
            if self._orphan and (successor_waits() or all(link.drained for link in self._links.values())):
                return
            if now >= next_report:
                next_report = now + _REPORT_S
                for number, stream in list(self._absent.items()):
                    self._add(number, stream)
                self._report()

    def close(self) -> None:
        """Closes every connection."""
        for link in self._links.values():
            link.close()

    def _add(self, number: int, stream: StreamConfig) -> None:
        """Begins to deliver a stream; one whose spool cannot be opened is tried again with each report."""
        self._absent.pop(number, None)
        try:
            self._links[number] = make_link(stream, self._route)
        except (OSError, LictlError):
            self._absent[number] = stream

    # ---- from the daemon

    def _read_stdin(self) -> None:
        try:
            data = os.read(_STDIN, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(_STDIN)
            self._orphan = True
            for link in self._links.values():
                link.orphaned()
            return
        self._messages.feed(data)
        self._handle_messages()

    def _handle_messages(self) -> None:
        woken: set[int] = set()
        for message in self._messages:
            if message is None:
                woken.update(self._links)
            elif isinstance(message, int):
                woken.add(message)
            else:
                self._update(message)
        for number in woken:
            if number in self._links:
                self._links[number].wake()

    def _update(self, message: dict[str, Any]) -> None:
        if message["op"] == "stream":
            self._add(message["number"], StreamConfig(**message["stream"]))
        elif message["op"] == "close":
            self._absent.pop(message["number"], None)
            link = self._links.pop(message["number"], None)
            self._reported.pop(message["number"], None)
            if link is not None:
                link.close()
        elif message["op"] == "stop":
            self._running = False

    # ---- to the daemon

    def _report(self) -> None:
        """Writes what changed; a report that the pipe does not take at once is finished before the next one."""
        if self._orphan:
            return
        if not self._unsent:
            changed = {}
            states = {number: link.state() for number, link in self._links.items()}
            for number, stream in self._absent.items():
                states[number] = LinkState(stream.name, error="its spool cannot be opened")
            for number, state in states.items():
                if state != self._reported.get(number):
                    self._reported[number] = state
                    changed[number] = asdict(state)
            if not changed:
                return
            self._unsent = msgpack.packb({"streams": changed})
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._unsent = self._unsent[os.write(_STDOUT, self._unsent) :]


def _first_message(messages: msgpack.Unpacker) -> dict[str, Any] | None:
    while data := os.read(_STDIN, 1 << 16):
        messages.feed(data)
        for message in messages:
            return dict(message)
    return None


def _enter(config: WorkerConfig) -> None:
    """Goes to the agency's folder and gives up every right; from then on nothing else of the machine's data is open."""
    os.umask(0o077)
    os.chdir(config.folder)
    transport = config.transport
    folders = Folders([Path(), *([Path(Filing.of(transport.files).folder)] if transport.kind == "files" else [])])
    if config.uid is not None:
        gid = config.uid if config.gid is None else config.gid
        os.chown(".", config.uid, gid)
        drop_privileges(config.uid, gid)
    folders.confine()


def main() -> int:
    """Entry point of the process; returns its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    messages = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=256 << 20)
    try:
        hide_memory()  # the message brings keys
        first = _first_message(messages)
        if first is None:
            return 0
        config = WorkerConfig.from_plain(first)
        raise_file_limit()
        _load_resolver()
        route = make_route(config, selectors.DefaultSelector())
        _enter(config)
        lock = take_over()
        worker = Worker(replace(config, transport=Transport()), route, messages)
    except LictlError as error:
        sys.stderr.write(f"delivery worker: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"delivery worker: the spool cannot be used: {error.strerror}\n")
        return 6
    try:
        worker.run()
    finally:
        worker.close()
        os.close(lock)
    return 0


def _load_resolver() -> None:
    """Loads what name resolution needs while every folder can still be read."""
    with contextlib.suppress(OSError):
        # One address: of several, the C library asks the kernel for all interfaces first, to sort them.
        socket.getaddrinfo("localhost", 1, socket.AF_INET, socket.SOCK_STREAM)


if __name__ == "__main__":
    sys.exit(main())
