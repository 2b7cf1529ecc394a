# SPDX-License-Identifier: Apache-2.0
"""Transports (RFC 9293, 768, 3828, 9260, 4340), ICMP, and what is no transport; tunnels, whose inside is nobody's."""

from __future__ import annotations

import struct
from typing import Any

from fixtures_common import D4, DPORT, MARK, SPORT, U4, U6, saw4, saw6
from kernel_case import O4, O6, P4, P6, T4, T6, TO, taken, untouched

from lictl.lab.frames import (
    ACK,
    FIN,
    PROTO_ESP,
    PSH,
    SYN,
    URG,
    auth_header,
    eth,
    gre,
    gtpu,
    icmp,
    icmp6,
    ipv4,
    ipv6,
    mpls,
    sctp,
    tcp,
    udp,
    vxlan,
)

HTTPS = (SPORT, 443)


def _v4(name: str, payload: bytes, l4: str = "ok", *, number: int | None = None, **fields: Any) -> Any:
    """A packet of the target over IPv4 with this payload."""
    packet = ipv4(T4, P4, payload, proto=number)
    return taken(name, eth(packet), saw4(len(packet), **{"proto": packet[9], "ports": None} | fields), l4=l4)


def _v6(name: str, payload: bytes, l4: str = "ok", *, number: int | None = None, **fields: Any) -> Any:
    packet = ipv6(T6, P6, payload, next_header=number)
    return taken(name, eth(packet), saw6(len(packet), **{"proto": packet[6], "ports": None} | fields), l4=l4)


TCP = [
    _v4("tcp: data", tcp(*HTTPS, MARK), ports=HTTPS, tcp_flags=PSH | ACK),
    _v6("tcp: data over ipv6", tcp(*HTTPS, MARK), ports=HTTPS, tcp_flags=PSH | ACK),
    _v4("tcp: syn", tcp(*HTTPS, flags=SYN), ports=HTTPS, tcp_flags=SYN),
    _v4("tcp: syn with data", tcp(*HTTPS, MARK, flags=SYN), ports=HTTPS, tcp_flags=SYN),
    _v4("tcp: every flag", tcp(*HTTPS, flags=0xFF), ports=HTTPS, tcp_flags=0xFF),
    _v4("tcp: no flag", tcp(*HTTPS, flags=0), ports=HTTPS, tcp_flags=0),
    _v4("tcp: fin", tcp(*HTTPS, flags=FIN | ACK), ports=HTTPS, tcp_flags=FIN | ACK),
    _v4("tcp: urgent data", tcp(*HTTPS, MARK, flags=URG | ACK, urgent=5), ports=HTTPS, tcp_flags=URG | ACK),
    _v4(
        "tcp: options that hold text",
        tcp(*HTTPS, options=b"\xfd\x16" + MARK[:20] + bytes(18)),
        ports=HTTPS,
        tcp_flags=PSH | ACK,
    ),
    _v4("tcp: ports zero", tcp(0, 0, MARK), ports=(0, 0), tcp_flags=PSH | ACK),
    _v4("tcp: ports ffff", tcp(65535, 65535), ports=(65535, 65535), tcp_flags=PSH | ACK),
    _v4("tcp: 19 bytes", bytes(tcp(*HTTPS))[:19], "short", number=6),
    _v4("tcp: 20 bytes", tcp(*HTTPS), ports=HTTPS, tcp_flags=PSH | ACK),
    _v4("tcp: no byte", b"", "short", number=6),
    _v4("tcp: data offset 4", tcp(*HTTPS, MARK, data_offset=4), "bad_tcp_offset"),
    _v4("tcp: data offset 0", tcp(*HTTPS, MARK, data_offset=0), "bad_tcp_offset"),
    _v4("tcp: data offset 6 without a sixth word", tcp(*HTTPS, data_offset=6), "bad_tcp_offset"),
    _v4(
        "tcp: data offset 15 swallows payload", tcp(*HTTPS, MARK * 2, data_offset=15), ports=HTTPS, tcp_flags=PSH | ACK
    ),
    _v4(
        "tcp: data offset 15 ends with the packet",
        tcp(*HTTPS, bytes(40), data_offset=15),
        ports=HTTPS,
        tcp_flags=PSH | ACK,
    ),
    _v4("tcp: data offset 15 one byte beyond", tcp(*HTTPS, bytes(39), data_offset=15), "bad_tcp_offset"),
    _v6("tcp: data offset 15 beyond, over ipv6", tcp(*HTTPS, MARK, data_offset=15), "bad_tcp_offset"),
]

