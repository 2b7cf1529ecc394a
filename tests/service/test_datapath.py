# SPDX-License-Identifier: Apache-2.0
"""The data path's thread: nothing is released before it is written, and calls run between batches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lictl.service import datapath
from lictl.service.alarms import Alarms
from lictl.service.datapath import DataPath

if TYPE_CHECKING:
    from collections.abc import Iterator

REC = np.dtype([("ktime_ns", "u8")])


class Wire:
    """Records as a list of numbers; what is drained and not released stays."""

    def __init__(self) -> None:
        self.recs = np.zeros(4, REC)
        self.waiting: list[int] = []
        self.released: list[int] = []
        self._drained: list[int] = []
        self._bell = threading.Event()

    def put(self, *numbers: int) -> None:
        """New records."""
        self.waiting += numbers
        self._bell.set()

    def drain(self, batch: Any) -> int:
        """Up to four of them."""
        taken = self.waiting[len(self._drained) :][:4]
        self.recs["ktime_ns"][: len(taken)] = taken
        self._drained += taken
        return len(taken)

    def release(self) -> None:
        """They are gone."""
        self.released += self._drained
        del self.waiting[: len(self._drained)]
        self._drained.clear()

    def wait(self, timeout_us: int) -> bool:
        """Until `put` or `wake`."""
        rung = self._bell.wait(timeout_us / 1e6)
        self._bell.clear()
        return rung

    def nap(self, timeout_us: int) -> bool:
        """No time at all."""
        return bool(self.waiting)

    def wake(self) -> None:
        """Ends `wait`."""
        self._bell.set()


class Rig:
    """A data path on a wire, and what it wrote."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.written: list[int] = []
        self.failures = 0
        self.idle = threading.Event()
        self.alarms = Alarms()
        self.path = DataPath(self.wire, self.wire, self.take, self.taken, self.alarms)

    def take(self, batch: Wire) -> None:
        """Writes, or fails as often as it is told."""
        if self.failures:
            self.failures -= 1
            raise OSError("disk")
        assert not set(batch._drained) & set(self.wire.released)
        self.written += batch._drained

    def taken(self, busy: bool) -> None:
        """Notes when the rings are empty."""
        if not busy:
            self.idle.set()


@pytest.fixture
def rig() -> Iterator[Rig]:
    """It runs and is stopped at the end."""
    rig = Rig()
    rig.path.start()
    yield rig
    rig.path.stop()
    assert not rig.path.alive


def test_every_record_is_written_and_released(rig: Rig) -> None:
    """In order; and the end of the burst is told."""
    rig.wire.put(*range(100))
    assert rig.idle.wait(30)
    assert rig.written == list(range(100))
    assert rig.wire.released == list(range(100))
    assert rig.path.records == 100


def test_a_batch_that_fails_is_tried_again(rig: Rig) -> None:
    """It is not released before it is written; the alarm goes when it is."""
    rig.failures = 3
    rig.wire.put(1, 2, 3)
    assert rig.idle.wait(30)
    assert rig.written == [1, 2, 3]
    assert rig.alarms.report() == []


def test_a_batch_that_fails_for_ever_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data path goes on with the next one, and the alarm stays."""
    monkeypatch.setattr(datapath, "ATTEMPTS", 2)
    rig.failures = 2
    rig.wire.put(1, 2, 3, 4, 5)
    assert rig.idle.wait(30)
    assert rig.written == [5]
    assert rig.path.given_up == 4
    assert [alarm["name"] for alarm in rig.alarms.report()] == ["mediation"]


def test_calls_run_in_the_data_path_s_thread(rig: Rig) -> None:
    """With their result or their exception; also when nothing comes from the wire."""
    assert rig.path.call(lambda: threading.current_thread().name) == "datapath"
    with pytest.raises(ZeroDivisionError):
        rig.path.call(lambda: 1 // 0)
    assert rig.path.call(lambda: rig.path.call(lambda: 5)) == 5


def test_calls_run_while_batches_fail(rig: Rig) -> None:
    """Status is answered while the disk is full."""
    rig.failures = 6
    rig.wire.put(1)
    assert rig.path.call(lambda: "here") == "here"
    assert rig.idle.wait(30)


def test_draining_past_a_moment_ends_although_records_go_on(rig: Rig) -> None:
    """It stops behind the first batch that is newer."""

    def work() -> list[int]:
        rig.wire.put(*range(10, 30))
        rig.path.drain_past(12)
        return list(rig.written)

    assert rig.path.call(work) == [10, 11, 12, 13]


def test_calls_after_the_end_run_at_once() -> None:
    """Closing the accounts needs no thread."""
    rig = Rig()
    assert rig.path.call(lambda: 7) == 7
