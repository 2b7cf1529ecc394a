# SPDX-License-Identifier: Apache-2.0
"""Network interfaces: what they are, and what the program may take at each of them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lictl.errors import MachineError, UnavailableError, UsageError
from lictl.probe import abi

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ROLES: Final = {"access": abi.ROLE_ACCESS, "core": abi.ROLE_CORE, "mirror": abi.ROLE_MIRROR}
_BOTH: Final = abi.SIDE_SRC | abi.SIDE_DST


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of this network namespace.

    Attributes:
        ifindex: its number.
        name: its name.
        mtu: bytes of the largest IP packet.
        mac: 02:00:00:00:00:07; empty where it has none.
        driver: of the kernel; empty where not known.
        up: administratively up.
        features: offload name as ``ethtool -k`` prints it (rx-gro, rx-vlan-hw-parse ...) -> on; empty where not known.
    """

    ifindex: int
    name: str
    mtu: int
    mac: str
    driver: str
    up: bool
    features: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortRequest:
    """An interface and what it is for.

    Attributes:
        ifindex: its number.
        role: access, core or mirror.
        drop: mirror only: drop the copy after the look at it.
        name: for error texts.
    """

    ifindex: int
    role: str
    drop: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class HookConfig:
    """``li_hook``: what one hook of an interface may take.

    Attributes:
        flags: HOOK_* bits; without HOOK_ACTIVE nothing is taken and nothing need be attached.
        sides: SIDE_* for orders with IP targets only.
        access_sides: SIDE_* for orders with a link-layer target.
        vlan_dir: DIR_* in which a VLAN target's frame travels here.
    """

    flags: int = 0
    sides: int = 0
    access_sides: int = 0
    vlan_dir: int = abi.DIR_UNKNOWN

    @property
    def active(self) -> bool:
        """The program looks here."""
        return bool(self.flags & abi.HOOK_ACTIVE)


@dataclass(frozen=True, slots=True)
class PortConfig:
    """``li_port`` of one interface.

    Attributes:
        ifindex: its number.
        role: ROLE_*.
        ingress: at XDP.
        egress: at tc.
    """

    ifindex: int
    role: int
    ingress: HookConfig
    egress: HookConfig

    @property
    def hooks(self) -> tuple[int, ...]:
        """Where the program must be attached: AT_INGRESS, AT_EGRESS."""
        pairs = ((abi.AT_INGRESS, self.ingress), (abi.AT_EGRESS, self.egress))
        return tuple(hook for hook, config in pairs if config.active)


def _hook(sides: int, access_sides: int, vlan_dir: int = abi.DIR_UNKNOWN, flags: int = 0) -> HookConfig:
    return HookConfig(abi.HOOK_ACTIVE | flags, sides, access_sides, vlan_dir)


def port_plan(ports: Sequence[PortRequest], hairpin: bool = False) -> list[PortConfig]:
    """What each port may take, so that every packet of a target is taken once per direction of travel.

    The table is in docs/architecture.md, "Which port sees what".

    Args:
        ports: of one box.
        hairpin: packets between two subscribers leave through the core and come back.

    Raises:
        UsageError: no ports, an unknown role, an interface twice, drop on a port that is not a mirror, mirrors
            together with inline ports, or an interface index that the kernel's table does not hold.
    """
    for port in ports:
        _check_port(port)
    if not ports:
        raise UsageError("no interface is named.", "Give --interface NAME=ROLE or --mirror NAME.")
    if len({port.ifindex for port in ports}) != len(ports):
        raise UsageError("an interface is named twice.", "Give each interface one role.")
    roles = {port.role for port in ports}
    if "mirror" in roles and len(roles) > 1:
        raise UsageError(
            "mirror ports and inline ports together would take packets twice.", "Serve them from two homes."
        )
    if hairpin and roles != {"access", "core"}:
        raise UsageError("hairpin needs access and core ports.", "Leave --hairpin out.")
    return [_port(port, roles, hairpin) for port in ports]


def _check_port(port: PortRequest) -> None:
    label = port.name or f"number {port.ifindex}"
    if port.role not in _ROLES:
        raise UsageError(f"interface {label} has the unknown role {port.role}.", f"Roles are {', '.join(_ROLES)}.")
    if port.drop and port.role != "mirror":
        raise UsageError(f"interface {label} carries subscribers' packets: they are never dropped.", "Leave +drop out.")
    if not 0 < port.ifindex < abi.MAX_IFINDEX:
        raise UsageError(
            f"interface {label} has the index {port.ifindex}, the limit is {abi.MAX_IFINDEX - 1}.",
            "Create it anew after a reboot: its index is then lower.",
        )


def _port(port: PortRequest, roles: set[str], hairpin: bool) -> PortConfig:
    off = HookConfig()
    if port.role == "mirror":
        ingress, egress = _hook(_BOTH, _BOTH, flags=abi.HOOK_DROP if port.drop else 0), off
    elif port.role == "access" and "core" in roles:
        ingress = _hook(abi.SIDE_SRC if hairpin else _BOTH, abi.SIDE_SRC, abi.DIR_FROM)
        egress = _hook(0, abi.SIDE_DST, abi.DIR_TO)
    elif port.role == "access":
        ingress = _hook(abi.SIDE_SRC, abi.SIDE_SRC, abi.DIR_FROM)
        egress = _hook(abi.SIDE_DST, abi.SIDE_DST, abi.DIR_TO)
    elif "access" in roles:
        ingress, egress = _hook(abi.SIDE_DST, 0), off
    else:
        ingress, egress = _hook(abi.SIDE_DST, 0), _hook(abi.SIDE_SRC, 0)
    return PortConfig(port.ifindex, _ROLES[port.role], ingress, egress)


def find(name: str) -> Interface:
    """Looks an interface up in this thread's network namespace.

    Raises:
        UnavailableError: there is none of that name.
        MachineError: the kernel does not answer.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    if not name.isprintable():
        raise UnavailableError(f"there is no interface {name!r} here.", "`ip link` lists them.")
    try:
        with IPRoute() as route:
            links = list(route.link("get", ifname=name))
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            raise UnavailableError(f"there is no interface {name} here.", "`ip link` lists them.") from None
        raise MachineError(f"interface {name} cannot be asked: {os.strerror(error.code)}.") from None
    except OSError as error:
        raise MachineError(f"interface {name} cannot be asked: {error.strerror}.") from None
    return _interface(links[0])


def name_of(ifindex: int) -> str | None:
    """Name of an interface of this thread's network namespace; None: there is none of that number."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return None


def _interface(link: Any) -> Interface:
    name = str(link.get_attr("IFLA_IFNAME"))
    return Interface(
        ifindex=int(link["index"]),
        name=name,
        mtu=int(link.get_attr("IFLA_MTU") or 0),
        mac=str(link.get_attr("IFLA_ADDRESS") or ""),
        driver=_driver(link, name),
        up=bool(link["flags"] & 1),
        features=dict(_features(name)),
    )


def _driver(link: Any, name: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/sys/class/net/{name}/device/driver").readlink().name
    info = link.get_attr("IFLA_LINKINFO")
    return str(info.get_attr("IFLA_INFO_KIND") or "") if info is not None else ""


def _features(name: str) -> Iterable[tuple[str, bool]]:
    from pyroute2.ethtool import Ethtool

    try:
        with Ethtool() as ethtool:
            found = ethtool.get_features(name)
    except Exception:  # the driver or the library does not answer: not known, which the caller can say
        return []
    return [(str(key), bool(value.enable)) for key, value in found.features.items() if key]