UDP = [
    _v4("udp: data", udp(SPORT, DPORT, MARK), ports=(SPORT, DPORT)),
    _v4("udp: no data", udp(SPORT, DPORT), ports=(SPORT, DPORT)),
    _v4("udp: 7 bytes", bytes(udp(SPORT, DPORT))[:7], "short", number=17),
    _v4("udp: no byte", b"", "short", number=17),
    _v4("udp: length 0", udp(SPORT, DPORT, MARK, length=0), "bad_udp_length"),
    _v4("udp: length 7", udp(SPORT, DPORT, MARK, length=7), "bad_udp_length"),
    _v4("udp: length 8, the rest is surplus", udp(SPORT, DPORT, MARK, length=8), ports=(SPORT, DPORT)),
    _v4("udp: length one below what is there", udp(SPORT, DPORT, MARK, length=7 + len(MARK)), ports=(SPORT, DPORT)),
    _v4("udp: length one beyond what is there", udp(SPORT, DPORT, MARK, length=9 + len(MARK)), "bad_udp_length"),
    _v6("udp: length ffff over ipv6", udp(SPORT, DPORT, MARK, length=0xFFFF), "bad_udp_length"),
    _v6("udp: length 0 over ipv6", udp(SPORT, DPORT, MARK, length=0), "bad_udp_length"),
    _v4("udp-lite: coverage 0", udp(SPORT, DPORT, MARK, lite=True), ports=(SPORT, DPORT)),
    _v6("udp-lite: coverage 8", udp(SPORT, DPORT, MARK, lite=True, length=8), ports=(SPORT, DPORT)),
    _v4("udp-lite: 7 bytes", bytes(udp(SPORT, DPORT, lite=True))[:7], "short", number=136),
    _v4("udp-lite: 8 bytes", udp(SPORT, DPORT, lite=True), ports=(SPORT, DPORT)),
]

_DCCP = struct.pack("!HHBBHI", 7, 8, 3, 0, 0, 1) + MARK
OTHERS = [
    _v4("sctp: chunks", sctp(9, 36412, b"\0\3\0\x20" + MARK), ports=(9, 36412)),
    _v6("sctp: over ipv6", sctp(9, 36412, MARK), ports=(9, 36412)),
    _v4("sctp: 11 bytes", bytes(sctp(9, 10))[:11], "short", number=132),
    _v4("sctp: 12 bytes", sctp(9, 10), ports=(9, 10)),
    _v4("dccp: data", _DCCP, number=33, ports=(7, 8)),
    _v4("dccp: 11 bytes", _DCCP[:11], "short", number=33),
    _v6("dccp: 12 bytes", _DCCP[:12], number=33, ports=(7, 8)),
    _v4("icmp: echo", icmp(8, 0, MARK), icmp=(8, 0)),
    _v4("icmp: 4 bytes", bytes(icmp(8, 3))[:4], number=1, icmp=(8, 3)),
    _v4("icmp: 3 bytes", bytes(icmp(8, 3))[:3], "short", number=1),
    _v4("icmp: type 255 code 255", icmp(255, 255, MARK), icmp=(255, 255)),
    _v4("icmp: number 58 in ipv4 has no type", bytes(icmp6(128, 0, MARK)), number=58),
    _v4("unknown: protocol 253", MARK, number=253),
    _v4("unknown: protocol 255", MARK, number=255),
    _v4("unknown: protocol 0 in ipv4", MARK, number=0),
    _v4("unknown: ipv6's extension numbers mean nothing in ipv4", D4, number=60),
    _v4("unknown: next header 59 in ipv4", D4, number=59),
    _v4("igmp", b"\x16\0\0\0\xe0\0\0\1", number=2),
    _v4("ospf", MARK, number=89),
    _v6("unknown: protocol 253 over ipv6", MARK, number=253),
    _v6("esp: over ipv6", MARK, number=PROTO_ESP),
]

_L2TP = struct.pack("!HHH", 0x0002, 1, 1) + b"\xff\x03\0\x21" + U4


