# SPDX-License-Identifier: Apache-2.0
"""Port plans: the table of docs/architecture.md, and that no packet is taken twice or missed."""

from __future__ import annotations

from itertools import product

import pytest

from lictl.errors import UnavailableError, UsageError
from lictl.probe import abi, interfaces
from lictl.probe.interfaces import HookConfig, PortConfig, PortRequest, port_plan

SRC, DST = abi.SIDE_SRC, abi.SIDE_DST
BOTH = SRC | DST
ACTIVE, DROP = abi.HOOK_ACTIVE, abi.HOOK_DROP
OFF = HookConfig()
FROM, TO, UNKNOWN = abi.DIR_FROM, abi.DIR_TO, abi.DIR_UNKNOWN


def access(ifindex: int = 2) -> PortRequest:
    """An access port."""
    return PortRequest(ifindex, "access")


def core(ifindex: int = 3) -> PortRequest:
    """A core port."""
    return PortRequest(ifindex, "core")


def mirror(ifindex: int = 4, drop: bool = False) -> PortRequest:
    """A mirror port."""
    return PortRequest(ifindex, "mirror", drop)


def test_access_and_core() -> None:
    """Both ends at access ingress, the destination at core ingress; link-layer targets at the access port only."""
    assert port_plan([access(), core()]) == [
        PortConfig(2, abi.ROLE_ACCESS, HookConfig(ACTIVE, BOTH, SRC, FROM), HookConfig(ACTIVE, 0, DST, TO)),
        PortConfig(3, abi.ROLE_CORE, HookConfig(ACTIVE, DST, 0, UNKNOWN), OFF),
    ]


def test_hairpin_takes_only_the_source_at_access_ingress() -> None:
    """The destination is taken when the packet comes back from the core."""
    plan = port_plan([access(), core()], hairpin=True)
    assert plan[0].ingress == HookConfig(ACTIVE, SRC, SRC, FROM)
    assert plan[1].ingress == HookConfig(ACTIVE, DST, 0, UNKNOWN)


def test_access_only() -> None:
    """Source in, destination out."""
    assert port_plan([access()]) == [
        PortConfig(2, abi.ROLE_ACCESS, HookConfig(ACTIVE, SRC, SRC, FROM), HookConfig(ACTIVE, DST, DST, TO))
    ]


def test_core_only() -> None:
    """Destination in, source out; link-layer targets nowhere."""
    assert port_plan([core()]) == [
        PortConfig(3, abi.ROLE_CORE, HookConfig(ACTIVE, DST, 0, UNKNOWN), HookConfig(ACTIVE, SRC, 0, UNKNOWN))
    ]


@pytest.mark.parametrize("drop", [False, True])
def test_mirror(drop: bool) -> None:
    """Both ends at ingress, direction of a VLAN not known; nothing at egress; DROP only when asked."""
    assert port_plan([mirror(drop=drop)]) == [
        PortConfig(4, abi.ROLE_MIRROR, HookConfig(ACTIVE | (DROP if drop else 0), BOTH, BOTH, UNKNOWN), OFF)
    ]


def test_hooks_to_attach_are_those_that_look() -> None:
    """An inactive hook needs no program."""
    plan = port_plan([access(), core()])
    assert plan[0].hooks == (abi.AT_INGRESS, abi.AT_EGRESS)
    assert plan[1].hooks == (abi.AT_INGRESS,)


SITES = {"both": [access(), core()], "access": [access()], "core": [core()]}


@pytest.mark.parametrize(("site", "link_layer"), list(product(SITES, [False, True])))
def test_every_packet_between_subscriber_and_internet_is_taken_once(site: str, link_layer: bool) -> None:
    """Each way, at exactly one hook, on the side where the target is; a core-only site has no link-layer targets."""
    plan = {port.role: port for port in port_plan(SITES[site])}
    ways = {  # (hooks that the packet passes), side of the subscriber
        "up": ([(abi.ROLE_ACCESS, "ingress"), (abi.ROLE_CORE, "egress")], SRC),
        "down": ([(abi.ROLE_CORE, "ingress"), (abi.ROLE_ACCESS, "egress")], DST),
    }
    for hooks, side in ways.values():
        taken = 0
        for role, name in hooks:
            if role in plan:
                hook = getattr(plan[role], name)
                taken += bool((hook.access_sides if link_layer else hook.sides) & side and hook.active)
        assert taken == (0 if link_layer and site == "core" else 1)


@pytest.mark.parametrize(("site", "hairpin"), [("both", False), ("both", True), ("access", False)])
def test_every_packet_between_two_subscribers_is_taken_once_an_end(site: str, hairpin: bool) -> None:
    """Once for the order on its source and once for that on its destination, by way of the core where it hairpins."""
    plan = {port.role: port for port in port_plan(SITES[site], hairpin)}
    hooks = [plan[abi.ROLE_ACCESS].ingress]
    if hairpin:
        hooks.append(plan[abi.ROLE_CORE].ingress)
    hooks.append(plan[abi.ROLE_ACCESS].egress)
    for side in (SRC, DST):
        for sides in ("sides", "access_sides"):
            assert sum(bool(getattr(hook, sides) & side) for hook in hooks) == 1, (side, sides)


@pytest.mark.parametrize(
    ("ports", "hairpin"),
    [
        ([], False),
        ([access(2), core(2)], False),
        ([PortRequest(2, "uplink")], False),
        ([PortRequest(2, "access", drop=True)], False),
        ([access(), mirror()], False),
        ([access()], True),
        ([mirror()], True),
        ([access(abi.MAX_IFINDEX)], False),
        ([access(0)], False),
    ],
)
def test_what_cannot_be_is_refused(ports: list[PortRequest], hairpin: bool) -> None:
    """No port, a port twice, an unknown role, drop inline, mirrors with inline ports, hairpin without both roles,
    an index beyond the kernel's table."""
    with pytest.raises(UsageError):
        port_plan(ports, hairpin)


def test_the_highest_index_is_taken() -> None:
    """The table's last entry is used."""
    assert port_plan([access(abi.MAX_IFINDEX - 1)])[0].ifindex == abi.MAX_IFINDEX - 1


@pytest.mark.net
def test_loopback_is_found() -> None:
    """Index, name, MTU and offloads of an interface that is always there."""
    found = interfaces.find("lo")
    assert found.name == "lo"
    assert found.mtu >= 1280
    assert interfaces.name_of(found.ifindex) == "lo"
    assert interfaces.name_of(16_000_000) is None


@pytest.mark.net
@pytest.mark.parametrize("name", ["no-such-if", "x" * 15])
def test_an_interface_that_is_not_there(name: str) -> None:
    """An error that says so."""
    with pytest.raises(UnavailableError, match=name):
        interfaces.find(name)
