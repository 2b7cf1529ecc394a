# SPDX-License-Identifier: Apache-2.0
"""Frames built layer by layer, from the inside out; every length field can lie.

Each function takes its payload last among the positional arguments and returns a :class:`Layer`, which tells the layer
around it what it is, so ``eth(vlan(100, ipv4("192.0.2.1", "192.0.2.2", tcp(1024, 80, b"GET"))))`` has the right
EtherTypes, protocol number, lengths and checksums. A keyword overrides any of them. Addresses are text, ports and
numbers are integers in host order, offsets and lengths are in the unit of the field on the wire unless stated.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Self

ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_TEB = 0x6558
ETH_VLAN = 0x8100
ETH_IPV6 = 0x86DD
ETH_MPLS = 0x8847
ETH_PPPOE_DISCOVERY = 0x8863
ETH_PPPOE = 0x8864
ETH_QINQ = 0x88A8
ETH_LLDP = 0x88CC

PROTO_HOPOPTS = 0
PROTO_ICMP = 1
PROTO_IPIP = 4
PROTO_TCP = 6
PROTO_UDP = 17
PROTO_IPV6 = 41
PROTO_ROUTING = 43
PROTO_FRAGMENT = 44
PROTO_GRE = 47
PROTO_ESP = 50
PROTO_AH = 51
PROTO_ICMPV6 = 58
PROTO_NO_NEXT = 59
PROTO_DSTOPTS = 60
PROTO_SCTP = 132
PROTO_UDPLITE = 136
PROTO_TEST = 253  # RFC 3692

PPP_IPV4 = 0x0021
PPP_IPV6 = 0x0057
PPP_LCP, PPP_PAP, PPP_CHAP, PPP_IPCP = 0xC021, 0xC023, 0xC223, 0x8021

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))

MAC_A = "02:00:00:00:00:0a"
MAC_B = "02:00:00:00:00:0b"

_PPP_OF = {ETH_IPV4: PPP_IPV4, ETH_IPV6: PPP_IPV6}


class Layer(bytes):
    """Bytes of a layer and of all inside it.

    Attributes:
        ethertype: what an Ethernet-like layer around it writes, or None.
        proto: what an IP layer around it writes, or None.
        checksum_at: offset of a 16-bit checksum that covers the IP pseudo header and still has to be filled, or None.
    """

    ethertype: int | None
    proto: int | None
    checksum_at: int | None

    def __new__(
        cls, data: bytes, *, ethertype: int | None = None, proto: int | None = None, checksum_at: int | None = None
    ) -> Self:
        self = super().__new__(cls, data)
        self.ethertype, self.proto, self.checksum_at = ethertype, proto, checksum_at
        return self


def mac(text: str) -> bytes:
    """The six bytes of ``aa:bb:cc:dd:ee:ff``."""
    data = bytes.fromhex(text.replace(":", ""))
    if len(data) != 6:
        raise ValueError(f"{text!r} is not a MAC address")
    return data


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _ethertype(payload: bytes, given: int | None) -> int:
    return _first(given, payload.ethertype if isinstance(payload, Layer) else None, ETH_IPV4)


def _proto(payload: bytes, given: int | None) -> int:
    return _first(given, payload.proto if isinstance(payload, Layer) else None, PROTO_TEST)


def _filled(payload: bytes, source: bytes, destination: bytes, proto: int) -> bytes:
    """The payload with its pseudo-header checksum (RFC 9293 3.1, RFC 8200 8.1), where it asked for one."""
    if isinstance(payload, _Extension):
        return payload.head + _filled(payload.body, source, destination, payload.next_header)
    at = payload.checksum_at if isinstance(payload, Layer) else None
    if at is None:
        return payload
    pseudo = source + destination
    pseudo += (
        struct.pack("!BBH", 0, proto, len(payload)) if len(source) == 4 else struct.pack("!II", len(payload), proto)
    )
    value = checksum(pseudo + payload)
    if proto == PROTO_UDP:
        value = value or 0xFFFF
    return payload[:at] + struct.pack("!H", value) + payload[at + 2 :]


# ---- link layers ----


def eth(
    payload: bytes = b"", *, dst: str = MAC_B, src: str = MAC_A, ethertype: int | None = None, trailer: bytes = b""
) -> Layer:
    """An Ethernet frame without FCS; ``trailer`` follows the payload (padding, or whatever a card leaves there)."""
    return Layer(
        mac(dst) + mac(src) + struct.pack("!H", _ethertype(payload, ethertype)) + payload + trailer, ethertype=ETH_TEB
    )


def padded(frame: bytes, size: int = 60, fill: bytes = b"\0") -> bytes:
    """The frame with a trailer that brings it to ``size`` bytes."""
    return bytes(frame) + (fill * size)[: max(0, size - len(frame))]


def vlan(
    vid: int, payload: bytes, *, ethertype: int | None = None, tpid: int = ETH_VLAN, pcp: int = 0, dei: int = 0
) -> Layer:
    """A VLAN tag (IEEE 802.1Q) around the payload. QinQ: ``vlan(100, vlan(200, ...), tpid=ETH_QINQ)``."""
    tci = pcp << 13 | dei << 12 | vid
    return Layer(struct.pack("!HH", tci, _ethertype(payload, ethertype)) + payload, ethertype=tpid)


def pppoe(
    session: int,
    payload: bytes,
    *,
    ppp: int | None = None,
    compressed: bool = False,
    version_type: int = 0x11,
    code: int = 0,
    length: int | None = None,
) -> Layer:
    """A PPPoE session header and the PPP protocol field (RFC 2516), one byte long if ``compressed`` (RFC 1661 6.5)."""
    number = _PPP_OF.get(_ethertype(payload, None), PPP_IPV4) if ppp is None else ppp
    inner = struct.pack("!B" if compressed else "!H", number) + payload
    size = len(inner) if length is None else length
    return Layer(struct.pack("!BBHH", version_type, code, session, size) + inner, ethertype=ETH_PPPOE)


def pppoe_discovery(code: int, payload: bytes = b"", *, session: int = 0) -> Layer:
    """A PPPoE discovery packet (PADI 0x09, PADO 0x07, PADR 0x19, PADS 0x65, PADT 0xa7)."""
    return Layer(struct.pack("!BBHH", 0x11, code, session, len(payload)) + payload, ethertype=ETH_PPPOE_DISCOVERY)


def mpls(labels: list[int] | int, payload: bytes, *, bottom: bool = True, ttl: int = 64) -> Layer:
    """A stack of MPLS labels (RFC 3032), outermost first; ``bottom=False`` leaves the last S bit clear."""
    stack = [labels] if isinstance(labels, int) else labels
    last = len(stack) - 1
    words = [label << 12 | ttl | (0x100 if bottom and at == last else 0) for at, label in enumerate(stack)]
    return Layer(struct.pack(f"!{len(words)}I", *words) + payload, ethertype=ETH_MPLS)


def llc(payload: bytes, *, dst: str = MAC_B, src: str = MAC_A, dsap: int = 0x42, ssap: int = 0x42) -> Layer:
    """An 802.3 frame: length field instead of an EtherType, then LLC."""
    body = struct.pack("!BBB", dsap, ssap, 3) + payload
    return Layer(mac(dst) + mac(src) + struct.pack("!H", len(body)) + body)


def snap(ethertype: int, payload: bytes, *, dst: str = MAC_B, src: str = MAC_A) -> Layer:
    """An 802.3 frame with LLC/SNAP around an EtherType (RFC 1042)."""
    return llc(b"\0\0\0" + struct.pack("!H", ethertype) + payload, dst=dst, src=src, dsap=0xAA, ssap=0xAA)


# ---- network layers ----


def ipv4(
    src: str,
    dst: str,
    payload: bytes = b"",
    *,
    proto: int | None = None,
    options: bytes = b"",
    ihl: int | None = None,
    total_length: int | None = None,
    version: int = 4,
    tos: int = 0,
    ident: int = 1,
    df: bool = False,
    mf: bool = False,
    frag_offset: int = 0,
    ttl: int = 64,
    header_checksum: int | None = None,
) -> Layer:
    """An IPv4 packet (RFC 791). ``ihl`` in words, ``frag_offset`` in units of 8 bytes; options are padded to words."""
    source, destination = ipaddress.IPv4Address(src).packed, ipaddress.IPv4Address(dst).packed
    number = _proto(payload, proto)
    options += b"\0" * (-len(options) % 4)
    body = _filled(payload, source, destination, number)
    words = 5 + len(options) // 4 if ihl is None else ihl
    size = 20 + len(options) + len(body) if total_length is None else total_length
    fragment = int(df) << 14 | int(mf) << 13 | frag_offset
    head = struct.pack("!BBHHHBBH", (version & 15) << 4 | words & 15, tos, size, ident, fragment, ttl, number, 0)
    head += source + destination + options
    value = checksum(head) if header_checksum is None else header_checksum
    return Layer(head[:10] + struct.pack("!H", value) + head[12:] + body, ethertype=ETH_IPV4, proto=PROTO_IPIP)


def ipv6(
    src: str,
    dst: str,
    payload: bytes = b"",
    *,
    next_header: int | None = None,
    payload_length: int | None = None,
    version: int = 6,
    traffic_class: int = 0,
    flow_label: int = 0,
    hop_limit: int = 64,
) -> Layer:
    """An IPv6 packet (RFC 8200). Extension headers are layers of the payload: :func:`ext`, :func:`frag6`."""
    source, destination = ipaddress.IPv6Address(src).packed, ipaddress.IPv6Address(dst).packed
    number = _proto(payload, next_header)
    payload = _filled(payload, source, destination, number)
    size = len(payload) if payload_length is None else payload_length
    head = struct.pack("!IHBB", version << 28 | traffic_class << 20 | flow_label, size & 0xFFFF, number, hop_limit)
    return Layer(head + source + destination + payload, ethertype=ETH_IPV6, proto=PROTO_IPV6)


class _Extension(Layer):
    """An IPv6 extension header; the checksum of what it carries is filled once the addresses are known."""

    head: bytes
    body: bytes
    next_header: int


def _extension(head: bytes, payload: bytes, kind: int, number: int) -> Layer:
    layer = _Extension(head + payload, proto=kind)
    layer.head, layer.body, layer.next_header = head, payload, number
    return layer


def ext(
    kind: int,
    payload: bytes,
    *,
    body: bytes = b"\1\4\0\0\0\0",
    next_header: int | None = None,
    length: int | None = None,
) -> Layer:
    """A hop-by-hop, destination options, routing or like extension header of type ``kind``.

    ``body`` follows the two fixed bytes and is padded to 8 bytes; ``length`` counts 8-byte units beyond the first.
    """
    number = _proto(payload, next_header)
    body += b"\0" * (-(len(body) + 2) % 8)
    size = (len(body) + 2) // 8 - 1 if length is None else length
    return _extension(struct.pack("!BB", number, size) + body, payload, kind, number)


def jumbo(payload: bytes, size: int) -> Layer:
    """A hop-by-hop header with the jumbo payload option (RFC 2675)."""
    return ext(PROTO_HOPOPTS, payload, body=b"\xc2\x04" + struct.pack("!I", size))


def frag6(
    payload: bytes, *, offset: int = 0, more: bool = False, ident: int = 1, next_header: int | None = None
) -> Layer:
    """An IPv6 fragment header; ``offset`` in units of 8 bytes."""
    number = _proto(payload, next_header)
    return _extension(struct.pack("!BBHI", number, 0, offset << 3 | int(more), ident), payload, PROTO_FRAGMENT, number)


def auth_header(
    payload: bytes, *, icv: bytes = b"\0" * 12, next_header: int | None = None, length: int | None = None
) -> Layer:
    """An IP authentication header (RFC 4302); ``length`` in words minus 2."""
    number = _proto(payload, next_header)
    size = (12 + len(icv)) // 4 - 2 if length is None else length
    return _extension(struct.pack("!BBHII", number, size, 0, 1, 1) + icv, payload, PROTO_AH, number)


def fragments(packet: bytes, size: int) -> list[Layer]:
    """Cuts a packet into fragments of ``size`` payload bytes, a multiple of 8; IPv6 without extension headers."""
    if size % 8 or size <= 0:
        raise ValueError("fragments hold a positive multiple of 8 bytes")
    if packet[0] >> 4 == 6:
        head, body = packet[:40], packet[40:]
        src, dst = str(ipaddress.IPv6Address(head[8:24])), str(ipaddress.IPv6Address(head[24:40]))
        return [
            ipv6(src, dst, frag6(body[at : at + size], offset=at // 8, more=at + size < len(body), next_header=head[6]))
            for at in range(0, len(body), size)
        ]
    length = (packet[0] & 15) * 4
    head, body = packet[:length], packet[length:]
    src, dst = str(ipaddress.IPv4Address(head[12:16])), str(ipaddress.IPv4Address(head[16:20]))
    ident = struct.unpack_from("!H", head, 4)[0]
    return [
        ipv4(
            src,
            dst,
            body[at : at + size],
            proto=head[9],
            options=head[20:],
            ident=ident,
            mf=at + size < len(body),
            frag_offset=at // 8,
        )
        for at in range(0, len(body), size)
    ]


# ---- transport layers ----


def tcp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    flags: int = PSH | ACK,
    seq: int = 1,
    ack: int = 1,
    options: bytes = b"",
    data_offset: int | None = None,
    window: int = 65535,
    urgent: int = 0,
    check: int | None = None,
) -> Layer:
    """A TCP segment (RFC 9293). ``data_offset`` in words; options are padded to words."""
    options += b"\0" * (-len(options) % 4)
    words = 5 + len(options) // 4 if data_offset is None else data_offset
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, (words & 15) << 4, flags, window, check or 0, urgent)
    return Layer(head + options + payload, proto=PROTO_TCP, checksum_at=16 if check is None else None)


def udp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    length: int | None = None,
    check: int | None = None,
    lite: bool = False,
) -> Layer:
    """A UDP datagram (RFC 768), or UDP-Lite with full coverage (RFC 3828)."""
    size = 8 + len(payload) if length is None else length
    head = struct.pack("!HHHH", sport, dport, 0 if lite else size, check or 0)
    at = 6 if check is None and (length is None or lite) else None
    return Layer(head + payload, proto=PROTO_UDPLITE if lite else PROTO_UDP, checksum_at=at)


def icmp(kind: int = 8, code: int = 0, payload: bytes = b"", *, rest: bytes = b"\0\1\0\1") -> Layer:
    """An ICMP message (RFC 792); ``rest`` is the second word. An error quotes an IP packet as its payload."""
    data = struct.pack("!BBH", kind, code, 0) + rest + payload
    return Layer(data[:2] + struct.pack("!H", checksum(data)) + data[4:], proto=PROTO_ICMP)


def icmp6(kind: int = 128, code: int = 0, payload: bytes = b"", *, rest: bytes = b"\0\1\0\1") -> Layer:
    """An ICMPv6 message (RFC 4443)."""
    return Layer(struct.pack("!BBH", kind, code, 0) + rest + payload, proto=PROTO_ICMPV6, checksum_at=2)


def sctp(sport: int, dport: int, chunks: bytes = b"") -> Layer:
    """An SCTP packet (RFC 9260); its CRC is left zero."""
    return Layer(struct.pack("!HHII", sport, dport, 1, 0) + chunks, proto=PROTO_SCTP)


def gre(payload: bytes, *, ethertype: int | None = None, key: int | None = None) -> Layer:
    """A GRE header (RFC 2784, RFC 2890) around an IP packet or an Ethernet frame."""
    head = struct.pack("!HH", 0x2000 if key is not None else 0, _ethertype(payload, ethertype))
    return Layer(head + (struct.pack("!I", key) if key is not None else b"") + payload, proto=PROTO_GRE)


def vxlan(vni: int, frame: bytes) -> bytes:
    """A VXLAN header (RFC 7348) around a frame: the payload of a UDP datagram to port 4789."""
    return struct.pack("!II", 0x08000000, vni << 8) + frame


def gtpu(teid: int, packet: bytes) -> bytes:
    """A GTP-U G-PDU (3GPP TS 29.281) around a packet: the payload of a UDP datagram to port 2152."""
    return struct.pack("!BBHI", 0x30, 0xFF, len(packet), teid) + packet
