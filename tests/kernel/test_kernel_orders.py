# SPDX-License-Identifier: Apache-2.0
"""Orders in the kernel: windows, generations, modes, slots that are given out again, rings that are full."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fixtures_common import D4, U4
from kernel_builds import EMPTY, KernelBuild, NativeBuild, lib_offset, tables_of
from kernel_case import FOREVER, P4, T4, Order, content, headers, hook

from lictl.lab.frames import eth, ipv4, udp
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.probe import Probe

if TYPE_CHECKING:
    from lictl.targets.orders import Tables

pytestmark = pytest.mark.kernel

FRAME = eth(U4)
SECOND = 1_000_000_000
NOW = 1_772_366_400 * SECOND


def _both(**more: int) -> tuple[Order, ...]:
    return headers(1, f"ip:{T4}", **more), content(2, f"ip:{T4}", **more)


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (NOW - 1, False),
        (NOW, True),
        (NOW + SECOND - 1, True),
        (NOW + SECOND, False),
        (0, False),
        (FOREVER * 2 - 1, False),
    ],
)
def test_window_edges_to_the_nanosecond(native: NativeBuild, at: int, inside: bool) -> None:
    """The first instant of a window is inside, the last one is not."""
    native.load(tables_of(_both(starts=NOW, ends=NOW + SECOND)), hook())
    outcome = native.run(FRAME, utc_ns=at)
    assert len(outcome.records) == (2 if inside else 0)
    assert all(counts["seen"] == 1 for counts in outcome.counts.values())


@pytest.mark.parametrize("egress", [False, True], ids=["xdp", "tc"])
def test_window_edges_in_the_kernel(kernel: KernelBuild, egress: bool) -> None:
    """A burst across the edges of a short window: only packets whose own time is inside have records, all counted."""
    config, burst = kernel.probe.config_words(), 3500
    before = int(config.utc_offset_ns)
    edges = (NOW, NOW + 200_000)
    kernel.load(tables_of((headers(1, f"ip:{T4}", starts=edges[0], ends=edges[1]),)), hook())
    try:
        for lead in range(0, 20_000_000, 100_000):  # how long it takes until the burst begins is not known
            config.utc_offset_ns = edges[0] - lead - time.monotonic_ns()
            outcome = kernel.run(FRAME, egress, repeat=burst)
            counts = outcome.counts[1]
            times = [int(record.head["utc_ns"]) for record in outcome.records]
            assert counts["seen"] == burst
            assert counts.get("matched", 0) == len(times)
            assert all(edges[0] <= at < edges[1] for at in times)
            if 0 < len(times) < burst:
                return
    finally:
        config.utc_offset_ns = before
    pytest.fail("no burst ran over an edge")


def _utc_now(kernel: KernelBuild) -> int:
    return int(kernel.probe.config_words().utc_offset_ns) + time.monotonic_ns()


@pytest.mark.parametrize("shift", [-3600 * SECOND, -1, 0, 1, 3600 * SECOND])
def test_time_follows_the_injected_offset(kernel: KernelBuild, shift: int) -> None:
    """A record's UTC is its monotonic time plus the offset of that moment, and its window is judged by that."""
    config = kernel.probe.config_words()
    before = int(config.utc_offset_ns)
    try:
        config.utc_offset_ns = before + shift
        kernel.load(tables_of(_both()), hook())
        for record in kernel.run(FRAME).records:
            assert int(record.head["utc_ns"]) - int(record.head["ktime_ns"]) == before + shift
            assert record.head["clock"] == abi.CLOCK_KERNEL
    finally:
        config.utc_offset_ns = before


def test_a_clock_step_moves_the_window(kernel: KernelBuild) -> None:
    """An hour's step of UTC ends an order that ends within the hour, without a write to its slot."""
    config = kernel.probe.config_words()
    before = int(config.utc_offset_ns)
    try:
        end = _utc_now(kernel) + 1800 * SECOND
        kernel.load(tables_of(_both(ends=end)), hook())
        assert len(kernel.run(FRAME).records) == 2
        config.utc_offset_ns = before + 3600 * SECOND
        assert kernel.run(FRAME).records == []
        config.utc_offset_ns = before
        assert len(kernel.run(FRAME).records) == 2
    finally:
        config.utc_offset_ns = before


def _with_slots(tables: Tables, slots: dict[int, bytes]) -> Tables:
    """The same target entries over other slots, as when a slot was revoked and its entries are still there."""
    return replace(tables, slots=slots)


@pytest.mark.parametrize(
    "state",
    [
        {"generation": 0, "mode": abi.MODE_OFF},
        {"generation": 5, "mode": abi.MODE_OFF},
        {"generation": 4, "mode": abi.MODE_CONTENT},
        {"generation": 6, "mode": abi.MODE_HEADERS},
        {"generation": 5 | 1 << 20, "mode": abi.MODE_HEADERS},
    ],
    ids=["empty", "off", "earlier", "later", "beyond the field"],
)
def test_entries_of_another_generation_match_nothing(
    kernel: KernelBuild, native: NativeBuild, state: dict[str, int]
) -> None:
    """An entry whose claim is not the slot's owner, or whose slot is off, is counted as stale and takes nothing."""
    tables = tables_of((content(7, f"ip:{T4}", generation=5),))
    slot = np.zeros(1, abi.SLOT)
    slot["not_after"] = FOREVER
    for name, value in state.items():
        slot[name] = value
    kernel.load(EMPTY, hook())
    kernel.load(tables, hook())
    assert len(kernel.run(FRAME).records) == 1
    kernel.probe.write_slot(7, slot.tobytes())
    native.load(_with_slots(tables, {7: slot.tobytes()}), hook())
    for outcome in (kernel.run(FRAME), kernel.run(FRAME, egress=True), native.run(FRAME)):
        assert outcome.records == []
        assert outcome.totals["stale_claim"] == 1
        assert outcome.counts == {}
    kernel.probe.write_slot(7, tables.slots[7])
    assert len(kernel.run(FRAME).records) == 1


