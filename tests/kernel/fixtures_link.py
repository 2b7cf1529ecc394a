# SPDX-License-Identifier: Apache-2.0
"""Link layers: Ethernet, VLAN tags, PPPoE, MPLS, LLC; every class of LI_PARSE_* up to IP."""

from __future__ import annotations

import struct

from fixtures_common import D4, MARK, U4, U6, saw4, saw6
from kernel_case import FROM, P4, T4, Case, Seen, Want, content, headers, hook, malformed, taken, untouched

from lictl.lab.frames import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_LLDP,
    ETH_MPLS,
    ETH_PPPOE,
    ETH_QINQ,
    ETH_VLAN,
    MAC_A,
    PPP_CHAP,
    PPP_IPCP,
    PPP_LCP,
    PPP_PAP,
    eth,
    ipv4,
    llc,
    mpls,
    padded,
    pppoe,
    pppoe_discovery,
    snap,
    vlan,
)

QINQ_OLD = 0x9100
NATIVE_ONLY = ("native",)  # BPF_PROG_TEST_RUN takes no frame without a whole Ethernet header
STATION = (headers(1, f"mac:{MAC_A}"), content(2, f"mac:{MAC_A}"))
SESSION = (headers(1, f"pppoe:{MAC_A}/0x1234"), content(2, f"pppoe:{MAC_A}/0x1234"))
WITHHELD = {1: {"seen": 1, "withheld": 1}}


def _withheld(name: str, frame: bytes, parse: str, orders: tuple = STATION, off: int = 0, **more: object) -> Case:
    """A frame of the target that is no proven IP packet: content orders get it, headers orders get nothing."""
    wants = (Want(2, Seen(off=off)),)
    return Case(name, frame, wants, parse=parse, l4=None, orders=orders, counts=WITHHELD, **more)


ETHERNET = [
    taken("ethernet: ipv4", eth(U4), saw4()),
    taken("ethernet: ipv6", eth(U6), saw6()),
    malformed("ethernet: nothing at all", b"", "short_eth", builds=NATIVE_ONLY),
    malformed("ethernet: one byte", b"\2", "short_eth", builds=NATIVE_ONLY),
    malformed("ethernet: one byte short of the header", eth(U4)[:13], "short_eth", builds=NATIVE_ONLY),
    malformed("ethernet: the header alone", eth(U4)[:14], "short_ip", builds=("xdp", "native")),
    malformed("ethernet: arp", padded(eth(MARK, ethertype=ETH_ARP)), "not_ip"),
    malformed("ethernet: lldp", eth(MARK, ethertype=ETH_LLDP), "not_ip"),
    malformed("ethernet: unknown type ffff", eth(MARK, ethertype=0xFFFF), "not_ip"),
    malformed("ethernet: first type that is a type", eth(MARK, ethertype=0x0600), "not_ip"),
    malformed("ethernet: last type that is a length", eth(MARK, ethertype=0x05FF), "llc"),
    malformed("ethernet: ipv4 behind a length is not looked at", llc(U4), "llc"),
    malformed("ethernet: snap around ipv4", snap(ETH_IPV4, U4), "llc"),
    malformed("ethernet: type zero", eth(U4, ethertype=0), "llc"),
    malformed("ethernet: ipv4 under the type of ipv6", eth(U4, ethertype=ETH_IPV6), "bad_version"),
    malformed("ethernet: ipv6 under the type of ipv4", eth(U6, ethertype=ETH_IPV4), "bad_version"),
    taken(
        "ethernet: padding to 60 bytes is cut",
        padded(eth(ipv4(T4, P4, b"", proto=253))),
        saw4(20, proto=253, ports=None),
    ),
    taken("ethernet: a trailer of 400 bytes is cut", eth(U4, trailer=MARK * 20), saw4()),
    taken("ethernet: a trailer behind ipv6 is cut", eth(U6, trailer=b"\xff" * 7), saw6()),
    _withheld("ethernet: arp of a station", padded(eth(MARK, ethertype=ETH_ARP)), "not_ip"),
    _withheld("ethernet: llc of a station", llc(MARK), "llc"),
    taken("ethernet: ip of a station", eth(U4), saw4(), orders=STATION),
]

