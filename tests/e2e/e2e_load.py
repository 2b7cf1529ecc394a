# SPDX-License-Identifier: Apache-2.0
"""Numbered datagrams at a steady pace, so that whatever is missing, doubled or out of place can be named."""

from __future__ import annotations

import struct
import threading
import time
from typing import TYPE_CHECKING

import bounded

from lictl.lab import frames as f
from lictl.lab import topology, traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.lab.capture import Packet
    from lictl.lab.lab import Lab

SUB1, SINK = topology.SUB["sub1"], topology.SINK
_HEADERS = 14 + 20 + 8


def numbered(number: int, size: int = 64) -> bytes:
    """A frame of sub1, to an address that does not answer, whose payload begins with its number."""
    payload = struct.pack("!Q", number).ljust(size, b"#")
    return f.eth(f.ipv4(SUB1.v4, SINK.v4, f.udp(4000, 9, payload)), dst=topology.ISP_ACCESS.mac, src=SUB1.mac)


def numbers(packets: Iterable[Packet]) -> list[int]:
    """The numbers of delivered frames, in their order."""
    return [struct.unpack_from("!Q", packet.data, _HEADERS)[0] for packet in packets]


class Load:
    """Sends numbered frames from 0 on the access wire in a thread until stopped; a context manager.

    Attributes:
        offered: frames sent, after the block.
    """

    def __init__(self, lab: Lab, per_second: int = 2000, size: int = 64) -> None:
        self._sender = traffic.Sender(lab, "sw", topology.UPLINK)
        self._pause_s = 1 / per_second
        self._size = size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def offered(self) -> int:
        """Frames sent until now."""
        return self._sender.frames

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        bounded.join(self._thread)
        self._sender.__exit__()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._sender.send([numbered(self._sender.frames, self._size)])
            due += self._pause_s
            time.sleep(max(0.0, due - time.monotonic()))
