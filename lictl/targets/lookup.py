# SPDX-License-Identifier: Apache-2.0
"""The kernel's matching in Python, twice: over compiled tables as ``kernel/match.h`` does it, and by plain meaning.

The tests hold the two against each other and the kernel against both; `lictl` itself explains with it why a
packet is taken. Not for the data path.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from lictl.targets import layout
from lictl.targets.kinds import Address, FlowTarget, IpTarget, MacTarget, PortTarget, PppoeTarget, Target, VlanTarget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lictl.targets.orders import ArmedOrder, Tables


@dataclass(frozen=True, slots=True)
class Packet:
    """What the parser proves about a frame; an absent field is None or empty.

    Attributes:
        src: IP source; None where the frame is no IP packet.
        dst: IP destination, of the same version.
        protocol: IP protocol number.
        ports: (source, destination); None for later fragments and transports without ports.
        src_mac: six bytes, or None.
        dst_mac: six bytes, or None.
        vlans: tags from the outside in.
        session: PPPoE session, or None.
        vlan_dir: DIR_* that a tagged frame travels at this hook.
    """

    src: Address | None = None
    dst: Address | None = None
    protocol: int = 0
    ports: tuple[int, int] | None = None
    src_mac: bytes | None = None
    dst_mac: bytes | None = None
    vlans: tuple[int, ...] = ()
    session: int | None = None
    vlan_dir: int = layout.DIR_FROM

    def turned(self) -> Packet:
        """The same packet with its two ends exchanged."""
        ports = self.ports and (self.ports[1], self.ports[0])
        return Packet(
            self.dst,
            self.src,
            self.protocol,
            ports,
            self.dst_mac,
            self.src_mac,
            self.vlans,
            self.session,
            self.vlan_dir,
        )


def match(tables: Tables, packet: Packet) -> dict[int, int]:
    """claim -> DIR_* bits of every order that the tables name for this packet; windows are not looked at."""
    found: dict[int, int] = {}
    for side, direction in ((packet, layout.DIR_FROM), (packet.turned(), layout.DIR_TO)):
        for claim in _side_claims(tables, side):
            found[claim] = found.get(claim, 0) | direction
    if packet.vlans and tables.kinds & layout.KIND_VLAN:
        inner = packet.vlans[1] if len(packet.vlans) > 1 else layout.VLAN_NONE
        for claim in _claims(tables, layout.MAP_VLAN, layout.KEY_VLAN.pack(packet.vlans[0], inner))[0]:
            found[claim] = found.get(claim, 0) | packet.vlan_dir
    return found


def _side_claims(tables: Tables, side: Packet) -> Iterator[int]:
    """Claims that name the packet's source."""
    if side.src is not None and side.dst is not None:
        yield from _address_claims(tables, side.src, side.ports)
        # An IPv6 packet may carry ::ffff:a.b.c.d, but it is not a packet of that IPv4 address.
        mapped = any(isinstance(end, IPv6Address) and end.ipv4_mapped for end in (side.src, side.dst))
        if side.ports is not None and tables.kinds & layout.KIND_FLOW and not mapped:
            ends = layout.mapped(side.src.packed), layout.mapped(side.dst.packed)
            yield from _claims(tables, layout.MAP_FLOW, layout.KEY_FLOW.pack(*ends, *side.ports, side.protocol))[0]
    if side.src_mac is not None:
        if tables.kinds & layout.KIND_MAC:
            yield from _claims(tables, layout.MAP_MAC, layout.KEY_MAC.pack(side.src_mac))[0]
        if side.session is not None and tables.kinds & layout.KIND_PPPOE:
            yield from _claims(tables, layout.MAP_PPPOE, layout.KEY_PPPOE.pack(side.src_mac, side.session))[0]


def _address_claims(tables: Tables, address: Address, ports: tuple[int, int] | None) -> Iterator[int]:
    name, key, lens, width = (
        (layout.MAP_V4, layout.KEY_V4, tables.v4_lens, 32)
        if address.version == 4
        else (layout.MAP_V6, layout.KEY_V6, tables.v6_lens, 128)
    )
    if not tables.kinds & layout.KIND_OF_MAP[name]:
        return
    for length in lens:
        masked = int(address) >> (width - length) << (width - length)
        packed = key.pack(masked.to_bytes(width // 8, "big"), length)
        if packed in tables.maps[name]:
            claims, flags = _claims(tables, name, packed)
            yield from claims
            if flags & layout.TARGET_HAS_PORTS and ports is not None:
                yield from _port_claims(tables, address, ports[0])
            return


def _port_claims(tables: Tables, address: Address, port: int) -> tuple[int, ...]:
    for length in tables.port_lens:
        packed = layout.KEY_PORT.pack(layout.mapped(address.packed), port & (0xFFFF0000 >> length) & 0xFFFF, length)
        if packed in tables.maps[layout.MAP_PORT]:
            return _claims(tables, layout.MAP_PORT, packed)[0]
    return ()


def _claims(tables: Tables, name: str, key: bytes) -> tuple[tuple[int, ...], int]:
    value = tables.maps[name].get(key)
    return layout.unpack_target(value) if value is not None else ((), 0)


def match_plainly(orders: Sequence[ArmedOrder], packet: Packet) -> dict[int, int]:
    """The same answer as :func:`match`, by asking each target of each order: what they mean, without tables."""
    found: dict[int, int] = {}
    for order in orders:
        for target in order.targets:
            direction = direction_of(target, packet)
            if direction is not None:
                found[order.claim] = found.get(order.claim, 0) | direction
    return found


def direction_of(target: Target, packet: Packet) -> int | None:
    """DIR_* bits that one target gives a packet; None where the packet is not the target's.

    A VLAN target's packet at a mirror port has no known direction, DIR_UNKNOWN, and is the target's all the same.
    """
    if isinstance(target, VlanTarget):
        wanted = (target.outer,) if target.inner is None else (target.outer, target.inner)
        tags = packet.vlans if target.inner is None else packet.vlans[:2]
        return packet.vlan_dir if tags == wanted else None
    from_it = layout.DIR_FROM if _is_source(target, packet) else 0
    return from_it | (layout.DIR_TO if _is_source(target, packet.turned()) else 0) or None


def _is_source(target: IpTarget | PortTarget | FlowTarget | MacTarget | PppoeTarget, packet: Packet) -> bool:
    if isinstance(target, MacTarget):
        return packet.src_mac == target.mac
    if isinstance(target, PppoeTarget):
        return packet.src_mac == target.mac and packet.session == target.session
    if packet.src is None:
        return False
    if isinstance(target, IpTarget):
        return packet.src.version == target.network.version and packet.src in target.network
    if packet.ports is None:
        return False
    if isinstance(target, PortTarget):
        return packet.src == target.address and target.lo <= packet.ports[0] <= target.hi
    ends = (target.protocol, target.local, target.remote, (target.local_port, target.remote_port))
    return ends == (packet.protocol, packet.src, packet.dst, packet.ports)
