# SPDX-License-Identifier: Apache-2.0
"""Agencies for tests: the real receiver as a process of its own, and one that misbehaves on purpose."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import bounded

import lictl
from lictl.delivery import wire
from lictl.delivery.wire import FrameParser, FrameType

_RECEIVE = """
import signal, sys
from pathlib import Path
from lictl.collection.receiver import Receiver
receiver = Receiver(("127.0.0.1", int(sys.argv[1])), Path(sys.argv[2]))
signal.signal(signal.SIGTERM, lambda *_: receiver.stop())
print(receiver.address[1], flush=True)
receiver.run()
verdict = receiver.write_verdict()
receiver.close()
sys.exit(0 if verdict.ok else 5)
"""


class ReceiverProcess:
    """The sample agency in a process that can be killed."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._folder = folder
        environment = {**os.environ, "PYTHONPATH": str(Path(lictl.__file__).parent.parent)}
        command = [sys.executable, "-c", _RECEIVE, str(port), str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        try:
            self.port = int(bounded.line(self._process.stdout))
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """As kill -9."""
        bounded.kill(self._process)
        self._close()

    def finish(self) -> int:
        """Ends in order; its exit status says whether the verdict was good."""
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(30)
        self._close()
        return status

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> ReceiverProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


class Line:
    """The connection that an agency has taken, if any."""

    sock: socket.socket | None = None

    def reset(self) -> None:
        """Closes with RST, as a machine that crashed: what was not read is gone."""
        assert self.sock is not None
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> None:
        """Closes the connection."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class Desk(Line):
    """An agency on a bare TCP socket that does only what a test says, on one connection at a time."""

    def __init__(self, receive_buffer: int | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.settimeout(30)
        self.port: int = self._listener.getsockname()[1]

    def accept(self) -> socket.socket:
        """The next connection; the one before is closed."""
        self.hang_up()
        self.sock, _ = self._listener.accept()
        self.sock.settimeout(30)
        return self.sock

    def read(self, octets: int, at_once: int = 1 << 16) -> bytes:
        """So many octets of the connection."""
        assert self.sock is not None
        data = bytearray()
        while len(data) < octets:
            piece = self.sock.recv(min(at_once, octets - len(data)))
            assert piece, "the worker closed the connection"
            data += piece
        return bytes(data)

    def send(self, data: bytes) -> None:
        """Sends raw bytes."""
        assert self.sock is not None
        self.sock.sendall(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._listener.close()


class OddAgency(Desk):
    """Speaks the protocol by hand."""

    _parser: FrameParser
    _frames: list[tuple[FrameType, bytes]]

    def accept(self) -> socket.socket:
        """The next connection, at the beginning of the protocol."""
        self._parser = FrameParser(frozenset(FrameType))
        self._frames = []
        return super().accept()

    def next(self) -> tuple[FrameType, bytes]:
        """The next frame that the worker sends."""
        assert self.sock is not None
        while not self._frames:
            n = self.sock.recv_into(self._parser.space())
            assert n, "the worker closed the connection"
            self._parser.received(n)
            self._frames = [(frame.type, bytes(frame.body)) for frame in self._parser.frames()]
        return self._frames.pop(0)

    def welcome(self, block: int = 0) -> wire.Hello:
        """Accepts a connection and greets."""
        self.accept()
        kind, body = self.next()
        assert kind is FrameType.HELLO
        self.send(wire.welcome_frame(1, block))
        return wire.parse_hello(memoryview(body))

    def closed_by_worker(self, seconds: float = 20) -> bool:
        """Waits until the worker hangs up, reading what still comes."""
        assert self.sock is not None
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                if not self.sock.recv(1 << 16):
                    return True
            return False
        return True
