# SPDX-License-Identifier: Apache-2.0
"""The parts that a running daemon is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.home import Home
    from lictl.mediation.mediator import Mediator
    from lictl.probe.probe import Probe
    from lictl.probe.tables import KernelTables
    from lictl.service.alarms import Alarms
    from lictl.service.datapath import DataPath
    from lictl.service.record import Record
    from lictl.service.site import Site
    from lictl.service.workers import Workers
    from lictl.warrants.store import Store


@dataclass(frozen=True, slots=True)
class Rooms:
    """What registry, housekeeping and status work with.

    Attributes:
        quota_bytes: of each stream's spool.
        uid: owner of the spools: whom the delivery processes run as.
        interface_name: index to name, for the formats.
    """

    home: Home
    site: Site
    store: Store
    record: Record
    probe: Probe
    tables: KernelTables
    mediator: Mediator
    datapath: DataPath
    workers: Workers
    alarms: Alarms
    quota_bytes: int
    uid: int | None
    interface_name: Callable[[int], str]
