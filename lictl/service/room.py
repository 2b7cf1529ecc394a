# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel's tables have room for one more order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.probe.abi import GENERATION_MAX, MAX_SLOTS
from lictl.service.kernel_state import Compiled
from lictl.targets.orders import ArmedOrder
from lictl.warrants.records import MODE_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lictl.warrants.model import Warrant, WarrantFile


class Room:
    """Asked again and again: what was compiled before is kept. Used by one thread at a time."""

    def __init__(self) -> None:
        self._compiled = Compiled()

    def check(self, file: WarrantFile, others: Sequence[Warrant]) -> None:
        """Compiles the order together with all others that are in force.

        Raises:
            TargetLimitError: the kernel's tables have no room for it.
        """
        used = {warrant.slot for warrant in others}
        free = next((slot for slot in range(MAX_SLOTS) if slot not in used), None)
        if free is None:
            return  # the store says so when it is asked for a slot
        order = file.intercept
        candidate = ArmedOrder(
            free, GENERATION_MAX, MODE_NUMBERS[order.mode], order.starts, order.ends, 0, order.targets, "this order"
        )
        self._compiled.follow(others)
        self._compiled.live.change([], [candidate])
        self._compiled.live.change([candidate], [])


def check_room(file: WarrantFile, others: Sequence[Warrant]) -> None:
    """As `Room.check`, once."""
    Room().check(file, others)
