# SPDX-License-Identifier: Apache-2.0
"""The elements of the msgpack stream's arrays, by name: docs/formats/msgpack.md."""

from __future__ import annotations

VERSION = 1
OPENING, HEADERS, PACKET, GAP, INTERFACE = 0, 1, 2, 3, 4

HEADER_ELEMENTS = (
    "type", "sequence", "utc_ns", "lost_before", "interface", "direction", "clock", "ip_version", "protocol",
    "source", "destination", "source_port", "destination_port", "ip_length", "tcp_flags", "icmp_type", "icmp_code",
    "fragment",
)  # fmt: skip
PACKET_ELEMENTS = (*HEADER_ELEMENTS, "wire_length", "ip_offset", "frame")
GAP_ELEMENTS = ("type", "lost", "first_sequence", "reason", "from_ns", "to_ns")
INTERFACE_ELEMENTS = ("type", "interface", "name", "hook")