VLAN = [
    taken("vlan: one tag", eth(vlan(100, U4)), saw4(off=18)),
    taken("vlan: one tag of 802.1ad", eth(vlan(100, U4, tpid=ETH_QINQ)), saw4(off=18)),
    taken("vlan: one tag of the old QinQ type", eth(vlan(100, U6, tpid=QINQ_OLD)), saw6(off=18)),
    taken("vlan: two tags", eth(vlan(100, vlan(200, U4), tpid=ETH_QINQ)), saw4(off=22)),
    taken("vlan: three tags", eth(vlan(1, vlan(2, vlan(3, U6)))), saw6(off=26)),
    malformed("vlan: four tags", eth(vlan(1, vlan(2, vlan(3, vlan(4, U4))))), "deep_vlan"),
    malformed(
        "vlan: four tags of mixed types",
        eth(vlan(1, vlan(2, vlan(3, vlan(4, U4, tpid=QINQ_OLD)), tpid=ETH_QINQ))),
        "deep_vlan",
    ),
    malformed("vlan: three priority tags and one more", eth(vlan(0, vlan(0, vlan(0, vlan(4, U4))))), "deep_vlan"),
    taken("vlan: a priority tag is walked", eth(vlan(0, U4, pcp=7)), saw4(off=18)),
    taken("vlan: priority and drop bits do not matter", eth(vlan(100, U4, pcp=5, dei=1)), saw4(off=18)),
    malformed("vlan: ends behind the type", eth(b"", ethertype=ETH_VLAN), "short_vlan", builds=("xdp", "native")),
    malformed("vlan: one byte short of the tag", eth(vlan(100, U4))[:17], "short_vlan"),
    malformed("vlan: the tag alone", eth(vlan(100, U4))[:18], "short_ip"),
    malformed("vlan: second tag cut", eth(vlan(1, vlan(2, U4)))[:21], "short_vlan"),
    malformed("vlan: third tag cut", eth(vlan(1, vlan(2, vlan(3, U4))))[:24], "short_vlan"),
    malformed("vlan: arp inside", eth(vlan(100, MARK, ethertype=ETH_ARP)), "not_ip"),
    malformed("vlan: a length inside", eth(vlan(100, MARK, ethertype=80)), "llc"),
    _withheld("vlan: four tags of a station", eth(vlan(1, vlan(2, vlan(3, vlan(4, U4))))), "deep_vlan"),
    _withheld("vlan: a cut tag of a station", eth(vlan(100, U4))[:16], "short_vlan"),
]

_CHAP = b"\1\1\0\x20\x10" + MARK
PPPOE = [
    taken("pppoe: ipv4", eth(pppoe(0x1234, U4)), saw4(off=22)),
    taken("pppoe: ipv6", eth(pppoe(0x1234, U6)), saw6(off=22)),
    taken("pppoe: ipv4, protocol of one byte", eth(pppoe(0x1234, U4, compressed=True, ppp=0x21)), saw4(off=21)),
    taken("pppoe: ipv6, protocol of one byte", eth(pppoe(0x1234, U6, compressed=True, ppp=0x57)), saw6(off=21)),
    taken("pppoe: in a vlan", eth(vlan(100, pppoe(0x1234, U4))), saw4(off=26)),
    taken("pppoe: in two vlans", eth(vlan(100, vlan(200, pppoe(0x1234, U6)))), saw6(off=30)),
    taken("pppoe: padding behind it is cut", eth(pppoe(1, U4), trailer=MARK), saw4(off=22)),
    malformed("pppoe: ends behind the type", eth(b"", ethertype=ETH_PPPOE), "short_pppoe", builds=("xdp", "native")),
    malformed("pppoe: one byte short of a protocol", eth(pppoe(1, U4))[:20], "short_pppoe"),
    malformed("pppoe: half a protocol of two bytes", eth(pppoe(1, b"", length=1))[:21], "short_pppoe"),
    malformed("pppoe: length leaves half a protocol", eth(pppoe(1, U4, length=1)), "short_pppoe"),
    malformed("pppoe: length leaves the protocol alone", eth(pppoe(1, U4, length=2)), "truncated"),
    malformed("pppoe: length one byte short of the packet", eth(pppoe(1, U4, length=len(U4) + 1)), "truncated"),
    taken("pppoe: length exactly the packet", eth(pppoe(1, U4, length=len(U4) + 2)), saw4(off=22)),
    malformed("pppoe: length one byte beyond the frame", eth(pppoe(1, U4, length=len(U4) + 3)), "bad_pppoe"),
    malformed("pppoe: length ffff", eth(pppoe(1, U4, length=0xFFFF)), "bad_pppoe"),
    malformed("pppoe: length zero", eth(pppoe(1, U4, length=0)), "bad_pppoe"),
    malformed("pppoe: wrong version", eth(pppoe(1, U4, version_type=0x21)), "bad_pppoe"),
    malformed("pppoe: wrong type", eth(pppoe(1, U4, version_type=0x12)), "bad_pppoe"),
    malformed("pppoe: a code in the session stage", eth(pppoe(1, U4, code=0xA7)), "bad_pppoe"),
    malformed("pppoe: lcp", eth(pppoe(1, MARK, ppp=PPP_LCP)), "ppp_control"),
    malformed("pppoe: pap", eth(pppoe(1, MARK, ppp=PPP_PAP)), "ppp_control"),
    malformed("pppoe: chap", eth(pppoe(1, _CHAP, ppp=PPP_CHAP)), "ppp_control"),
    malformed("pppoe: ipcp", eth(pppoe(1, MARK, ppp=PPP_IPCP)), "ppp_control"),
    malformed(
        "pppoe: address and control bytes are no protocol", eth(pppoe(1, b"\0\x21" + U4, ppp=0xFF03)), "ppp_control"
    ),
    malformed("pppoe: discovery", eth(pppoe_discovery(0x09, MARK)), "ppp_control"),
    malformed("pppoe: protocol of ipv6 before ipv4", eth(pppoe(1, U4, ppp=0x57)), "bad_version"),
    taken("pppoe: ip of a session", eth(pppoe(0x1234, U4)), saw4(off=22), orders=SESSION),
    untouched("pppoe: ip of another session", eth(pppoe(0x1235, U4)), orders=SESSION),
    untouched(
        "pppoe: the session number under another station",
        eth(pppoe(0x1234, U4), src="02:00:00:00:00:0c"),
        orders=SESSION,
    ),
    _withheld("pppoe: chap of a session", eth(pppoe(0x1234, _CHAP, ppp=PPP_CHAP)), "ppp_control", SESSION),
    _withheld(
        "pppoe: a length beyond the frame of a session", eth(pppoe(0x1234, U4, length=999)), "bad_pppoe", SESSION
    ),
    malformed(
        "pppoe: discovery names no session",
        eth(pppoe_discovery(0xA7, MARK, session=0x1234)),
        "ppp_control",
        orders=SESSION,
    ),
    malformed(
        "pppoe: a broken header names no session",
        eth(pppoe(0x1234, U4, version_type=0x10)),
        "bad_pppoe",
        orders=SESSION,
    ),
]

