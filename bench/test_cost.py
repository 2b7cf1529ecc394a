# SPDX-License-Identifier: Apache-2.0
"""Cost of one packet in the capture program, by BPF_PROG_TEST_RUN, beside a bare XDP_PASS in the same run.

Goal: a miss costs about 30 ns more than a bare pass, whatever the number of targets.
"""

from __future__ import annotations

import ipaddress
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from bench.wire import OTHER, TARGET, frame_of
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.native import ffi, lib
from lictl.probe.probe import Probe
from lictl.probe.tables import KernelTables
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.programs import Programs

LOOPBACK = 1
REPEAT = 200_000
HIT_REPEAT = 20_000
FOREVER = 2**62
ORDERS = 4000


def _orders(targets: int, mode: int) -> list[ArmedOrder]:
    """One order on TARGET, and `targets` - 1 other addresses spread over as many orders as there may be."""
    others = random.Random(7).sample(
        range(int(ipaddress.ip_address("100.64.0.0")), int(ipaddress.ip_address("100.127.0.0"))), targets - 1
    )
    spread: dict[int, list[str]] = {0: [f"ip:{TARGET}"]}
    for index, address in enumerate(others):
        spread.setdefault(index % ORDERS, []).append(f"ip:{ipaddress.ip_address(address)}")
    return [
        ArmedOrder(slot, 1, mode, 0, FOREVER, 0, tuple(parse(text) for text in texts)) for slot, texts in spread.items()
    ]


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """The program, loaded but attached nowhere; test runs come in at the loopback interface."""
    os.sched_setaffinity(0, {1})
    with Probe.open(None, ring_bytes=64 << 20) as opened:
        KernelTables(opened).ports(port_plan([PortRequest(LOOPBACK, "mirror")]))
        yield opened
    os.sched_setaffinity(0, {0, 1})


def _nanoseconds(descriptor: int, frame: bytes, repeat: int) -> int:
    duration = ffi.new("uint32_t *")
    status = lib.ln_test_run_fd(descriptor, LOOPBACK, frame, len(frame), repeat, 0, 0, duration)
    assert status >= 0, os.strerror(-status)
    return int(duration[0])


def _measure(benchmark: Any, probe: Probe, programs: Programs, frame: bytes, repeat: int) -> None:
    """Alternates the two programs, so that noise meets both, and states the least of each."""
    descriptor = int(lib.ln_prog_fd(probe._handle, b"li_ingress"))
    bare = programs.descriptor("bench_pass")
    batch = Batch(65536)
    ours: list[int] = []
    peers: list[int] = []

    def empty() -> None:
        while probe.drain(batch):
            probe.release()

    def one() -> None:
        peers.append(_nanoseconds(bare, frame, repeat))
        ours.append(_nanoseconds(descriptor, frame, repeat))

    benchmark.pedantic(one, setup=empty, rounds=25)
    empty()
    os.close(bare)
    benchmark.extra_info.update(
        peer_ns=min(peers), lictl_ns=min(ours), over_ns=min(ours) - min(peers), frame_bytes=len(frame)
    )


@pytest.mark.parametrize("targets", [1, 1_000, 100_000])
def test_miss(benchmark: Any, probe: Probe, programs: Programs, targets: int) -> None:
    """A packet of nobody under order."""
    benchmark.group = "cost of a miss"
    KernelTables(probe).apply(None, compile_tables(_orders(targets, abi.MODE_CONTENT)))
    _measure(benchmark, probe, programs, frame_of(64, target="192.0.2.1"), REPEAT)
    benchmark.extra_info["targets"] = targets


@pytest.mark.parametrize("mode", ["headers", "content"])
@pytest.mark.parametrize("targets", [1, 1_000, 100_000])
@pytest.mark.parametrize("size", [64, 1500])
def test_hit(benchmark: Any, probe: Probe, programs: Programs, targets: int, mode: str, size: int) -> None:
    """A packet of the target, recorded into the ring."""
    benchmark.group = f"cost of a hit, {mode}, {size} B"
    number = abi.MODE_HEADERS if mode == "headers" else abi.MODE_CONTENT
    KernelTables(probe).apply(None, compile_tables(_orders(targets, number)))
    before = probe.slot_counts(0)
    _measure(benchmark, probe, programs, frame_of(size), HIT_REPEAT)
    after = probe.slot_counts(0)
    assert after.matched - before.matched == 25 * HIT_REPEAT, f"{OTHER} is no target, {TARGET} is"
    assert after.lost_ring == before.lost_ring
    benchmark.extra_info["targets"] = targets
