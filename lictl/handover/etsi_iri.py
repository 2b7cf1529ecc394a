# SPDX-License-Identifier: Apache-2.0
"""IPIRI: what happened to an interception, as HI2 tells it (ETSI TS 102 232-3, module IPAccessPDU)."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lictl.handover.etsi_pdu import IP_IRI, integer, octet, tlv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lictl.handover.base import Event, EventKind

BEGIN, END, CONTINUE, REPORT = range(1, 5)
"""IRIType."""
INTERIM_UPDATE: Final = 6
START_ACTIVE: Final = 7
END_ACTIVE: Final = 9
"""AccessEventType: startOfInterceptionWithSessionActive and endOfInterceptionWithSessionActive."""
_EVENTS: Final[Mapping[EventKind, tuple[int, int]]] = {
    "begin": (BEGIN, START_ACTIVE),
    "resume": (BEGIN, START_ACTIVE),
    "continue": (CONTINUE, INTERIM_UPDATE),
    "change": (CONTINUE, INTERIM_UPDATE),
    "suspend": (END, END_ACTIVE),
    "end": (END, END_ACTIVE),
}
MAX_ADDRESSES: Final = 4096
"""Of one event; a PDU has to stay shorter than any receiver's bound."""


@dataclass(frozen=True, slots=True)
class Access:
    """What is known of the target's access.

    Attributes:
        username: targetUsername; lictl knows addresses, not accounts, and leaves it empty.
        kind: InternetAccessType; 0 undefined.
        assignment: of its addresses; 1 static, 2 dynamic, 3 not known.
        authentication: AuthenticationType, None: not told.
    """

    username: bytes = b""
    kind: int = 0
    assignment: int = 3
    authentication: int | None = None


NOTHING_KNOWN: Final = Access()


def event_payload(event: Event) -> bytes:
    """The Payload that tells of an event."""
    iri_type, access_event = _EVENTS[event.kind]
    if event.suspended and event.kind == "change":  # no session is there to go on
        iri_type = REPORT
    return session_payload(iri_type, access_event, event.addresses)


def session_payload(
    iri_type: int, access_event: int, addresses: Sequence[str], access: Access = NOTHING_KNOWN
) -> bytes:
    """A Payload with one IPIRI.

    Args:
        iri_type: BEGIN, END, CONTINUE or REPORT.
        access_event: AccessEventType.
        addresses: of the target, addresses or prefixes. The first is targetIPAddress, the second additionalIPAddress,
            all others are otherTargetIdentifiers.
        access: what else is known.
    """
    networks = _networks(addresses)[:MAX_ADDRESSES]
    versions = {network.version for network in networks}
    encoded = [_address(network, access.assignment) for network in networks]
    contents = octet(0x80, access_event) + tlv(0x81, access.username) + octet(0x82, access.kind)
    contents += octet(0x83, {frozenset({4}): 1, frozenset({6}): 2}.get(frozenset(versions), 3))
    if encoded:
        contents += tlv(0xA4, encoded[0])
    if len(encoded) > 1:
        contents += tlv(0xB5, encoded[1])
    if access.authentication is not None:
        contents += octet(0x96, access.authentication)
    if len(encoded) > 2:
        contents += tlv(0xB7, b"".join(tlv(0xA0, address) for address in encoded[2:]))
    iri = tlv(0x80, IP_IRI) + tlv(0xA1, contents)
    return tlv(0xA0, tlv(0x30, octet(0x80, iri_type) + tlv(0xA2, tlv(0xA2, iri))))


def _networks(addresses: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Those that are addresses; whatever else can stand in no IPAddress, and may not hold up the stream."""
    found = []
    for text in addresses:
        with contextlib.suppress(ValueError):
            found.append(ipaddress.ip_network(text, strict=False))
    return found


def _address(network: ipaddress.IPv4Network | ipaddress.IPv6Network, assignment: int) -> bytes:
    """IPAddress; a prefix that is not a single host carries its length or its mask."""
    value = octet(0x81, 0 if network.version == 4 else 1) + tlv(0xA2, tlv(0x81, network.network_address.packed))
    value += octet(0x83, assignment)
    if network.prefixlen < network.max_prefixlen:
        whole = network.version == 4
        # iPv6PrefixLength begins at 1: of ::/0 nothing can be told.
        value += tlv(0x85, network.netmask.packed) if whole else integer(0x84, max(network.prefixlen, 1))
    return value
