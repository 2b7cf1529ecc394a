# SPDX-License-Identifier: Apache-2.0
"""IPv4 (RFC 791): lengths that lie, options, fragments."""

from __future__ import annotations

from fixtures_common import D4, DPORT, MARK, SPORT, U4, saw4
from kernel_case import FIRST, LATER, O4, P4, T4, TO, malformed, taken, untouched

from lictl.lab.frames import ACK, PSH, SYN, eth, fragments, icmp, ipv4, padded, pppoe, sctp, tcp, udp

TCP = tcp(SPORT, 443, MARK)
FLAGS = PSH | ACK
LSRR = b"\x83\x07\x04" + bytes([198, 51, 100, 77]) + b"\0"  # loose source route
OPTIONS_40 = b"\x44\x28" + MARK[:22] + bytes(16)  # a time stamp option that carries text


LENGTHS = [
    malformed("ipv4: no byte of it", eth(U4)[:14], "short_ip", builds=("xdp", "native")),
    malformed("ipv4: one byte short of the base header", eth(U4)[:33], "short_ip", builds=("xdp", "native")),
    malformed("ipv4: the base header alone, length says more", eth(U4)[:34], "truncated"),
    taken("ipv4: the base header alone, and says so", eth(ipv4(T4, P4, proto=17)), saw4(20, ports=None), l4="short"),
    malformed("ipv4: version 5", eth(ipv4(T4, P4, D4, version=5)), "bad_version"),
    malformed("ipv4: version 0", eth(ipv4(T4, P4, D4, version=0)), "bad_version"),
    malformed("ipv4: header length 0", eth(ipv4(T4, P4, D4, ihl=0)), "bad_ihl"),
    malformed("ipv4: header length 4 words", eth(ipv4(T4, P4, D4, ihl=4)), "bad_ihl"),
    taken("ipv4: header length 5 words", eth(ipv4(T4, P4, D4, ihl=5)), saw4()),
    malformed("ipv4: header length one word beyond the total", eth(ipv4(T4, P4, b"", ihl=6, proto=17)), "bad_ihl"),
    malformed("ipv4: header length 15 words in 32 bytes", eth(ipv4(T4, P4, bytes(12), ihl=15)), "bad_ihl"),
    taken("ipv4: header length swallows the ports", eth(ipv4(T4, P4, D4, ihl=12)), saw4(ports=None), l4="short"),
    malformed("ipv4: total length 0", eth(ipv4(T4, P4, TCP, total_length=0)), "bad_length"),
    malformed("ipv4: total length 19", eth(ipv4(T4, P4, TCP, total_length=19)), "bad_length"),
    taken("ipv4: total length 20", eth(ipv4(T4, P4, TCP, total_length=20)), saw4(20, proto=6, ports=None), l4="short"),
    taken(
        "ipv4: total length one short of the datagram",
        eth(ipv4(T4, P4, D4, total_length=len(U4) - 1)),
        saw4(len(U4) - 1, ports=None),
        l4="bad_udp_length",
    ),
    malformed("ipv4: total length one beyond the frame", eth(ipv4(T4, P4, D4, total_length=len(U4) + 1)), "truncated"),
    malformed("ipv4: total length ffff", eth(ipv4(T4, P4, D4, total_length=0xFFFF)), "truncated"),
    malformed(
        "ipv4: total length reaches into pppoe's padding",
        eth(pppoe(1, ipv4(T4, P4, D4, total_length=len(U4) + 8)), trailer=bytes(64)),
        "truncated",
    ),
    taken("ipv4: total length smaller than the frame", eth(ipv4(T4, P4, D4) + MARK), saw4()),
    taken("ipv4: a wrong header checksum changes nothing", eth(ipv4(T4, P4, D4, header_checksum=0xDEAD)), saw4()),
    taken(
        "ipv4: tos, id, df and ttl do not matter", eth(ipv4(T4, P4, D4, tos=255, ident=0xFFFF, df=True, ttl=0)), saw4()
    ),
]

OPTIONS = [
    taken("ipv4: options of 4 bytes", eth(ipv4(T4, P4, D4, options=b"\x94\4\0\0")), saw4(len(U4) + 4)),
    taken("ipv4: options of 40 bytes that hold text", eth(ipv4(T4, P4, D4, options=OPTIONS_40)), saw4(len(U4) + 40)),
    taken(
        "ipv4: options of 40 bytes before tcp",
        eth(ipv4(T4, P4, TCP, options=OPTIONS_40)),
        saw4(len(TCP) + 60, proto=6, ports=(SPORT, 443), tcp_flags=FLAGS),
    ),
    untouched(
        "ipv4: the target in a source route is no end", eth(ipv4(O4, P4, D4, options=b"\x83\x07\x04\xcb\0\x71\x07\0"))
    ),
    taken("ipv4: a source route leaves the ends as they stand", eth(ipv4(T4, P4, D4, options=LSRR)), saw4(len(U4) + 8)),
    taken(
        "ipv4: options cut by the total length",
        eth(ipv4(T4, P4, D4, options=bytes(8), ihl=7, total_length=28)),
        saw4(28, ports=None),
        l4="short",
    ),
]

_WHOLE = ipv4(T4, P4, udp(SPORT, DPORT, MARK * 10))
_PARTS = fragments(_WHOLE, 64)
_TCP_PARTS = fragments(ipv4(T4, P4, tcp(SPORT, 443, MARK * 10)), 64)


