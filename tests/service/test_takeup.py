# SPDX-License-Identifier: Apache-2.0
"""A restart with many orders: the rings are drained before, between and while the spools are opened."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.service.parallel import THREADS
from lictl.service.takeup import TakeUp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lictl.service.rooms import Rooms
    from lictl.warrants.model import Warrant


class Machine:
    """Stands for rings and disk: writes down what happens, and gives batches to the data path.

    Attributes:
        events: "drain" or the claims whose spools were opened, in their order.
    """

    def __init__(self, took_over: bool, *batches: Sequence[int]) -> None:
        self.events: list[object] = []
        self._batches = list(batches)
        self._took_over = took_over
        self.taking_up: TakeUp | None = None

    def rooms(self) -> Rooms:
        """What the take-up needs of the rooms."""
        probe = SimpleNamespace(took_over=self._took_over, grace=lambda: self.events.append("grace"))
        return cast("Rooms", SimpleNamespace(probe=probe, datapath=SimpleNamespace(drain_past=self._drain)))

    def open_all(self, some: Sequence[Warrant]) -> None:
        """Opens spools."""
        self.events.append([warrant.claim for warrant in some])

    def _drain(self, _until_ns: int) -> None:
        self.events.append("drain")
        if self._batches and self.taking_up is not None:
            recs = np.zeros(len(claims := self._batches.pop(0)), abi.REC)
            recs["claim"] = claims
            self.taking_up.meet(Batch.of(recs, [b""] * len(recs)))


def take_up(machine: Machine, armed: Sequence[int], others: Sequence[int]) -> list[object]:
    """What happens when these orders are taken up, by claim."""
    orders: Any = [SimpleNamespace(claim=claim) for claim in armed]
    machine.taking_up = TakeUp(machine.rooms(), orders, machine.open_all)
    machine.taking_up.run(cast("Any", [SimpleNamespace(claim=claim) for claim in others]))
    return machine.events


def test_the_rings_are_drained_first_and_after_every_few_spools() -> None:
    """No more than THREADS spools are opened between two drains, and none before the first."""
    events = take_up(Machine(True), range(1, 3 * THREADS + 2), [9001])
    assert events[:2] == ["grace", "drain"]
    opened = [event for event in events[1:] if isinstance(event, list)]
    assert [claim for some in opened for claim in some] == [*range(1, 3 * THREADS + 2), 9001]
    assert all(len(some) <= THREADS for some in opened)
    assert all(first == "drain" or second == "drain" for first, second in itertools.pairwise(events[1:]))


def test_an_order_whose_packet_is_met_is_opened_there_and_then() -> None:
    """Before its batch is written; it is not opened a second time, and a stranger's claim opens nothing."""
    events = take_up(Machine(True, [7, 7, 4000, 5]), [5, 6, 7], [])
    assert events[1] == "drain"
    assert sorted(cast("list[int]", events[2])) == [5, 7]
    assert events[3:] == [[6], "drain"]


def test_other_orders_come_when_what_was_left_is_taken() -> None:
    """A record with the claim of an order that this kernel never had is not that order's: its spool stays closed."""
    events = take_up(Machine(True, [9]), [1], [9])
    assert events == ["grace", "drain", [1], "drain", [9], "drain"]


@pytest.mark.parametrize("armed", [[], [1, 2]])
def test_nothing_is_drained_where_nothing_was_taken_over(armed: list[int]) -> None:
    """A first start has no rings to save, and takes up together what this kernel never had."""
    others = list(range(3, 3 * THREADS))
    assert take_up(Machine(False), armed, others) == [*([armed] if armed else []), others]
