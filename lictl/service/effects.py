# SPDX-License-Identifier: Apache-2.0
"""What an act on an order brings about outside of the store: in the running daemon, or without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lictl.errors import LictlError
from lictl.service.pins import check_netns, left_behind
from lictl.service.room import check_room
from lictl.times import now_ns

if TYPE_CHECKING:
    from lictl.home import Home
    from lictl.warrants.records import Warrant
    from lictl.warrants.store import Store
    from lictl.warrants.tables import WarrantFile


class Effects(Protocol):
    """Each method may be called again after a crash: what is done already is left as it is."""

    def may_arm(self) -> None:
        """Refuses to arm anything at this site at present. Raises RefusedError."""

    def check(self, file: WarrantFile, instead: Warrant | None = None) -> None:
        """Refuses an order that the kernel's tables have no room for; `instead` of one that it changes."""

    def halt(self, order: Warrant) -> None:
        """The kernel takes nothing of the order from here on. First of all that an act does."""

    def approved(self, order: Warrant) -> str:
        """The order is in force as the store has it now: new, let go on, extended or amended. One sentence for people.

        Raises:
            LictlError: it is approved and the kernel does not have it; the daemon tries again.
        """

    def stopped(self, order: Warrant) -> str:
        """The order is over or suspended, as the store has it now. One sentence for people."""

    def renewed(self, agency: str) -> str:
        """The agency is reached as the store has it now. One sentence for people."""

    def streams(self, order: Warrant) -> list[dict[str, Any]] | None:
        """The running daemon's account of the order's streams; None: it has none."""


class Absent:
    """No daemon runs; the caller holds its lock."""

    def __init__(self, home: Home, store: Store) -> None:
        self._home = home
        self._store = store

    def may_arm(self) -> None:
        """The daemon asks when it starts."""

    def check(self, file: WarrantFile, instead: Warrant | None = None) -> None:
        """See `Effects`."""
        others = [order for order in self._store.live(now_ns()) if instead is None or order.id != instead.id]
        check_room(file, others)

    def halt(self, order: Warrant) -> None:
        """Switches the order off in tables that a killed daemon left.

        Raises:
            LictlError: there are some and they cannot be changed: the order may still be running.
        """
        pins = left_behind(self._home)
        if pins is None or order.generation == 0:
            return
        check_netns(self._home)
        from lictl.probe.probe import Probe
        from lictl.probe.tables import KernelTables

        try:
            with Probe.open(Path(pins.folder), pins.ring_bytes) as probe:
                tables = KernelTables(probe)
                if int.from_bytes(tables.slot(order.slot)[:4], "little") == order.generation:
                    tables.revoke(order.slot)
        except LictlError as error:
            raise type(error)(
                f"order {order.id} may still be running in the kernel: {error.what}",
                f"Start `lictl serve` and stop it then, or end the capture: rm -r {pins.folder}/*. {error.fix}".strip(),
            ) from None

    def approved(self, order: Warrant) -> str:
        """See `Effects`."""
        return "No daemon runs: it takes effect when `lictl serve` is started."

    def stopped(self, order: Warrant) -> str:
        """See `Effects`."""
        if left_behind(self._home) is not None and order.generation:
            return "No daemon runs; it was stopped in the capture that a daemon left running."
        return "No daemon runs, and no capture was left running."

    def renewed(self, agency: str) -> str:
        """See `Effects`."""
        return "No daemon runs: it is used when `lictl serve` is started."

    def streams(self, order: Warrant) -> list[dict[str, Any]] | None:
        """See `Effects`."""
        return None
