# SPDX-License-Identifier: Apache-2.0
"""The daemon's comparison of kernel, spools and accounts with the orders in force (`lictl.audit.reconcile`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lictl.audit.chain import DAEMON
from lictl.audit.differences import compare_tables, foreign_part
from lictl.audit.reconcile import Reconciler, Subject, seal_evidence
from lictl.service.live import uuids_in
from lictl.targets.compile import compile as compile_tables
from lictl.warrants.records import to_armed

if TYPE_CHECKING:
    from collections.abc import Collection

    from lictl.keys.sealer import Sealer
    from lictl.service.ports import Ports
    from lictl.service.registry import Registry
    from lictl.service.rooms import Rooms
    from lictl.targets.orders import ArmedOrder
    from lictl.warrants.model import Warrant

_FOREIGN = ("foreign-slot", "foreign-entry")


def reconciler(rooms: Rooms, registry: Registry, ports: Ports, sealer: Sealer) -> Reconciler:
    """Compares what this daemon serves."""

    def streams() -> set[tuple[str, str]]:
        return {(stream.agency, stream.name) for order in registry.orders() for stream in order.streams}

    def served() -> dict[int, str]:
        return {found.ifindex: ports.name(found.ifindex) for found in rooms.probe.attachments()}

    owned: set[str] = set()  # an order stays in the store, so each folder is asked for once

    def unknown(names: Collection[str]) -> set[str]:
        new = set(names) - owned
        owned.update(rooms.store.owned(new))
        return new - owned

    return Reconciler(
        Subject(
            probe=rooms.probe,
            tables=rooms.tables,
            wanted=registry.tables,
            still=registry.still,
            streams=streams,
            knows=lambda stream: bool(rooms.store.owned(uuids_in(stream))),
            served=served,
            ports=lambda: ports.plan,
            spool=rooms.home.spool,
            accounts=rooms.home.accounts,
            unknown=unknown,
            chain=rooms.record.chain,
            sealer=sealer,
            alarm=rooms.alarms.when,
        )
    )


def note_foreign(rooms: Rooms, sealer: Sealer) -> None:
    """Records what stands in tables that were taken over and belongs to no order; `Registry.recover` removes it.

    Raises:
        LictlError: tables or store cannot be read, or nothing can be recorded.
    """
    if not rooms.probe.took_over:
        return
    here = [w for w in rooms.store.unfinished() if w.incarnation == rooms.probe.incarnation]
    known, found = compile_tables([_once_armed(warrant) for warrant in here]), rooms.tables.dump()
    foreign = [item.settled("removed") for item in compare_tables(known, found) if item.kind in _FOREIGN]
    if foreign:
        rooms.record.chain.append(
            "reconcile.found",
            actor=DAEMON,
            after={"differences": [item.to_json() for item in foreign]},
            sealed=seal_evidence(sealer, foreign_part(known, found)),
        )


def _once_armed(warrant: Warrant) -> ArmedOrder:
    """What the kernel may still hold of an order; one that was revoked before its window began has none left."""
    armed = to_armed(warrant)
    return replace(armed, ends_ns=max(armed.ends_ns, armed.starts_ns + 1))
