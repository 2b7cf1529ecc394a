# SPDX-License-Identifier: Apache-2.0
"""Latency from the wire to the agency, and from `warrant approve` to the first delivered packet.

Goals: median under 1 ms; the last packet of a burst within 5 ms, also when no traffic follows.
"""

from __future__ import annotations

import shutil
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.agency import Agency
from bench.system import AGENCY_PORT, Lictl, memory_folder
from bench.wire import TARGET, Wire, frame_of
from lictl.home import Home
from lictl.lab import namespace as ns
from lictl.lab.people import Team

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.programs import Programs

SIZE = 512
BURST = 64
BURSTS = 200


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, removed afterwards."""
    root = memory_folder()
    yield root / "latency"
    shutil.rmtree(root, ignore_errors=True)


def _quantiles(values: list[int]) -> dict[str, float]:
    """Milliseconds."""
    values = sorted(values)
    return {
        "median_ms": round(statistics.median(values) / 1e6, 3),
        "p99_ms": round(values[int(len(values) * 0.99)] / 1e6, 3),
        "max_ms": round(values[-1] / 1e6, 3),
        "samples": len(values),
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rate", [1_000, 100_000, 500_000])
def test_wire_to_agency(benchmark: Any, programs: Programs, folder: Path, rate: int) -> None:
    """A steady stream; the oldest packet of each delivery is what is stated."""
    benchmark.group = "latency, wire to agency"
    with (
        Wire(programs) as wire,
        Lictl(wire, folder, agency=False),
        ns.inside(wire.receiver, lambda: Agency(AGENCY_PORT)) as agency,
    ):
        time.sleep(1.5)  # the worker's next attempt to connect
        wire.send(frame_of(SIZE), 0.2, rate)
        time.sleep(0.5)
        skip = len(agency.first)
        offer = benchmark.pedantic(lambda: wire.send(frame_of(SIZE), 3, rate), rounds=1)
        time.sleep(1)
        first = [arrival - packet for arrival, packet in agency.first[skip:]]
        last = [arrival - packet for arrival, packet in agency.last[skip:]]
    benchmark.extra_info.update(
        rate_pps=round(offer.rate),
        frame_bytes=SIZE,
        oldest=_quantiles(first),
        newest=_quantiles(last),
    )


@pytest.mark.timeout(300)
def test_end_of_a_burst(benchmark: Any, programs: Programs, folder: Path) -> None:
    """Bursts with silence between them; the burst's last packet is what is stated."""
    benchmark.group = "latency, wire to agency"
    with (
        Wire(programs) as wire,
        Lictl(wire, folder, agency=False),
        ns.inside(wire.receiver, lambda: Agency(AGENCY_PORT)) as agency,
    ):
        time.sleep(1.5)
        delays: list[int] = []
        raw = ns.packet_socket(wire.sender, "out")

        def burst() -> None:
            seen = agency.records
            for _ in range(BURST):
                raw.send(frame_of(SIZE))
            limit = time.monotonic() + 2
            while agency.records < seen + BURST and time.monotonic() < limit:
                time.sleep(0.002)
            assert agency.records == seen + BURST, "the burst did not arrive whole"
            arrival, packet = agency.last[-1]
            delays.append(arrival - packet)

        burst()
        delays.clear()
        benchmark.pedantic(burst, rounds=BURSTS)
        raw.close()
    benchmark.extra_info.update(burst=BURST, frame_bytes=SIZE, newest=_quantiles(delays))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("targets", [1, 1_000])
def test_add_to_first_packet(benchmark: Any, programs: Programs, folder: Path, targets: int) -> None:
    """From the start of an approval to the first packet at the agency, under running traffic."""
    benchmark.group = "arming"
    others = tuple(f"ip:100.64.{index // 250}.{index % 250 + 1}" for index in range(targets - 1))
    with (
        Wire(programs) as wire,
        Lictl(wire, folder, agency=False, arm=False, targets=(f"ip:{TARGET}", *others)) as system,
        ns.inside(wire.receiver, lambda: Agency(AGENCY_PORT)) as agency,
    ):
        raw = ns.packet_socket(wire.sender, "out")
        order, team = system.order().read_text(), Team(Home(system.home))
        found: dict[str, float] = {}

        def arm() -> None:
            submitted = team.operator("warrant.add", text=order, name="BENCH1", submit=True)
            start = time.time_ns()
            team.approver("warrant.approve", name=submitted["id"])
            found["command_ms"] = round((time.time_ns() - start) / 1e6, 2)
            limit = time.monotonic() + 10
            while not agency.first and time.monotonic() < limit:
                raw.send(frame_of(SIZE))
                time.sleep(0.001)
            found["first_packet_at_agency_ms"] = round((agency.first[0][0] - start) / 1e6, 2)
            found["first_packet_taken_ms"] = round((agency.first[0][1] - start) / 1e6, 2)

        benchmark.pedantic(arm, rounds=1)
        raw.close()
    benchmark.extra_info.update(targets=targets, **found)
