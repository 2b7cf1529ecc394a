# SPDX-License-Identifier: Apache-2.0
"""The report of `lictl status`: plain values for JSON, in the shape that docs/operator-guide.md describes."""

from __future__ import annotations

import os
import platform
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from lictl.probe import abi
from lictl.probe.interfaces import name_of
from lictl.service.accounting import Account, Kernel, account
from lictl.service.ports import link_state
from lictl.times import format_rfc3339
from lictl.version import __version__
from lictl.warrants.states import OPEN, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.probe.clock import Clock
    from lictl.service.accounting import Stream
    from lictl.service.live import LiveOrder, LiveStream
    from lictl.service.ports import Ports
    from lictl.service.registry import Registry
    from lictl.service.rooms import Rooms

_HOOKS = {abi.AT_INGRESS: "ingress", abi.AT_EGRESS: "egress"}
_ATTEMPTS = 5
_AT_ONCE = 256


def report(rooms: Rooms, registry: Registry, ports: Ports, clock: Clock, started_ns: int) -> dict[str, Any]:
    """Everything at one moment; each order's account is exact by itself."""
    reading = clock.read()
    return {
        "site": rooms.site.model_dump(),
        "daemon": {
            "version": __version__,
            "pid": os.getpid(),
            "started": format_rfc3339(started_ns),
            "took_over": rooms.probe.took_over,
            "kernel": platform.release(),
            "incarnation": f"{rooms.probe.incarnation:016x}",
            "batches": rooms.datapath.batches,
            "records": rooms.datapath.records,
            "unclaimed": rooms.mediator.unclaimed,
            "reattached": ports.reattached,
        },
        "clock": {
            "error_ns": reading.error_ns,
            "synchronised": reading.synchronised,
            "kernel_error_ns": reading.kernel_error_ns,
            "steps": clock.steps,
        },
        "interfaces": _interfaces(rooms, ports),
        "rings": [asdict(ring) for ring in rooms.probe.rings()],
        "totals": rooms.probe.totals(),
        "warrants": list(_warrants(rooms, registry.orders())),
        "orders": _orders(rooms),
        "deliveries": _deliveries(rooms, registry),
        "alarms": rooms.alarms.report(),
    }


def _orders(rooms: Rooms) -> dict[str, int]:
    """How many orders that are not over are in which state."""
    states = Counter(order.state for order in rooms.store.overview(OPEN))
    return {state.value: states.get(state.value, 0) for state in State if state in OPEN}


def _interfaces(rooms: Rooms, ports: Ports) -> list[dict[str, Any]]:
    found = []
    for attachment in rooms.probe.attachments():
        port = ports.by_index.get(attachment.ifindex)
        name = name_of(attachment.ifindex)
        found.append(
            {
                "name": name or f"if{attachment.ifindex}",
                "role": port.role if port else "none",
                "drop": bool(port and port.drop),
                "hook": _HOOKS[attachment.hook],
                "mode": attachment.mode,
                "program_id": attachment.program_id,
                "tag": attachment.tag,
                "taken_over": attachment.taken_over,
                "link": link_state(name) if name else "gone",
            }
        )
    return found


def _warrants(rooms: Rooms, orders: list[LiveOrder]) -> Iterator[dict[str, Any]]:
    """The agencies' side first, then the mediator's between two batches, then the kernel's: what a later one has more
    is in flight. Some orders at once, so that the data path does not stand still for long."""
    for begin in range(0, len(orders), _AT_ONCE):
        some = orders[begin : begin + _AT_ONCE]
        asked = [(stream, stream.spool.cursor.total_records) for order in some for stream in order.streams]
        facts = iter(rooms.datapath.call(partial(_facts, asked)))
        for order in some:
            yield _warrant(rooms, order, [next(facts) for _ in order.streams])


def streams(rooms: Rooms, registry: Registry, name: str) -> list[dict[str, Any]] | None:
    """The accounts of one order's streams, by the order's id; None where this daemon has no work for it."""
    found = [order for order in registry.orders() if order.id == name]
    return next(_warrants(rooms, found))["streams"] if found else None


def _facts(asked: list[tuple[LiveStream, int]]) -> list[Stream]:
    return [stream.facts(acknowledged) for stream, acknowledged in asked]


def _warrant(rooms: Rooms, order: LiveOrder, facts: list[Stream]) -> dict[str, Any]:
    kernel, accounts = _balance(rooms, order, facts)
    return {
        "id": order.id,
        "liid": order.warrant.liid,
        "state": order.phase.value,
        "lifecycle": order.warrant.state,
        "emergency": order.warrant.emergency,
        "mode": order.mode,
        "starts": format_rfc3339(order.starts_ns),
        "ends": format_rfc3339(order.ends_ns),
        "seen": kernel.seen,
        "unproven": kernel.withheld,
        "streams": [_stream(s, a) for s, a in zip(order.streams, accounts, strict=True)],
    }


def _balance(rooms: Rooms, order: LiveOrder, facts: list[Stream]) -> tuple[Kernel, list[Account]]:
    for _ in range(_ATTEMPTS):
        kernel = kernel_counts(rooms, order)
        accounts = [account(s.saved.base, f, kernel) for s, f in zip(order.streams, facts, strict=True)]
        if all(found.balanced for found in accounts):
            break
    return kernel, accounts


def kernel_counts(rooms: Rooms, order: LiveOrder) -> Kernel:
    """The kernel's counters of an order now; zero where it is not armed yet."""
    if not order.streams:
        return Kernel()
    counts = rooms.probe.slot_counts(order.warrant.slot)
    return Kernel(**{name: getattr(counts, name) for name in Kernel.__dataclass_fields__})


def _stream(stream: LiveStream, found: Account) -> dict[str, Any]:
    waiting = stream.spool.waiting
    return {
        "agency": stream.agency,
        "stream": stream.name,
        "format": stream.config.format,
        "matched": found.matched,
        "delivered": found.delivered,
        "lost": found.lost,
        "withheld": found.withheld,
        "in_flight": found.in_flight,
        "in_ring": found.in_ring,
        "in_spool": found.in_spool,
        "balanced": found.balanced,
        "waiting_bytes": waiting.bytes,
        "blocks": stream.spool.last_block,
        "acknowledged_block": stream.spool.acknowledged,
        "error": stream.stream.failure,
    }


def _deliveries(rooms: Rooms, registry: Registry) -> list[dict[str, Any]]:
    spools: dict[str, list[LiveStream]] = {}
    for order in registry.orders():
        for stream in order.streams:
            spools.setdefault(stream.agency, []).append(stream)
    found = []
    for worker in rooms.workers.states():
        waiting = [stream.spool.waiting for stream in spools.get(worker.agency, [])]
        links = list(worker.streams.values())
        last = max((link.last_ack_ns for link in links), default=0)
        found.append(
            {
                "agency": worker.agency,
                "worker": worker.pid,
                "restarts": worker.restarts,
                "connected": sum(link.phase == "flowing" for link in links),
                "streams": len(links),
                "records": sum(each.records for each in waiting),
                "bytes": sum(each.bytes for each in waiting),
                "lag_s": round(max((link.lag_s for link in links), default=0.0), 3),
                "acknowledged": format_rfc3339(last) if last else None,
                "error": next((link.error for link in links if link.error), ""),
            }
        )
    return found
