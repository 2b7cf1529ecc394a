# SPDX-License-Identifier: Apache-2.0
"""Random frames for property tests: stacks of headers with random lies, and honest frames with what they mean."""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from lictl.lab import frames
from lictl.targets.kinds import FlowTarget, IpTarget, MacTarget, PortTarget, PppoeTarget, Target, VlanTarget
from lictl.targets.lookup import Packet

if TYPE_CHECKING:
    from collections.abc import Callable

    Recipe = Callable[[bytes], bytes]

# Few addresses, ports and numbers, so that hits, covers and collisions between kinds happen all the time.
V4 = ["203.0.113.4", "203.0.113.5", "203.0.113.7", "198.51.100.1"]
V6 = ["2001:db8:7::4", "2001:db8:7::7", "2001:db8:7:1::7", "::ffff:203.0.113.7"]
MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"]
PORTS = [1, 2, 3, 255, 256, 65535]
KINDS = [0, 43, 44, 51, 59, 60, 135, 139, 140]

small = st.integers(0, 3)
ports = st.sampled_from(PORTS)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """None three times out of four: most fields tell the truth."""
    return st.one_of(st.none(), st.none(), st.none(), strategy)


@st.composite
def transports(draw: st.DrawFn) -> Recipe:
    """A transport header, perhaps a lying one, around the payload."""
    kind = draw(st.sampled_from(["tcp", "udp", "lite", "sctp", "icmp", "icmp6", "raw", "ip4", "ip6"]))
    sport, dport = draw(ports), draw(ports)
    if kind == "tcp":
        offset, flags = draw(maybe(st.integers(0, 15))), draw(st.integers(0, 255))
        options = draw(st.sampled_from([b"", b"", bytes(4), bytes(40)]))
        return lambda payload: frames.tcp(sport, dport, payload, data_offset=offset, flags=flags, options=options)
    if kind in ("udp", "lite"):
        length = draw(maybe(st.integers(0, 60)))
        return lambda payload: frames.udp(sport, dport, payload, length=length, lite=kind == "lite")
    if kind == "sctp":
        return lambda payload: frames.sctp(sport, dport, payload)
    if kind in ("icmp", "icmp6"):
        make, number = (frames.icmp, draw(st.integers(0, 255))) if kind == "icmp" else (frames.icmp6, draw(small))
        return lambda payload: make(number, 1, payload)
    if kind == "ip4":
        src, dst = draw(st.sampled_from(V4)), draw(st.sampled_from(V4))
        return lambda payload: frames.ipv4(src, dst, frames.udp(sport, dport, payload))
    if kind == "ip6":
        return lambda payload: frames.ipv6(V6[0], V6[1], frames.udp(sport, dport, payload))
    return lambda payload: payload


@st.composite
def networks(draw: st.DrawFn, covered: bool = False) -> Recipe:
    """An IP header with options or extension headers, perhaps lying, around a transport.

    ``covered``: no lie by which bytes of the payload would become a header that is looked for there.
    """
    inner, proto = draw(transports()), None if covered else draw(maybe(st.integers(0, 255)))
    if draw(st.booleans()):
        src, dst = draw(st.sampled_from(V4)), draw(st.sampled_from(V4))
        fields = {
            "ihl": draw(maybe(st.integers(0, 5 if covered else 15))),
            "total_length": draw(maybe(st.integers(0, 120))),
            "version": 4 if covered else draw(st.sampled_from([4, 4, 4, 4, 4, 6, 0])),
            "mf": draw(st.sampled_from([False, False, True])),
            "frag_offset": draw(st.sampled_from([0, 0, 0, 1, 8191])),
            "options": draw(st.sampled_from([b"", b"", b"\1\1\1\1", bytes(40)])),
        }
        return lambda payload: frames.ipv4(src, dst, inner(payload), proto=proto, **fields)
    src, dst = draw(st.sampled_from(V6)), draw(st.sampled_from(V6))
    lies = st.none() if covered else maybe(st.integers(0, 3))
    chain = draw(st.lists(st.tuples(st.sampled_from(KINDS), lies, small), max_size=10))
    length, version = draw(maybe(st.integers(0, 120))), 6 if covered else draw(st.sampled_from([6, 6, 6, 6, 6, 4]))

    def build(payload: bytes) -> bytes:
        layer = inner(payload)
        for kind, lie, number in reversed(chain):
            if kind == 44:
                layer = frames.frag6(layer, offset=number >> 1, more=bool(number & 1))
            elif kind == 51:
                layer = frames.auth_header(layer, length=lie)
            else:
                layer = frames.ext(kind, layer, length=lie)
        return frames.ipv6(src, dst, layer, next_header=proto, payload_length=length, version=version)

    return build


