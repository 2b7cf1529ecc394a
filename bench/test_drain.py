# SPDX-License-Identifier: Apache-2.0
"""How fast the native reader empties the rings, and how fast one order's records reach a spool in memory."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.system import memory_folder
from bench.wire import TARGET, frame_of
from lictl.delivery.spool import Spool
from lictl.handover import StreamInfo, encoder
from lictl.mediation.mediator import Mediator
from lictl.mediation.stream import Stream
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
    from pathlib import Path

LOOPBACK = 1
FOREVER = 2**62
RING = 256 << 20
FILL = 160 << 20  # bytes put into the ring before each round


class Live:
    """The order, as the mediator asks for it."""

    starts_ns = 0
    ends_ns = FOREVER

    def __init__(self, mode: str) -> None:
        self.mode = mode


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, removed afterwards."""
    root = memory_folder()
    root.mkdir()
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["headers", "content"])
def mode(request: pytest.FixtureRequest) -> str:
    """Both kinds of order."""
    return str(request.param)


@pytest.fixture
def probe(mode: str) -> Iterator[Probe]:
    """The program with one order, fed by test runs at the loopback interface."""
    number = abi.MODE_HEADERS if mode == "headers" else abi.MODE_CONTENT
    with Probe.open(None, ring_bytes=RING) as opened:
        tables = KernelTables(opened)
        tables.ports(port_plan([PortRequest(LOOPBACK, "mirror")]))
        tables.apply(None, compile_tables([ArmedOrder(0, 1, number, 0, FOREVER, 0, (parse(f"ip:{TARGET}"),))]))
        yield opened


def _fill(probe: Probe, frame: bytes, records: int) -> None:
    duration = ffi.new("uint32_t *")
    descriptor = lib.ln_prog_fd(probe._handle, b"li_ingress")
    assert lib.ln_test_run_fd(descriptor, LOOPBACK, frame, len(frame), records, 0, 0, duration) >= 0


def _rounds(benchmark: Any, probe: Probe, mode: str, size: int, turn: Any) -> None:
    frame = frame_of(size)
    records = FILL // (112 if mode == "headers" else 128 + size)
    times: list[float] = []

    def empty() -> None:
        done, start = 0, time.perf_counter()
        while done < records:
            done += turn()
        times.append(time.perf_counter() - start)

    benchmark.pedantic(empty, setup=lambda: _fill(probe, frame, records), rounds=7)
    best = min(times)
    benchmark.extra_info.update(
        mode=mode,
        frame_bytes=size,
        records_s=round(records / best),
        gbit_s=round(records * size * 8 / best / 1e9, 1) if mode == "content" else None,
    )


@pytest.mark.parametrize("size", [64, 512, 1500])
def test_drain(benchmark: Any, probe: Probe, mode: str, size: int) -> None:
    """Batches out of the rings into memory, nothing done with them."""
    benchmark.group = "native drain"
    batch = Batch(8192)

    def turn() -> int:
        taken = probe.drain(batch)
        probe.release()
        return taken

    _rounds(benchmark, probe, mode, size, turn)


@pytest.mark.parametrize("size", [64, 512, 1500])
def test_drain_to_spool(benchmark: Any, probe: Probe, folder: Path, mode: str, size: int) -> None:
    """The data path of the daemon: drained, checked, numbered, encoded as pcapng, sealed into the spool."""
    benchmark.group = "drain, mediation, sealed spool"
    spool = Spool.open(folder / "stream", quota_bytes=16 << 30, fsync="never", key=os.urandom(32))
    info = StreamInfo(
        liid="BENCH1", case_id="CASE", mode=mode, operator="BENCH", element="bench", country="US", agency="agency",
        interfaces=lambda ifindex: f"if{ifindex}", options={},
    )  # fmt: skip
    claim = 0 | 1 << 12
    mediator = Mediator([Stream(claim, "agency", encoder("pcapng", info), spool, probe.incarnation)])
    live: dict[int, Any] = {claim: Live(mode)}
    batch = Batch(8192)

    def turn() -> int:
        taken = probe.drain(batch)
        mediator.take(batch, live)
        probe.release()
        return taken

    _rounds(benchmark, probe, mode, size, turn)
    spool.close()
