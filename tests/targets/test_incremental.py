# SPDX-License-Identifier: Apache-2.0
"""Tables that are changed step by step are those that a full compile makes, at every step."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compile_agrees import targets

from lictl.targets.compile import compile
from lictl.targets.diff import diff
from lictl.targets.incremental import LiveTables
from lictl.targets.kinds import IpTarget, Target
from lictl.targets.orders import ArmedOrder, Tables, TargetLimitError

steps = st.lists(
    st.tuples(st.sets(st.integers(0, 19), max_size=3), st.lists(st.lists(targets, min_size=1, max_size=5), max_size=4)),
    min_size=1,
    max_size=12,
)


def copy(tables: Tables) -> Tables:
    """That does not change."""
    return replace(tables, maps={name: dict(held) for name, held in tables.maps.items()}, slots=dict(tables.slots))


@settings(max_examples=300, deadline=None)
@given(steps)
def test_changes_lead_where_a_full_compile_leads(some: list[tuple[set[int], list[list[Target]]]]) -> None:
    """For any sequence of orders that come and go: the same tables, and the same writes as between two compiles; what
    does not fit is refused by both and changes nothing."""
    live, held, generation = LiveTables(), dict[int, ArmedOrder](), 0
    for leave, come in some:
        gone = [held[slot] for slot in leave if slot in held]
        rest = {slot: order for slot, order in held.items() if slot not in leave}
        free = [slot for slot in range(20) if slot not in rest]
        new = []
        for slot, named in zip(free, come, strict=False):
            generation += 1
            new.append(ArmedOrder(slot, generation, 1 + slot % 2, 0, 1, 0, tuple(named)))
        before = copy(live.tables)
        wanted = [*rest.values(), *new]
        try:
            full = compile(wanted)
        except TargetLimitError:
            with pytest.raises(TargetLimitError):
                live.change(gone, new)
            assert live.tables == before == compile([*held.values()])
            continue
        change = live.change(gone, new)
        assert live.tables == full
        writes, least = change.diff, diff(before, full)
        assert writes.put == least.put
        assert {name: set(keys) for name, keys in writes.gone.items()} == {n: set(k) for n, k in least.gone.items()}
        assert (set(writes.revoked), writes.changed, writes.armed) == (set(least.revoked), least.changed, least.armed)
        for name, touched in change.was.maps.items():
            for key in (*writes.put[name], *writes.gone[name]):
                assert touched.get(key) == before.maps[name].get(key)
        held = {order.slot: order for order in wanted}


def test_the_seventeenth_order_on_a_target_is_refused_by_name() -> None:
    """And the sixteen stay as they are."""
    target = IpTarget(ipaddress.ip_network("203.0.113.7/32"))
    live = LiveTables()
    for slot in range(16):
        live.change([], [ArmedOrder(slot, 1, 1, 0, 1, 0, (target,), f"W-{slot}")])
    before = copy(live.tables)
    with pytest.raises(TargetLimitError, match="W-16"):
        live.change([], [ArmedOrder(16, 1, 1, 0, 1, 0, (target,), "W-16")])
    assert live.tables == before


def test_two_orders_cannot_own_a_slot() -> None:
    """A defect of the caller changes nothing."""
    target = IpTarget(ipaddress.ip_network("203.0.113.7/32"))
    live = LiveTables()
    live.change([], [ArmedOrder(3, 1, 1, 0, 1, 0, (target,))])
    with pytest.raises(ValueError, match="slot 3"):
        live.change([], [ArmedOrder(3, 2, 1, 0, 1, 0, (target,))])