@pytest.mark.parametrize("mode", [3, 4, 128, 255])
def test_an_unknown_mode_gives_no_content(kernel: KernelBuild, native: NativeBuild, mode: int) -> None:
    """A mode that does not exist is at most headers: a damaged slot never discloses content."""
    tables = tables_of((content(7, f"ip:{T4}"),))
    slot = np.frombuffer(tables.slots[7], abi.SLOT).copy()
    slot["mode"] = mode
    kernel.load(EMPTY, hook())
    kernel.load(tables, hook())
    kernel.probe.write_slot(7, slot.tobytes())
    native.load(_with_slots(tables, {7: slot.tobytes()}), hook())
    for outcome in (kernel.run(FRAME), kernel.run(FRAME, egress=True), native.run(FRAME)):
        assert [record.data for record in outcome.records] == [b""]
        assert outcome.records[0].fields["kind"] == abi.REC_HEADER
    kernel.probe.write_slot(7, bytes(abi.SLOT.itemsize))


def test_a_slot_given_out_again_is_another_order(kernel: KernelBuild) -> None:
    """The next owner of a slot gets its own packets only, under its own claim, counted from one."""
    kernel.load(tables_of((headers(9, f"ip:{T4}", generation=1),)), hook())
    first = [kernel.run(FRAME).records[0] for _ in range(3)]
    kernel.load(tables_of((headers(9, f"ip:{P4}", generation=2),)), hook())
    assert kernel.run(eth(ipv4(T4, "192.0.2.1", D4))).records == []
    (record,) = kernel.run(eth(ipv4("192.0.2.1", P4, D4))).records
    assert {head.fields["claim"] for head in first} == {9 | 1 << 12}
    assert record.fields["claim"] == 9 | 2 << 12
    assert int(record.head["slot_seq"]) == 1


def test_packets_of_an_order_are_numbered_without_a_gap(kernel: KernelBuild) -> None:
    """slot_seq of one CPU goes up by one with every packet of the order, through XDP and tc alike."""
    kernel.load(EMPTY, hook())
    kernel.load(tables_of(_both()), hook())
    sequences: dict[int, list[int]] = {1: [], 2: []}
    for egress in (False, True, True, False):
        for record in kernel.run(FRAME, egress, repeat=3).records:
            sequences[abi.slot_of(record.fields["claim"])].append(int(record.head["slot_seq"]))
    assert sequences == {1: list(range(1, 13)), 2: list(range(1, 13))}


def test_cpu_sequence_and_time_never_go_back(kernel: KernelBuild) -> None:
    """cpu_seq rises with every packet, also one that nobody wants; a burst's times rise too."""
    kernel.load(tables_of(_both()), hook())
    heads = []
    for _ in range(5):
        heads += [record.head for record in kernel.run(FRAME).records if record.head["kind"] == abi.REC_HEADER]
        kernel.run(eth(ipv4("192.0.2.1", "192.0.2.2", D4)))
    steps = np.diff([int(head["cpu_seq"]) for head in heads])
    assert steps.tolist() == [2, 2, 2, 2]
    assert np.all(np.diff([int(head["ktime_ns"]) for head in heads]) > 0)


@pytest.mark.parametrize("size", [100, 1000, 3000])
def test_a_full_ring_loses_counted_packets(size: int) -> None:
    """Ring full: matched = emitted + lost, nobody waits, and the next record is numbered behind the loss."""
    with Probe.open(None, 16384) as probe:
        small = KernelBuild(probe)
        small.load(tables_of(_both()), hook())
        frame = eth(ipv4(T4, P4, udp(1, 2, bytes(size))))
        outcome = small.run(frame, repeat=400)
        lost = outcome.totals["lost_ring"]
        assert outcome.verdict == 2
        assert lost == sum(counts.get("lost_ring", 0) for counts in outcome.counts.values()) > 0
        assert outcome.totals["records"] == len(outcome.records) == 800 - lost
        for slot, counts in outcome.counts.items():
            assert counts["matched"] == 400 == counts["emitted"] + counts.get("lost_ring", 0)
            mine = [record for record in outcome.records if abi.slot_of(record.fields["claim"]) == slot]
            assert len({record.sequence for record in mine}) == counts["emitted"]
        # What came after the loss is numbered behind it.
        assert [record.sequence for record in small.run(frame).records] == [1, 1]
        assert all(int(counts["matched"].sum()) == 401 for counts in (probe.slot_counts_by_cpu(1),))


def test_records_that_wait_are_not_overwritten() -> None:
    """What was not released stays as it was, however many packets come."""
    with Probe.open(None, 16384) as probe:
        small = KernelBuild(probe)
        small.load(tables_of((content(2, f"ip:{T4}"),)), hook())
        first = eth(ipv4(T4, P4, udp(1, 2, b"first of all")))
        probe.test_run(first)
        batch = Batch(4096)
        probe.drain(batch)
        for _ in range(1000):
            probe.test_run(eth(ipv4(T4, P4, udp(1, 2, b"the next ones"))))
        assert batch.frame(0) == first
        probe.release()


def test_the_offset_that_the_fixtures_use_is_the_clocks(kernel: KernelBuild) -> None:
    """The kernel's UTC in these tests is this machine's, to within a second."""
    assert abs(int(kernel.probe.config_words().utc_offset_ns) - lib_offset()) < SECOND
