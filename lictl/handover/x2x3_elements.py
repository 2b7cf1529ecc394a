# SPDX-License-Identifier: Apache-2.0
"""Layout and numbers of X2 and X3 PDUs: ETSI TS 103 221-2, clause 5."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from lictl.handover.options import Choice, Free

if TYPE_CHECKING:
    from lictl.handover.options import Option

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

OPTIONS: Final[dict[str, Option]] = {
    "version": Free("0005", r"[0-9a-fA-F]{4}", "four hexadecimal digits", "The two octets of the version."),
    "timestamp": Choice(
        ("8", "12", "16"), "Octets of a timestamp; 8: two numbers of 32 bits; 12: seconds in 64 bits; 16: both in 64."
    ),
    "correlation": Free(
        "xid", r"xid|[0-9]{1,19}", "xid or a number", "The correlation id: made from the XID, or a number; 0: none."
    ),
    "fields": Choice(("standard", "all"), "Whether header reports have the proprietary attribute too."),
    "events": Choice(("yes", "no"), "Whether events are told; without them a loss is a jump of the numbers alone."),
    "keepalive": Choice(
        ("numbered", "plain"), "Whether keep-alives have a sequence number; some receivers answer no others."
    ),
}
"""What an agency may choose."""


def session_pdu(version: int, type_: int, number: int | None) -> bytes:
    """A keep-alive or its acknowledgement, with or without a sequence number; everything else in it is zero."""
    attribute = b"" if number is None else ATTRIBUTE.pack(SEQUENCE, 4) + number.to_bytes(4)
    return HEAD.pack(version, type_, HEAD.size + len(attribute), 0, 0, 0, bytes(16), 0) + attribute
