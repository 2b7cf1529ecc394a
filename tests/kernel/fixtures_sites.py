# SPDX-License-Identifier: Apache-2.0
"""Which port sees what (docs/architecture.md), flags of orders, windows and generations, sizes of frames, verdicts."""

from __future__ import annotations

from typing import Any

from fixtures_common import D4, DPORT, MARK, SPORT, U4, U6, saw4, saw6
from kernel_case import (
    FOREVER,
    P4,
    STANDARD,
    T4,
    TO,
    Case,
    Order,
    Want,
    content,
    headers,
    hook,
    taken,
    untouched,
)

from lictl.lab.frames import ACK, MAC_A, MAC_B, PSH, eth, icmp, ipv4, tcp, udp, vlan
from lictl.probe.abi import HOOK_ACTIVE, SLOT_NO_LENGTH, SLOT_NO_PORTS
from lictl.probe.interfaces import HookConfig, PortRequest, port_plan

# What an order with IP targets only and one with a link-layer target may take, and how a tag's frame travels:
# (site, role, hook) -> (IP source, IP destination, link source, link destination, direction of a VLAN target).
ROLES: dict[tuple[str, str, str], tuple[bool, bool, bool, bool, int]] = {
    ("access and core", "access", "ingress"): (True, True, True, False, 1),
    ("access and core", "access", "egress"): (False, False, False, True, 2),
    ("access and core", "core", "ingress"): (False, True, False, False, 0),
    ("access only", "access", "ingress"): (True, False, True, False, 1),
    ("access only", "access", "egress"): (False, True, False, True, 2),
    ("core only", "core", "ingress"): (False, True, False, False, 0),
    ("core only", "core", "egress"): (True, False, False, False, 0),
    ("mirror", "mirror", "ingress"): (True, True, True, True, 0),
    ("hairpin", "access", "ingress"): (True, False, True, False, 1),
}
_SITES = {
    "access and core": ("access", "core"),
    "access only": ("access",),
    "core only": ("core",),
    "mirror": ("mirror",),
    "hairpin": ("access", "core"),
}
_IP = {"source": f"ip:{T4}", "destination": f"ip:{P4}"}
_MAC = {"source": f"mac:{MAC_A}", "destination": f"mac:{MAC_B}"}


def _planned(site: str, role: str, at: str) -> HookConfig:
    ports = port_plan([PortRequest(n, r) for n, r in enumerate(_SITES[site], 1)], hairpin=site == "hairpin")
    port = ports[_SITES[site].index(role)]
    return port.egress if at == "egress" else port.ingress


def _site_cases() -> list[Case]:
    cases = []
    for (site, role, at), (ip_src, ip_dst, mac_src, mac_dst, vlan_dir) in ROLES.items():
        where = f"site: {site}, {role} {at}"
        settings = _planned(site, role, at)
        for end, ip, link in (("source", ip_src, mac_src), ("destination", ip_dst, mac_dst)):
            seen = saw4(dir=1 if end == "source" else TO)
            plain = (headers(1, _IP[end]), content(2, _IP[end]))
            # A second target of the link layer makes the whole order one of the access side, its addresses too.
            bound = (headers(1, _IP[end], "mac:02:00:00:00:00:77"), content(2, _MAC[end]))
            for what, orders, yes in (("ip target", plain, ip), ("link target", bound, link)):
                name = f"{where}: {what} as {end}"
                more: Any = {"orders": orders, "hook": settings}
                cases.append(taken(name, eth(U4), seen, **more) if yes else untouched(name, eth(U4), **more))
        name, tagged = f"{where}: vlan target", eth(vlan(100, U4))
        more = {"orders": (headers(1, "vlan:100"), content(2, "vlan:100")), "hook": settings}
        taken_here = (mac_src, mac_dst)[vlan_dir - 1] if vlan_dir else mac_src or mac_dst
        cases.append(
            taken(name, tagged, saw4(off=18, dir=vlan_dir), **more) if taken_here else untouched(name, tagged, **more)
        )
    return cases


SITES = _site_cases()

_INACTIVE = HookConfig(0, 3, 3, 1)
HOOKS = [
    untouched("hook: not active", eth(U4), hook=_INACTIVE, totals={"no_port": 1}),
    untouched("hook: active, no side", eth(U4), hook=HookConfig(HOOK_ACTIVE, 0, 0, 0)),
    taken("hook: mirror that drops, a hit", eth(U4), saw4(), hook=hook(drop=True)),
    untouched("hook: mirror that drops, a miss", eth(ipv4("192.0.2.1", P4, D4)), hook=hook(drop=True)),
    untouched("hook: drop without active passes", eth(U4), hook=HookConfig(2, 3, 3, 1), totals={"no_port": 1}),
]

