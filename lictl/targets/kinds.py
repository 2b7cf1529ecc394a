# SPDX-License-Identifier: Apache-2.0
"""The kinds of target as frozen values; ``str()`` of each is its one canonical text."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

FLOW_PROTOCOLS: Final[dict[str, int]] = {"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136}
"""Transports that carry ports, by the name that a flow target uses (IANA protocol numbers)."""

_PROTOCOL_NAMES: Final = {number: name for name, number in FLOW_PROTOCOLS.items()}


def mac_text(mac: bytes) -> str:
    """Six bytes as ``02:00:00:00:00:07``."""
    return mac.hex(":")


def _endpoint(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class IpTarget:
    """Every packet whose source or destination lies in the network."""

    network: Network

    def __str__(self) -> str:
        alone = self.network.prefixlen == self.network.max_prefixlen
        return f"ip:{self.network.network_address if alone else self.network}"


@dataclass(frozen=True, slots=True)
class PortTarget:
    """The ports ``lo``..``hi`` (both included) of a shared address, on every transport that has ports.

    Packets that prove no port (later fragments, ICMP) are not the target's.
    """

    address: Address
    lo: int
    hi: int

    def __str__(self) -> str:
        ports = str(self.lo) if self.lo == self.hi else f"{self.lo}-{self.hi}"
        return f"ip:{self.address} ports:{ports}"


@dataclass(frozen=True, slots=True)
class FlowTarget:
    """One flow; ``local`` is the target's end, ``protocol`` the IANA number."""

    protocol: int
    local: Address
    local_port: int
    remote: Address
    remote_port: int

    def __str__(self) -> str:
        here, there = _endpoint(self.local, self.local_port), _endpoint(self.remote, self.remote_port)
        return f"flow:{_PROTOCOL_NAMES[self.protocol]} {here}-{there}"


@dataclass(frozen=True, slots=True)
class MacTarget:
    """Every frame whose Ethernet source or destination is this station; ``mac`` has six bytes."""

    mac: bytes

    def __str__(self) -> str:
        return f"mac:{mac_text(self.mac)}"


@dataclass(frozen=True, slots=True)
class VlanTarget:
    """Frames with exactly one tag ``outer``, or with two tags or more that begin with ``outer``, ``inner``."""

    outer: int
    inner: int | None = None

    def __str__(self) -> str:
        return f"vlan:{self.outer}" if self.inner is None else f"vlan:{self.outer}.{self.inner}"


@dataclass(frozen=True, slots=True)
class PppoeTarget:
    """One PPPoE session (RFC 2516) of the station ``mac`` (six bytes)."""

    mac: bytes
    session: int

    def __str__(self) -> str:
        return f"pppoe:{mac_text(self.mac)}/0x{self.session:04x}"


Target: TypeAlias = IpTarget | PortTarget | FlowTarget | MacTarget | VlanTarget | PppoeTarget
"""What one entry of ``targets`` in a warrant file names."""

LINK_LAYER: Final = (MacTarget, VlanTarget, PppoeTarget)
"""Kinds that exist on the access side of the box only."""


def access_only(targets: tuple[Target, ...]) -> bool:
    """True where an order has a link-layer target: both directions are taken at access ports (LI_SLOT_ACCESS_ONLY)."""
    return any(isinstance(target, LINK_LAYER) for target in targets)
