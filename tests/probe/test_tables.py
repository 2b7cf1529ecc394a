# SPDX-License-Identifier: Apache-2.0
"""Changing the kernel's tables while packets pass: at no step is anybody taken whom no live order names."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables_kit import FOREVER, SAMPLES, order_sets, taken, wanted

from lictl.errors import MachineError
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.probe import Probe
from lictl.probe.tables import KernelTables, _way
from lictl.probe.words import filter_of
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder, Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel
LOOPBACK = 1


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """A probe whose loopback port takes everything."""
    with Probe.open(None, 1 << 18) as opened:
        KernelTables(opened).ports(port_plan([PortRequest(LOOPBACK, "mirror")]))
        yield opened


class Stepping:
    """The probe, with every write of entries made one by one and `step` called after each write."""

    def __init__(self, probe: Probe, step: Callable[[], None]) -> None:
        self._probe = probe
        self._step = step
        self.fail_after = 1 << 30

    def __getattr__(self, name: str) -> Any:
        return getattr(self._probe, name)

    def _count(self) -> None:
        self.fail_after -= 1
        if self.fail_after < 0:
            raise MachineError("writing the map: Cannot allocate memory.")

    def update(self, name: str, keys: Any, values: Any) -> None:
        for index in range(len(keys)):
            self._count()
            self._probe.update(name, keys[index : index + 1], values[index : index + 1])
            self._step()

    def delete(self, name: str, keys: Any) -> None:
        for index in range(len(keys)):
            self._count()
            self._probe.delete(name, keys[index : index + 1])
            self._step()

    def write_slot(self, slot: int, value: bytes) -> None:
        self._probe.write_slot(slot, value)
        self._step()

    def grace(self) -> None:
        self._step()


def same(one: Tables, two: Tables) -> bool:
    """Equal in every part."""
    return (one.maps, one.slots, one.kinds, one.v4_lens, one.v6_lens, one.port_lens) == (
        two.maps, two.slots, two.kinds, two.v4_lens, two.v6_lens, two.port_lens,
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets=order_sets())
def test_every_step_takes_only_what_live_orders_name(
    probe: Probe, sets: tuple[list[ArmedOrder], list[ArmedOrder]]
) -> None:
    """After every single write: who is taken is named by an order of before or after; who stays is never missed.

    The packets are real ones, sent through the real program.
    """
    before, after = sets
    old, new = compile_tables(before), compile_tables(after)
    KernelTables(probe).apply(None, old)
    batch = Batch(512)
    may = [a | b for a, b in zip(wanted(before), wanted(after), strict=True)]
    stays = {order.claim for order in before if any(o.claim == order.claim for o in after)}
    must = [claims & stays for claims in wanted(before)]
    assert taken(probe, batch) == wanted(before)

    def step() -> None:
        for index, found in enumerate(taken(probe, batch)):
            assert found <= may[index], SAMPLES[index].packet
            assert found >= must[index], SAMPLES[index].packet

    tables = KernelTables(Stepping(probe, step))  # type: ignore[arg-type]
    tables.apply(old, new)
    assert taken(probe, batch) == wanted(after)
    assert same(tables.dump(), new)
    assert np.array_equal(probe.filter_words(), filter_of(new.maps))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets=order_sets())
def test_a_refused_write_arms_nothing_and_keeps_the_rest(
    probe: Probe, sets: tuple[list[ArmedOrder], list[ArmedOrder]]
) -> None:
    """The kernel refuses the third write: no new order is taken, orders that stay are, the ended ones are not."""
    before, after = sets
    old, new = compile_tables(before), compile_tables(after)
    KernelTables(probe).apply(None, old)
    stepping = Stepping(probe, lambda: None)
    stepping.fail_after = 2
    stays = {order.claim for order in before if any(o.claim == order.claim for o in after)}
    try:
        KernelTables(stepping).apply(old, new)  # type: ignore[arg-type]
    except MachineError:
        batch = Batch(512)
        assert taken(probe, batch) == [claims & stays for claims in wanted(before)]
        # From whatever is left the next attempt, which asks the kernel, arrives.
        KernelTables(probe).apply(None, new)
        assert taken(probe, batch) == wanted(after)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets=order_sets())
def test_a_full_kernel_is_emptied_before_it_is_filled(
    probe: Probe, sets: tuple[list[ArmedOrder], list[ArmedOrder]]
) -> None:
    """Where old and new together do not fit, removing comes first, and those who stay are still never missed."""
    before, after = sets
    old, new = compile_tables(before), compile_tables(after)
    KernelTables(probe).apply(None, old)
    batch = Batch(512)
    may = [a | b for a, b in zip(wanted(before), wanted(after), strict=True)]
    stays = {order.claim for order in before if any(o.claim == order.claim for o in after)}
    must = [claims & stays for claims in wanted(before)]

    def step() -> None:
        for index, found in enumerate(taken(probe, batch)):
            assert must[index] <= found <= may[index]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lictl.probe.tables._fits", lambda _old, _new: False)
        KernelTables(Stepping(probe, step)).apply(old, new)  # type: ignore[arg-type]
    assert taken(probe, batch) == wanted(after)
    assert same(KernelTables(probe).dump(), new)


def prefixes(lengths: range, slot: int) -> ArmedOrder:
    """An order on one IPv6 prefix of each length."""
    texts = [f"ip:2001:db8::/{length}" for length in lengths]
    return ArmedOrder(slot, 1, abi.MODE_CONTENT, 0, FOREVER, 0, tuple(parse(text) for text in texts))


def test_two_sets_of_prefix_lengths_that_do_not_fit_together(probe: Probe) -> None:
    """32 lengths give way to 32 others, although the kernel holds 32 at once."""
    old, new = compile_tables([prefixes(range(32, 64), 1)]), compile_tables([prefixes(range(64, 96), 2)])
    tables = KernelTables(probe)
    tables.apply(None, old)
    tables.apply(old, new)
    assert same(tables.dump(), new)
    assert new.v6_lens == tuple(range(95, 63, -1))


def test_revoke_is_one_slot_and_final(probe: Probe) -> None:
    """After revoke the order's packets make no record, whatever its entries say; the others go on."""
    orders = [ArmedOrder(slot, 1, abi.MODE_CONTENT, 0, FOREVER, 0, (parse("ip:203.0.113.0/24"),)) for slot in (1, 2)]
    tables = KernelTables(probe)
    tables.apply(None, compile_tables(orders))
    tables.revoke(1)
    assert tables.slot(1)[:8] == bytes(8)
    claims = set().union(*taken(probe, Batch(512)))
    assert claims == {abi.claim_of(2, 1)}


