# SPDX-License-Identifier: Apache-2.0
"""Header fields as tshark reads them, from any capture file."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FIELDS = (
    "ip.src", "ip.dst", "ip.proto", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.plen",
    "tcp.srcport", "tcp.dstport", "tcp.flags", "udp.srcport", "udp.dstport",
    "icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code",
)  # fmt: skip


def header_fields(path: Path, display_filter: str = "") -> list[tuple[float, tuple[str, ...]]]:
    """Time in seconds and the header fields of each packet; only the outermost value where tshark sees several."""
    argv = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    argv += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-e", "frame.time_epoch"]
    argv += [part for name in _FIELDS for part in ("-e", name)]
    argv += ["-Y", display_filter] if display_filter else []
    text = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    rows = [line.split("|") for line in text.splitlines()]
    return [(float(row[0]), tuple(row[1:])) for row in rows]
