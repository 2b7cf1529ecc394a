# SPDX-License-Identifier: Apache-2.0
"""What waits for another attempt stays in the rings, and what the program discarded does not fill them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from lictl.errors import LictlError
from lictl.service.alarms import Alarms
from lictl.service.datapath import DataPath

REC = np.dtype([("ktime_ns", "u8")])


class Rings:
    """One record a batch; counts what is drained and what is released."""

    def __init__(self, *records: int) -> None:
        self.recs = np.zeros(1, REC)
        self.records = list(records)
        self.drained = 0
        self.released = 0
        self.releases = 0

    def drain(self, batch: Any) -> int:
        """The next record, 0 behind the last one."""
        if self.drained == len(self.records):
            return 0
        self.recs["ktime_ns"][0] = self.records[self.drained]
        self.drained += 1
        return 1

    def release(self) -> None:
        """Everything drained is gone."""
        self.releases += 1
        self.released = self.drained

    def wait(self, timeout_us: int) -> bool:
        """A moment."""
        time.sleep(0.001)
        return False

    nap = wait

    def wake(self) -> None:
        """Nobody sleeps for long."""


def _until(condition: Any) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_nothing_is_drained_over_a_batch_that_waits_for_another_attempt() -> None:
    """A settlement that comes between two attempts is refused, and the batch is still written, before what follows."""
    rings = Rings(1, 2)
    written: list[int] = []
    refused: list[bool] = []
    failing = True

    def take(batch: Rings) -> None:
        if failing:
            raise OSError("disk")
        assert rings.released == len(written)
        written.append(int(batch.recs["ktime_ns"][0]))

    path = DataPath(rings, rings, take, lambda busy: None, Alarms())
    path.start()
    _until(lambda: rings.drained)
    with pytest.raises(LictlError):
        path.call(lambda: path.drain_past(10))
    refused.append(rings.drained == 1)
    failing = False
    _until(lambda: len(written) == 2)
    path.call(lambda: path.drain_past(10))
    path.stop()
    assert refused == [True]
    assert written == [1, 2]
    assert path.given_up == 0


def test_rings_are_released_also_where_no_record_is_in_them() -> None:
    """Records that the program gave up take room, and a reader that finds nothing else must give it back."""
    rings = Rings()
    path = DataPath(rings, rings, lambda batch: None, lambda busy: None, Alarms())
    path.start()
    _until(lambda: rings.releases)
    path.stop()