_TCP = eth(ipv4(T4, P4, tcp(SPORT, 443, MARK)))
_TLEN = len(_TCP) - 14
_PLAIN = {"proto": 6, "tcp_flags": PSH | ACK, "ports": (SPORT, 443)}
FLAGS = [
    taken(
        "flags: no ports",
        _TCP,
        saw4(_TLEN, **_PLAIN | {"ports": None}),
        orders=(headers(1, f"ip:{T4}", flags=SLOT_NO_PORTS),),
    ),
    taken("flags: no length", _TCP, saw4(None, **_PLAIN), orders=(headers(1, f"ip:{T4}", flags=SLOT_NO_LENGTH),)),
    taken(
        "flags: neither",
        _TCP,
        saw4(None, **_PLAIN | {"ports": None}),
        orders=(headers(1, f"ip:{T4}", flags=SLOT_NO_LENGTH | SLOT_NO_PORTS),),
    ),
    taken(
        "flags: they do not touch content",
        _TCP,
        saw4(_TLEN, **_PLAIN),
        orders=(content(1, f"ip:{T4}", flags=SLOT_NO_LENGTH | SLOT_NO_PORTS),),
    ),
    Case(
        "flags: each order has its own",
        _TCP,
        (
            Want(1, saw4(_TLEN, **_PLAIN)),
            Want(2, saw4(_TLEN, **_PLAIN | {"ports": None})),
            Want(3, saw4(None, **_PLAIN)),
        ),
        orders=(
            headers(1, f"ip:{T4}"),
            headers(2, f"ip:{T4}", flags=SLOT_NO_PORTS),
            headers(3, f"ip:{T4}", flags=SLOT_NO_LENGTH),
        ),
    ),
    taken(
        "flags: a port target under an order without ports",
        _TCP,
        saw4(_TLEN, **_PLAIN | {"ports": None}),
        orders=(headers(1, f"ip:{T4} ports:{SPORT}", flags=SLOT_NO_PORTS),),
    ),
    taken(
        "flags: no ports, icmp keeps type and code",
        eth(ipv4(T4, P4, icmp(8, 1, MARK))),
        saw4(28 + len(MARK), proto=1, ports=None, icmp=(8, 1)),
        orders=(headers(1, f"ip:{T4}", flags=SLOT_NO_PORTS),),
    ),
]


def _windowed(starts: int, ends: int) -> tuple[Order, ...]:
    return tuple(make(slot, f"ip:{T4}", starts=starts, ends=ends) for make, slot in ((headers, 1), (content, 2)))


_SEEN_ONLY = {1: {"seen": 1}, 2: {"seen": 1}}
WINDOWS = [
    untouched("window: long past", eth(U4), orders=_windowed(0, 1), counts=_SEEN_ONLY),
    untouched("window: not begun", eth(U4), orders=_windowed(FOREVER - 1, FOREVER), counts=_SEEN_ONLY),
    Case(
        "window: one order inside, one outside",
        eth(U4),
        (Want(1, saw4()),),
        orders=(headers(1, f"ip:{T4}"), content(2, f"ip:{T4}", ends=1)),
        counts={2: {"seen": 1}},
    ),
]


def _sized(size: int, seen_of: Any = saw4) -> Case:
    payload = (MARK * (size // len(MARK) + 1))[: size - 42]
    packet = ipv4(T4, P4, udp(SPORT, DPORT, payload))
    builds = ("xdp", "tc", "native") if size <= TC_LARGEST else ("xdp", "native")
    return taken(f"size: {size} bytes", eth(packet), seen_of(len(packet)), builds=builds)


TC_LARGEST = 3000  # of a frame that BPF_PROG_TEST_RUN gives a tc program: what fits a page
SIZES = [
    _sized(size)
    for size in (
        42,
        43,
        60,
        63,
        64,
        65,
        127,
        128,
        129,
        255,
        256,
        257,
        511,
        512,
        513,
        1023,
        1024,
        1025,
        1514,
        1518,
        1535,
        1536,
        1537,
        2304,
        2305,
        4608,
        4609,
        9000,
        9014,
        9216,
        9217,
        16384,
        16385,
        32000,
        65000,
        65549,
    )
]
_BIG6 = eth(U6, trailer=MARK * 300)
EDGES = [
    taken("size: a trailer of 6600 bytes is cut", _BIG6, saw6(), builds=("xdp", "native")),
    taken("size: an ethernet header and an ip header", eth(ipv4(T4, P4, proto=253)), saw4(20, proto=253, ports=None)),
    Case("orders: headers and content on one packet", eth(U4), (Want(1, saw4()), Want(2, saw4())), orders=STANDARD),
]

CASES = SITES + HOOKS + FLAGS + WINDOWS + SIZES + EDGES
