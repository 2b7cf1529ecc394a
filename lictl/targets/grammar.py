# SPDX-License-Identifier: Apache-2.0
"""The text of a target, as a warrant file writes it.

    ip:203.0.113.7                                  an address
    ip:2001:db8:7::/56                              a prefix
    ip:198.51.100.9 ports:10240-11263               ports of a shared address
    flow:tcp 192.0.2.1:51000-198.51.100.1:443       one flow, the target's end first; IPv6 in brackets
    mac:02:00:00:00:00:07                           a station
    vlan:100   vlan:100.200                         one tag; an outer and an inner tag
    pppoe:02:00:00:00:00:07/0x1234                  one PPPoE session

Nothing is guessed: whatever could mean two things is refused with both spelled out.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import TYPE_CHECKING, Final

from lictl.targets.kinds import (
    FLOW_PROTOCOLS,
    Address,
    FlowTarget,
    IpTarget,
    MacTarget,
    Network,
    PortTarget,
    PppoeTarget,
    Target,
    VlanTarget,
)
from lictl.targets.refusals import TargetError, refuse_mac, refuse_network

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FlowTarget",
    "IpTarget",
    "MacTarget",
    "PortTarget",
    "PppoeTarget",
    "Target",
    "TargetError",
    "VlanTarget",
    "parse",
]

MAX_TEXT: Final = 200
"""Longest target text, in characters; the longest meaningful one has 111."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}", re.ASCII)
_ENDS = re.compile(r"(\[[^\[\]]*\]|[^\[\]:-]*):([0-9]*)-(\[[^\[\]]*\]|[^\[\]:-]*):([0-9]*)", re.ASCII)
_SESSION = re.compile(r"0x[0-9a-f]{1,4}", re.ASCII)

_MAC_FIX = "write six pairs of hexadecimal digits, such as 02:00:00:00:00:07"


def parse(text: str) -> Target:
    """The target that a text names.

    Raises:
        TargetError: (a ValueError) with the reason and what to write instead.
    """
    if len(text) > MAX_TEXT:
        raise TargetError(
            f"a target has at most {MAX_TEXT} characters, this has {len(text)}", "write one target an entry"
        )
    kind, colon, rest = text.strip().lower().partition(":")
    reader = _READERS.get(kind)
    if not colon or reader is None:
        raise TargetError(f"{text!r} begins with no kind of target", _kind_fix(text.strip().lower(), kind))
    return reader(rest)


def _kind_fix(text: str, kind: str) -> str:
    known = "begin with ip:, flow:, mac:, vlan: or pppoe:"
    for prefix, looks in (("ip", _looks_ip), ("mac", _MAC.fullmatch)):
        if looks(text):
            return f"write {prefix}:{text}"
    close = difflib.get_close_matches(kind, _READERS, 1)
    return f"did you mean {close[0]}:? {known}" if close else known