def test_a_new_owner_of_a_slot_begins_at_zero_counters(probe: Probe) -> None:
    """The first packet of the new owner has slot_seq 1; an order that is kept goes on counting."""
    target = (parse("ip:203.0.113.1"),)
    first = compile_tables([ArmedOrder(3, 1, abi.MODE_CONTENT, 0, FOREVER, 0, target)])
    second = compile_tables([ArmedOrder(3, 2, abi.MODE_CONTENT, 0, FOREVER, 0, target)])
    tables = KernelTables(probe)
    tables.apply(None, first)
    taken(probe, Batch(512))
    counted = probe.slot_counts(3).matched
    assert counted > 0
    tables.apply(first, second)
    assert probe.slot_counts(3).matched == 0
    taken(probe, Batch(512))
    tables.apply(second, compile_tables([]))
    tables.apply(compile_tables([]), second, keep_counters=[3])
    assert probe.slot_counts(3).matched == counted


def test_ports_that_are_not_named_take_nothing(probe: Probe) -> None:
    """A port of an earlier configuration is switched off."""
    tables = KernelTables(probe)
    tables.ports(port_plan([PortRequest(7, "access"), PortRequest(8, "core")]))
    tables.ports(port_plan([PortRequest(8, "access")]))
    values = np.zeros(1, abi.PORT)
    probe.lookup(abi.MAP_PORTS, np.array([7], np.uint32), values)
    assert values.tobytes() == bytes(16)
    probe.lookup(abi.MAP_PORTS, np.array([8], np.uint32), values)
    assert values["role"][0] == abi.ROLE_ACCESS
    assert values["egress"]["access_sides"][0] == abi.SIDE_DST
    tables.ports(port_plan([PortRequest(LOOPBACK, "mirror")]))


