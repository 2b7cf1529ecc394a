# SPDX-License-Identifier: Apache-2.0
"""Where content hides: frames of the target for the headings of "Headers only", with a taint of any bytes inside."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_case import O4, P4, P6, T4, T6

from lictl.lab.frames import (
    ACK,
    ETH_ARP,
    ETH_TEB,
    PPP_CHAP,
    PPP_LCP,
    PPP_PAP,
    PROTO_DSTOPTS,
    PROTO_ESP,
    PROTO_HOPOPTS,
    PROTO_ROUTING,
    PSH,
    SYN,
    URG,
    auth_header,
    eth,
    ext,
    frag6,
    fragments,
    gre,
    gtpu,
    icmp,
    icmp6,
    ipv4,
    ipv6,
    jumbo,
    llc,
    mpls,
    padded,
    pppoe,
    pppoe_discovery,
    sctp,
    snap,
    tcp,
    udp,
    vlan,
    vxlan,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Taint = bytes


@dataclass(frozen=True, slots=True)
class Hidden:
    """One hiding place.

    Attributes:
        heading: its number in standards.md.
        name: the heading's words, and the case.
        frames: makes the frames that carry a taint; two taints of one length make frames that differ in it only
            (and in the checksums over it).
    """

    heading: int
    name: str
    frames: Callable[[Taint], list[bytes]]


def _v4(payload: bytes, **more: int | bytes) -> bytes:
    return eth(ipv4(T4, P4, payload, **more))  # type: ignore[arg-type]


def _v6(payload: bytes, **more: int) -> bytes:
    return eth(ipv6(T6, P6, payload, **more))


def _option(kind: int, taint: Taint) -> bytes:
    return bytes((kind, 2 + len(taint))) + taint


def _dhcp(options: bytes) -> bytes:
    return udp(68, 67, b"\1\1\6\0" + bytes(232) + b"\x63\x82\x53\x63" + options + b"\xff")


def _radius(attribute: int, taint: Taint) -> bytes:
    value = _option(attribute, taint)
    return udp(1645, 1813, struct.pack("!BBH", 4, 1, 20 + len(value)) + bytes(16) + value)


def _quoted(taint: Taint) -> bytes:
    return ipv4(P4, T4, udp(53, 40001, taint))


def _rfc4884(taint: Taint) -> bytes:
    quoted = _quoted(b"")
    return quoted + bytes(128 - len(quoted)) + b"\x20\0\0\0" + struct.pack("!HBB", 4 + len(taint), 1, 1) + taint


def _inner(taint: Taint) -> bytes:
    return ipv4("10.0.0.1", "10.0.0.2", udp(1, 2, taint))


HIDDEN = [
    Hidden(3, "checksums leak content: tcp", lambda t: [_v4(tcp(1, 2, t)), _v6(tcp(1, 2, t))]),
    Hidden(3, "checksums leak content: udp", lambda t: [_v4(udp(1, 2, t)), _v6(udp(1, 2, t))]),
    Hidden(3, "checksums leak content: icmp", lambda t: [_v4(icmp(8, 0, t)), _v6(icmp6(128, 0, t))]),
    Hidden(4, "tcp data offset lies: 15 swallows payload", lambda t: [_v4(tcp(1, 2, t + bytes(60), data_offset=15))]),
    Hidden(4, "tcp data offset lies: below 5", lambda t: [_v4(tcp(1, 2, t, data_offset=n)) for n in range(5)]),
    Hidden(4, "tcp data offset lies: beyond the packet", lambda t: [_v4(tcp(1, 2, t, data_offset=15))]),
    Hidden(4, "tcp options: fast open cookie", lambda t: [_v4(tcp(1, 2, options=_option(34, t), flags=SYN))]),
    Hidden(4, "tcp options: mptcp", lambda t: [_v4(tcp(1, 2, options=_option(30, t)))]),
    Hidden(4, "tcp options: experimental", lambda t: [_v6(tcp(1, 2, options=_option(254, t)))]),
    Hidden(5, "data in a syn", lambda t: [_v4(tcp(1, 2, t, flags=SYN))]),
    Hidden(5, "urgent data", lambda t: [_v4(tcp(1, 2, t, flags=URG | ACK, urgent=len(t)))]),
    Hidden(
        6, "ipv4 options", lambda t: [_v4(tcp(1, 2), options=_option(7, t)), _v4(udp(1, 2, t), options=_option(68, t))]
    ),
    Hidden(6, "ipv4 header length lies", lambda t: [_v4(t + bytes(60), ihl=n, proto=17) for n in range(16)]),
    Hidden(7, "ip total length 0", lambda t: [_v4(tcp(1, 2, t), total_length=0)]),
    Hidden(7, "ip total length larger than the frame", lambda t: [_v4(tcp(1, 2, t), total_length=4000)]),
    Hidden(7, "ip total length smaller than the frame", lambda t: [eth(ipv4(T4, P4, tcp(1, 2)), trailer=t)]),
    Hidden(
        7,
        "ip total length that ends in the headers",
        lambda t: [_v4(tcp(1, 2, t), total_length=n) for n in range(20, 41)],
    ),
    Hidden(
        8,
        "udp length smaller than the ip payload",
        lambda t: [_v4(udp(1, 2, t, length=8)), _v6(udp(1, 2, t, length=8))],
    ),
    Hidden(8, "udp length 0 to 7", lambda t: [_v4(udp(1, 2, t, length=n)) for n in range(8)]),
    Hidden(9, "later fragments", lambda t: [eth(part) for part in fragments(ipv4(T4, P4, udp(1, 2, t * 20)), 16)]),
    Hidden(
        9,
        "later fragments of ipv6",
        lambda t: [eth(part) for part in fragments(ipv6(T6, P6, udp(1, 2, t * 20)), 16)[1:]],
    ),
    Hidden(
        9,
        "a later fragment that is payload from its first byte",
        lambda t: [_v4(t, proto=6, frag_offset=1), _v6(frag6(t, offset=1))],
    ),
    Hidden(9, "overlapping fragments", lambda t: [_v4(tcp(1, 2), mf=True), _v4(t, proto=6, frag_offset=1)]),
    Hidden(
        10,
        "ipv6 option bodies",
        lambda t: [_v6(ext(kind, tcp(1, 2), body=_option(30, t))) for kind in (PROTO_HOPOPTS, PROTO_DSTOPTS)],
    ),
    Hidden(10, "ipv6 routing header", lambda t: [_v6(ext(PROTO_ROUTING, udp(1, 2), body=b"\4\0\0\0\0\0" + t))]),
    Hidden(10, "ipv6 lying lengths", lambda t: [_v6(ext(PROTO_DSTOPTS, udp(1, 2, t), length=n)) for n in (2, 9, 255)]),
    Hidden(10, "ipv6 long chains", lambda t: [_v6(_chained(n, t)) for n in (8, 9, 30)]),
    Hidden(10, "ipv6 jumbograms", lambda t: [_v6(jumbo(udp(1, 2, t), 70000), payload_length=0)]),
    Hidden(10, "ipv6 next header 59", lambda t: [_v6(t, next_header=59)]),
    Hidden(11, "icmp errors quote the inner packet", lambda t: [_v4(icmp(3, 1, _quoted(t)))]),
    Hidden(11, "icmp errors of rfc 4884", lambda t: [_v4(icmp(11, 0, _rfc4884(t), rest=b"\0\x20\0\0"))]),
    Hidden(
        11, "icmp echo data and identifier", lambda t: [_v4(icmp(0, 0, t, rest=(t * 4)[:4])), _v6(icmp6(129, 0, t))]
    ),
    Hidden(12, "tunnels: gre", lambda t: [_v4(gre(_inner(t))), _v4(gre(eth(_inner(t)), ethertype=ETH_TEB))]),
    Hidden(12, "tunnels: ip in ip and 6in4", lambda t: [_v4(_inner(t)), _v4(ipv6("fd00::1", "fd00::2", udp(1, 2, t)))]),
    Hidden(12, "tunnels: vxlan", lambda t: [_v4(udp(1, 4789, vxlan(7, eth(_inner(t)))))]),
    Hidden(12, "tunnels: gtp-u", lambda t: [_v4(udp(2152, 2152, gtpu(7, _inner(t))))]),
    Hidden(12, "tunnels: l2tp", lambda t: [_v4(udp(1701, 1701, b"\0\2\0\1\0\1\xff\3\0\x21" + _inner(t)))]),
    Hidden(12, "tunnels: esp", lambda t: [_v4(t, proto=PROTO_ESP), _v6(t, next_header=PROTO_ESP)]),
    Hidden(12, "tunnels: authentication header", lambda t: [_v4(auth_header(_inner(t))), _v6(auth_header(_inner(t)))]),
    Hidden(
        13, "pppoe control: chap, pap, lcp", lambda t: [eth(pppoe(1, t, ppp=p)) for p in (PPP_CHAP, PPP_PAP, PPP_LCP)]
    ),
    Hidden(13, "pppoe discovery", lambda t: [eth(pppoe_discovery(0x19, t))]),
    Hidden(13, "mpls pseudowire control word", lambda t: [eth(mpls(16, b"\0\0\0\1" + eth(_inner(t))))]),
    Hidden(13, "more vlan tags than parsed", lambda t: [eth(vlan(1, vlan(2, vlan(3, vlan(4, _inner(t))))))]),
    Hidden(13, "llc and snap", lambda t: [llc(t), snap(0x0800, _inner(t))]),
    Hidden(13, "unknown ethertype", lambda t: [eth(t, ethertype=0x1234), padded(eth(t, ethertype=ETH_ARP))]),
    Hidden(14, "sctp chunks", lambda t: [_v4(sctp(1, 2, b"\0\3\0\x20" + t))]),
    Hidden(14, "dccp", lambda t: [_v4(struct.pack("!HHBBHI", 1, 2, 3, 0, 0, 1) + t, proto=33)]),
    Hidden(14, "udp-lite", lambda t: [_v4(udp(1, 2, t, lite=True))]),
    Hidden(14, "unknown protocols", lambda t: [_v4(t, proto=253), _v6(t, next_header=200)]),
    Hidden(15, "radius is never forwarded raw", lambda t: [_v4(_radius(1, t)), _v4(_radius(2, t))]),
    Hidden(15, "dhcp is never forwarded raw", lambda t: [_v4(_dhcp(_option(12, t)))]),
    Hidden(21, "location data: option 82", lambda t: [_v4(_dhcp(_option(82, _option(1, t))))]),
    Hidden(21, "location data: nas-port and access point", lambda t: [_v4(_radius(87, t)), _v4(_radius(30, t))]),
    Hidden(20, "side doors: padding of a short frame", lambda t: [eth(ipv4(T4, P4, tcp(1, 2, flags=PSH)), trailer=t)]),
    Hidden(
        18,
        "both ends, and somebody else's address in the payload",
        lambda t: [eth(ipv4(T4, T4, udp(1, 2, O4.encode() + t)))],
    ),
]


def _chained(count: int, taint: Taint) -> bytes:
    payload: bytes = udp(1, 2, taint)
    for _ in range(count):
        payload = ext(PROTO_DSTOPTS, payload, body=_option(30, taint))
    return payload
