# SPDX-License-Identifier: Apache-2.0
"""A wire to measure on: a veth pair between two namespaces, and a generator that loads it.

Frames up to a page come from BPF_PROG_TEST_RUN with live frames, which reaches what a 10 Gbit/s port can bring; longer
ones from tcpreplay.  Both run on CPU 0, the receiver has CPU 1 to itself.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lictl.lab import frames
from lictl.lab import namespace as ns
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from bench.programs import Programs

TARGET = "203.0.113.7"
OTHER = "198.51.100.9"
LIVE_LIMIT = 3400  # bytes: what a live frame of BPF_PROG_TEST_RUN holds
FIRST_GUESS = 4e6  # packets a second of an unpaced generator


def frame_of(size: int, target: str = TARGET) -> bytes:
    """A UDP frame of `size` bytes (Ethernet header included) from the target."""
    return frames.eth(frames.ipv4(target, OTHER, frames.udp(40000, 443, bytes(size - 14 - 20 - 8))))


@dataclass(frozen=True, slots=True)
class Offer:
    """What the generator sent.

    Attributes:
        packets: frames handed to the wire.
        seconds: how long that took.
    """

    packets: int
    seconds: float

    @property
    def rate(self) -> float:
        """Packets a second."""
        return self.packets / self.seconds


class Wire:
    """Two namespaces joined by a veth pair; a context manager.

    Attributes:
        sender: namespace of the generator; its interface is ``out``.
        receiver: namespace of what is measured; its interface is ``in``.
    """

    def __init__(self, programs: Programs, mtu: int = 9100) -> None:
        name = f"lictl-{os.getpid()}bench"
        self.sender, self.receiver = f"{name}-a", f"{name}-b"
        self._programs, self._mtu = programs, mtu

    def __enter__(self) -> Self:
        for space in (self.sender, self.receiver):
            ns.create(space)
        self.run(
            self.sender,
            f"ip link add out mtu {self._mtu} type veth peer name in mtu {self._mtu} netns {self.receiver}",
        )
        for space, interface in ((self.sender, "out"), (self.receiver, "in")):
            self.run(space, f"ip link set {interface} up")
            self.run(space, f"ip link set {interface} addrgenmode none", check=False)
        self.run(self.receiver, "ip link set in arp off")
        return self

    def __exit__(self, *_: object) -> None:
        for space in (self.sender, self.receiver):
            subprocess.run(["ip", "netns", "del", space], check=False)

    def run(self, space: str, command: str, check: bool = True) -> str:
        """The output of a command in a namespace."""
        done = subprocess.run(ns.command(space, command.split()), check=check, capture_output=True, text=True)
        return done.stdout

    def ifindex(self, space: str, interface: str) -> int:
        """The number of an interface."""
        return int(self.run(space, f"ip -o link show {interface}").split(":")[0])

    def received(self) -> int:
        """Frames that the receiving interface has taken in."""
        text = self.run(self.receiver, "ip -s -o link show in")
        return int(text.split("RX:")[1].split("\\")[1].split()[1])

    def send(self, frame: bytes, seconds: float, rate: float | None = None) -> Offer:
        """Sends copies of a frame for a time, at most `rate` a second (None: as fast as it goes)."""
        if len(frame) > LIVE_LIMIT:
            return self._replay(frame, seconds, rate)
        return ns.inside(self.sender, lambda: self._live(frame, seconds, rate))

    def _live(self, frame: bytes, seconds: float, rate: float | None) -> Offer:
        ifindex = socket.if_nametoindex("out")
        os.sched_setaffinity(0, {0})
        descriptor = self._programs.descriptor("bench_send")
        duration = ffi.new("uint32_t *")
        # One long run: each run pays 20 ms for its pool of pages.
        chunk = int((rate or FIRST_GUESS) * (seconds if rate else seconds / 4))
        sent, spent = 0, 0.0
        try:
            while spent < seconds * 0.9:
                self._programs.set_pace(rate)
                start = time.perf_counter()
                status = lib.ln_test_run_fd(descriptor, ifindex, frame, len(frame), chunk, 1, 64, duration)
                spent += time.perf_counter() - start
                if status < 0:
                    raise OSError(-status, "sending live frames")
                sent += chunk
        finally:
            os.close(descriptor)
        return Offer(sent, spent)

    def _replay(self, frame: bytes, seconds: float, rate: float | None) -> Offer:
        pace = ["--topspeed"] if rate is None else [f"--pps={int(rate)}", "--timer=gtod"]
        with tempfile.TemporaryDirectory(prefix="lictl-bench-") as folder:
            capture = Path(folder) / "frame.pcap"
            head = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
            one = (0).to_bytes(8, "little") + len(frame).to_bytes(4, "little") * 2 + frame
            capture.write_bytes(head + one * 100)
            argv = ["taskset", "-c", "0", "tcpreplay", "-q", "-K", "-i", "out", *pace, "--loop=100000000"]
            start = time.perf_counter()
            done = subprocess.run(
                ns.command(self.sender, [*argv, f"--duration={max(1, round(seconds))}", str(capture)]),
                check=False,
                capture_output=True,
                text=True,
            )
            elapsed = time.perf_counter() - start
        text = done.stdout + done.stderr
        if "Actual:" not in text:
            raise RuntimeError(f"tcpreplay: {text.strip()}")
        return Offer(int(text.split("Actual:")[1].split()[0]), elapsed)
