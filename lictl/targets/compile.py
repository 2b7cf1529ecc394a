# SPDX-License-Identifier: Apache-2.0
"""Armed orders to kernel tables: a pure function, no clock, no kernel.

The kernel looks up one entry a key and stops at the longest prefix, so each entry names every order that any covering
prefix names (closure). A shared address has an entry of its own length that says "look into the port map too".
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lictl.targets import layout
from lictl.targets.describe import describe
from lictl.targets.kinds import (
    FlowTarget,
    IpTarget,
    MacTarget,
    PortTarget,
    PppoeTarget,
    Target,
    VlanTarget,
    access_only,
)
from lictl.targets.orders import ArmedOrder, Tables, TargetLimitError
from lictl.targets.prefixes import Owned, closure, range_prefixes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ArmedOrder", "Tables", "TargetLimitError", "compile"]

_PORT_BITS = 16


class Collected:
    """Claims by key, before closure. Addresses are (version, integer)."""

    def __init__(self) -> None:
        self.networks: dict[int, Owned] = {4: _owned(), 6: _owned()}
        self.ports: dict[tuple[int, int], Owned] = defaultdict(_owned)
        self.exact: dict[str, dict[bytes, list[int]]] = {
            name: defaultdict(list) for name in (layout.MAP_FLOW, layout.MAP_MAC, layout.MAP_VLAN, layout.MAP_PPPOE)
        }

    def add(self, target: Target, claim: int) -> None:
        if isinstance(target, IpTarget):
            network = target.network
            bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            self.networks[network.version][network.prefixlen][bits].append(claim)
        elif isinstance(target, PortTarget):
            self._add_ports(target, claim)
        else:
            name, key = exact_key(target)
            self.exact[name][key].append(claim)

    def _add_ports(self, target: PortTarget, claim: int) -> None:
        address = target.address
        owned = self.ports[address.version, int(address)]
        for length, bits in range_prefixes(target.lo, target.hi, _PORT_BITS):
            owned[length][bits].append(claim)
        # The lookup that leads to the port map: an entry of full length, without a claim of its own.
        _ = self.networks[address.version][address.max_prefixlen][int(address)]


def _owned() -> Owned:
    return defaultdict(lambda: defaultdict(list))


def compile(orders: Sequence[ArmedOrder]) -> Tables:
    """The tables that make the kernel take exactly what the orders name.

    Raises:
        TargetLimitError: more orders on one target, more prefix lengths or more targets than the kernel holds.
        ValueError: an order that cannot be armed (slot, generation, mode, window, no target); a defect of the caller.
    """
    slots: dict[int, bytes] = {}
    collected = Collected()
    for order in orders:
        if order.slot in slots:
            raise ValueError(f"two orders own slot {order.slot}")
        slots[order.slot] = pack_slot(order)
        for target in order.targets:
            collected.add(target, order.claim)
    packer = Packer({order.claim: order.name or f"slot {order.slot}" for order in orders})
    maps: dict[str, dict[bytes, bytes]] = {name: {} for name in layout.KIND_OF_MAP}
    lens = {
        version: _pack_networks(collected, version, maps, packer, limit)
        for version, limit in ((4, layout.MAX_V4_LENS), (6, layout.MAX_V6_LENS))
    }
    port_lens = _pack_ports(collected, maps, packer)
    for name, entries in collected.exact.items():
        for key, claims in entries.items():
            maps[name][key] = packer.pack(name, key, tuple(sorted(set(claims))))
    kinds = 0
    for name, packed in maps.items():
        if len(packed) > layout.MAX_TARGETS:
            raise TargetLimitError(
                f"The live orders need {len(packed)} entries in {name}; the kernel's table holds {layout.MAX_TARGETS}.",
                "Write prefixes for neighbouring addresses, or revoke orders that have ended.",
            )
        kinds |= layout.KIND_OF_MAP[name] if packed else 0
    return Tables(maps, slots, kinds, lens[4], lens[6], port_lens)


def pack_slot(order: ArmedOrder) -> bytes:
    if not 0 <= order.slot < layout.MAX_SLOTS or not 1 <= order.generation <= layout.GENERATION_MAX:
        raise ValueError(f"slot {order.slot}, generation {order.generation} is not possible")
    if order.mode not in (layout.MODE_HEADERS, layout.MODE_CONTENT):
        raise ValueError(f"slot {order.slot}: mode {order.mode} is not possible")
    if not 0 <= order.starts_ns < order.ends_ns < 1 << 64:
        raise ValueError(f"slot {order.slot}: the window is empty or outside 64 bits")
    if not order.targets:
        raise ValueError(f"slot {order.slot}: no target")
    flags = order.flags | (layout.SLOT_ACCESS_ONLY if access_only(order.targets) else 0)
    return layout.SLOT.pack(order.generation, order.mode, flags, order.starts_ns, order.ends_ns)


def _pack_networks(
    collected: Collected, version: int, maps: dict[str, dict[bytes, bytes]], packer: Packer, max_lens: int
) -> tuple[int, ...]:
    """Fills the map of one IP version; returns the lengths in use, longest first."""
    name, key, width = (layout.MAP_V4, layout.KEY_V4, 32) if version == 4 else (layout.MAP_V6, layout.KEY_V6, 128)
    owned, table = collected.networks[version], maps[name]
    lens = tuple(sorted(owned, reverse=True))
    if len(lens) > max_lens:
        raise TargetLimitError(
            f"The live orders use {len(lens)} different IPv{version} prefix lengths; the kernel looks up {max_lens}.",
            "Write targets of a length that is in use already: two longer prefixes for one shorter.",
        )
    for length, entries in closure(owned).items():
        shift, size = width - length, width // 8
        for bits, claims in entries.items():
            packed = key.pack((bits << shift).to_bytes(size, "big"), length)
            flags = layout.TARGET_HAS_PORTS if shift == 0 and (version, bits) in collected.ports else 0
            table[packed] = packer.pack(name, packed, claims, flags)
    return lens


def _pack_ports(collected: Collected, maps: dict[str, dict[bytes, bytes]], packer: Packer) -> tuple[int, ...]:
    table = maps[layout.MAP_PORT]
    lens: set[int] = set()
    for (version, address), owned in collected.ports.items():
        local = layout.mapped(address.to_bytes(4 if version == 4 else 16, "big"))
        lens |= owned.keys()
        for length, bits, claims in _flat(closure(owned)):
            packed = layout.KEY_PORT.pack(local, bits << (_PORT_BITS - length), length)
            table[packed] = packer.pack(layout.MAP_PORT, packed, claims)
    # Port 0 is no target, so no range needs length 0 and 16 lengths are all there can be.
    assert len(lens) <= layout.MAX_PORT_LENS  # noqa: S101
    return tuple(sorted(lens, reverse=True))


def _flat(closed: dict[int, dict[int, tuple[int, ...]]]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    for length, entries in closed.items():
        for bits, claims in entries.items():
            yield length, bits, claims


def exact_key(target: FlowTarget | MacTarget | VlanTarget | PppoeTarget) -> tuple[str, bytes]:
    if isinstance(target, FlowTarget):
        local, remote = layout.mapped(target.local.packed), layout.mapped(target.remote.packed)
        key = layout.KEY_FLOW.pack(local, remote, target.local_port, target.remote_port, target.protocol)
        return layout.MAP_FLOW, key
    if isinstance(target, MacTarget):
        return layout.MAP_MAC, layout.KEY_MAC.pack(target.mac)
    if isinstance(target, VlanTarget):
        inner = layout.VLAN_NONE if target.inner is None else target.inner
        return layout.MAP_VLAN, layout.KEY_VLAN.pack(target.outer, inner)
    return layout.MAP_PPPOE, layout.KEY_PPPOE.pack(target.mac, target.session)


class Packer:
    """Packs entries; those with the same claims share one value."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names
        self._values: dict[tuple[tuple[int, ...], int], bytes] = {}

    def pack(self, map_name: str, key: bytes, claims: tuple[int, ...], flags: int = 0) -> bytes:
        value = self._values.get((claims, flags))
        if value is None:
            if len(claims) > layout.MAX_CLAIMS:
                raise self._too_many(describe(map_name, key), claims)
            value = self._values[claims, flags] = layout.pack_target(claims, flags)
        return value

    def _too_many(self, target: Target, claims: tuple[int, ...]) -> TargetLimitError:
        orders = tuple(self._names[claim] for claim in claims)
        shown = ", ".join(orders[: layout.MAX_CLAIMS + 1]) + (", ..." if len(orders) > layout.MAX_CLAIMS + 1 else "")
        return TargetLimitError(
            f"{len(claims)} live orders name {target} or a prefix that covers it; a target holds {layout.MAX_CLAIMS}: "
            f"{shown}.",
            "Revoke an order that is no longer needed, or name a narrower target.",
            str(target),
            orders,
        )
