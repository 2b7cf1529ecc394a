# SPDX-License-Identifier: Apache-2.0
"""The blast radius of an order: whom and what it touches, before anything is armed. Pure; changes nothing.

What it holds names subscribers: it is for operators and approvers on their own terminal, never for a log.
"""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lictl.errors import RefusedError, UsageError
from lictl.targets import layout
from lictl.targets.compile import compile as compile_tables
from lictl.targets.diff import diff
from lictl.targets.kinds import Address, FlowTarget, IpTarget, MacTarget, Network, PortTarget, PppoeTarget, Target
from lictl.targets.orders import ArmedOrder, Tables, TargetLimitError
from lictl.warrants.overlap import Relation, Touched, relation
from lictl.warrants.records import MODE_NUMBERS, to_armed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lictl.warrants.records import Warrant
    from lictl.warrants.tables import WarrantFile

CANDIDATE: Final = "this order"


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What is known of the network around targets.

    Attributes:
        shared: ranges whose addresses many subscribers have at once (CGNAT): a target there names its ports.
        infrastructure: the operator's own: routers, resolvers, servers.
        subscribers: known subscriber -> its networks.
    """

    shared: tuple[Network, ...] = ()
    infrastructure: tuple[Network, ...] = ()
    subscribers: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a target may cover without confirmation: shortest prefixes, most ports of an address."""

    ipv4_prefix: int = 29
    ipv6_prefix: int = 48
    ports: int = 4096


@dataclass(frozen=True, slots=True)
class Overlap:
    """A live order that names something in common.

    Attributes:
        order: its id.
        liid: its LIID.
        state: its state.
        target: its target.
        relation: how the new target lies to that one.
    """

    order: str
    liid: str
    state: str
    target: str
    relation: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target of the order.

    Attributes:
        target: its text.
        resolves: what it is now, in words.
        addresses: how many addresses it covers; None where that depends on what the line is given.
        ports: how many ports of its address; None: all.
        subscribers: known subscribers that it touches.
        shared: shared ranges that it touches.
        infrastructure: ranges of the operator's own that it touches.
        overlaps: live orders that it touches.
    """

    target: str
    resolves: str
    addresses: int | None
    ports: int | None
    subscribers: tuple[str, ...]
    shared: tuple[str, ...]
    infrastructure: tuple[str, ...]
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True, slots=True)
class KernelChange:
    """What would be written to the kernel's tables.

    Attributes:
        added: map -> entries that are new.
        changed: map -> entries of live orders that would name this order too.
        entries: entries of all maps afterwards.
        slots: orders that own a slot afterwards.
        full: why there is no room; empty where there is.
    """

    added: Mapping[str, int]
    changed: Mapping[str, int]
    entries: int
    slots: int
    full: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """Who would get what.

    Attributes:
        agency: its name.
        host: where it receives; empty: not known.
        port: TCP port; 0: not known.
        format: handover format.
        family: of the format; empty: none.
        gets: "content" or "headers".
        problem: why it must not be; empty where it may.
    """

    agency: str
    host: str
    port: int
    format: str
    family: str
    gets: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the order is not simply armed.

    Attributes:
        code: "shared", "prefix", "ports", "infrastructure", "subscribers" (an approver may confirm these with a
            reason); "kernel", "delivery", "authority" (nobody can).
        where: the target or agency.
        what: in words.
        fix: what to do; may be empty.
    """

    code: str
    where: str
    what: str
    fix: str = ""

    @property
    def confirmable(self) -> bool:
        """True where an approver may confirm it with a reason."""
        return self.code not in ("kernel", "delivery", "authority")


