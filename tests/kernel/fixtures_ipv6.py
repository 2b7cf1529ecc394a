# SPDX-License-Identifier: Apache-2.0
"""IPv6 (RFC 8200): lengths, every extension header up to the bound and past it, fragments, jumbograms."""

from __future__ import annotations

from typing import Any

from fixtures_common import D4, DPORT, MARK, SPORT, U6, saw6
from kernel_case import FIRST, LATER, O6, P6, T6, TO, Seen, malformed, taken, untouched

from lictl.lab.frames import (
    ACK,
    PROTO_DSTOPTS,
    PROTO_FRAGMENT,
    PROTO_HOPOPTS,
    PROTO_NO_NEXT,
    PROTO_ROUTING,
    PSH,
    auth_header,
    eth,
    ext,
    frag6,
    fragments,
    icmp6,
    ipv6,
    jumbo,
    padded,
    tcp,
    udp,
)

TCP = tcp(SPORT, 443, MARK)
FLAGS = PSH | ACK
MOBILITY, HIP, SHIM6 = 135, 139, 140


def _v6(payload: bytes, **more: Any) -> bytes:
    return eth(ipv6(T6, P6, payload, **more))


def _size(frame: bytes) -> int:
    return len(frame) - 14


def _with(name: str, payload: bytes, l4: str = "ok", **fields: Any) -> Any:
    """A packet of the target with this payload; its length is what it has."""
    frame = _v6(payload)
    return taken(name, frame, saw6(_size(frame), **fields), l4=l4)


def _chain(count: int, payload: bytes, kind: int = PROTO_DSTOPTS) -> bytes:
    for _ in range(count):
        payload = ext(kind, payload)
    return payload


LENGTHS = [
    malformed("ipv6: one byte short of the base header", eth(U6)[:53], "short_ip", builds=("xdp", "native")),
    malformed("ipv6: the base header alone, length says more", eth(U6)[:54], "truncated"),
    taken("ipv6: the base header alone, and says so", _v6(b"", next_header=17), saw6(40, ports=None), l4="short"),
    malformed("ipv6: version 7", _v6(D4, version=7), "bad_version"),
    malformed("ipv6: length one beyond the frame", _v6(D4, payload_length=len(D4) + 1), "truncated"),
    malformed("ipv6: length ffff", _v6(D4, payload_length=0xFFFF), "truncated"),
    taken(
        "ipv6: length one short",
        _v6(D4, payload_length=len(D4) - 1),
        saw6(len(U6) - 1, ports=None),
        l4="bad_udp_length",
    ),
    taken("ipv6: length 8", _v6(udp(SPORT, DPORT, MARK, length=8), payload_length=8), saw6(48)),
    taken("ipv6: length 7", _v6(D4, payload_length=7), saw6(47, ports=None), l4="short"),
    taken("ipv6: length 0 before udp", _v6(D4, payload_length=0), saw6(40, ports=None), l4="short"),
    taken(
        "ipv6: traffic class, flow label and hop limit do not matter",
        _v6(D4, traffic_class=255, flow_label=0xFFFFF, hop_limit=0),
        saw6(),
    ),
    taken("ipv6: a trailer is cut", eth(U6, trailer=MARK), saw6()),
    taken("ipv6: to the target", eth(ipv6(P6, T6, D4)), saw6(src=P6, dst=T6, dir=TO)),
    untouched("ipv6: somebody else", eth(ipv6(O6, P6, D4))),
]

