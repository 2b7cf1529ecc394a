# SPDX-License-Identifier: Apache-2.0
"""What the tests of the native core share: an armed order, frames that it names, and ways to feed and drain."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import numpy as np

from lictl.lab import frames
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.tables import KernelTables
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder

if TYPE_CHECKING:
    from lictl.probe.probe import Probe

LOOPBACK = 1
FEED_S = 120.0
TARGET, PEER = "203.0.113.7", "198.51.100.1"
FOREVER = 1 << 63


def order(slot: int = 5, generation: int = 1, mode: int = abi.MODE_CONTENT, target: str = f"ip:{TARGET}") -> ArmedOrder:
    """An order without end on one target."""
    return ArmedOrder(slot, generation, mode, 0, FOREVER, 0, (parse(target),))


def arm(probe: Probe, *orders: ArmedOrder, ifindex: int = LOOPBACK, role: str = "mirror") -> KernelTables:
    """Arms exactly these orders, on one port."""
    tables = KernelTables(probe)
    tables.ports(port_plan([PortRequest(ifindex, role)]))
    tables.apply(None, compile_tables(orders))
    return tables


def frame(number: int = 0, size: int = 64) -> bytes:
    """A UDP packet from the target; its payload begins with its number."""
    payload = number.to_bytes(8, "big") + bytes(size - 50)
    return bytes(frames.eth(frames.ipv4(TARGET, PEER, frames.udp(4000, 53, payload))))


def number_of(data: bytes) -> int:
    """What `frame` wrote."""
    return int.from_bytes(data[42:50], "big")


def feed(probe: Probe, numbers: range, cpu: int | None = None, size: int = 64) -> None:
    """Sends frames through the ingress program, on one CPU where that is named."""

    def run() -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        for number in numbers:
            probe.test_run(frame(number, size))

    # A thread of its own: the affinity is the thread's, and ends with it.
    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join(FEED_S)
    assert not worker.is_alive(), f"the kernel did not take {len(numbers)} frames within {FEED_S} s"


def drain_all(probe: Probe, capacity: int = 4096) -> tuple[np.ndarray, list[bytes]]:
    """Everything in the rings: (REC[n], frames); released."""
    batch, recs, data = Batch(capacity), [], []
    while probe.drain(batch):
        recs.append(batch.records.copy())
        data += [batch.frame(index) for index in range(batch.n)]
        probe.release()
    return (np.concatenate(recs) if recs else np.zeros(0, abi.REC)), data


def cpus() -> list[int]:
    """CPUs that this process may run on."""
    return sorted(os.sched_getaffinity(0))
