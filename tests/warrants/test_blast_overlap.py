# SPDX-License-Identifier: Apache-2.0
"""How targets lie to each other, held against brute force over all packets of a small world."""

from __future__ import annotations

import ipaddress
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.targets.grammar import parse
from lictl.targets.kinds import FlowTarget, IpTarget, MacTarget, PortTarget, PppoeTarget, Target, VlanTarget
from lictl.targets.layout import VLAN_NONE
from lictl.warrants.overlap import NO_PORT, Relation, Touched, faces, relation, turned

BASE = {4: int(ipaddress.ip_address("203.0.113.0")), 6: int(ipaddress.ip_address("2001:db8::"))}
HOSTS, PORTS, PROTOCOLS = range(8), (NO_PORT, 1, 2, 3), (6, 17)


def _address(version: int, host: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    value = BASE[version] + host
    return ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)


@st.composite
def ip_targets(draw: st.DrawFn) -> Target:
    """Networks, ports and flows among eight addresses of a version and three ports."""
    version = draw(st.sampled_from([4, 6]))
    kind = draw(st.sampled_from(["ip", "ip", "ports", "flow"]))
    host = draw(st.sampled_from(HOSTS))
    if kind == "ip":
        wide = draw(st.integers(0, 3))
        address = _address(version, host >> wide << wide)
        return IpTarget(ipaddress.ip_network((int(address).to_bytes(4 if version == 4 else 16, "big"),
                                              address.max_prefixlen - wide)))  # fmt: skip
    if kind == "ports":
        lo, hi = sorted(draw(st.tuples(st.integers(1, 3), st.integers(1, 3))))
        return PortTarget(_address(version, host), lo, hi)
    ports = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    other = draw(st.sampled_from([each for each in HOSTS if each != host]))
    return FlowTarget(draw(st.sampled_from(PROTOCOLS)), _address(version, host), ports[0],
                      _address(version, other), ports[1])  # fmt: skip


@st.composite
def link_targets(draw: st.DrawFn) -> Target:
    """Stations, sessions and tags."""
    kind = draw(st.sampled_from(["mac", "pppoe", "vlan"]))
    mac = bytes([2, 0, 0, 0, 0, draw(st.integers(1, 2))])
    if kind == "mac":
        return MacTarget(mac)
    if kind == "pppoe":
        return PppoeTarget(mac, draw(st.integers(1, 2)))
    return VlanTarget(draw(st.integers(1, 2)), draw(st.sampled_from([None, 1, 2])))


def named(target: Target) -> frozenset[tuple[int, ...]]:
    """What the target names at its own end, enumerated: the oracle."""
    if isinstance(target, MacTarget):
        return frozenset((0, target.mac[5], session) for session in (0, 1, 2))
    if isinstance(target, PppoeTarget):
        return frozenset({(0, target.mac[5], target.session)})
    if isinstance(target, VlanTarget):
        return frozenset({(1, target.outer, VLAN_NONE if target.inner is None else target.inner)})
    version = target.network.version if isinstance(target, IpTarget) else (
        target.address.version if isinstance(target, PortTarget) else target.local.version)  # fmt: skip
    world = product(HOSTS, PORTS, PROTOCOLS, HOSTS, PORTS)
    return frozenset((version, *each) for each in world if _names(target, version, *each))


def _names(target: Target, version: int, host: int, port: int, protocol: int, remote: int, remote_port: int) -> bool:
    here = _address(version, host)
    if isinstance(target, IpTarget):
        return here in target.network
    if isinstance(target, PortTarget):
        return here == target.address and target.lo <= port <= target.hi
    assert isinstance(target, FlowTarget)
    there = _address(version, remote)
    mine = (target.local, target.local_port, target.protocol, target.remote, target.remote_port)
    return (here, port, protocol, there, remote_port) == mine


def by_force(one: Target, other: Target) -> Relation | None:
    """The relation of two enumerated sets."""
    mine, theirs = named(one), named(other)
    if not mine & theirs:
        return None
    if mine == theirs:
        return Relation.EXACT
    if mine <= theirs:
        return Relation.INSIDE
    return Relation.CONTAINS if mine >= theirs else Relation.CROSSES


@settings(max_examples=300, deadline=None)
@given(ip_targets() | link_targets(), ip_targets() | link_targets())
def test_relation_is_that_of_the_sets(one: Target, other: Target) -> None:
    """Exact, inside, contains and crosses mean what they say of the packets named, both ways round."""
    assert relation(one, other) == by_force(one, other)
    mirror = {Relation.INSIDE: Relation.CONTAINS, Relation.CONTAINS: Relation.INSIDE}
    there = relation(one, other)
    assert relation(other, one) == (mirror.get(there, there) if there else None)


@settings(max_examples=150, deadline=None)
@given(st.lists(ip_targets() | link_targets(), max_size=20), ip_targets() | link_targets())
def test_the_index_finds_what_pairwise_comparison_finds(targets: list[Target], one: Target) -> None:
    """Every target that is touched, each once for each way of touching, and no other."""
    found = Touched(enumerate(targets)).by(one)
    expected = [(index, other, how) for index, other in enumerate(targets) if (how := relation(one, other))]
    expected += [
        (index, other, Relation.OTHER_END) for index, other in enumerate(targets) for _ in range(_faced(one, other))
    ]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert {index for index, _, how in found if how is Relation.OTHER_END} == {
        index for index, other in enumerate(targets) if faces(one, other)
    }


def _faced(one: Target, other: Target) -> int:
    return sum(
        isinstance(flow, FlowTarget) and relation(turned(flow), end) is not None
        for flow, end in ((one, other), (other, one))
    )


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("ip:203.0.113.7", "ip:203.0.113.0/24", "inside"),
        ("ip:203.0.113.0/24", "ip:203.0.113.7", "contains"),
        ("ip:203.0.113.7", "ip:203.0.113.7/32", "exact"),
        ("ip:203.0.113.7 ports:1-100", "ip:203.0.113.7 ports:50-200", "crosses"),
        ("ip:203.0.113.7 ports:1-100", "ip:203.0.113.7 ports:101-200", None),
        ("flow:tcp 203.0.113.7:50-192.0.2.1:443", "ip:203.0.113.7 ports:1-100", "inside"),
        ("mac:02:00:00:00:00:07", "pppoe:02:00:00:00:00:07/0x0001", "contains"),
        ("vlan:100", "vlan:100.200", None),
        ("ip:203.0.113.7", "ip:2001:db8::7", None),
        ("ip:203.0.113.7", "mac:02:00:00:00:00:07", None),
    ],
)
def test_relations_by_example(one: str, other: str, how: str | None) -> None:
    """As people would say it."""
    assert relation(parse(one), parse(other)) == how


def test_a_flow_touches_who_is_at_its_other_end() -> None:
    """Its packets are those of the other subscriber's order too; each is told so."""
    flow, end = parse("flow:tcp 203.0.113.7:50-198.51.100.9:443"), parse("ip:198.51.100.0/24")
    assert Touched([("W-1", end)]).by(flow) == [("W-1", end, Relation.OTHER_END)]
    assert Touched([("W-1", flow)]).by(end) == [("W-1", flow, Relation.OTHER_END)]