EXTENSIONS = [
    _with("ipv6: hop-by-hop", ext(PROTO_HOPOPTS, D4)),
    _with("ipv6: destination options", ext(PROTO_DSTOPTS, D4)),
    _with("ipv6: options that hold text", ext(PROTO_DSTOPTS, D4, body=b"\x1e\x16" + MARK[:22] + bytes(6))),
    _with("ipv6: routing", ext(PROTO_ROUTING, TCP), proto=6, ports=(SPORT, 443), tcp_flags=FLAGS),
    _with("ipv6: mobility before udp", ext(MOBILITY, D4)),
    _with("ipv6: hip before udp", ext(HIP, D4)),
    _with("ipv6: shim6 before udp", ext(SHIM6, D4)),
    _with("ipv6: authentication header before udp", auth_header(D4)),
    _with(
        "ipv6: authentication header with a long icv",
        auth_header(TCP, icv=bytes(32)),
        proto=6,
        ports=(SPORT, 443),
        tcp_flags=FLAGS,
    ),
    _with(
        "ipv6: every extension once",
        ext(PROTO_HOPOPTS, ext(PROTO_DSTOPTS, ext(PROTO_ROUTING, frag6(auth_header(ext(MOBILITY, D4)))))),
    ),
    _with("ipv6: seven extensions", _chain(7, D4)),
    _with("ipv6: eight extensions", _chain(8, D4)),
    _with("ipv6: nine extensions", _chain(9, D4), "ext_chain", proto=PROTO_DSTOPTS, ports=None),
    _with("ipv6: forty extensions", _chain(40, D4), "ext_chain", proto=PROTO_DSTOPTS, ports=None),
    _with(
        "ipv6: eight extensions and then nothing",
        ext(PROTO_DSTOPTS, _chain(6, ext(PROTO_DSTOPTS, MARK, next_header=59))),
        "no_next",
        proto=PROTO_NO_NEXT,
        ports=None,
    ),
    _with("ipv6: an extension of 256 bytes", ext(PROTO_DSTOPTS, D4, body=bytes(254))),
    _with(
        "ipv6: extensions beyond the bound of 512 bytes", ext(PROTO_DSTOPTS, D4, body=bytes(510)), "short", ports=None
    ),
    _with(
        "ipv6: an extension that says 2048 bytes",
        ext(PROTO_DSTOPTS, D4, length=255),
        "ext_short",
        proto=PROTO_DSTOPTS,
        ports=None,
    ),
    _with(
        "ipv6: an extension that ends one unit beyond the packet",
        ext(PROTO_DSTOPTS, bytes(8), length=2, next_header=17),
        "ext_short",
        proto=PROTO_DSTOPTS,
        ports=None,
    ),
    _with(
        "ipv6: an extension that ends with the packet",
        ext(PROTO_DSTOPTS, bytes(8), length=1, next_header=17),
        "short",
        ports=None,
    ),
    _with(
        "ipv6: an extension length that hides the ports", ext(PROTO_DSTOPTS, D4, length=1), "bad_udp_length", ports=None
    ),
    taken(
        "ipv6: an extension of 7 bytes",
        _v6(bytes(7), next_header=PROTO_DSTOPTS),
        saw6(47, proto=PROTO_DSTOPTS, ports=None),
        l4="ext_short",
    ),
    taken(
        "ipv6: an announced extension that is not there",
        _v6(b"", next_header=PROTO_ROUTING),
        saw6(40, proto=PROTO_ROUTING, ports=None),
        l4="ext_short",
    ),
    taken(
        "ipv6: an extension in the trailer is not in the packet",
        padded(_v6(b"", next_header=PROTO_DSTOPTS), 90),
        saw6(40, proto=PROTO_DSTOPTS, ports=None),
        l4="ext_short",
    ),
    _with(
        "ipv6: an authentication header beyond the packet",
        auth_header(D4, length=255),
        "ext_short",
        proto=51,
        ports=None,
    ),
    taken(
        "ipv6: no next header",
        _v6(MARK, next_header=PROTO_NO_NEXT),
        saw6(40 + len(MARK), proto=PROTO_NO_NEXT, ports=None),
        l4="no_next",
    ),
    taken(
        "ipv6: no next header and no payload",
        _v6(b"", next_header=PROTO_NO_NEXT),
        saw6(40, proto=PROTO_NO_NEXT, ports=None),
        l4="no_next",
    ),
    _with(
        "ipv6: no next header behind options",
        ext(PROTO_DSTOPTS, MARK, next_header=PROTO_NO_NEXT),
        "no_next",
        proto=PROTO_NO_NEXT,
        ports=None,
    ),
    untouched(
        "ipv6: the target in a routing header is no end",
        eth(
            ipv6(
                O6, P6, ext(PROTO_ROUTING, D4, body=b"\2\1\0\0\0\0" + bytes.fromhex("20010db8000700000000000000000007"))
            )
        ),
    ),
]