def _first(payload: bytes, **more: int) -> bytes:
    return eth(ipv4(T4, P4, payload, mf=True, **more))


FRAGMENTS = [
    taken("fragment: the first of udp has ports", eth(_PARTS[0]), saw4(84, frag=FIRST)),
    taken("fragment: a middle one has none", eth(_PARTS[1]), saw4(84, frag=LATER, ports=None), l4="later_fragment"),
    taken(
        "fragment: the last one has none",
        eth(_PARTS[-1]),
        saw4(len(_PARTS[-1]), frag=LATER, ports=None),
        l4="later_fragment",
    ),
    taken(
        "fragment: the first of tcp has ports and flags",
        eth(_TCP_PARTS[0]),
        saw4(84, proto=6, frag=FIRST, ports=(SPORT, 443), tcp_flags=FLAGS),
    ),
    taken(
        "fragment: a later one of tcp has no flags",
        eth(_TCP_PARTS[1]),
        saw4(84, proto=6, frag=LATER, ports=None),
        l4="later_fragment",
    ),
    taken(
        "fragment: offset 1 that looks like a header",
        eth(ipv4(T4, P4, TCP, frag_offset=1)),
        saw4(20 + len(TCP), proto=6, frag=LATER, ports=None),
        l4="later_fragment",
    ),
    taken(
        "fragment: the largest offset",
        eth(ipv4(T4, P4, D4, frag_offset=0x1FFF)),
        saw4(frag=LATER, ports=None),
        l4="later_fragment",
    ),
    *[
        taken(
            f"fragment: offset {1 << bit} alone",
            eth(ipv4(T4, P4, D4, frag_offset=1 << bit)),
            saw4(frag=LATER, ports=None),
            l4="later_fragment",
        )
        for bit in range(13)
    ],
    taken("fragment: the reserved bit is none", eth(bytes(U4[:6]) + b"\x80\0" + bytes(U4[8:])), saw4()),
    taken("fragment: don't fragment alone is none", eth(ipv4(T4, P4, D4, df=True)), saw4()),
    taken("fragment: more fragments and don't fragment is the first", _first(D4, df=True), saw4(frag=FIRST)),
    taken(
        "fragment: first with 7 bytes of udp",
        _first(bytes(D4)[:7], proto=17),
        saw4(27, frag=FIRST, ports=None),
        l4="tiny_fragment",
    ),
    taken("fragment: first with 8 bytes of udp", _first(bytes(D4)[:8], proto=17), saw4(28, frag=FIRST)),
    taken(
        "fragment: first with 8 bytes of tcp",
        _first(bytes(TCP)[:8], proto=6),
        saw4(28, proto=6, frag=FIRST, ports=None),
        l4="tiny_fragment",
    ),
    taken(
        "fragment: first with 19 bytes of tcp",
        _first(bytes(TCP)[:19], proto=6),
        saw4(39, proto=6, frag=FIRST, ports=None),
        l4="tiny_fragment",
    ),
    taken(
        "fragment: first with 20 bytes of tcp",
        _first(bytes(TCP)[:20], proto=6),
        saw4(40, proto=6, frag=FIRST, ports=(SPORT, 443), tcp_flags=FLAGS),
    ),
    taken(
        "fragment: first shorter than its tcp options",
        _first(bytes(tcp(SPORT, 443, options=bytes(20)))[:24], proto=6),
        saw4(44, proto=6, frag=FIRST, ports=None),
        l4="tiny_fragment",
    ),
    taken(
        "fragment: first with 11 bytes of sctp",
        _first(bytes(sctp(1, 2, MARK))[:11], proto=132),
        saw4(31, proto=132, frag=FIRST, ports=None),
        l4="tiny_fragment",
    ),
    taken(
        "fragment: first with 3 bytes of icmp",
        _first(bytes(icmp(8))[:3], proto=1),
        saw4(23, proto=1, frag=FIRST, ports=None),
        l4="tiny_fragment",
    ),
    taken(
        "fragment: first with a udp length below 8",
        _first(udp(SPORT, DPORT, MARK, length=7)),
        saw4(frag=FIRST, ports=None),
        l4="bad_udp_length",
    ),
    taken(
        "fragment: to the target",
        eth(ipv4(P4, T4, MARK, proto=17, frag_offset=9)),
        saw4(20 + len(MARK), src=P4, dst=T4, frag=LATER, ports=None, dir=TO),
        l4="later_fragment",
    ),
    taken(
        "fragment: later and empty",
        padded(eth(ipv4(T4, P4, b"", proto=6, frag_offset=2))),
        saw4(20, proto=6, frag=LATER, ports=None),
        l4="later_fragment",
    ),
    taken(
        "fragment: of an unknown protocol",
        _first(MARK, proto=253),
        saw4(20 + len(MARK), proto=253, frag=FIRST, ports=None),
    ),
    taken(
        "fragment: syn in a first one",
        _first(tcp(1, 2, MARK, flags=SYN)),
        saw4(20 + 20 + len(MARK), proto=6, frag=FIRST, ports=(1, 2), tcp_flags=SYN),
    ),
]

CASES = LENGTHS + OPTIONS + FRAGMENTS
