# SPDX-License-Identifier: Apache-2.0
"""The reader of the rings, on records that the real program makes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import bounded
import numpy as np
import pytest
from native_kit import arm, cpus, drain_all, feed, frame, number_of, order

from lictl.probe.batch import Batch

if TYPE_CHECKING:
    from lictl.probe.probe import Probe

pytestmark = pytest.mark.kernel


@pytest.fixture
def probe(loaded: Probe) -> Probe:
    """The shared probe with one content order armed, rings empty."""
    arm(loaded, order())
    drain_all(loaded)
    return loaded


def test_a_frame_comes_out_as_it_went_in(probe: Probe) -> None:
    """The drained record points at the frame's own bytes."""
    feed(probe, range(1), size=300)
    recs, data = drain_all(probe)
    assert data == [frame(0, 300)]
    assert recs["cap_len"].tolist() == [300]
    assert recs["claim"].tolist() == [5 | 1 << 12]


def test_thousands_of_records_keep_their_order(probe: Probe) -> None:
    """3,000 packets on one CPU come out once each, in order, over several batches."""
    feed(probe, range(3000), cpu=cpus()[0])
    recs, data = drain_all(probe, capacity=700)
    assert [number_of(item) for item in data] == list(range(3000))
    assert np.all(np.diff(recs["ktime_ns"].astype(np.int64)) >= 0)
    assert np.all(np.diff(recs["slot_seq"].astype(np.int64)) == 1)


def test_a_ring_is_used_round_and_round(probe: Probe) -> None:
    """Four times a ring's size in frames of odd sizes: every byte comes out, also where the ring wraps."""
    sent = 0
    for turn in range(40):
        size = 1400 + 7 * turn
        feed(probe, range(sent, sent + 80), cpu=cpus()[0], size=size)
        _, data = drain_all(probe)
        assert data == [frame(number, size) for number in range(sent, sent + 80)]
        sent += 80


@pytest.mark.skipif(len(cpus()) < 2, reason="needs two CPUs")
def test_the_rings_of_two_cpus_are_merged_by_time(probe: Probe) -> None:
    """Packets that arrive in turn on two CPUs come out in the order of their time."""
    first, second = cpus()[:2]
    for turn in range(10):
        feed(probe, range(turn * 20, turn * 20 + 10), cpu=first)
        feed(probe, range(turn * 20 + 10, turn * 20 + 20), cpu=second)
    recs, data = drain_all(probe)
    assert [number_of(item) for item in data] == list(range(200))
    assert set(recs["cpu"].tolist()) == {first, second}


def test_what_is_not_released_stays_in_the_ring(probe: Probe) -> None:
    """A batch occupies the ring until it is released, and draining goes on behind it."""
    feed(probe, range(10), cpu=cpus()[0])
    small = Batch(4)
    before = sum(ring.consumed for ring in probe.rings())
    assert probe.drain(small) == 4
    held = sum(ring.waiting for ring in probe.rings())
    assert [number_of(small.frame(i)) for i in range(4)] == [0, 1, 2, 3]
    assert probe.drain(small) == 4
    assert [number_of(small.frame(i)) for i in range(4)] == [4, 5, 6, 7]
    assert sum(ring.waiting for ring in probe.rings()) == held
    probe.release()
    assert 0 < sum(ring.waiting for ring in probe.rings()) < held
    assert sum(ring.consumed for ring in probe.rings()) - before == 8
    assert [number_of(item) for item in drain_all(probe)[1]] == [8, 9]


def test_an_overflowing_ring_loses_the_newest_and_counts_them(probe: Probe) -> None:
    """Offered = delivered + lost, and the next record's slot_seq shows the jump."""
    arm(probe, order(generation=2))
    feed(probe, range(900), cpu=cpus()[0], size=1500)
    counts = probe.slot_counts(5)
    recs, data = drain_all(probe)
    assert counts.matched == 900
    assert counts.lost_ring > 0
    assert len(data) == counts.emitted == 900 - counts.lost_ring
    assert [number_of(item) for item in data] == list(range(len(data)))
    feed(probe, range(1), cpu=cpus()[0])
    after, _ = drain_all(probe)
    assert int(after["slot_seq"][0]) - int(recs["slot_seq"][-1]) - 1 == counts.lost_ring


def test_wait_times_out_on_an_empty_ring(probe: Probe) -> None:
    """Nothing arrives: False, after the time that was given."""
    began = time.monotonic()
    assert probe.wait(30_000) is False
    assert time.monotonic() - began >= 0.029


def test_wait_returns_at_once_where_a_record_is_ready(probe: Probe) -> None:
    """A record that came before the call is not slept over."""
    feed(probe, range(1))
    began = time.monotonic()
    assert probe.wait(5_000_000) is True
    assert time.monotonic() - began < 2
    drain_all(probe)


def test_a_record_wakes_the_sleeper(probe: Probe) -> None:
    """One packet ends a long wait, and again when the ring was drained in between."""
    for _ in range(5):
        timer = threading.Timer(0.02, feed, (probe, range(1)))
        timer.start()
        began = time.monotonic()
        assert probe.wait(20_000_000) is True
        assert time.monotonic() - began < 10
        bounded.join(timer)
        assert len(drain_all(probe)[1]) == 1


def test_wait_does_not_return_for_records_already_drained(probe: Probe) -> None:
    """A batch in work is no news: the wait sleeps its time."""
    feed(probe, range(3))
    batch = Batch(8)
    assert probe.drain(batch) == 3
    assert probe.wait(30_000) is False
    probe.release()


def test_wake_ends_a_wait(probe: Probe) -> None:
    """Another thread ends the wait; there is nothing to drain."""
    timer = threading.Timer(0.02, probe.wake)
    timer.start()
    began = time.monotonic()
    assert probe.wait(20_000_000) is False
    assert time.monotonic() - began < 10
    bounded.join(timer)


def test_a_nap_sleeps_through_a_few_records_and_ends_at_the_watermark(probe: Probe) -> None:
    """One small record does not end a nap; a ring that passes the watermark does."""
    probe.nap(1000)  # a wake-up of an earlier test may still be noted
    feed(probe, range(1))
    began = time.monotonic()
    assert probe.nap(40_000) is True
    assert time.monotonic() - began >= 0.039
    timer = threading.Timer(0.02, feed, (probe, range(400)), {"cpu": cpus()[0], "size": 1400})
    timer.start()
    began = time.monotonic()
    assert probe.nap(30_000_000) is True
    assert time.monotonic() - began < 20
    bounded.join(timer)
    drain_all(probe)


@pytest.mark.skipif(len(cpus()) < 2, reason="needs two CPUs")
def test_draining_while_the_program_writes_misses_and_doubles_nothing(probe: Probe) -> None:
    """The reader runs beside the writer: every packet once, in order, busy records included."""
    total, got = 5000, []
    writer = threading.Thread(target=feed, args=(probe, range(total), cpus()[1]), kwargs={"size": 200}, daemon=True)
    writer.start()
    limit = time.monotonic() + 120
    batch = Batch(64)
    while len(got) < total and time.monotonic() < limit:
        probe.wait(10_000)
        got += [number_of(batch.frame(index)) for index in range(probe.drain(batch))]
        probe.release()
    bounded.join(writer, seconds=120)
    assert got == list(range(total))