def _looks_ip(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _read_ip(text: str) -> IpTarget | PortTarget:
    address, _, more = text.strip().partition(" ")
    if not more:
        return IpTarget(_network(address))
    if not more.strip().startswith("ports:"):
        raise TargetError(f"{text!r} has something unknown behind the address", "write ip:ADDRESS ports:LOW-HIGH")
    lo, hi = _port_range(more.strip().removeprefix("ports:"))
    if "/" in address:
        raise TargetError(f"{address} is a prefix, but ports belong to one address", "write one target an address")
    return PortTarget(_address(address), lo, hi)


def _port_range(text: str) -> tuple[int, int]:
    if "," in text:
        raise TargetError(f"ports:{text} is more than one range", "write one target a range")
    low, dash, high = text.partition("-")
    lo = _number(low, "port", 1, 65535)
    hi = _number(high, "port", 1, 65535) if dash else lo
    if lo > hi:
        raise TargetError(f"ports:{text} is reversed", f"write ports:{hi}-{lo}")
    return lo, hi


def _read_flow(text: str) -> FlowTarget:
    name, _, ends = text.partition(" ")
    protocol = FLOW_PROTOCOLS.get(name)
    if protocol is None:
        raise TargetError(
            f"flow:{name} is no transport with ports", f"write flow: and one of {', '.join(FLOW_PROTOCOLS)}"
        )
    match = _ENDS.fullmatch(ends.strip())
    if match is None:
        raise TargetError(
            f"{ends.strip()!r} is not two ends of a flow",
            "write ADDRESS:PORT-ADDRESS:PORT, the target's end first, an IPv6 address in brackets",
        )
    local, remote = _flow_address(match[1]), _flow_address(match[3])
    if local.version != remote.version:
        raise TargetError("a flow has two addresses of one IP version", "write two IPv4 or two IPv6 addresses")
    local_port, remote_port = (_number(match[group], "port", 1, 65535) for group in (2, 4))
    if (local, local_port) == (remote, remote_port):
        raise TargetError("both ends of the flow are the same", "name the target's end and the other end")
    return FlowTarget(protocol, local, local_port, remote, remote_port)


def _flow_address(text: str) -> Address:
    address = _address(text.strip("[]"))
    if (address.version == 6) != text.startswith("["):
        raise TargetError(f"{text!r} is not an address of a flow", "write an IPv6 address in brackets, IPv4 without")
    return address


def _read_mac(text: str) -> MacTarget:
    return MacTarget(_mac(text))


def _read_vlan(text: str) -> VlanTarget:
    outer, dot, inner = text.partition(".")
    return VlanTarget(_number(outer, "VLAN", 1, 4094), _number(inner, "VLAN", 1, 4094) if dot else None)


def _read_pppoe(text: str) -> PppoeTarget:
    station, slash, session = text.partition("/")
    if not slash:
        raise TargetError(f"pppoe:{text} names no session", "write pppoe:MAC/0xSESSION, or mac: for the whole station")
    mac = _mac(station)
    if _SESSION.fullmatch(session) is None:
        fix = f"write 0x{int(session):04x} for decimal {session}" if _DECIMAL.fullmatch(session) else "write 0x1234"
        raise TargetError(f"PPPoE session {session!r} is not hexadecimal with 0x before it", fix)
    number = int(session, 16)
    if number in (0, 0xFFFF):
        raise TargetError(f"PPPoE session {session} is reserved (RFC 2516)", "write a session from 0x0001 to 0xfffe")
    return PppoeTarget(mac, number)


def _mac(text: str) -> bytes:
    if _MAC.fullmatch(text) is None:
        raise TargetError(f"{text!r} is not a MAC address", _MAC_FIX)
    mac = bytes.fromhex(text.replace("-", "").replace(":", ""))
    refuse_mac(mac)
    return mac


def _number(text: str, what: str, low: int, high: int) -> int:
    if _DECIMAL.fullmatch(text) is None or not low <= int(text) <= high:
        raise TargetError(f"{text!r} is not a {what} number", f"write a decimal number from {low} to {high}")
    return int(text)


def _address(text: str) -> Address:
    network = _network(text)
    if "/" in text:
        raise TargetError(f"{text} is a prefix where one address is needed", f"write {network.network_address}")
    return network.network_address


def _network(text: str) -> Network:
    address, slash, length = text.partition("/")
    if "%" in address:
        raise TargetError(
            f"{text} has a zone index, which means nothing off this machine", "leave out % and what follows"
        )
    try:
        base = ipaddress.ip_address(address)
    except ValueError:
        raise TargetError(f"{address!r} is not an IP address", "write 203.0.113.7 or 2001:db8::7") from None
    bits = _number(length, "prefix length", 0, base.max_prefixlen) if slash else base.max_prefixlen
    network: Network = ipaddress.ip_network((base, bits), strict=False)
    refuse_network(network)
    if network.network_address != base:
        raise TargetError(
            f"{text} has bits set behind the prefix", f"write ip:{network} for the prefix or ip:{base} for the address"
        )
    return network


_READERS: Final[dict[str, Callable[[str], Target]]] = {
    "ip": _read_ip,
    "flow": _read_flow,
    "mac": _read_mac,
    "vlan": _read_vlan,
    "pppoe": _read_pppoe,
}
