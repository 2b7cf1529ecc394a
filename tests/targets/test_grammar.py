# SPDX-License-Identifier: Apache-2.0
"""The text of a target: what is read, what is refused and in which words."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.targets.grammar import TargetError, parse
from lictl.targets.kinds import (
    FlowTarget,
    IpTarget,
    MacTarget,
    PortTarget,
    PppoeTarget,
    VlanTarget,
    access_only,
)

MAC = bytes.fromhex("020000000007")
V4, V6 = ipaddress.ip_address("203.0.113.7"), ipaddress.ip_address("2001:db8::7")

READ = [
    ("ip:203.0.113.7", IpTarget(ipaddress.ip_network("203.0.113.7/32")), "ip:203.0.113.7"),
    (" IP:203.0.113.7/32 ", IpTarget(ipaddress.ip_network("203.0.113.7/32")), "ip:203.0.113.7"),
    ("ip:10.1.0.0/16", IpTarget(ipaddress.ip_network("10.1.0.0/16")), "ip:10.1.0.0/16"),
    ("ip:2001:DB8:7:0::/56", IpTarget(ipaddress.ip_network("2001:db8:7::/56")), "ip:2001:db8:7::/56"),
    ("ip:2001:db8:0:0::7/128", IpTarget(ipaddress.ip_network("2001:db8::7")), "ip:2001:db8::7"),
    ("ip:203.0.113.7  ports:10240-11263", PortTarget(V4, 10240, 11263), "ip:203.0.113.7 ports:10240-11263"),
    ("ip:203.0.113.7 ports:80-80", PortTarget(V4, 80, 80), "ip:203.0.113.7 ports:80"),
    ("ip:2001:db8::7 ports:1-65535", PortTarget(V6, 1, 65535), "ip:2001:db8::7 ports:1-65535"),
    (
        "flow:tcp 203.0.113.7:51000-198.51.100.1:443",
        FlowTarget(6, V4, 51000, ipaddress.ip_address("198.51.100.1"), 443),
        "flow:tcp 203.0.113.7:51000-198.51.100.1:443",
    ),
    (
        "flow:UDP [2001:db8::7]:53-[2001:db8:0::1]:53",
        FlowTarget(17, V6, 53, ipaddress.ip_address("2001:db8::1"), 53),
        "flow:udp [2001:db8::7]:53-[2001:db8::1]:53",
    ),
    ("mac:02-00-00-00-00-07", MacTarget(MAC), "mac:02:00:00:00:00:07"),
    ("mac:02:00:00:00:00:07", MacTarget(MAC), "mac:02:00:00:00:00:07"),
    ("vlan:100", VlanTarget(100), "vlan:100"),
    ("vlan:4094.1", VlanTarget(4094, 1), "vlan:4094.1"),
    ("pppoe:02:00:00:00:00:07/0x1234", PppoeTarget(MAC, 0x1234), "pppoe:02:00:00:00:00:07/0x1234"),
    ("pppoe:02:00:00:00:00:07/0XA", PppoeTarget(MAC, 10), "pppoe:02:00:00:00:00:07/0x000a"),
]


@pytest.mark.parametrize(("text", "target", "canonical"), READ)
def test_each_form_is_read_and_has_one_text(text: str, target: object, canonical: str) -> None:
    """Every documented form gives its value, and the value its canonical text, which reads back as the same."""
    assert parse(text) == target
    assert str(parse(text)) == canonical
    assert parse(canonical) == target


OWN = "name the subscriber's own address"
LINK = "an address that is valid on one link only names a different station on each; use mac:, vlan: or pppoe:"
PORT = "write a decimal number from 1 to 65535"
VLAN = "write a decimal number from 1 to 4094"
ADDRESS = "write 203.0.113.7 or 2001:db8::7"
STATION = "name the subscriber's own station"
PAIRS = "write six pairs of hexadecimal digits, such as 02:00:00:00:00:07"
MAPPED = "an address in ::ffff:0:0/96 is IPv4-mapped IPv6 (RFC 4291 2.5.5.2)"
SESSION = "write a session from 0x0001 to 0xfffe"
TRANSPORTS = "write flow: and one of tcp, udp, dccp, sctp, udplite"
BRACKETS = "write an IPv6 address in brackets, IPv4 without"
RANGE = "write ip:ADDRESS ports:LOW-HIGH"
KINDS = "begin with ip:, flow:, mac:, vlan: or pppoe:"
ENDS = "write ADDRESS:PORT-ADDRESS:PORT, the target's end first, an IPv6 address in brackets"

REFUSED = [
    ("", "'' begins with no kind of target", KINDS),
    ("203.0.113.7", "'203.0.113.7' begins with no kind of target", "write ip:203.0.113.7"),
    ("2001:db8::/32", "'2001:db8::/32' begins with no kind of target", "write ip:2001:db8::/32"),
    ("02:00:00:00:00:07", "'02:00:00:00:00:07' begins with no kind of target", "write mac:02:00:00:00:00:07"),
    ("pppeo:x", "'pppeo:x' begins with no kind of target", f"did you mean pppoe:? {KINDS}"),
    ("email:a@b", "'email:a@b' begins with no kind of target", KINDS),
    ("ip:" + "1" * 200, "a target has at most 200 characters, this has 203", "write one target an entry"),
    ("ip:", "'' is not an IP address", ADDRESS),
    ("ip:203.0.113", "'203.0.113' is not an IP address", ADDRESS),
    ("ip:203.0.113.07", "'203.0.113.07' is not an IP address", ADDRESS),
    ("ip:203.0.113.256", "'203.0.113.256' is not an IP address", ADDRESS),
    ("ip:\u0661.2.3.4", "'\u0661.2.3.4' is not an IP address", ADDRESS),
    ("ip:example.com", "'example.com' is not an IP address", ADDRESS),
    ("ip:0.0.0.0/0", "0.0.0.0/0 is the default route: every subscriber", OWN),
    ("ip:::/0", "::/0 is the default route: every subscriber", OWN),
    ("ip:203.0.113.7/0", "0.0.0.0/0 is the default route: every subscriber", OWN),
    ("ip:10.0.0.0/33", "'33' is not a prefix length number", "write a decimal number from 0 to 32"),
    ("ip:10.0.0.0/", "'' is not a prefix length number", "write a decimal number from 0 to 32"),
    ("ip:10.0.0.0/255.0.0.0", "'255.0.0.0' is not a prefix length number", "write a decimal number from 0 to 32"),
    (
        "ip:203.0.113.7/24",
        "203.0.113.7/24 has bits set behind the prefix",
        "write ip:203.0.113.0/24 for the prefix or ip:203.0.113.7 for the address",
    ),
    ("ip:0.0.0.0", "0.0.0.0 is the unspecified network (RFC 1122 3.2.1.3)", OWN),
    ("ip:127.0.0.1", "127.0.0.1 is loopback (RFC 1122 3.2.1.3)", OWN),
    ("ip:169.254.1.0/24", "169.254.1.0/24 is link-local (RFC 3927)", LINK),
    ("ip:224.0.0.0/4", "224.0.0.0/4 is multicast (RFC 5771)", OWN),
    ("ip:239.1.2.3", "239.1.2.3 is multicast (RFC 5771)", OWN),
    ("ip:255.255.255.255", "255.255.255.255 is the broadcast address (RFC 919)", OWN),
    ("ip:::", ":: is the unspecified address (RFC 4291 2.5.2)", OWN),
    ("ip:::1", "::1 is loopback (RFC 4291 2.5.3)", OWN),
    ("ip:fe80::1", "fe80::1 is link-local (RFC 4291 2.5.6)", LINK),
    ("ip:ff02::1", "ff02::1 is multicast (RFC 4291 2.7)", OWN),
    (
        "ip:fe80::1%eth0",
        "fe80::1%eth0 has a zone index, which means nothing off this machine",
        "leave out % and what follows",
    ),
    ("ip:::ffff:203.0.113.7", MAPPED, "write ip:203.0.113.7"),
    ("ip:::ffff:10.0.0.0/104", MAPPED, "write ip:10.0.0.0/8"),
    (
        "ip:203.0.113.7 tcp",
        "'203.0.113.7 tcp' has something unknown behind the address",
        RANGE,
    ),
    ("ip:203.0.113.7 ports:0-9", "'0' is not a port number", PORT),
    ("ip:203.0.113.7 ports:9-65536", "'65536' is not a port number", PORT),
    ("ip:203.0.113.7 ports:", "'' is not a port number", PORT),
    ("ip:203.0.113.7 ports:1-", "'' is not a port number", PORT),
    ("ip:203.0.113.7 ports:1_0-20", "'1_0' is not a port number", PORT),
    ("ip:203.0.113.7 ports:9-1", "ports:9-1 is reversed", "write ports:1-9"),
    ("ip:203.0.113.7 ports:1-2,5-6", "ports:1-2,5-6 is more than one range", "write one target a range"),
    ("ip:203.0.113.7 ports:1-2 x", "'2 x' is not a port number", PORT),
    (
        "ip:203.0.113.0/24 ports:1-9",
        "203.0.113.0/24 is a prefix, but ports belong to one address",
        "write one target an address",
    ),
    (
        "flow:icmp 1.1.1.1:1-1.1.1.2:2",
        "flow:icmp is no transport with ports",
        TRANSPORTS,
    ),
    ("flow:tcp 1.1.1.1:1", "'1.1.1.1:1' is not two ends of a flow", ENDS),
    ("flow:tcp 2001:db8::1:5-[2001:db8::2]:6", "'2001:db8::1:5-[2001:db8::2]:6' is not two ends of a flow", ENDS),
    (
        "flow:tcp [1.1.1.1]:5-1.1.1.2:6",
        "'[1.1.1.1]' is not an address of a flow",
        BRACKETS,
    ),
    ("flow:tcp 1.1.1.1:0-1.1.1.2:6", "'0' is not a port number", PORT),
    ("flow:tcp 1.1.1.1:5-224.0.0.1:6", "224.0.0.1 is multicast (RFC 5771)", OWN),
    (
        "flow:tcp 1.1.1.1:5-[2001:db8::2]:6",
        "a flow has two addresses of one IP version",
        "write two IPv4 or two IPv6 addresses",
    ),
    ("flow:tcp 1.1.1.1:5-1.1.1.1:5", "both ends of the flow are the same", "name the target's end and the other end"),
    ("mac:ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff is the Ethernet broadcast address", STATION),
    ("mac:01:00:5e:00:00:01", "01:00:5e:00:00:01 is an Ethernet multicast address", STATION),
    ("mac:00:00:00:00:00:00", "00:00:00:00:00:00 is no station", STATION),
    ("mac:02:00:00:00:07", "'02:00:00:00:07' is not a MAC address", PAIRS),
    ("mac:02:00-00:00:00:07", "'02:00-00:00:00:07' is not a MAC address", PAIRS),
    ("vlan:0", "'0' is not a VLAN number", VLAN),
    ("vlan:4095", "'4095' is not a VLAN number", VLAN),
    ("vlan:100.", "'' is not a VLAN number", VLAN),
    ("vlan:1.2.3", "'2.3' is not a VLAN number", VLAN),
    ("vlan:0x64", "'0x64' is not a VLAN number", VLAN),
    (
        "pppoe:02:00:00:00:00:07",
        "pppoe:02:00:00:00:00:07 names no session",
        "write pppoe:MAC/0xSESSION, or mac: for the whole station",
    ),
    (
        "pppoe:02:00:00:00:00:07/0x0",
        "PPPoE session 0x0 is reserved (RFC 2516)",
        SESSION,
    ),
    (
        "pppoe:02:00:00:00:00:07/0xffff",
        "PPPoE session 0xffff is reserved (RFC 2516)",
        SESSION,
    ),
    (
        "pppoe:02:00:00:00:00:07/1234",
        "PPPoE session '1234' is not hexadecimal with 0x before it",
        "write 0x04d2 for decimal 1234",
    ),
    ("pppoe:02:00:00:00:00:07/0x12345", "PPPoE session '0x12345' is not hexadecimal with 0x before it", "write 0x1234"),
    ("pppoe:03:00:00:00:00:07/0x1", "03:00:00:00:00:07 is an Ethernet multicast address", STATION),
]


@pytest.mark.parametrize(("text", "what", "fix"), REFUSED)
def test_each_refusal_says_why_and_what_to_write(text: str, what: str, fix: str) -> None:
    """A refused target is a ValueError with the exact reason and the way out."""
    with pytest.raises(TargetError) as caught:
        parse(text)
    assert caught.value.what == what
    assert caught.value.fix == fix
    assert str(caught.value) == f"{what}; {fix}"


@given(st.text(max_size=60) | st.text(alphabet="ip:flowmacvanetu 0123456789./-[]x", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser do anything but return a target with a stable canonical form, or refuse."""
    try:
        target = parse(text)
    except TargetError:
        return
    assert parse(str(target)) == target


@given(st.ip_addresses(), st.integers(0, 128), st.integers(1, 65535), st.integers(1, 65535))
def test_addresses_read_back(address: ipaddress.IPv4Address, length: int, lo: int, hi: int) -> None:
    """Any network and any port range that is not refused reads back as itself from its canonical text."""
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    for text in (f"ip:{network}", f"ip:{address} ports:{min(lo, hi)}-{max(lo, hi)}"):
        try:
            target = parse(text)
        except TargetError:
            continue
        assert parse(str(target)) == target
        if isinstance(target, IpTarget):
            assert target.network == network
        else:
            assert target == PortTarget(address, min(lo, hi), max(lo, hi))


def test_link_layer_targets_bind_an_order_to_access_ports() -> None:
    """One MAC, VLAN or PPPoE target is enough; IP, port and flow targets alone are not."""
    ip, flow = parse("ip:203.0.113.7"), parse("flow:tcp 203.0.113.7:1-198.51.100.1:2")
    assert not access_only((ip, flow, parse("ip:203.0.113.7 ports:1-2")))
    for text in ("mac:02:00:00:00:00:07", "vlan:1", "pppoe:02:00:00:00:00:07/0x1"):
        assert access_only((ip, parse(text)))
