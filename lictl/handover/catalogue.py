# SPDX-License-Identifier: Apache-2.0
"""The formats for people who have to choose one: what each is, how it usually travels, what can be set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lictl.handover import atis, ccc, etsi_options, pcap, pcapng, text, tzsp, x2x3_elements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lictl.delivery.config import TransportKind
    from lictl.handover.options import Option


@dataclass(frozen=True, slots=True)
class Entry:
    """One format.

    Attributes:
        title: what it is, in one line.
        options: an agency's, by name.
        transport: how it usually travels.
        port: that its standard or custom names; 0: none.
        events_port: likewise, of events on a connection of their own.
    """

    title: str
    options: Mapping[str, Option] = field(default_factory=dict)
    transport: TransportKind = "lictl"
    port: int = 0
    events_port: int = 0


CATALOGUE: Final[Mapping[str, Entry]] = {
    "pcapng": Entry("capture files with numbers, directions and losses; Wireshark opens them", pcapng.OPTIONS),
    "pcap": Entry("classic capture files; no numbers, directions or losses", pcap.OPTIONS),
    "text": Entry("one line a packet, for people, grep and awk", text.OPTIONS),
    "msgpack": Entry("lictl's records as msgpack, for programs"),
    "etsi-102232": Entry("ETSI TS 102 232-1 and -3, HI2 and HI3: IP traffic to an agency", etsi_options.OPTIONS, "tcp"),
    "etsi-103221-2": Entry("ETSI TS 103 221-2, X2 and X3: to a mediation function", x2x3_elements.OPTIONS, "tcp"),
    "atis-1000013": Entry(
        "ATIS-1000013, CmII and CmC: internet access under CALEA", atis.OPTIONS, "tcp", port=41818, events_port=41817
    ),
    "tzsp": Entry("TZSP as MikroTik routers send it: a frame a datagram", tzsp.OPTIONS, "udp", port=37008),
    "ccc": Entry("PacketCable call content: an IP packet a datagram", ccc.OPTIONS, "udp"),
}
