# SPDX-License-Identifier: Apache-2.0
"""Every kind of target, prefixes in each other, many orders on one packet, both ends of a packet."""

from __future__ import annotations

from fixtures_common import D4, MARK, SPORT, U4, U6, saw4, saw6
from fixtures_named import both, hit, miss, some
from kernel_case import (
    BOTH,
    FROM,
    LATER,
    O4,
    O6,
    P4,
    P6,
    T4,
    T6,
    TO,
    Case,
    Seen,
    Want,
    content,
    headers,
    hook,
    taken,
    untouched,
)

from lictl.lab.frames import (
    ACK,
    ETH_ARP,
    ETH_QINQ,
    MAC_A,
    MAC_B,
    PSH,
    auth_header,
    eth,
    ipv4,
    ipv6,
    padded,
    pppoe,
    tcp,
    vlan,
)

FLAGS = PSH | ACK


ADDRESSES = [
    hit("target: ipv4 as source", f"ip:{T4}", eth(U4), saw4()),
    hit("target: ipv4 as destination", f"ip:{P4}", eth(U4), saw4(dir=TO)),
    miss("target: the neighbour's ipv4", "ip:203.0.113.6", eth(U4)),
    hit("target: ipv6 as source", f"ip:{T6}", eth(U6), saw6()),
    hit("target: ipv6 as destination", f"ip:{P6}", eth(U6), saw6(dir=TO)),
    miss("target: the neighbour's ipv6", "ip:2001:db8:7::6", eth(U6)),
    hit("target: to itself, one record in both directions", f"ip:{T4}", eth(ipv4(T4, T4, D4)), saw4(dst=T4, dir=BOTH)),
    hit("target: both ends under one order", f"ip:{T4}; ip:{P4}", eth(U4), saw4(dir=BOTH)),
    hit("target: both ends in one prefix", "ip:2001:db8::/32", eth(U6), saw6(dir=BOTH)),
    *[
        hit(
            f"target: ipv4 first of its /{n}",
            f"ip:{net}/{n}",
            eth(ipv4(net, "9.9.9.9", D4)),
            saw4(src=net, dst="9.9.9.9"),
        )
        for n, net in (
            (2, "192.0.0.0"),
            (8, "203.0.0.0"),
            (17, "203.0.128.0"),
            (24, "203.0.113.0"),
            (31, "203.0.113.6"),
        )
    ],
    *[
        hit(
            f"target: ipv4 last of its /{n}",
            f"ip:{net}/{n}",
            eth(ipv4(last, "9.9.9.9", D4)),
            saw4(src=last, dst="9.9.9.9"),
        )
        for n, net, last in (
            (1, "128.0.0.0", "255.255.255.255"),
            (24, "203.0.113.0", "203.0.113.255"),
            (31, "203.0.113.6", "203.0.113.7"),
        )
    ],
    *[
        miss(f"target: ipv4 one beyond its /{n}", f"ip:{net}/{n}", eth(ipv4(beyond, "9.9.9.9", D4)))
        for n, net, beyond in (
            (1, "128.0.0.0", "127.255.255.255"),
            (24, "203.0.113.0", "203.0.114.0"),
            (31, "203.0.113.6", "203.0.113.8"),
        )
    ],
    *[
        hit(
            f"target: ipv6 last of its /{n}",
            f"ip:{net}/{n}",
            eth(ipv6(last, "fd00::1", D4)),
            saw6(src=last, dst="fd00::1"),
        )
        for n, net, last in (
            (1, "8000::", "bfff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (56, "2001:db8:7::", "2001:db8:7:ff:ffff:ffff:ffff:ffff"),
            (63, "2001:db8:7::", "2001:db8:7:1:ffff:ffff:ffff:ffff"),
            (64, "2001:db8:7::", "2001:db8:7::ffff:ffff:ffff:ffff"),
            (65, "2001:db8:7::", "2001:db8:7::7fff:ffff:ffff:ffff"),
            (127, "2001:db8:7::6", "2001:db8:7::7"),
        )
        if n > 1
    ],
    *[
        miss(f"target: ipv6 one beyond its /{n}", f"ip:{net}/{n}", eth(ipv6(beyond, "fd00::1", D4)))
        for n, net, beyond in (
            (56, "2001:db8:7::", "2001:db8:7:100::"),
            (63, "2001:db8:7::", "2001:db8:7:2::"),
            (64, "2001:db8:7::", "2001:db8:7:1::"),
            (65, "2001:db8:7::", "2001:db8:7::8000:0:0:0"),
            (127, "2001:db8:7::6", "2001:db8:7::8"),
        )
    ],
]

Q4 = "9.9.9.9"  # a peer that no prefix of these orders has
NESTED_4 = tuple(
    headers(n, f"ip:{net}")
    for n, net in enumerate(
        ("128.0.0.0/1", "203.0.0.0/8", "203.0.112.0/20", "203.0.113.0/24", "203.0.113.4/30", f"{T4}"), 1
    )
)
NESTED_6 = tuple(
    content(n, f"ip:{net}")
    for n, net in enumerate(
        ("2001:db8::/32", "2001:db8:7::/48", "2001:db8:7::/64", "2001:db8:7::/127", "2001:db8:7::6/127", f"{T6}"), 1
    )
)


PREFIXES = [
    some("nested: the address is in all six", eth(ipv4(T4, Q4, D4)), saw4(dst=Q4), (1, 2, 3, 4, 5, 6), NESTED_4),
    some(
        "nested: a neighbour is in the shorter five",
        eth(ipv4("203.0.113.5", Q4, D4)),
        saw4(src="203.0.113.5", dst=Q4),
        (1, 2, 3, 4, 5),
        NESTED_4,
    ),
    some(
        "nested: in the /20 only",
        eth(ipv4("203.0.112.1", Q4, D4)),
        saw4(src="203.0.112.1", dst=Q4),
        (1, 2, 3),
        NESTED_4,
    ),
    some(
        "nested: in the /1 only",
        eth(ipv4("129.1.1.1", "9.9.9.9", D4)),
        saw4(src="129.1.1.1", dst="9.9.9.9"),
        (1,),
        NESTED_4,
    ),
    some("nested: ipv6 in five", eth(U6), saw6(dir=FROM), (2, 3, 5, 6), NESTED_6[1:]),
    some(
        "nested: the other /127",
        eth(ipv6("2001:db8:7::1", "fd00::1", D4)),
        saw6(src="2001:db8:7::1", dst="fd00::1"),
        (1, 2, 3, 4),
        NESTED_6,
    ),
]

_TCP4 = ipv4(T4, P4, tcp(SPORT, 443, MARK))
_FLOW = f"flow:tcp {T4}:{SPORT}-{P4}:443"
_SEEN_TCP = saw4(len(_TCP4), proto=6, ports=(SPORT, 443), tcp_flags=FLAGS)

STATION = f"mac:{MAC_A}"
LINK = [
    hit("mac: as source", STATION, eth(U4), saw4()),
    hit("mac: as destination", f"mac:{MAC_B}", eth(U4), saw4(dir=TO)),
    hit("mac: both ends", f"mac:{MAC_A}; mac:{MAC_B}", eth(U4), saw4(dir=BOTH)),
    miss("mac: another one", "mac:02:00:00:00:00:0c", eth(U4)),
    hit("mac: ipv6 in tags", STATION, eth(vlan(5, vlan(6, U6))), saw6(off=22)),
    miss(
        "mac: inside a tunnelled frame",
        "mac:02:00:00:00:00:0c",
        eth(ipv4(O4, P4, eth(U4, src="02:00:00:00:00:0c"), proto=143)),
    ),
    hit("vlan: one tag names it", "vlan:100", eth(vlan(100, U4)), saw4(off=18)),
    miss("vlan: another tag", "vlan:100", eth(vlan(101, U4))),
    miss("vlan: no tag", "vlan:100", eth(U4)),
    miss("vlan: a second tag behind it is another line", "vlan:100", eth(vlan(100, vlan(200, U4)))),
    miss("vlan: as the inner tag only", "vlan:200", eth(vlan(100, vlan(200, U4)))),
    hit("vlan: a priority tag behind it is no second tag", "vlan:100", eth(vlan(100, vlan(0, U4))), saw4(off=22)),
    hit("vlan: a priority tag before it is no first tag", "vlan:100", eth(vlan(0, vlan(100, U4))), saw4(off=22)),
    hit(
        "vlan: priority and drop bits are no part of the number",
        "vlan:100",
        eth(vlan(100, U4, pcp=7, dei=1)),
        saw4(off=18),
    ),
    hit("vlan: the lowest number", "vlan:1", eth(vlan(1, U4)), saw4(off=18)),
    hit("vlan: the highest number", "vlan:4094", eth(vlan(4094, U4)), saw4(off=18)),
    hit("vlan: outer and inner", "vlan:100.200", eth(vlan(100, vlan(200, U4), tpid=ETH_QINQ)), saw4(off=22)),
    miss("vlan: outer and inner exchanged", "vlan:200.100", eth(vlan(100, vlan(200, U4)))),
    miss("vlan: outer alone of a pair", "vlan:100.200", eth(vlan(100, U4))),
    hit("vlan: a third tag behind a pair", "vlan:100.200", eth(vlan(100, vlan(200, vlan(300, U4)))), saw4(off=26)),
    miss("vlan: the second and third tag are no pair", "vlan:200.300", eth(vlan(100, vlan(200, vlan(300, U4))))),
    hit("vlan: what travels to the line", "vlan:100", eth(vlan(100, U4)), saw4(off=18, dir=TO), hook=hook(vlan_dir=TO)),
    hit(
        "vlan: a mirror does not know the direction",
        "vlan:100",
        eth(vlan(100, U4)),
        saw4(off=18, dir=0),
        hook=hook(vlan_dir=0),
    ),
    hit("pppoe: as source", f"pppoe:{MAC_A}/0x0001", eth(pppoe(1, U4)), saw4(off=22)),
    hit("pppoe: as destination", f"pppoe:{MAC_B}/0xfffe", eth(pppoe(0xFFFE, U6)), saw6(off=22, dir=TO)),
    miss("pppoe: no session in the frame", f"pppoe:{MAC_A}/0x0001", eth(U4)),
    hit("pppoe: a session in a vlan", f"pppoe:{MAC_A}/0x0001", eth(vlan(9, pppoe(1, U4))), saw4(off=26)),
    some(
        "kinds: every kind names the same packet for one order each",
        eth(vlan(9, pppoe(1, _TCP4))),
        saw4(len(_TCP4), proto=6, ports=(SPORT, 443), tcp_flags=FLAGS, off=26),
        (1, 2, 3, 4, 5, 6),
        (
            headers(1, f"ip:{T4}"),
            content(2, f"ip:{T4} ports:{SPORT}"),
            headers(3, _FLOW),
            content(4, STATION),
            headers(5, "vlan:9"),
            content(6, f"pppoe:{MAC_A}/0x0001"),
        ),
    ),
    hit(
        "kinds: every kind in one order is one record",
        f"ip:{T4}; ip:{T4} ports:{SPORT}; {_FLOW}; {STATION}; vlan:9",
        eth(vlan(9, _TCP4)),
        saw4(len(_TCP4), proto=6, ports=(SPORT, 443), tcp_flags=FLAGS, off=18),
    ),
    Case(
        "mac: arp goes to content, a headers order gets nothing",
        padded(eth(MARK, ethertype=ETH_ARP)),
        (Want(2, Seen(off=0)),),
        parse="not_ip",
        l4=None,
        orders=both(STATION),
        counts={1: {"seen": 1, "withheld": 1}},
    ),
]

SIXTEEN = tuple((headers if n % 2 else content)(n, f"ip:{T4}") for n in range(16))
FORTY = (*SIXTEEN, *(headers(100 + n, f"ip:{P4}") for n in range(16)), headers(200, STATION))
_LOST = {200: {"seen": 1, "matched": 1, "lost_matches": 1, "bytes": len(eth(U4))}}

MANY = [
    taken("many: sixteen orders on one target", eth(U4), saw4(), orders=SIXTEEN),
    Case(
        "many: thirty-two orders on one packet",
        eth(U4),
        tuple(Want(n, saw4()) for n in range(16)) + tuple(Want(100 + n, saw4(dir=TO)) for n in range(16)),
        orders=FORTY[:32],
    ),
    Case(
        "many: the thirty-third is counted as lost",
        eth(U4),
        (
            *tuple(Want(n, saw4()) for n in range(16)),
            Want(200, saw4()),
            *tuple(Want(100 + n, saw4(dir=TO)) for n in range(15)),
        ),
        orders=FORTY,
        counts={115: _LOST[200]},
    ),
    taken(
        "many: the highest slot and generation",
        eth(U4),
        saw4(),
        orders=(content(4095, f"ip:{T4}", generation=1048575),),
    ),
    taken("many: slot 0", eth(U4), saw4(), orders=(headers(0, f"ip:{T4}"),)),
    Case(
        "ends: under different orders",
        eth(U4),
        (Want(1, saw4()), Want(2, saw4(dir=TO))),
        orders=(headers(1, f"ip:{T4}"), content(2, f"ip:{P4}")),
    ),
    Case(
        "ends: a third order has both",
        eth(U4),
        (Want(1, saw4()), Want(2, saw4(dir=TO)), Want(3, saw4(dir=BOTH))),
        orders=(headers(1, f"ip:{T4}"), content(2, f"ip:{P4}"), headers(3, f"ip:{T4}", f"ip:{P4}")),
    ),
    Case(
        "ends: one order has the address of one end and the mac of the other",
        eth(U4),
        (Want(1, saw4(dir=BOTH)),),
        orders=(headers(1, f"ip:{T4}", f"mac:{MAC_B}"),),
    ),
    untouched("none: no order at all", eth(U4), orders=()),
    untouched("none: orders of another kind only", eth(U4), orders=both(f"ip:{T6}", "vlan:7")),
    untouched(
        "none: an authentication header's target inside", eth(ipv6(O6, P6, auth_header(U4))), orders=both(f"ip:{T4}")
    ),
    taken(
        "kind: a later fragment belongs to the address",
        eth(ipv4(T4, P4, MARK, proto=17, frag_offset=2)),
        saw4(20 + len(MARK), frag=LATER, ports=None),
        l4="later_fragment",
    ),
]

CASES = ADDRESSES + PREFIXES + LINK + MANY
