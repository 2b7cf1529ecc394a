# SPDX-License-Identifier: Apache-2.0
"""What the agency got against what stood on the wire.

The wire is a tcpdump at the places where the capture program looks. The comparison here reads packets on its own, so
that it does not share a mistake with the parser under test; it knows what the lab's plain clients send: Ethernet, IPv4
and IPv6 without extension headers, TCP, UDP, ICMP.
"""

from __future__ import annotations

import base64
import ipaddress
import struct
from collections import Counter
from typing import TYPE_CHECKING

from lictl.lab.capture import LINK_ETHERNET, Packet, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lictl.lab.topology import Port

_TRANSPORT_HEADER = {6: 20, 17: 8, 132: 12, 136: 8}
_ICMP = (1, 58)
_FRAGMENT = 44


def ip_packet(packet: Packet) -> bytes:
    """The IP packet of a captured frame, without link header and trailer; empty if it holds none."""
    data = packet.data
    if packet.link == LINK_ETHERNET:
        if data[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            return b""
        data = data[14:]
    if len(data) < 20:
        return b""
    size = struct.unpack_from("!H", data, 2)[0] if data[0] >> 4 == 4 else 40 + struct.unpack_from("!H", data, 4)[0]
    return data[:size]


def addresses(ip: bytes) -> tuple[str, str]:
    """Source and destination of an IP packet."""
    if ip[0] >> 4 == 4:
        return str(ipaddress.IPv4Address(ip[12:16])), str(ipaddress.IPv4Address(ip[16:20]))
    return str(ipaddress.IPv6Address(ip[8:24])), str(ipaddress.IPv6Address(ip[24:40]))


def fields(ip: bytes) -> tuple[str, str, int, int, int, int, int]:
    """Source, destination, protocol, IP length, ports and TCP flags of an IP packet; 0 where it has none."""
    v4 = ip[0] >> 4 == 4
    proto, start = (ip[9], (ip[0] & 15) * 4) if v4 else (ip[6], 40)
    size = struct.unpack_from("!H", ip, 2)[0] if v4 else 40 + struct.unpack_from("!H", ip, 4)[0]
    ports = struct.unpack_from("!HH", ip, start) if proto in _TRANSPORT_HEADER else (0, 0)
    return (*addresses(ip), proto, size, *ports, ip[start + 13] if proto == 6 else 0)


def wire(access: Path, core: Path, target: Port) -> list[bytes]:
    """A target's IP packets: sent ones as they came in at access, received ones as they came in at core."""
    own = {target.v4, target.v6}
    sent = [ip for packet in read(access) if (ip := ip_packet(packet)) and addresses(ip)[0] in own]
    received = [ip for packet in read(core) if (ip := ip_packet(packet)) and addresses(ip)[1] in own]
    return sent + received


def by_flow(packets: Iterable[bytes]) -> dict[tuple[object, ...], list[bytes]]:
    """Packets in their order, for each direction of each flow."""
    flows: dict[tuple[object, ...], list[bytes]] = {}
    for ip in packets:
        source, destination, proto, _, sport, dport, _ = fields(ip)
        flows.setdefault((source, destination, proto, sport, dport), []).append(ip)
    return flows


def content_difference(expected: list[bytes], files: Iterable[Path]) -> str:
    """Empty where the files hold exactly these packets, each flow in its order; else what differs."""
    delivered = [ip_packet(packet) for path in files for packet in read(path)]
    missing = sum((Counter(expected) - Counter(delivered)).values())
    surplus = sum((Counter(delivered) - Counter(expected)).values())
    if missing or surplus:
        return f"{missing} packets of the wire are missing, {surplus} were not on the wire"
    if by_flow(expected) != by_flow(delivered):
        return "the packets of a flow are out of order"
    return ""


def headers_difference(expected: list[bytes], files: Iterable[Path]) -> str:
    """Empty where the files hold exactly the header fields of these packets, and not a byte more."""
    delivered = [packet for path in files for packet in read(path)]
    content = sum(len(packet.data) - header_length(packet.data) for packet in delivered)
    if content:
        return f"{content} bytes follow the headers"
    wanted = Counter(fields(ip) for ip in expected)
    given = Counter(fields(packet.data) for packet in delivered)
    missing, surplus = (wanted - given).total(), (given - wanted).total()
    return f"{missing} header records are missing, {surplus} are wrong" if missing or surplus else ""


def header_length(ip: bytes) -> int:
    """Bytes that a synthesised packet may have: base IP header, fragment header of IPv6, base transport header."""
    proto, start = (ip[9], 20) if ip[0] >> 4 == 4 else (ip[6], 40)
    if proto == _FRAGMENT and start == 40:
        proto, start = ip[40], 48
    # Of ICMP only type and code may leave: four bytes with the zeroed checksum, eight with the zeroed second word.
    return start + (min(8, len(ip) - start) if proto in _ICMP else _TRANSPORT_HEADER.get(proto, 0))


def forms(word: bytes) -> Iterator[tuple[str, bytes]]:
    """A secret as it could stand in a file: raw, hex, base64 at each of its three alignments."""
    yield "raw", word
    yield "hex", word.hex().encode()
    yield "HEX", word.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + word)
        # The first characters mix with the bytes before the word, the last with those behind it.
        yield f"base64+{shift}", text[(0, 2, 3)[shift] : len(text) - 4]


def find(word: bytes, folders: Iterable[Path]) -> list[str]:
    """Where a secret stands in the files below the folders: "file: form" for each hit; a bpffs below is left out."""
    hits = []
    for folder in folders:
        device = folder.stat().st_dev
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.stat().st_dev == device:
                data = path.read_bytes()
                hits += [f"{path.name}: {name}" for name, form in forms(word) if form in data]
    return hits


def strangers(files: Iterable[Path], person: Port) -> int:
    """Packets in the files that a person sent or got."""
    own = {person.v4, person.v6}
    packets = (ip_packet(packet) for path in files for packet in read(path))
    return sum(1 for ip in packets if own & set(addresses(ip)))
