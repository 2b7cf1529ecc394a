# SPDX-License-Identifier: Apache-2.0
"""Any frame and any orders: both builds agree, and they agree with what the targets mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_case import FOREVER, hook
from recipes import MACS, broken, honest, links, payloads, targets
from taint import timeless

from lictl.probe import abi
from lictl.targets.compile import compile
from lictl.targets.grammar import parse
from lictl.targets.lookup import Packet, match_plainly
from lictl.targets.orders import ArmedOrder

if TYPE_CHECKING:
    from kernel_builds import KernelBuild, NativeBuild
    from recipes import Recipe

    from lictl.targets.kinds import Target

pytestmark = pytest.mark.kernel

# One loaded program serves every example; the tables are set anew in each.
EXAMPLES = 1000 if os.environ.get("LICTL_LONG") else 25
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@st.composite
def orders(draw: st.DrawFn) -> list[ArmedOrder]:
    """Orders of both modes with random targets, flags and generations."""
    each = draw(st.lists(st.lists(targets(), min_size=1, max_size=5), min_size=1, max_size=8))
    return [
        ArmedOrder(n * 300, n + 1, 1 + n % 2, 0, FOREVER, draw(st.sampled_from([0, 0, 2, 4, 6])), tuple(some))
        for n, some in enumerate(each)
    ]


@settings(SHARED, max_examples=EXAMPLES)
@given(orders(), st.lists(broken(), min_size=5, max_size=15))
def test_both_builds_agree(
    kernel: KernelBuild, native: NativeBuild, some: list[ArmedOrder], frames: list[bytes]
) -> None:
    """Whatever a frame looks like, XDP, tc and native make the same records, bytes and counters of it."""
    tables = compile(some)
    kernel.load(tables, hook())
    native.load(tables, hook())
    for frame in frames:
        expected = native.run(frame)
        outcome = kernel.run(frame)
        assert outcome.frame == frame
        assert outcome.comparable == expected.comparable
        if frame[12:14] not in (b"\x08\0", b"\x86\xdd") or len(frame) >= 54:  # what BPF_PROG_TEST_RUN makes an skb of
            assert kernel.run(frame, egress=True).comparable == expected.comparable


@settings(SHARED, max_examples=EXAMPLES)
@given(orders(), st.lists(honest(), min_size=5, max_size=15))
def test_claims_are_what_the_targets_mean(
    kernel: KernelBuild, native: NativeBuild, some: list[ArmedOrder], seen: list[tuple[bytes, Packet]]
) -> None:
    """The orders that the kernel names, with their directions, are those found by asking each target of each order."""
    tables = compile(some)
    for frame, packet in seen:
        here = hook(vlan_dir=packet.vlan_dir)
        kernel.load(tables, here)
        native.load(tables, here)
        meant = match_plainly(some, packet)
        for outcome in (kernel.run(frame), kernel.run(frame, egress=True), native.run(frame)):
            assert {record.fields["claim"]: record.fields["dir"] for record in outcome.records} == meant
            assert all(counts["seen"] == 1 for counts in outcome.counts.values())


def _named(target: Target, packet: Packet) -> bool:
    return bool(match_plainly([ArmedOrder(0, 1, 1, 0, 1, 0, (target,))], packet))


@settings(SHARED, max_examples=EXAMPLES // 2)
@given(st.lists(targets(), min_size=20, max_size=20, unique_by=str), st.lists(honest(), min_size=5, max_size=10))
def test_one_order_a_target(
    kernel: KernelBuild, native: NativeBuild, some: list[Target], seen: list[tuple[bytes, Packet]]
) -> None:
    """Twenty targets under an order each: every packet is taken for exactly those that name it."""
    each = [ArmedOrder(n, 1, 1 + n % 2, 0, FOREVER, 0, (target,)) for n, target in enumerate(some)]
    tables = compile(each)
    for frame, packet in seen:
        here = hook(vlan_dir=packet.vlan_dir)
        kernel.load(tables, here)
        native.load(tables, here)
        meant = {n for n, target in enumerate(some) if _named(target, packet)}
        for outcome in (kernel.run(frame), native.run(frame)):
            assert {abi.slot_of(record.fields["claim"]) for record in outcome.records} == meant


HEADERS_OF_ALL = compile(
    [ArmedOrder(1, 1, abi.MODE_HEADERS, 0, FOREVER, 0, tuple(parse(f"mac:{mac}") for mac in MACS))]
)


@settings(SHARED, max_examples=6 * EXAMPLES)
@given(links(covered=True), payloads)
def test_a_headers_record_does_not_depend_on_the_payload(
    kernel: KernelBuild, native: NativeBuild, recipe: Recipe, payload: bytes
) -> None:
    """Under a headers order two frames that differ in payload only make the same record, in every build."""
    other = bytes(255 - byte for byte in payload)
    kernel.load(HEADERS_OF_ALL, hook())
    native.load(HEADERS_OF_ALL, hook())
    one, two = recipe(payload).ljust(21, b"\0"), recipe(other).ljust(21, b"\0")
    assert [timeless(record).tobytes() for record in native.run(one).records] == [
        timeless(record).tobytes() for record in native.run(two).records
    ]
    assert [timeless(record).tobytes() for record in kernel.run(one).records] == [
        timeless(record).tobytes() for record in kernel.run(two).records
    ]