def _outside(name: str, payload: bytes, l4: str = "ok", number: int | None = None) -> Any:
    """Somebody else's packet with a packet of the target inside: it is not the target's."""
    return untouched(name, eth(ipv4(O4, P4, payload, proto=number)), l4=l4)


TUNNELS = [
    _outside("tunnel: gre around the target", gre(U4)),
    _outside("tunnel: gre with a key", gre(U6, key=77)),
    _outside("tunnel: gre around a frame", gre(eth(U4))),
    _outside("tunnel: ip in ip", U4),
    _outside("tunnel: ipv6 in ipv4", U6),
    _outside("tunnel: ipv4 in ipv4 in ipv4", ipv4(O4, P4, U4)),
    _outside("tunnel: vxlan", udp(SPORT, 4789, vxlan(42, eth(U4)))),
    _outside("tunnel: gtp-u", udp(2152, 2152, gtpu(7, U4))),
    _outside("tunnel: l2tp", udp(1701, 1701, _L2TP)),
    _outside("tunnel: l2tpv3", b"\0\0\0\1" + U4, number=115),
    _outside("tunnel: esp with the target in the clear", b"\0\0\0\1\0\0\0\1" + U4, number=PROTO_ESP),
    _outside("tunnel: authentication header in tunnel mode", auth_header(U4)),
    _outside("tunnel: mpls in ip", mpls(16, U4), number=137),
    _outside("tunnel: ethernet in ip", eth(U4), number=143),
    untouched("tunnel: ipv4 in ipv6", eth(ipv6(O6, P6, U4))),
    untouched("tunnel: ipv6 in ipv6", eth(ipv6(O6, P6, U6))),
    untouched("tunnel: ipv6 in ipv6 behind an authentication header", eth(ipv6(O6, P6, auth_header(U6)))),
    _v4("tunnel: the target's own gre", gre(U4)),
    _v4("tunnel: the target's own ip in ip", ipv4("10.0.0.1", "10.0.0.2", D4)),
    _v4("tunnel: the target's own 6in4", U6),
    _v4("tunnel: the target's own vxlan", udp(SPORT, 4789, vxlan(42, eth(U4))), ports=(SPORT, 4789)),
    _v4("tunnel: the target's own gtp-u", udp(2152, 2152, gtpu(7, U4)), ports=(2152, 2152)),
    _v4("tunnel: the target's own l2tp", udp(1701, 1701, _L2TP), ports=(1701, 1701)),
    _v4("tunnel: the target's own esp", b"\0\0\0\1\0\0\0\1" + MARK, number=PROTO_ESP),
    _v4("tunnel: the target's own authentication header over ipv4", auth_header(D4)),
]

_RFC4884 = U4 + bytes(128 - len(U4)) + b"\x20\0\0\0\0\x08\1\1" + MARK
QUOTES = [
    untouched("icmp error: unreachable that quotes the target as source", eth(ipv4(O4, P4, icmp(3, 1, U4)))),
    untouched(
        "icmp error: time exceeded that quotes the target as destination",
        eth(ipv4(O4, P4, icmp(11, 0, ipv4(P4, T4, D4)))),
    ),
    untouched("icmp error: rfc 4884 extension", eth(ipv4(O4, P4, icmp(3, 1, _RFC4884, rest=b"\0\x20\0\0")))),
    untouched("icmp error: redirect to the target", eth(ipv4(O4, P4, icmp(5, 1, U4, rest=bytes([203, 0, 113, 7]))))),
    untouched("icmp6 error: quotes the target", eth(ipv6(O6, P6, icmp6(1, 0, U6)))),
    untouched(
        "icmp6: neighbour solicitation for the target",
        eth(ipv6(O6, P6, icmp6(135, 0, bytes.fromhex("20010db8000700000000000000000007"), rest=bytes(4)))),
    ),
    _v4("icmp error: the target's own", icmp(3, 3, ipv4(P4, T4, D4)), icmp=(3, 3)),
    taken(
        "icmp error: to the target",
        eth(ipv4(P4, T4, icmp(11, 0, U4))),
        saw4(28 + len(U4), src=P4, dst=T4, proto=1, ports=None, icmp=(11, 0), dir=TO),
    ),
]

CASES = TCP + UDP + OTHERS + TUNNELS + QUOTES
