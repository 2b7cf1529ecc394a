# SPDX-License-Identifier: Apache-2.0
"""How two targets lie to each other, and which of many targets one touches. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from lictl.targets.kinds import Address, FlowTarget, IpTarget, MacTarget, PortTarget, PppoeTarget, Target, VlanTarget
from lictl.targets.layout import VLAN_NONE

if TYPE_CHECKING:
    from collections.abc import Iterable

Owner = TypeVar("Owner")
Span: TypeAlias = tuple[int, int]

NO_PORT: Final = 0
"""Stands for packets that prove no port; port 0 is no target."""
NO_SESSION: Final = 0x10000
_ANY_PORT: Final = (NO_PORT, 0xFFFF)
_ANY_PROTOCOL: Final = (0, 0xFF)


class Relation(StrEnum):
    """How a target lies to another one."""

    EXACT = "exact"
    """They name the same."""
    INSIDE = "inside"
    """All that it names the other one names too."""
    CONTAINS = "contains"
    """It names all that the other one names, and more."""
    CROSSES = "crosses"
    """They name something in common, and each something of its own."""
    OTHER_END = "other end"
    """A flow of the one ends at the other: its packets are named by both, for different ends."""


@dataclass(frozen=True, slots=True)
class Box:
    """What a target names at its own end: spans (both ends included) in a space."""

    space: str
    spans: tuple[Span, ...]


def box(target: Target) -> Box:
    """The box of a target.

    IP: address, port, protocol, remote address, remote port. Ethernet: station, PPPoE session. VLAN: outer, inner.
    """
    if isinstance(target, MacTarget):
        return Box("ethernet", (_one(int.from_bytes(target.mac, "big")), (0, NO_SESSION)))
    if isinstance(target, PppoeTarget):
        return Box("ethernet", (_one(int.from_bytes(target.mac, "big")), _one(target.session)))
    if isinstance(target, VlanTarget):
        return Box("vlan", (_one(target.outer), _one(VLAN_NONE if target.inner is None else target.inner)))
    if isinstance(target, FlowTarget):
        here = (_one(int(target.local)), _one(target.local_port), _one(target.protocol))
        return Box(f"ip{target.local.version}", (*here, _one(int(target.remote)), _one(target.remote_port)))
    version = target.network.version if isinstance(target, IpTarget) else target.address.version
    rest = (_ANY_PROTOCOL, (0, (1 << (32 if version == 4 else 128)) - 1), _ANY_PORT)
    if isinstance(target, PortTarget):
        return Box(f"ip{version}", (_one(int(target.address)), (target.lo, target.hi), *rest))
    return Box(f"ip{version}", (_network_span(target), _ANY_PORT, *rest))


def relation(one: Target, other: Target) -> Relation | None:
    """How `one` lies to `other` at its own end; None where they have nothing in common."""
    return _relation(box(one), box(other))


def _relation(one: Box, other: Box) -> Relation | None:
    if one.space != other.space:
        return None
    pairs = list(zip(one.spans, other.spans, strict=True))
    if any(a[1] < b[0] or b[1] < a[0] for a, b in pairs):
        return None
    if one.spans == other.spans:
        return Relation.EXACT
    if all(b[0] <= a[0] and a[1] <= b[1] for a, b in pairs):
        return Relation.INSIDE
    if all(a[0] <= b[0] and b[1] <= a[1] for a, b in pairs):
        return Relation.CONTAINS
    return Relation.CROSSES


def faces(one: Target, other: Target) -> bool:
    """True where one of them is a flow whose far end the other one names as its own."""
    return _ends_at(one, other) or _ends_at(other, one)


def _ends_at(flow: Target, other: Target) -> bool:
    return isinstance(flow, FlowTarget) and _relation(box(turned(flow)), box(other)) is not None


def turned(flow: FlowTarget) -> FlowTarget:
    """The same flow, seen from its other end."""
    return FlowTarget(flow.protocol, flow.remote, flow.remote_port, flow.local, flow.local_port)


class Touched(Generic[Owner]):
    """Many targets with their owners, to be asked which of them one target touches.

    Addresses are looked up by prefix, so a question costs the number of prefix lengths plus that of the answers.
    """

    def __init__(self, targets: Iterable[tuple[Owner, Target]]) -> None:
        self._networks: dict[int, dict[int, dict[int, list[tuple[Owner, Target, bool]]]]] = {4: {}, 6: {}}
        self._exact: dict[tuple[str, int], list[tuple[Owner, Target]]] = {}
        for owner, target in targets:
            self._add(owner, target)
        self._starts = {
            version: sorted((bits << _width(version) - length, length) for length in table for bits in table[length])
            for version, table in self._networks.items()
        }

    def _add(self, owner: Owner, target: Target) -> None:
        if isinstance(target, MacTarget | PppoeTarget | VlanTarget):
            self._exact.setdefault(_exact_key(target), []).append((owner, target))
            return
        self._add_network(_network(target), (owner, target, False))
        if isinstance(target, FlowTarget):
            self._add_network(_whole(target.remote), (owner, target, True))

    def _add_network(self, network: tuple[int, int, int], entry: tuple[Owner, Target, bool]) -> None:
        version, length, bits = network
        self._networks[version].setdefault(length, {}).setdefault(bits, []).append(entry)

    def by(self, target: Target) -> list[tuple[Owner, Target, Relation]]:
        """Every target that this one touches and how, in the order in which they were given for each prefix."""
        if isinstance(target, MacTarget | PppoeTarget | VlanTarget):
            exact = self._exact.get(_exact_key(target), [])
            return [(owner, other, how) for owner, other in exact if (how := relation(target, other)) is not None]
        found: list[tuple[Owner, Target, Relation]] = []
        for owner, other, far in self._near(_network(target)):
            if far:
                if isinstance(other, FlowTarget) and _relation(box(target), box(turned(other))) is not None:
                    found.append((owner, other, Relation.OTHER_END))
            elif (how := relation(target, other)) is not None:
                found.append((owner, other, how))
        if isinstance(target, FlowTarget):
            there = turned(target)
            found += [
                (owner, other, Relation.OTHER_END)
                for owner, other, far in self._near(_network(there))
                if not far and relation(there, other) is not None
            ]
        return found

    def _near(self, network: tuple[int, int, int]) -> list[tuple[Owner, Target, bool]]:
        """Entries whose network covers this one or lies in it."""
        version, length, bits = network
        table, width = self._networks[version], _width(version)
        found: list[tuple[Owner, Target, bool]] = []
        for other, entries in table.items():
            if other <= length:
                found += entries.get(bits >> length - other, [])
        starts = self._starts[version]
        low = bisect_left(starts, (bits << width - length, length + 1))
        high = bisect_right(starts, ((bits + 1 << width - length) - 1, width))
        for start, other in starts[low:high]:
            if other > length:
                found += table[other][start >> width - other]
        return found


def _exact_key(target: MacTarget | PppoeTarget | VlanTarget) -> tuple[str, int]:
    if isinstance(target, VlanTarget):
        return "vlan", target.outer
    return "ethernet", int.from_bytes(target.mac, "big")


def _network(target: IpTarget | PortTarget | FlowTarget) -> tuple[int, int, int]:
    """(version, prefix length, leading bits) of what a target names at its own end."""
    if isinstance(target, IpTarget):
        network = target.network
        return (
            network.version,
            network.prefixlen,
            int(network.network_address) >> _width(network.version) - (network.prefixlen),
        )
    return _whole(target.local if isinstance(target, FlowTarget) else target.address)


def _whole(address: Address) -> tuple[int, int, int]:
    return address.version, address.max_prefixlen, int(address)


def _width(version: int) -> int:
    return 32 if version == 4 else 128


def _network_span(target: IpTarget) -> Span:
    return int(target.network.network_address), int(target.network.broadcast_address)


def _one(value: int) -> Span:
    return value, value