_PSEUDOWIRE = b"\0\0\0\1" + eth(U4)
MPLS = [
    taken("mpls: one label", eth(mpls(16, U4)), saw4(off=18)),
    taken("mpls: one label, ipv6", eth(mpls(16, U6)), saw6(off=18)),
    taken("mpls: multicast type", eth(mpls(16, U4), ethertype=0x8848), saw4(off=18)),
    taken("mpls: two labels", eth(mpls([16, 17], U4)), saw4(off=22)),
    taken("mpls: three labels", eth(mpls([16, 17, 18], U6)), saw6(off=26)),
    taken("mpls: four labels", eth(mpls([16, 17, 18, 19], U4)), saw4(off=30)),
    malformed("mpls: five labels", eth(mpls([16, 17, 18, 19, 20], U4)), "deep_mpls"),
    malformed("mpls: no bottom", eth(mpls([16, 17], U4, bottom=False)), "deep_mpls"),
    taken("mpls: in a vlan", eth(vlan(100, mpls(16, U4))), saw4(off=22)),
    malformed("mpls: ends behind the type", eth(b"", ethertype=ETH_MPLS), "short_mpls", builds=("xdp", "native")),
    malformed("mpls: one byte short of a label", eth(mpls(16, U4))[:17], "short_mpls"),
    malformed("mpls: the label alone", eth(mpls(16, U4))[:18], "short_ip"),
    malformed("mpls: second label cut", eth(mpls([16, 17], U4))[:20], "short_mpls"),
    malformed("mpls: a pseudowire's control word", eth(mpls(16, _PSEUDOWIRE)), "mpls_not_ip"),
    malformed("mpls: an ethernet pseudowire without control word", eth(mpls(16, eth(U4))), "mpls_not_ip"),
    malformed("mpls: associated channel", eth(mpls(16, b"\x10\0\0\0" + MARK)), "mpls_not_ip"),
    malformed("mpls: nibble 5", eth(mpls(16, b"\x55" + U4[1:])), "mpls_not_ip"),
    malformed("mpls: cut ip behind the label", eth(mpls(16, U4))[: 18 + 19], "short_ip"),
    _withheld("mpls: a pseudowire of a station", eth(mpls(16, _PSEUDOWIRE)), "mpls_not_ip"),
    untouched("mpls: label zero before somebody else", eth(mpls(0, ipv4("192.0.2.1", "192.0.2.2", D4)))),
]

_DEEP = struct.pack("!HH", 1, ETH_VLAN)
STACKS = [
    taken("stack: three vlans, pppoe", eth(vlan(1, vlan(2, vlan(3, pppoe(1, U4))))), saw4(off=34)),
    taken("stack: three vlans, four labels", eth(vlan(1, vlan(2, vlan(3, mpls([1, 2, 3, 4], U6))))), saw6(off=42)),
    malformed("stack: vlan inside mpls is no ip", eth(mpls(16, _DEEP + U4)), "mpls_not_ip"),
    taken(
        "stack: vlan targets do not need the tag of the other order",
        eth(vlan(100, U4)),
        saw4(off=18, dir=FROM),
        orders=(headers(1, "vlan:100"), content(2, f"ip:{T4}")),
        hook=hook(vlan_dir=FROM),
    ),
]

CASES = ETHERNET + VLAN + PPPOE + MPLS + STACKS