def test_a_hundred_thousand_targets_go_in_and_come_back(probe: Probe) -> None:
    """The largest set that is promised: written, read back equal, and removed."""
    targets = tuple(parse(f"ip:10.{i >> 16}.{i >> 8 & 255}.{i & 255}") for i in range(100_000))
    new = compile_tables([ArmedOrder(9, 1, abi.MODE_HEADERS, 0, FOREVER, 0, targets)])
    tables = KernelTables(probe)
    tables.apply(None, new)
    assert same(tables.dump(), new)
    tables.apply(new, compile_tables([]))
    assert same(tables.dump(), compile_tables([]))
    assert not probe.filter_words().any()


def test_only_a_slot_that_had_an_owner_is_waited_for(probe: Probe) -> None:
    """No packet can be in work for an owner that never was; a slot's second owner waits for those of the first."""
    waited: list[int] = []

    class Waiting(Stepping):
        def grace(self) -> None:
            waited.append(1)

    tables, slot, nothing = KernelTables(Waiting(probe, lambda: None)), 4001, compile_tables([])  # type: ignore[arg-type]
    tables.apply(None, nothing)
    waited.clear()
    for generation, waits in ((1, 0), (2, 1)):
        target = (parse("ip:203.0.113.1"),)
        owner = compile_tables([ArmedOrder(slot, generation, abi.MODE_CONTENT, 0, FOREVER, 0, target)])
        tables.apply(nothing, owner)
        assert len(waited) == waits
        tables.apply(owner, nothing)
        waited.clear()


WINDOWS = st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([1, 2]), st.sampled_from([0, 2]))


@given(old=WINDOWS, new=WINDOWS)
def test_on_the_way_from_one_window_to_another_nothing_new_is_granted(
    old: tuple[int, int, int, int], new: tuple[int, int, int, int]
) -> None:
    """One word changes at a time, and each value in between grants only what the old or the new one grants."""
    start, end = (abi_slot(first, last, mode, flags) for first, last, mode, flags in (old, new))
    steps = [start, *_way(start, end), end]
    for one, two in pairwise(steps):
        off = one[4] == abi.MODE_OFF  # nothing is judged by the window of a slot that is off
        assert off or sum(one[at : at + 8] != two[at : at + 8] for at in (0, 8, 16)) <= 1
    for step in steps:
        assert grants(step) <= grants(start) or grants(step) <= grants(end)


def abi_slot(first: int, last: int, mode: int, flags: int) -> bytes:
    """A packed slot."""
    value = np.zeros(1, abi.SLOT)
    value["generation"], value["mode"], value["flags"], value["not_before"], value["not_after"] = (
        1,
        mode,
        flags,
        first,
        last,
    )
    return value.tobytes()


def grants(slot: bytes) -> set[tuple[int, int, int]]:
    """(instant, mode, flags) of every packet that a slot lets through."""
    value = np.frombuffer(slot, abi.SLOT)[0]
    if value["mode"] == abi.MODE_OFF:
        return set()
    window = range(int(value["not_before"]), int(value["not_after"]))
    return {(at, int(value["mode"]), int(value["flags"])) for at in window}


@pytest.mark.parametrize("slot", [-1, abi.MAX_SLOTS])
def test_a_slot_that_does_not_exist_is_refused(probe: Probe, slot: int) -> None:
    """Nothing is written outside the table."""
    with pytest.raises((MachineError, OverflowError)):
        probe.write_slot(slot, bytes(24))
