# SPDX-License-Identifier: Apache-2.0
"""The blast radius of an order: counts, neighbours, kernel changes and what stands against it."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refused_files import PEN
from warrant_texts import NOW_NS, build_text

from lictl.errors import RefusedError, UsageError
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.layout import claim_of
from lictl.warrants.blast import Blast, DeliveryView, Neighbours, Reach, Refusal, blast_radius
from lictl.warrants.model import load
from lictl.warrants.overlap import relation
from lictl.warrants.records import to_armed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lictl.warrants.model import Warrant

PLAN = Neighbours(
    shared=(ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("198.51.100.0/28")),
    infrastructure=(ipaddress.ip_network("203.0.113.1/32"),),
    subscribers={
        "acct-17": (ipaddress.ip_network("203.0.113.7/32"), ipaddress.ip_network("2001:db8:7::/56")),
        "acct-18": (ipaddress.ip_network("203.0.113.8/32"),),
    },
)


class Live:
    """A live order as the blast radius reads it."""

    def __init__(self, number: int, targets: Sequence[str]) -> None:
        self.id = f"W-{number}"
        self.liid = f"L{number}"
        self.state = "active"
        self.slot, self.generation, self.flags = number, 1, 0
        self.mode, self.starts_ns, self.ends_ns = "headers", NOW_NS, NOW_NS + 1
        self.claim = claim_of(number, 1)
        self.targets = tuple(parse(target) for target in targets)


def blast(targets: Sequence[str], live: Sequence[Live] = (), **more: Any) -> Blast:
    """The blast radius of a pen register order for these targets."""
    file = load(build_text(PEN | {"intercept.targets": json.dumps(list(targets))}), NOW_NS)
    orders: Any = live
    return blast_radius(file, orders, more.pop("plan", PLAN), **more)


def codes(found: Blast) -> list[tuple[str, str]]:
    """What stands against it, and where."""
    return [(each.code, each.where) for each in found.refusals]


def test_an_address_of_one_subscriber() -> None:
    """One address, one known subscriber, one new entry of the kernel, nothing against it."""
    found = blast(["ip:203.0.113.7"])
    assert [(view.resolves, view.addresses, view.subscribers) for view in found.targets] == [
        ("one IPv4 address", 1, ("acct-17",))
    ]
    assert (found.ipv4_addresses, found.ipv6_addresses, found.orders) == (1, 0, ())
    assert (found.kernel.added, found.kernel.changed, found.kernel.entries, found.kernel.slots) == (
        {"li_v4": 1}, {}, 1, 1,
    )  # fmt: skip
    assert not found.refusals
    found.refuse(confirm_shared=False, reason=None)


@pytest.mark.parametrize(
    ("target", "against"),
    [
        ("ip:203.0.113.16/29", []),
        ("ip:203.0.113.16/28", ["prefix"]),
        ("ip:203.0.113.0/28", ["prefix", "infrastructure", "subscribers"]),
        ("ip:2001:db8:7::/48", []),
        ("ip:2001:db8::/47", ["prefix"]),
        ("ip:198.51.100.9", ["shared"]),
        ("ip:198.51.100.9 ports:1024-2047", []),
        ("ip:198.51.100.9 ports:1024-6000", ["ports"]),
        ("flow:tcp 100.64.0.7:50-192.0.2.1:443", []),
        ("ip:100.64.0.0/30", ["shared"]),
        ("flow:tcp 203.0.113.1:179-192.0.2.1:50000", ["infrastructure"]),
        ("mac:02:00:00:00:00:07", []),
        ("vlan:100.200", []),
        ("pppoe:02:00:00:00:00:07/0x1234", []),
    ],
)
def test_what_is_too_wide(target: str, against: list[str]) -> None:
    """CGNAT addresses without ports, wide prefixes, wide port ranges, own infrastructure, several subscribers."""
    assert [code for code, where in codes(blast([target]))] == against


def test_the_profile_sets_the_limits() -> None:
    """A stricter reach refuses more."""
    strict = Reach(32, 64, 100)
    assert codes(blast(["ip:203.0.113.6/31", "ip:198.51.100.9 ports:1-101"], reach=strict)) == [
        ("prefix", "ip:203.0.113.6/31"), ("ports", "ip:198.51.100.9 ports:1-101"),
    ]  # fmt: skip


def test_live_orders_that_it_touches() -> None:
    """Each with its target and how the new one lies to it; entries of theirs that would name this order too."""
    live = [Live(1, ["ip:203.0.113.7"]), Live(2, ["ip:203.0.113.0/29"]), Live(3, ["ip:203.0.113.99"])]
    found = blast(["ip:203.0.113.0/29"], live)
    assert {(one.order, one.relation) for one in found.targets[0].overlaps} == {("W-1", "contains"), ("W-2", "exact")}
    assert set(found.orders) == {"W-1", "W-2"}
    assert found.kernel.added == {}
    assert found.kernel.changed == {"li_v4": 2}
    assert found.kernel.slots == 4


def test_addresses_are_counted_once() -> None:
    """Targets that lie in each other do not add up; stations count no address."""
    found = blast(["ip:203.0.113.4/30", "ip:203.0.113.7", "ip:2001:db8:7::/64", "ip:203.0.113.7 ports:1-9", "vlan:7"])
    assert (found.ipv4_addresses, found.ipv6_addresses) == (4, 1 << 64)
    assert [view.addresses for view in found.targets] == [4, 1, 1 << 64, 1, None]


def test_numbers_beyond_the_socket_are_text() -> None:
    """A prefix has more addresses than 64 bits hold; msgpack and JSON readers get text."""
    found = blast(["ip:2001:db8:7::/48"]).to_json()
    assert found["ipv6_addresses"] == found["targets"][0]["addresses"] == str(1 << 80)
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found))


def test_no_room_in_the_kernel_cannot_be_confirmed() -> None:
    """The 17th order on one address is refused whatever an approver says."""
    live = [Live(number, ["ip:203.0.113.7"]) for number in range(16)]
    found = blast(["ip:203.0.113.7"], live)
    assert [each.code for each in found.refusals] == ["kernel"]
    assert "17 live orders" in found.kernel.full
    with pytest.raises(RefusedError, match="Nothing was armed"):
        found.refuse(confirm_shared=True, reason="because")


def test_confirmation_takes_an_approver_and_a_reason() -> None:
    """Without it refused, with it and no reason a usage error, with both let through."""
    found = blast(["ip:198.51.100.9"])
    with pytest.raises(RefusedError, match=r"ip:198.51.100.9: lies in 198.51.100.0/28.*--confirm-shared"):
        found.refuse(confirm_shared=False, reason="sole customer there")
    with pytest.raises(UsageError, match="--reason"):
        found.refuse(confirm_shared=True, reason="  ")
    found.refuse(confirm_shared=True, reason="sole customer there")


def test_deliveries_that_must_not_be_are_refused() -> None:
    """What the caller found wrong with a delivery or the authority stands against the order for good."""
    bad = DeliveryView("fbi", "192.0.2.1", 1, "etsi", "etsi", "headers", "cannot be read there")
    found = blast(["ip:203.0.113.7"], deliveries=[bad], unlawful=[Refusal("authority", "authority.kind", "no")])
    assert codes(found) == [("authority", "authority.kind"), ("delivery", "fbi")]
    with pytest.raises(RefusedError):
        found.refuse(confirm_shared=True, reason="x")


TEXTS = st.lists(
    st.builds(
        lambda host, length: f"ip:{ipaddress.ip_network((0xCB007100 + host, length), strict=False)}",
        st.integers(0, 255), st.integers(24, 32),
    ), min_size=1, max_size=5, unique=True,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_against_brute_force(targets: list[str], others: list[list[str]]) -> None:
    """Addresses, overlaps, subscribers and kernel entries are those of enumeration and of two compilations."""
    live = [Live(number, texts) for number, texts in enumerate(others, 1)]
    found = blast(targets, live)
    parsed = [parse(text) for text in targets]
    every = {address for target in parsed for address in target.network}  # type: ignore[union-attr]
    assert found.ipv4_addresses == len(every)
    for target, view in zip(parsed, found.targets, strict=True):
        expected = [
            (order.id, str(other), relation(target, other))
            for order in live
            for other in order.targets
            if set(target.network) & set(other.network)  # type: ignore[union-attr]
        ]
        assert sorted((one.order, one.target, one.relation) for one in view.overlaps) == sorted(expected)
        for name, networks in PLAN.subscribers.items():
            touched = any(set(target.network) & set(each) for each in networks if each.version == 4)  # type: ignore[union-attr]
            assert (name in view.subscribers) == touched
    orders: list[Warrant] = live  # type: ignore[assignment]
    before = compile_tables([to_armed(order) for order in orders])
    new = Live(0, targets)
    after = compile_tables([to_armed(order) for order in [*orders, new]])  # type: ignore[arg-type]
    for name, entries in after.maps.items():
        assert found.kernel.added.get(name, 0) == len(entries.keys() - before.maps[name].keys())
        shared = entries.keys() & before.maps[name].keys()
        assert found.kernel.changed.get(name, 0) == sum(entries[key] != before.maps[name][key] for key in shared)
    assert found.kernel.entries == sum(map(len, after.maps.values()))