@dataclass(frozen=True, slots=True)
class Blast:
    """The whole of it.

    Attributes:
        targets: each target of the order.
        ipv4_addresses: distinct IPv4 addresses.
        ipv6_addresses: distinct IPv6 addresses.
        orders: ids of live orders that it touches.
        kernel: what would be written.
        deliveries: who would get what.
        refusals: what stands against it.
    """

    targets: tuple[TargetView, ...]
    ipv4_addresses: int
    ipv6_addresses: int
    orders: tuple[str, ...]
    kernel: KernelChange
    deliveries: tuple[DeliveryView, ...]
    refusals: tuple[Refusal, ...]

    def to_json(self) -> dict[str, Any]:
        """For the control socket and --json; numbers over 64 bits are text."""
        found = asdict(self)
        found["refusals"] = [asdict(each) | {"confirmable": each.confirmable} for each in self.refusals]
        for view in found["targets"]:
            view["addresses"] = _countable(view["addresses"])
        found["ipv6_addresses"] = _countable(self.ipv6_addresses)
        return found

    def refuse(self, confirm_shared: bool, reason: str | None) -> None:
        """Refuses what must not be, and what an approver has not confirmed with a reason.

        Raises:
            RefusedError: with all that stands against it.
            UsageError: it is confirmed without a reason.
        """
        never = [each for each in self.refusals if not each.confirmable]
        if never:
            raise RefusedError(_sentence(never), "Nothing was armed.")
        if not self.refusals:
            return
        if not confirm_shared:
            fix = 'An approver may confirm it with --confirm-shared --reason "...".'
            raise RefusedError(_sentence(list(self.refusals)), fix)
        if not (reason or "").strip():
            raise UsageError("What touches others is confirmed with a reason.", "Give --reason.")


def _sentence(refusals: list[Refusal]) -> str:
    return "; ".join(f"{each.where}: {each.what}" for each in refusals) + "."


def _countable(number: int | None) -> int | str | None:
    return number if number is None or number < 1 << 63 else str(number)


def blast_radius(
    file: WarrantFile,
    live: Sequence[Warrant],
    neighbours: Neighbours,
    tables: Tables | None = None,
    reach: Reach | None = None,
    deliveries: Sequence[DeliveryView] = (),
    unlawful: Sequence[Refusal] = (),
) -> Blast:
    """What the order would touch.

    Args:
        file: the order.
        live: every order that is or will be in the kernel, without the one that this file changes.
        neighbours: what is known of the network.
        tables: the kernel's tables of `live`; None: compiled from them.
        reach: the profile's limits.
        deliveries: who would get what (`lictl.service.scrutiny` knows agencies and formats).
        unlawful: what the profile has against it.
    """
    reach = reach or Reach()
    targets = file.intercept.targets
    touched = Touched((warrant, target) for warrant in live for target in warrant.targets)
    views = tuple(_view(target, touched, neighbours) for target in targets)
    kernel = _kernel(file, live, tables)
    refusals = list(unlawful)
    for target, view in zip(targets, views, strict=True):
        refusals += _refusals(target, view, reach)
    refusals += [Refusal("delivery", each.agency, each.problem) for each in deliveries if each.problem]
    if kernel.full:
        refusals.append(Refusal("kernel", "the kernel's tables", kernel.full))
    return Blast(
        targets=views,
        ipv4_addresses=_distinct(targets, 4),
        ipv6_addresses=_distinct(targets, 6),
        orders=tuple(dict.fromkeys(overlap.order for view in views for overlap in view.overlaps)),
        kernel=kernel,
        deliveries=tuple(deliveries),
        refusals=tuple(refusals),
    )


def _view(target: Target, touched: Touched[Warrant], neighbours: Neighbours) -> TargetView:
    network = own_network(target)
    ports = target.hi - target.lo + 1 if isinstance(target, PortTarget) else None
    return TargetView(
        target=str(target),
        resolves=_words(target),
        addresses=None if network is None else network.num_addresses,
        ports=1 if isinstance(target, FlowTarget) else ports,
        subscribers=tuple(
            name for name, networks in neighbours.subscribers.items() if any(_meets(network, each) for each in networks)
        ),
        shared=tuple(str(each) for each in neighbours.shared if _meets(network, each)),
        infrastructure=tuple(str(each) for each in neighbours.infrastructure if _meets(network, each)),
        overlaps=tuple(
            Overlap(warrant.id, warrant.liid, warrant.state, str(other), how.value)
            for warrant, other, how in touched.by(target)
        ),
    )


