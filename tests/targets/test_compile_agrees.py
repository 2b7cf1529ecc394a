# SPDX-License-Identifier: Apache-2.0
"""Compiled tables, looked up as the kernel does, give what the targets mean: random orders in small universes."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lictl.targets import layout
from lictl.targets.compile import ArmedOrder, TargetLimitError, compile
from lictl.targets.kinds import FlowTarget, IpTarget, MacTarget, PortTarget, PppoeTarget, Target, VlanTarget
from lictl.targets.lookup import Packet, match, match_plainly

# Few addresses, ports and numbers, so overlaps, covers and collisions between kinds happen all the time.
ADDRESSES: list[Any] = [ipaddress.ip_address(0x0A000000 + n) for n in range(12)] + [
    ipaddress.ip_address((0x20010DB8 << 96) + (n & 3) + ((n >> 2) << 64)) for n in range(12)
]
PORTS = st.one_of(st.integers(1, 20), st.sampled_from([1, 255, 256, 32767, 32768, 65534, 65535]))
MACS = [b"\x02\x00\x00\x00\x00" + bytes([n]) for n in range(3)]
VLANS = st.integers(1, 3)

# No target, but packets may carry them: they must never pass for the IPv4 addresses inside.
MAPPED: list[Any] = [ipaddress.ip_address(f"::ffff:10.0.0.{n}") for n in range(3)]

addresses = st.sampled_from(ADDRESSES)


@st.composite
def networks(draw: st.DrawFn) -> IpTarget:
    address = draw(addresses)
    lens = [8, 28, 29, 30, 31, 32] if address.version == 4 else [16, 56, 63, 64, 65, 126, 127, 128]
    return IpTarget(ipaddress.ip_network((address, draw(st.sampled_from(lens))), strict=False))


@st.composite
def port_ranges(draw: st.DrawFn) -> PortTarget:
    lo, hi = sorted((draw(PORTS), draw(PORTS)))
    return PortTarget(draw(addresses), lo, hi)


@st.composite
def flows(draw: st.DrawFn) -> FlowTarget:
    local = draw(addresses)
    remote = draw(addresses.filter(lambda other: other.version == local.version))
    return FlowTarget(draw(st.sampled_from([6, 17])), local, draw(st.integers(1, 3)), remote, draw(st.integers(1, 3)))


targets: st.SearchStrategy[Target] = st.one_of(
    networks(),
    port_ranges(),
    flows(),
    st.builds(MacTarget, st.sampled_from(MACS)),
    st.builds(VlanTarget, VLANS, st.none() | VLANS),
    st.builds(PppoeTarget, st.sampled_from(MACS), st.integers(1, 2)),
)


@st.composite
def orders(draw: st.DrawFn) -> list[ArmedOrder]:
    each = draw(st.lists(st.lists(targets, min_size=1, max_size=6), min_size=1, max_size=10))
    return [ArmedOrder(n * 400, n + 1, 1 + n % 2, 0, 1, 0, tuple(some)) for n, some in enumerate(each)]


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    macs = st.sampled_from(MACS)
    seen = addresses | st.sampled_from(MAPPED)
    src = draw(st.none() | seen)
    dst = src and draw(seen.filter(lambda other: other.version == src.version))
    ports = draw(st.none() | st.tuples(PORTS, PORTS) | st.tuples(st.integers(1, 3), st.integers(1, 3))) if src else None
    return Packet(
        src,
        dst,
        draw(st.sampled_from([1, 6, 17])),
        ports,
        draw(macs),
        draw(macs),
        tuple(draw(st.lists(VLANS, max_size=3))),
        draw(st.none() | st.integers(1, 2)),
        draw(st.sampled_from([layout.DIR_UNKNOWN, layout.DIR_FROM, layout.DIR_TO])),
    )


@settings(max_examples=600, deadline=None)
@given(orders(), st.lists(packets(), min_size=1, max_size=12))
def test_tables_say_what_the_targets_mean(some: list[ArmedOrder], seen: list[Packet]) -> None:
    """For any orders and packets the lookup over tables equals asking every target of every order."""
    tables = compile(some)
    for packet in seen:
        assert match(tables, packet) == match_plainly(some, packet)


@st.composite
def aimed(draw: st.DrawFn) -> tuple[list[ArmedOrder], Packet]:
    """Orders and a packet built from one of their targets, so a hit is the rule."""
    some = draw(orders())
    packet = draw(packets())
    target = draw(st.sampled_from([target for order in some for target in order.targets]))
    fields = {name: getattr(packet, name) for name in Packet.__slots__}
    other = packet.dst
    if isinstance(target, IpTarget):
        fields["src"] = target.network[draw(st.integers(0, min(3, target.network.num_addresses - 1)))]
        fields["dst"] = other if other and other.version == fields["src"].version else fields["src"]
    elif isinstance(target, PortTarget):
        fields |= {"src": target.address, "dst": target.address, "ports": (draw(st.integers(target.lo, target.hi)), 7)}
    elif isinstance(target, FlowTarget):
        fields |= {"src": target.local, "dst": target.remote, "protocol": target.protocol}
        fields["ports"] = (target.local_port, target.remote_port)
    elif isinstance(target, VlanTarget):
        fields["vlans"] = (target.outer,) if target.inner is None else (target.outer, target.inner)
    else:
        fields["src_mac"] = target.mac
        fields["session"] = target.session if isinstance(target, PppoeTarget) else None
    aimed_packet = Packet(**fields)
    return some, draw(st.sampled_from([aimed_packet, aimed_packet.turned()]))


@settings(max_examples=600, deadline=None)
@given(aimed())
def test_packets_of_a_target_are_taken(case: tuple[list[ArmedOrder], Packet]) -> None:
    """A packet made from a target is taken by that order, and by exactly the orders that the targets mean."""
    some, packet = case
    found = match(compile(some), packet)
    assert found
    assert found == match_plainly(some, packet)


@settings(max_examples=200, deadline=None)
@given(orders(), st.randoms(use_true_random=False))
def test_order_of_orders_does_not_matter(some: list[ArmedOrder], random: Any) -> None:
    """The same orders in any sequence compile to the same tables."""
    mixed = [*some]
    random.shuffle(mixed)
    assert compile(mixed) == compile(some)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 20), networks())
def test_the_limit_of_claims_is_exact(count: int, target: IpTarget) -> None:
    """Sixteen orders on one target compile, the seventeenth is refused and named."""
    some = [ArmedOrder(n, 1, 1, 0, 1, 0, (target,), f"W-{n}") for n in range(count)]
    if count <= 16:
        assert len(match(compile(some), Packet(target.network[0], target.network[0]))) == count
        return
    with pytest.raises(TargetLimitError) as caught:
        compile(some)
    assert caught.value.target == str(target)
    assert set(caught.value.orders) == {order.name for order in some}


@settings(max_examples=200, deadline=None)
@given(orders(), packets())
def test_removing_an_order_removes_only_its_claim(some: list[ArmedOrder], packet: Packet) -> None:
    """Without one order every packet still belongs to all the others, and never to the one that went."""
    assume(len(some) > 1)
    rest = some[1:]
    before, after = match(compile(some), packet), match(compile(rest), packet)
    before.pop(some[0].claim, None)
    assert after == before


def test_mapped_addresses_are_not_their_ipv4_flows() -> None:
    """An IPv6 packet between ::ffff:10.0.0.1 and ::ffff:10.0.0.2 is not the flow of these IPv4 addresses."""
    local, remote = (ipaddress.ip_address(f"10.0.0.{n}") for n in (1, 2))
    tables = compile([ArmedOrder(0, 1, 1, 0, 1, 0, (FlowTarget(6, local, 5, remote, 6),))])
    assert match(tables, Packet(local, remote, 6, (5, 6)))
    assert not match(tables, Packet(MAPPED[1], MAPPED[2], 6, (5, 6)))


@pytest.mark.parametrize("inner", [None, 2])
def test_vlan_targets_are_taken_where_no_direction_is_known(inner: int | None) -> None:
    """At a mirror port the packet of a VLAN target is the target's, with DIR_UNKNOWN; another VLAN's is not."""
    some = [ArmedOrder(0, 1, 1, 0, 1, 0, (VlanTarget(1, inner),))]
    tags = (1,) if inner is None else (1, inner)
    mirrored = Packet(vlans=tags, vlan_dir=layout.DIR_UNKNOWN)
    assert match_plainly(some, mirrored) == match(compile(some), mirrored) == {some[0].claim: layout.DIR_UNKNOWN}
    other = Packet(vlans=(3, *tags[1:]), vlan_dir=layout.DIR_UNKNOWN)
    assert match_plainly(some, other) == match(compile(some), other) == {}
