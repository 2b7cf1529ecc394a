# SPDX-License-Identifier: Apache-2.0
"""Traffic of subscribers: real clients, and crafted frames put on a wire as they are."""

from __future__ import annotations

import errno
import secrets
import time
from typing import TYPE_CHECKING

from lictl.lab import namespace, services, topology

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.lab.lab import Lab


def marker(host: str) -> str:
    """A word that stands in a host's payload and nowhere else: 16 characters, fit for a DNS label too."""
    return f"{host[:4]:x<4}{secrets.token_hex(6)}"


def url(word: str, size: int, *, ipv6: bool = False) -> str:
    """Where the lab's web server offers ``size`` bytes of a marker."""
    host = f"[{topology.SERVER.v6}]" if ipv6 else topology.SERVER.v4
    return f"http://{host}/text/{word}/{size}"


def http(word: str, size: int, *, ipv6: bool = False) -> list[str]:
    """A download that fails unless every byte arrives."""
    argv = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "60"]
    return [*argv, "--output", "/dev/null", url(word, size, ipv6=ipv6)]


def dns(word: str, *, ipv6: bool = False) -> list[str]:
    """A query for a name that holds the marker."""
    server = topology.SERVER.v6 if ipv6 else topology.SERVER.v4
    kind = "AAAA" if ipv6 else "A"
    return ["dig", f"@{server}", "+tries=3", "+time=5", "+short", f"{word}.{services.DOMAIN}", kind]


def ping(word: str, count: int = 3, *, ipv6: bool = False, interval_s: float = 0.05) -> list[str]:
    """Echo requests whose payload is the marker."""
    address = topology.SERVER.v6 if ipv6 else topology.SERVER.v4
    argv = ["ping", "-n", "-c", str(count), "-i", f"{interval_s:g}", "-W", "5", "-s", "64"]
    return [*argv, "-p", word.encode()[:16].hex(), address]


def iperf(seconds: float = 1, *, ipv6: bool = False, reverse: bool = False, rate: str = "0") -> list[str]:
    """A TCP transfer for some seconds."""
    address = topology.SERVER.v6 if ipv6 else topology.SERVER.v4
    argv = ["iperf3", "--client", address, "--time", f"{seconds:g}", "--json", "--bitrate", rate]
    return [*argv, *(["--reverse"] if reverse else [])]


def clients(word: str, bulk: int) -> list[list[str]]:
    """One subscriber's session: names, pages, pings and a bulk transfer of ``bulk`` bytes, on IPv4 and IPv6."""
    commands = []
    for ipv6 in (False, True):
        commands += [dns(word, ipv6=ipv6), http(word, 20_000, ipv6=ipv6), ping(word, ipv6=ipv6)]
        commands.append(http(word, bulk, ipv6=ipv6))
    return commands


class Sender:
    """A packet socket on one interface of a host: frames go out as they are, each one exactly once.

    Attributes:
        frames: put on the wire so far.
        bytes: in these frames.
    """

    def __init__(self, lab: Lab, host: str, interface: str) -> None:
        self._socket = namespace.packet_socket(lab.name(host), interface)
        self.frames = 0
        self.bytes = 0

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, frames: Iterable[bytes], *, gap_s: float = 0.0) -> int:
        """Sends frames; one that the wire has no room for is tried again until it fits. Returns their number.

        Args:
            frames: whole Ethernet frames without FCS.
            gap_s: pause after each, seconds.
        """
        count = 0
        for frame in frames:
            self._send(frame)
            count += 1
            if gap_s:
                time.sleep(gap_s)
        return count

    def _send(self, frame: bytes) -> None:
        while True:
            try:
                self._socket.send(frame)
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # the queue at the other end is full: this frame was not sent
                    raise
                time.sleep(0)
            else:
                self.frames += 1
                self.bytes += len(frame)
                return
