# SPDX-License-Identifier: Apache-2.0
"""What the decoders of all formats give: openings, interfaces, records and gaps.

Decoders serve the agency's side and tests. They may loop over packets, hold little more than one record at a time, and
answer any bytes at all with items or a `DecodeError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# A frame of 65,600 octets as escaped text, and some room; nothing longer is ever read into memory.
MAX_ITEM = 1 << 20
DIRECTIONS = ("unknown", "from", "to", "both")
FRAGMENTS = ("none", "first", "later")
CLOCKS = {1: "kernel", 2: "hardware", 3: "file"}


class DecodeError(ValueError):
    """The bytes are not a stream of the format; says where and why."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The beginning of a stream or of a part of it: mode and names, as far as the format carries them."""

    mode: str
    liid: str
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interface:
    """From here on `number` in a record means this interface and hook ("ingress" or "egress")."""

    number: int
    name: str
    hook: str


@dataclass(frozen=True, slots=True)
class Record:
    """One packet. None: the format or the packet does not have it.

    Attributes:
        sequence: number in the stream.
        utc_ns: the packet's time.
        lost_before: packets lost since the record before.
        interface: number of an `Interface`.
        direction: "from" or "to" the target, "both" ends are targets, "unknown".
        clock: "kernel", "hardware" or "file".
        ip_version: 4 or 6.
        protocol: IP protocol number.
        source: address as text; `destination` likewise.
        source_port: of the transport header; `destination_port` likewise.
        ip_length: the IP packet's own length.
        tcp_flags: FIN = 1 ... CWR = 128.
        icmp_type: of ICMP or ICMPv6; `icmp_code` likewise.
        fragment: "none", "first" or "later".
        wire_length: the frame's length without link-layer trailers.
        ip_offset: where IP begins in `data`.
        data: the frame (content), or the synthesised packet (headers, pcapng).
    """

    sequence: int
    utc_ns: int
    lost_before: int
    interface: int
    direction: str
    clock: str | None = None
    ip_version: int | None = None
    protocol: int | None = None
    source: str | None = None
    destination: str | None = None
    source_port: int | None = None
    destination_port: int | None = None
    ip_length: int | None = None
    tcp_flags: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    fragment: str | None = None
    wire_length: int | None = None
    ip_offset: int | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """A gap that stands in the stream by itself: `lictl.handover.base.Gap` as received.

    Attributes:
        within: 0, or the last number of a range in which so many are lost, between records that came.
    """

    lost: int
    first_sequence: int
    reason: str
    from_ns: int
    to_ns: int
    within: int = 0


Item = Opening | Interface | Record | Loss
