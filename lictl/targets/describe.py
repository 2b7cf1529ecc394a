# SPDX-License-Identifier: Apache-2.0
"""A key of a target map back to the target that it stands for."""

from __future__ import annotations

import ipaddress

from lictl.targets import layout
from lictl.targets.kinds import Address, FlowTarget, IpTarget, MacTarget, PortTarget, PppoeTarget, Target, VlanTarget


def describe(map_name: str, key: bytes) -> Target:
    """The target of one key; a port range that was cut into prefixes comes back as one such prefix.

    Its text names a subscriber: for the operator's own terminal, never for a log.
    """
    fields = layout.KEY_OF_MAP[map_name].unpack(key)
    if map_name in (layout.MAP_V4, layout.MAP_V6):
        return IpTarget(ipaddress.ip_network((fields[0], fields[1])))
    if map_name == layout.MAP_PORT:
        address, port, length = fields
        return PortTarget(_address(address), port, port | 0xFFFF >> length)
    if map_name == layout.MAP_FLOW:
        local, remote, local_port, remote_port, protocol = fields
        return FlowTarget(protocol, _address(local), local_port, _address(remote), remote_port)
    if map_name == layout.MAP_MAC:
        return MacTarget(fields[0])
    if map_name == layout.MAP_VLAN:
        return VlanTarget(fields[0], None if fields[1] == layout.VLAN_NONE else fields[1])
    return PppoeTarget(fields[0], fields[1])


def _address(packed: bytes) -> Address:
    address = ipaddress.IPv6Address(packed)
    return address.ipv4_mapped or address
