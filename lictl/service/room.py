# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel's tables have room for one more order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.probe.abi import GENERATION_MAX, MAX_SLOTS
from lictl.targets.compile import compile as compile_tables
from lictl.targets.orders import ArmedOrder
from lictl.warrants.records import MODE_NUMBERS, to_armed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lictl.warrants.model import Warrant, WarrantFile


def check_room(file: WarrantFile, others: Sequence[Warrant]) -> None:
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
    compile_tables([*(to_armed(warrant) for warrant in others), candidate])
