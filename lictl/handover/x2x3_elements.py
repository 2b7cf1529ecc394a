# SPDX-License-Identifier: Apache-2.0
"""Layout and numbers of X2 and X3 PDUs: ETSI TS 103 221-2, clause 5."""

from __future__ import annotations

import struct
from typing import Final

from lictl.handover.options import Free

X2, X3, KEEPALIVE, KEEPALIVE_ACK = 1, 2, 3, 4
FORMAT_PROPRIETARY, FORMAT_IPV4, FORMAT_IPV6, FORMAT_ETHERNET = 4, 5, 6, 7
NOT_APPLICABLE = 5
HEAD = struct.Struct("!HHIIHH16sQ")
"""version, type, header length, payload length, payload format, direction, XID, correlation id (clause 5.2)."""
ATTRIBUTE = struct.Struct("!HH")
PROPRIETARY, SEQUENCE, TIMESTAMP = 4, 8, 9
TIMES: Final = {8: struct.Struct("!II"), 12: struct.Struct("!QI"), 16: struct.Struct("!QQ")}
"""Seconds and nanoseconds, by the octets of a timestamp."""
OWN = b"lctl\x01"
"""How the proprietary attribute begins that holds what the standard has no attribute for."""

OPTIONS: Final[dict[str, tuple[str, ...] | Free]] = {
    "version": Free("0005", r"[0-9a-fA-F]{4}", "the two octets of the version as four hexadecimal digits"),
    "timestamp": ("8", "12", "16"),
    "correlation": Free("xid", r"xid|[0-9]{1,19}", "xid (made from the XID) or a number; 0: not correlated"),
    "fields": ("standard", "all"),
    "events": ("yes", "no"),
    "keepalive": ("numbered", "plain"),
}
"""What an agency may choose."""


def session_pdu(version: int, type_: int, number: int | None) -> bytes:
    """A keep-alive or its acknowledgement, with or without a sequence number; everything else in it is zero."""
    attribute = b"" if number is None else ATTRIBUTE.pack(SEQUENCE, 4) + number.to_bytes(4)
    return HEAD.pack(version, type_, HEAD.size + len(attribute), 0, 0, 0, bytes(16), 0) + attribute
