# SPDX-License-Identifier: Apache-2.0
"""Orders change while packets pass: no half-written order discloses anything, no live one misses a packet."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import bounded
import pytest
from fixtures_common import U4, U6
from kernel_builds import EMPTY, KernelBuild, tables_of
from kernel_case import FOREVER, T4, T6, Order, content, headers, hook

from lictl.lab.frames import eth
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.tables import KernelTables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.probe.probe import Probe

pytestmark = pytest.mark.kernel

SECONDS = 1.5
RUN = 20_000  # packets of one test run: some milliseconds of them, as each run also waits for the kernel's RCU
LONGEST = 30.0  # a busy machine may let no packet through for a while: go on until one has been taken
FRAME = eth(U4)


class _Traffic(threading.Thread):
    """Packets without a pause, through the XDP program, on whatever CPU the thread runs."""

    def __init__(self, probe: Probe, frame: bytes) -> None:
        super().__init__(daemon=True)
        self._probe, self._frame, self._end = probe, frame, threading.Event()
        self.sent = 0

    def run(self) -> None:
        """Until `stop`."""
        while not self._end.is_set():
            self._probe.test_run(self._frame, repeat=RUN)
            self.sent += RUN

    def stop(self) -> None:
        """Waits for the run in work."""
        self._end.set()
        bounded.join(self)


@contextmanager
def _traffic(probe: Probe, frame: bytes) -> Iterator[_Traffic]:
    thread = _Traffic(probe, frame)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def _goes_on(start: float, taken: set[int]) -> bool:
    """For a while, and until something has been taken."""
    spent = time.monotonic() - start
    return spent < SECONDS or (not taken and spent < LONGEST)


def _kinds(kernel: KernelBuild, batch: Batch) -> set[int]:
    """Kinds of all records that wait."""
    kinds: set[int] = set()
    while kernel.probe.drain(batch):
        kinds |= set(batch.records["kind"].tolist())
        kernel.probe.release()
    return kinds


def test_a_headers_order_that_is_revoked_and_armed_gives_no_content(kernel: KernelBuild) -> None:
    """However its slot is written while packets are judged, a headers order never makes a packet record."""
    tables, batch = tables_of((headers(1, f"ip:{T4}"),)), Batch(4096)
    kernel.load(EMPTY, hook())
    kernel.load(tables, hook())
    kinds: set[int] = set()
    start = time.monotonic()
    with _traffic(kernel.probe, FRAME):
        while _goes_on(start, kinds):
            for _ in range(200):
                kernel.probe.write_slot(1, bytes(abi.SLOT.itemsize))
                kernel.probe.write_slot(1, tables.slots[1])
            kinds |= _kinds(kernel, batch)
    kinds |= _kinds(kernel, batch)
    kernel.load(EMPTY, hook())
    assert kinds == {abi.REC_HEADER}


def test_a_slot_never_shows_the_window_of_another_owner(kernel: KernelBuild) -> None:
    """A slot goes to orders whose window is open and to orders whose window is past in turn: those take nothing."""
    tables, batch, now = KernelTables(kernel.probe), Batch(4096), EMPTY
    kernel.load(EMPTY, hook())
    generation, open_claims, claims = 1, set(), set()
    start = time.monotonic()
    with _traffic(kernel.probe, FRAME):
        while _goes_on(start, claims):
            for ends in (FOREVER, 1):
                order = headers(1, f"ip:{T4}", generation=generation, ends=ends)
                open_claims |= {order.armed().claim} if ends == FOREVER else set()
                wanted = tables_of((order,))
                tables.apply(now, wanted)
                now, generation = wanted, generation + 1
                # Longer than a grace period: a test run waits for one too, and would fall in step with `apply`.
                time.sleep(0.04)
            while kernel.probe.drain(batch):
                claims |= set(batch.records["claim"].tolist())
                kernel.probe.release()
    tables.apply(now, EMPTY)
    _kinds(kernel, batch)
    assert claims
    assert claims <= open_claims


NEIGHBOURS: tuple[tuple[Order, ...], ...] = (
    (),
    (headers(2, "ip:203.0.113.0/24"),),
    (headers(2, "ip:192.0.2.0/25"), content(3, "ip:2001:db8:7::/48")),
    (content(4, f"ip:{T4} ports:1-1000"), headers(5, "mac:02:00:00:00:00:99")),
    (headers(6, "ip:128.0.0.0/1", "ip:203.0.112.0/20"), content(7, "ip:203.0.113.7")),
    (content(8, "vlan:7"), headers(9, "ip:2001:db8::/32", "ip:2001:db8:7::6/127")),
)


@pytest.mark.parametrize(
    ("frame", "target"),
    [(FRAME, f"ip:{T4}"), (FRAME, "ip:203.0.113.4/30"), (eth(U6), f"ip:{T6}")],
    ids=["ipv4", "ipv4 prefix", "ipv6"],
)
def test_an_order_misses_no_packet_while_others_come_and_go(kernel: KernelBuild, frame: bytes, target: str) -> None:
    """Other orders bring and take prefix lengths, kinds and entries: the one that stays has every single packet."""
    mine = headers(1, target, ends=FOREVER)
    sets = [tables_of((mine, *others)) for others in NEIGHBOURS]
    tables, batch = KernelTables(kernel.probe), Batch(4096)
    kernel.load(EMPTY, hook())
    kernel.load(sets[0], hook())
    now, changes = sets[0], 0
    end = time.monotonic() + SECONDS
    with _traffic(kernel.probe, frame) as traffic:
        while time.monotonic() < end:
            for wanted in (*sets[1:], sets[2], sets[4], sets[0]):
                tables.apply(now, wanted)
                now, changes = wanted, changes + 1
            _kinds(kernel, batch)
    counts = kernel.probe.slot_counts(1)
    tables.apply(now, sets[0])
    _kinds(kernel, batch)
    kernel.load(EMPTY, hook())
    assert changes > 8
    assert traffic.sent == counts.seen == counts.matched == counts.emitted + counts.lost_ring