_PARTS = fragments(ipv6(T6, P6, udp(SPORT, DPORT, MARK * 10)), 64)
FRAGMENTS = [
    taken("fragment6: the first has ports", eth(_PARTS[0]), saw6(112, frag=FIRST)),
    taken("fragment6: a later one has none", eth(_PARTS[1]), saw6(112, frag=LATER, ports=None), l4="later_fragment"),
    taken(
        "fragment6: the last one has none",
        eth(_PARTS[-1]),
        saw6(len(_PARTS[-1]), frag=LATER, ports=None),
        l4="later_fragment",
    ),
    _with("fragment6: atomic", frag6(D4)),
    _with(
        "fragment6: offset 1 that looks like a header",
        frag6(TCP, offset=1),
        "later_fragment",
        proto=6,
        frag=LATER,
        ports=None,
    ),
    _with(
        "fragment6: first with 7 bytes of udp",
        frag6(bytes(D4)[:7], more=True, next_header=17),
        "tiny_fragment",
        frag=FIRST,
        ports=None,
    ),
    _with("fragment6: first with 8 bytes of udp", frag6(bytes(D4)[:8], more=True, next_header=17), frag=FIRST),
    _with(
        "fragment6: first with 19 bytes of tcp",
        frag6(bytes(TCP)[:19], more=True, next_header=6),
        "tiny_fragment",
        proto=6,
        frag=FIRST,
        ports=None,
    ),
    _with(
        "fragment6: first with options and no transport",
        frag6(bytes(ext(PROTO_DSTOPTS, D4))[:8], more=True, next_header=60),
        "tiny_fragment",
        frag=FIRST,
        ports=None,
    ),
    _with(
        "fragment6: later, options announced",
        frag6(MARK, offset=5, next_header=PROTO_DSTOPTS),
        "later_fragment",
        proto=PROTO_DSTOPTS,
        frag=LATER,
        ports=None,
    ),
    _with(
        "fragment6: behind hop-by-hop and routing",
        ext(PROTO_HOPOPTS, ext(PROTO_ROUTING, frag6(D4, more=True))),
        frag=FIRST,
    ),
    _with(
        "fragment6: a second fragment header",
        frag6(frag6(D4, offset=3), more=True),
        "later_fragment",
        frag=LATER,
        ports=None,
    ),
    _with("fragment6: two atomic ones", frag6(frag6(D4))),
    *[
        _with(
            f"fragment6: offset {1 << bit} alone", frag6(D4, offset=1 << bit), "later_fragment", frag=LATER, ports=None
        )
        for bit in range(13)
    ],
    _with("fragment6: atomic, with options behind it", frag6(ext(PROTO_DSTOPTS, D4))),
    taken(
        "fragment6: header one byte short",
        _v6(bytes(7), next_header=PROTO_FRAGMENT),
        saw6(47, proto=PROTO_FRAGMENT, ports=None),
        l4="ext_short",
    ),
]

_BARE = Seen(src=T6, dst=P6, proto=PROTO_HOPOPTS)
JUMBOGRAMS = [
    taken(
        "jumbogram: the option says 70000", _v6(jumbo(D4, 70000), payload_length=0), _BARE, parse="jumbogram", l4=None
    ),
    taken(
        "jumbogram: length 0 and options without a jumbo option",
        _v6(ext(PROTO_HOPOPTS, D4), payload_length=0),
        _BARE,
        parse="jumbogram",
        l4=None,
    ),
    taken("jumbogram: length 0 and no options at all", _v6(b"", next_header=0), _BARE, parse="jumbogram", l4=None),
    taken(
        "jumbogram: to the target",
        eth(ipv6(P6, T6, jumbo(D4, 70000), payload_length=0)),
        Seen(src=P6, dst=T6, proto=PROTO_HOPOPTS, dir=TO),
        parse="jumbogram",
        l4=None,
    ),
    untouched(
        "jumbogram: of somebody else", eth(ipv6(O6, P6, jumbo(D4, 70000), payload_length=0)), parse="jumbogram", l4=None
    ),
    _with("jumbogram: a jumbo option in a packet that has a length", jumbo(D4, 70000)),
]

ICMP6 = [
    taken(
        "icmp6: 4 bytes", _v6(bytes(icmp6(135, 7))[:4], next_header=58), saw6(44, proto=58, ports=None, icmp=(135, 7))
    ),
    taken("icmp6: 3 bytes", _v6(bytes(icmp6(135, 7))[:3], next_header=58), saw6(43, proto=58, ports=None), l4="short"),
    _with("icmp6: echo", icmp6(128, 0, MARK), proto=58, ports=None, icmp=(128, 0)),
    taken(
        "icmp6: number 1 in ipv6 has no type",
        _v6(b"\x08\0" + MARK, next_header=1),
        saw6(42 + len(MARK), proto=1, ports=None),
    ),
]

CASES = LENGTHS + EXTENSIONS + FRAGMENTS + JUMBOGRAMS + ICMP6
