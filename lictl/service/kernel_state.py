# SPDX-License-Identifier: Apache-2.0
"""What the kernel's tables should hold, and the difference that has to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.errors import LictlError
from lictl.probe.abi import MAX_SLOTS
from lictl.targets.compile import compile as compile_tables
from lictl.warrants.records import to_armed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.probe.tables import KernelTables
    from lictl.targets.orders import Tables
    from lictl.warrants.model import Warrant


class KernelState:
    """Used under the registry's lock.

    Attributes:
        wanted: what was written last.
    """

    def __init__(self, tables: KernelTables) -> None:
        self._tables = tables
        self.wanted: Tables = compile_tables([])

    def take_over(self) -> None:
        """Begins with what the kernel holds."""
        self.wanted = self._tables.dump()

    def write(self, armed: Iterable[Warrant]) -> None:
        """Makes the tables those of some orders.

        Raises:
            LictlError: the kernel refused; nothing new is armed.
        """
        tables = compile_tables([to_armed(warrant) for warrant in armed])
        try:
            # Counters were zeroed when the order was admitted; one that is armed again goes on counting.
            self._tables.apply(self.wanted, tables, keep_counters=range(MAX_SLOTS))
        except LictlError:
            self.wanted = self._tables.dump()  # whatever was written: the next difference starts from there
            raise
        self.wanted = tables
