# SPDX-License-Identifier: Apache-2.0
"""Addresses that name nobody, or more than one subscriber, and so can be no target."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lictl.targets.kinds import Network

SHORTEST_V4_PREFIX: Final = 1
SHORTEST_V6_PREFIX: Final = 1
"""Shortest prefixes that a target may have; a default route (length 0) is everybody."""

ETHERNET_GROUP_BIT: Final = 0x01


class TargetError(ValueError):
    """A target text that is refused.

    The message names the target: it is for the operator's own terminal and stands in no log.

    Attributes:
        what: why it is refused.
        fix: what to write instead.
        forbidden: True where it is written well and names everybody, rather than being written wrongly.
    """

    def __init__(self, what: str, fix: str, forbidden: bool = False) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = what
        self.fix = fix
        self.forbidden = forbidden


_ONE_SUBSCRIBER = "name the subscriber's own address"
_BY_LINK = "an address that is valid on one link only names a different station on each; use mac:, vlan: or pppoe:"

_SPECIAL: Final[tuple[tuple[int, int, int, str, str], ...]] = tuple(
    (special.version, int(special.network_address), int(special.broadcast_address), what, fix)
    for special, what, fix in (
        (ipaddress.ip_network(text), what, fix)
        for text, what, fix in (
            ("0.0.0.0/8", "is the unspecified network (RFC 1122 3.2.1.3)", _ONE_SUBSCRIBER),
            ("127.0.0.0/8", "is loopback (RFC 1122 3.2.1.3)", _ONE_SUBSCRIBER),
            ("169.254.0.0/16", "is link-local (RFC 3927)", _BY_LINK),
            ("224.0.0.0/4", "is multicast (RFC 5771)", _ONE_SUBSCRIBER),
            ("255.255.255.255/32", "is the broadcast address (RFC 919)", _ONE_SUBSCRIBER),
            ("::/128", "is the unspecified address (RFC 4291 2.5.2)", _ONE_SUBSCRIBER),
            ("::1/128", "is loopback (RFC 4291 2.5.3)", _ONE_SUBSCRIBER),
            ("fe80::/10", "is link-local (RFC 4291 2.5.6)", _BY_LINK),
            ("ff00::/8", "is multicast (RFC 4291 2.7)", _ONE_SUBSCRIBER),
        )
    )
)
"""IP version, first and last address as integers, what it is, what to write instead."""
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def refuse_network(network: Network) -> None:
    """Refuses a network that can be no target.

    Raises:
        TargetError: default route, special range, IPv4-mapped IPv6.
    """
    if network.prefixlen == 0:
        raise TargetError(f"{network} is the default route: every subscriber", _ONE_SUBSCRIBER, forbidden=True)
    shortest = SHORTEST_V4_PREFIX if network.version == 4 else SHORTEST_V6_PREFIX
    if network.prefixlen < shortest:
        raise TargetError(f"{network} is shorter than /{shortest}", _ONE_SUBSCRIBER, forbidden=True)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        raise TargetError(
            "an address in ::ffff:0:0/96 is IPv4-mapped IPv6 (RFC 4291 2.5.5.2)", f"write ip:{_unmapped(network)}"
        )
    first, last = int(network.network_address), int(network.broadcast_address)
    for version, lowest, highest, what, fix in _SPECIAL:
        if version == network.version and lowest <= first and last <= highest:
            raise TargetError(f"{network.network_address if _is_host(network) else network} {what}", fix)


def refuse_mac(mac: bytes) -> None:
    """Refuses six bytes that name no single station (IEEE 802, group bit)."""
    text = mac.hex(":")
    fix = "name the subscriber's own station"
    if mac == b"\xff" * 6:
        raise TargetError(f"{text} is the Ethernet broadcast address", fix)
    if mac[0] & ETHERNET_GROUP_BIT:
        raise TargetError(f"{text} is an Ethernet multicast address", fix)
    if mac == bytes(6):
        raise TargetError(f"{text} is no station", fix)


def _is_host(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen


def _unmapped(network: ipaddress.IPv6Network) -> str:
    length = network.prefixlen - 96
    address = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
    return str(address) if length == 32 else f"{address}/{length}"
