# SPDX-License-Identifier: Apache-2.0
"""Addresses, ports and flags of a received packet, for people: bounded, and silent about what is not certain."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lictl.handover.decoded import Record

ETHERNET, RAW = 1, 101
_TAGS = frozenset({0x8100, 0x88A8})
_EXTENSIONS = frozenset({0, 43, 60})


def link_type(record: Record) -> int:
    """LINKTYPE of the record's data: RAW where IP begins at once, else ETHERNET."""
    data = record.data or b""
    if record.ip_offset is not None:
        return RAW if record.ip_offset == 0 else ETHERNET
    if data and data[0] >> 4 == 4 and len(data) >= 20 and int.from_bytes(data[2:4]) == len(data):
        return RAW
    if data and data[0] >> 4 == 6 and len(data) >= 40 and int.from_bytes(data[4:6]) + 40 == len(data):
        return RAW
    # The packets of a header report are shorter than they say.
    return RAW if data and data[0] >> 4 in (4, 6) and _network(data) < 0 else ETHERNET


def headers(record: Record) -> Record:
    """The record with what its packet's own headers say."""
    data = record.data or b""
    at = _network(data) if link_type(record) == ETHERNET else 0
    if record.ip_offset:
        at = record.ip_offset
    packet = data[at:] if at >= 0 else b""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return _ipv4(record, packet)
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return _ipv6(record, packet)
    return record


def _network(frame: bytes) -> int:
    """Where IP begins in an Ethernet frame; -1 where there is none."""
    at = 12
    for _ in range(3):
        if len(frame) < at + 2:
            return -1
        kind = int.from_bytes(frame[at : at + 2])
        if kind in (0x0800, 0x86DD):
            return at + 2
        if kind == 0x8864:
            return at + 10
        if kind not in _TAGS:
            return -1
        at += 4
    return -1


def _ipv4(record: Record, packet: bytes) -> Record:
    offset = int.from_bytes(packet[6:8]) & 0x1FFF
    record = replace(
        record, ip_version=4, protocol=packet[9], ip_length=int.from_bytes(packet[2:4]),
        source=str(ipaddress.IPv4Address(packet[12:16])), destination=str(ipaddress.IPv4Address(packet[16:20])),
    )  # fmt: skip
    return record if offset else _transport(record, packet[(packet[0] & 15) * 4 :])


def _ipv6(record: Record, packet: bytes) -> Record:
    protocol, at = packet[6], 40
    for _ in range(8):
        if protocol not in _EXTENSIONS or len(packet) < at + 2:
            break
        protocol, at = packet[at], at + (packet[at + 1] + 1) * 8
    record = replace(
        record, ip_version=6, protocol=protocol, ip_length=int.from_bytes(packet[4:6]) + 40,
        source=str(ipaddress.IPv6Address(packet[8:24])), destination=str(ipaddress.IPv6Address(packet[24:40])),
    )  # fmt: skip
    return _transport(record, packet[at:])


def _transport(record: Record, data: bytes) -> Record:
    if record.protocol in (6, 17, 132, 33) and len(data) >= 4:
        flags = data[13] if record.protocol == 6 and len(data) >= 14 else None
        return replace(
            record, source_port=int.from_bytes(data[:2]), destination_port=int.from_bytes(data[2:4]), tcp_flags=flags
        )
    if record.protocol in (1, 58) and len(data) >= 2:
        return replace(record, icmp_type=data[0], icmp_code=data[1])
    return record