def own_network(target: Target) -> Network | None:
    """The addresses at the target's own end; None for what is named by station, tag or session."""
    if isinstance(target, IpTarget):
        return target.network
    if isinstance(target, PortTarget | FlowTarget):
        address: Address = target.address if isinstance(target, PortTarget) else target.local
        return ipaddress.ip_network(address)
    return None


def _meets(network: Network | None, other: Network) -> bool:
    return network is not None and relation(IpTarget(network), IpTarget(other)) is not None


def _words(target: Target) -> str:
    if isinstance(target, IpTarget):
        count = target.network.num_addresses
        if count == 1:
            return f"one IPv{target.network.version} address"
        return f"IPv{target.network.version} addresses {target.network[0]} to {target.network[-1]}"
    if isinstance(target, PortTarget):
        return f"{target.hi - target.lo + 1} ports of the address {target.address}"
    if isinstance(target, FlowTarget):
        return f"one flow of the address {target.local}"
    if isinstance(target, MacTarget):
        return "whatever the station sends and gets, at access ports"
    if isinstance(target, PppoeTarget):
        return "whatever the PPPoE session carries, at access ports"
    return "whatever travels with the tag, at access ports"


def _refusals(target: Target, view: TargetView, reach: Reach) -> Iterator[Refusal]:
    if isinstance(target, IpTarget):
        limit = reach.ipv4_prefix if target.network.version == 4 else reach.ipv6_prefix
        if target.network.prefixlen < limit:
            what = f"is wider than /{limit}, the widest prefix that the profile takes without confirmation"
            yield Refusal("prefix", view.target, what)
        if view.shared:
            what = f"lies in {', '.join(view.shared)}, whose addresses subscribers share, and names no ports"
            yield Refusal("shared", view.target, what)
    if isinstance(target, PortTarget) and view.ports is not None and view.ports > reach.ports:
        yield Refusal("ports", view.target, f"names {view.ports} ports, more than the {reach.ports} of one subscriber")
    if view.infrastructure:
        what = f"is the operator's own ({', '.join(view.infrastructure)}): everybody's traffic may pass there"
        yield Refusal("infrastructure", view.target, what)
    if len(view.subscribers) > 1:
        what = f"is {len(view.subscribers)} known subscribers: {', '.join(view.subscribers)}"
        yield Refusal("subscribers", view.target, what)


def _distinct(targets: Sequence[Target], version: int) -> int:
    networks = [network for target in targets if (network := own_network(target)) is not None]
    if version == 4:
        v4 = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
        return sum(network.num_addresses for network in ipaddress.collapse_addresses(v4))
    v6 = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    return sum(network.num_addresses for network in ipaddress.collapse_addresses(v6))


def _kernel(file: WarrantFile, live: Sequence[Warrant], tables: Tables | None) -> KernelChange:
    armed = [to_armed(warrant) for warrant in live]
    used = {order.slot for order in armed}
    free = next((slot for slot in range(layout.MAX_SLOTS) if slot not in used), None)
    if free is None:
        return KernelChange({}, {}, 0, len(used), f"all {layout.MAX_SLOTS} slots are taken")
    intercept = file.intercept
    order = ArmedOrder(
        free,
        layout.GENERATION_MAX,
        MODE_NUMBERS[intercept.mode],
        intercept.starts,
        intercept.ends,
        0,
        intercept.targets,
        CANDIDATE,
    )
    try:
        before = tables or compile_tables(armed)
        after = compile_tables([*armed, order])
    except TargetLimitError as error:
        return KernelChange({}, {}, 0, len(used), error.what.rstrip("."))
    added, changed = {}, {}
    for name, put in diff(before, after).put.items():
        new = sum(key not in before.maps[name] for key in put)
        if new:
            added[name] = new
        if len(put) > new:
            changed[name] = len(put) - new
    return KernelChange(added, changed, sum(map(len, after.maps.values())), len(after.slots))


__all__ = [
    "Blast",
    "DeliveryView",
    "KernelChange",
    "Neighbours",
    "Overlap",
    "Reach",
    "Refusal",
    "Relation",
    "TargetView",
    "blast_radius",
    "own_network",
]
