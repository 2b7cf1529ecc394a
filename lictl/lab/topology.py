# SPDX-License-Identifier: Apache-2.0
"""Who is who in the lab: hosts, links and addresses.

::

    sub1 --+
    sub2 --+-- sw ==access== isp ==core== server
    sub3 --+                  |
                             mgmt
                              |
                            agency

``sw`` is a switch, so the box has one access port. Addresses are from the documentation ranges (RFC 5737, RFC 3849).
"""

from __future__ import annotations

from dataclasses import dataclass

SUBSCRIBERS = ("sub1", "sub2", "sub3")
HOSTS = ("sw", "isp", "server", "agency", *SUBSCRIBERS)

ACCESS, CORE, MGMT = "access", "core", "mgmt"  # the box's interfaces
UPLINK = "up"  # the switch's end of the access wire


@dataclass(frozen=True, slots=True)
class Port:
    """One interface of a host.

    Attributes:
        host: whose it is.
        name: the interface's name there.
        mac: its link address.
        v4: IPv4 address, the prefix is /24; empty on the switch.
        v6: IPv6 address, the prefix is /64; empty on the switch.
    """

    host: str
    name: str
    mac: str
    v4: str = ""
    v6: str = ""


ISP_ACCESS = Port("isp", ACCESS, "02:00:00:00:00:01", "203.0.113.1", "2001:db8:7::1")
ISP_CORE = Port("isp", CORE, "02:00:00:00:00:02", "198.51.100.1", "2001:db8:80::1")
ISP_MGMT = Port("isp", MGMT, "02:00:00:00:00:03", "192.0.2.1", "2001:db8:aa::1")
SERVER = Port("server", "eth0", "02:00:00:00:02:01", "198.51.100.80", "2001:db8:80::80")
# Addresses behind the server's wire that nobody answers for: what is sent there passes the box and draws no reply.
SINK = Port("server", "eth0", SERVER.mac, "198.51.100.99", "2001:db8:80::99")
AGENCY = Port("agency", "eth0", "02:00:00:00:03:01", "192.0.2.200", "2001:db8:aa::200")
SUB = {
    f"sub{n}": Port(f"sub{n}", "eth0", f"02:00:00:00:01:0{n}", f"203.0.113.1{n}", f"2001:db8:7::1{n}")
    for n in (1, 2, 3)
}

LINKS: tuple[tuple[Port, Port], ...] = (
    *((SUB[f"sub{n}"], Port("sw", f"to{n}", f"02:00:00:00:04:0{n}")) for n in (1, 2, 3)),
    (Port("sw", UPLINK, "02:00:00:00:04:0f"), ISP_ACCESS),
    (ISP_CORE, SERVER),
    (ISP_MGMT, AGENCY),
)

GATEWAYS = {**dict.fromkeys(SUBSCRIBERS, ISP_ACCESS), "server": ISP_CORE, "agency": ISP_MGMT}

NEIGHBOURS: tuple[tuple[Port, Port], ...] = (
    *((SUB[name], ISP_ACCESS) for name in SUBSCRIBERS),
    (SERVER, ISP_CORE),
    (SINK, ISP_CORE),
    (AGENCY, ISP_MGMT),
)


def ports(host: str) -> list[Port]:
    """The interfaces of a host."""
    return [port for link in LINKS for port in link if port.host == host]


def neighbours(host: str) -> list[tuple[Port, Port]]:
    """The IP neighbours of a host: its own port, and the port at the other end."""
    both = [pair for left, right in NEIGHBOURS for pair in ((left, right), (right, left))]
    return [(own, other) for own, other in both if own.host == host]