@st.composite
def links(draw: st.DrawFn, covered: bool = False) -> Recipe:
    """A whole frame: tags, PPPoE, MPLS, perhaps lying, around IP or (unless ``covered``) around anything."""
    inner = draw(networks(covered=True) if covered else st.one_of(networks(), networks(), transports()))
    src, dst = draw(st.sampled_from(MACS)), draw(st.sampled_from(MACS))
    tags = draw(st.lists(st.tuples(small, st.sampled_from([0x8100, 0x88A8, 0x9100])), max_size=4))
    session, size = draw(maybe(small)), draw(maybe(st.integers(0, 120)))
    compressed = draw(st.booleans())
    labels = draw(maybe(st.lists(small, min_size=1, max_size=5)))
    ethertype = (
        None
        if covered
        else draw(maybe(st.sampled_from([0x0800, 0x86DD, 0x0806, 0x8847, 0x8864, 0x8863, 0x05FF, 0x1234])))
    )
    trailer = draw(st.sampled_from([0, 0, 6, 200]))

    def build(payload: bytes) -> bytes:
        layer = inner(payload)
        if labels:
            layer = frames.mpls(labels, layer)
        if session is not None:
            layer = frames.pppoe(session, layer, length=size, compressed=compressed, ppp=0x21 if compressed else None)
        for vid, tpid in reversed(tags):
            layer = frames.vlan(vid, layer, tpid=tpid)
        return frames.eth(layer, src=src, dst=dst, ethertype=ethertype, trailer=(payload * trailer)[:trailer])

    return build


payloads = st.one_of(st.just(b""), st.binary(max_size=3), st.binary(min_size=20, max_size=80), st.just(bytes(600)))


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A frame of at least an Ethernet header with some bytes changed or its end cut off."""
    frame = bytearray(draw(links())(draw(payloads)))
    for at, value in draw(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=3)):
        if at < len(frame):
            frame[at] = value
    cut = draw(maybe(st.integers(21, 120)))
    return bytes(frame if cut is None else frame[:cut]).ljust(21, b"\0")


# ---- honest frames, and what the targets mean for them ----


@st.composite
def honest(draw: st.DrawFn) -> tuple[bytes, Packet]:
    """A well-formed frame and the packet that it is, written down independently of the parser."""
    version = draw(st.sampled_from([4, 6]))
    addresses = V4 if version == 4 else V6
    src, dst = draw(st.sampled_from(addresses)), draw(st.sampled_from(addresses))
    number = draw(st.sampled_from([6, 17, 132, 136, 33, 1, 58, 253]))
    sport, dport = draw(ports), draw(ports)
    later = draw(st.sampled_from([False, False, False, True]))
    payload = draw(payloads)
    data = {
        6: lambda: frames.tcp(sport, dport, payload),
        17: lambda: frames.udp(sport, dport, payload),
        132: lambda: frames.sctp(sport, dport, payload),
        136: lambda: frames.udp(sport, dport, payload, lite=True),
        33: lambda: struct.pack("!HHBBHI", sport, dport, 3, 0, 0, 1) + payload,
    }.get(number, lambda: bytes(8) + payload)()
    if version == 4:
        layer = frames.ipv4(src, dst, data, proto=number, frag_offset=7 if later else 0)
    else:
        layer = frames.ipv6(
            src,
            dst,
            frames.frag6(data, offset=7, next_header=number) if later else data,
            next_header=44 if later else number,
        )
    tags = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    session = draw(maybe(st.integers(1, 2)))
    macs = draw(st.sampled_from(MACS)), draw(st.sampled_from(MACS))
    frame: bytes = layer if session is None else frames.pppoe(session, layer)
    for tag in reversed(tags):
        frame = frames.vlan(tag, frame)
    known = (sport, dport) if number in (6, 17, 33, 132, 136) and not later else None
    packet = Packet(
        ipaddress.ip_address(src), ipaddress.ip_address(dst), number, known, frames.mac(macs[0]), frames.mac(macs[1]),
        tags, session, draw(st.sampled_from([1, 2])),
    )  # fmt: skip
    return frames.eth(frame, src=macs[0], dst=macs[1]), packet


plain_v6 = st.sampled_from(V6[:3])


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """A target in the universe of the frames above."""
    kind = draw(st.sampled_from(["ip", "ip", "ports", "flow", "mac", "vlan", "pppoe"]))
    pick = st.sampled_from(V4) if draw(st.booleans()) else plain_v6
    if kind == "ip":
        address = ipaddress.ip_address(draw(pick))
        lengths = [1, 24, 29, 30, 31, 32] if address.version == 4 else [16, 63, 64, 126, 128]
        return IpTarget(ipaddress.ip_network((address, draw(st.sampled_from(lengths))), strict=False))
    if kind == "ports":
        lo, hi = sorted((draw(ports), draw(ports)))
        return PortTarget(ipaddress.ip_address(draw(pick)), lo, hi)
    if kind == "flow":
        local, remote = ipaddress.ip_address(draw(pick)), ipaddress.ip_address(draw(pick))
        return FlowTarget(draw(st.sampled_from([6, 17, 132])), local, draw(ports), remote, draw(ports))
    if kind == "mac":
        return MacTarget(frames.mac(draw(st.sampled_from(MACS))))
    if kind == "vlan":
        return VlanTarget(draw(st.integers(1, 3)), draw(st.none() | st.integers(1, 3)))
    return PppoeTarget(frames.mac(draw(st.sampled_from(MACS))), draw(st.integers(1, 2)))
