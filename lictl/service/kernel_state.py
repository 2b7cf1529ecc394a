# SPDX-License-Identifier: Apache-2.0
"""What the kernel's tables should hold, and the difference that has to be written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lictl.errors import LictlError
from lictl.probe.abi import MAX_SLOTS
from lictl.targets.incremental import LiveTables
from lictl.warrants.records import to_armed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.probe.tables import KernelTables
    from lictl.targets.incremental import Change
    from lictl.targets.orders import ArmedOrder, Tables
    from lictl.warrants.model import Warrant


class Compiled:
    """The tables of orders, kept up to date: a change costs what it touches, and a look at each order."""

    def __init__(self) -> None:
        self.live = LiveTables()
        self._held: dict[str, tuple[Warrant, ArmedOrder]] = {}

    def follow(self, orders: Iterable[Warrant]) -> Change:
        """Makes them the tables of just these orders.

        Raises:
            TargetLimitError: there is no room; they are what they were.
        """
        wanted: dict[str, tuple[Warrant, ArmedOrder]] = {}
        gone, new = [], []
        for order in orders:
            held = self._held.get(order.id)
            if held is None or held[0] is not order:
                armed = to_armed(order)
                if held is None or held[1] != armed:
                    new.append(armed)
                    gone += [] if held is None else [held[1]]
                    held = (order, armed)
                held = (order, held[1])
            wanted[order.id] = held
        gone += [held[1] for name, held in self._held.items() if name not in wanted]
        change = self.live.change(gone, new)
        self._held = wanted
        return change


class KernelState:
    """Used under the registry's lock."""

    def __init__(self, tables: KernelTables) -> None:
        self._tables = tables
        self._compiled = Compiled()
        self._found: Tables | None = None

    @property
    def wanted(self) -> Tables:
        """What was written last; a copy."""
        tables = self._found or self._compiled.live.tables
        return replace(tables, maps={name: {**held} for name, held in tables.maps.items()}, slots={**tables.slots})

    def take_over(self) -> None:
        """Begins with what the kernel holds."""
        self._found = self._tables.dump()

    def write(self, armed: Iterable[Warrant]) -> None:
        """Makes the tables those of some orders.

        Raises:
            LictlError: the kernel refused; nothing new is armed.
        """
        change = self._compiled.follow(armed)
        whole = self._compiled.live.tables
        try:
            # Counters were zeroed when the order was admitted; one that is armed again goes on counting.
            if self._found is None:
                self._tables.change(change, whole, keep_counters=range(MAX_SLOTS))
            else:
                self._tables.apply(self._found, whole, keep_counters=range(MAX_SLOTS))
        except LictlError:
            self._found = self._tables.dump()  # whatever was written: the next difference starts from there
            raise
        self._found = None
