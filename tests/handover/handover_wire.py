# SPDX-License-Identifier: Apache-2.0
"""Payloads as segments or datagrams in a capture file, so that tshark can judge them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TCP, UDP = 6, 17
_ETHERNET = bytes.fromhex("020000000001 020000000002 0800")


def capture(path: Path, payloads: Iterable[bytes], protocol: int, port: int) -> Path:
    """A pcap file with one IPv4 packet a payload, to `port`."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
    number = 1
    for at, payload in enumerate(payloads):
        if protocol == TCP:
            head = struct.pack("!HHIIBBHHH", 40000, port, number, 1, 5 << 4, 0x18, 65535, 0, 0)
            number += len(payload)
        else:
            head = struct.pack("!HHHH", 40000, port, 8 + len(payload), 0)
        size = 20 + len(head) + len(payload)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, at, 0, 64, protocol, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
        frame = _ETHERNET + ip + head + payload
        out += struct.pack("<IIII", 1_700_000_000 + at, 0, len(frame), len(frame)) + frame
    path.write_bytes(out)
    return path
