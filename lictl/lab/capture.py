# SPDX-License-Identifier: Apache-2.0
"""tcpdump on one of the lab's wires, and a reader for what it and others write."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.errors import IntegrityError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from lictl.lab.lab import Lab

LINK_ETHERNET = 1
LINK_RAW = 101
_EPB_COMMENT, _EPB_FLAGS, _EPB_DROPS = 1, 2, 4
_IF_NAME, _IF_TSRESOL = 2, 9


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a capture file.

    Attributes:
        ns: UTC nanoseconds.
        data: the captured bytes.
        wire_len: length on the wire, bytes.
        link: link type (1 Ethernet, 101 raw IP).
        interface: name of the interface where the file tells it, else empty.
        comment: pcapng comment, else empty.
        flags: pcapng flags word, 0 where absent.
        drops: pcapng drop count before this packet, 0 where absent.
    """

    ns: int
    data: bytes
    wire_len: int
    link: int
    interface: str = ""
    comment: str = ""
    flags: int = 0
    drops: int = 0


class Capture:
    """tcpdump on one interface of a host, from ``start`` until ``stop``; a context manager.

    ``way`` is "in", "out" or "inout".
    """

    def __init__(
        self, lab: Lab, host: str, interface: str, path: Path, expression: str = "", *, way: str = "inout"
    ) -> None:
        self.path = path
        self._way = way
        self._lab, self._host, self._interface, self._expression = lab, host, interface, expression
        self._process: subprocess.Popen[bytes] | None = None
        self._log = path.with_suffix(".log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(check=error is None)

    def start(self) -> None:
        """Returns when tcpdump captures."""
        argv = [
            "tcpdump",
            "-n",
            "-U",
            "-Z",
            "root",
            "-i",
            self._interface,
            "-w",
            str(self.path),
            "-s",
            "0",
            "-B",
            "65536",
        ]
        argv += ["--immediate-mode", "-Q", self._way, "--time-stamp-precision=nano", *filter(None, [self._expression])]
        with self._log.open("wb") as log:
            self._process = self._lab.start(self._host, argv, stderr=log)
        limit = time.monotonic() + 10
        while b"listening on" not in self._log.read_bytes():
            if time.monotonic() > limit or self._process.poll() is not None:
                raise MachineError(f"tcpdump does not start: {self._log.read_text().strip()}.")
            time.sleep(0.01)

    def stop(self, *, check: bool = True) -> None:
        """Ends the capture once it has all that was on the wire; IntegrityError where tcpdump itself lost packets."""
        if self._process is None:
            return
        process, self._process = self._process, None
        self._settle()
        os.kill(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        dropped = re.search(rb"(\d+) packets? dropped by kernel", self._log.read_bytes())
        if check and (dropped is None or int(dropped[1])):
            raise IntegrityError(f"tcpdump lost packets: {self._log.read_text().strip()}.", "Repeat with less traffic.")

    def _settle(self) -> None:
        """Waits until the file stops growing."""
        size, still = -1, 0
        while still < 3:
            time.sleep(0.05)
            now = self.path.stat().st_size
            still = still + 1 if now == size else 0
            size = now


def read(path: Path) -> list[Packet]:
    """The packets of a pcap or pcapng file.

    Raises:
        ValueError: where the file is neither, or damaged.
    """
    data = path.read_bytes()
    try:
        return list(_read_pcapng(data) if data.startswith(b"\x0a\x0d\x0d\x0a") else _read_pcap(data))
    except (struct.error, IndexError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from None


def _read_pcap(data: bytes) -> Iterator[Packet]:
    magics = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
    for order in "<>":
        if len(data) >= 24 and (magic := struct.unpack_from(f"{order}I", data)[0]) in magics:
            break
    else:
        raise ValueError("neither pcap nor pcapng")
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            raise ValueError(f"pcap record header cut at byte {at}")
        seconds, fraction, size, wire = struct.unpack_from(f"{order}IIII", data, at)
        at += 16 + size
        if at > len(data):
            raise ValueError(f"pcap record cut at byte {at}")
        yield Packet(seconds * 10**9 + fraction * magics[magic], data[at - size : at], wire, link)


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            break
        found.setdefault(code, data[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return found


def _read_pcapng(data: bytes) -> Iterator[Packet]:
    interfaces: list[tuple[int, str, int]] = []
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if size < 12 or at + size > len(data) or struct.unpack_from("<I", data, at + size - 4)[0] != size:
            raise ValueError(f"pcapng block damaged at byte {at}")
        body = data[at + 8 : at + size - 4]
        at += size
        if kind == 0x0A0D0D0A:
            interfaces = []
        elif kind == 1:
            options = _options(body[8:])
            exponent = options.get(_IF_TSRESOL, b"\6")[0]
            name = options.get(_IF_NAME, b"").decode()
            interfaces.append((struct.unpack_from("<H", body)[0], name, 10 ** (9 - exponent)))
        elif kind == 6:
            number, high, low, captured, wire = struct.unpack_from("<IIIII", body)
            options = _options(body[20 + captured + -captured % 4 :])
            link, name, unit = interfaces[number]
            yield Packet(
                (high << 32 | low) * unit,
                body[20 : 20 + captured],
                wire,
                link,
                name,
                options.get(_EPB_COMMENT, b"").decode(),
                int.from_bytes(options.get(_EPB_FLAGS, b""), "little"),
                int.from_bytes(options.get(_EPB_DROPS, b""), "little"),
            )
