# SPDX-License-Identifier: Apache-2.0
"""Events of an order's interception, told to its agencies at their place in the streams (HI2, CmII).

What is due follows from two things alone: the order as the store has it, and what the agency was told last, which lies
in the spool beside the event itself (`lictl.mediation.told`). So it does not matter where a daemon died: the next one
tells what is missing and repeats nothing. Only after a loss of power may an event come twice: the disk may have lost
the block that the agency has.
"""

from __future__ import annotations

import contextlib
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.handover.base import Event
from lictl.targets.kinds import FlowTarget, IpTarget, PortTarget
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lictl.handover.base import EventKind
    from lictl.mediation.told import Told
    from lictl.service.live import LiveOrder, LiveStream
    from lictl.service.rooms import Rooms
    from lictl.targets.kinds import Target
    from lictl.warrants.model import Warrant

_log = log.get("orders")


def due(told: Told | None, terms: bytes, *, active: bool, restarted: bool = False) -> list[EventKind]:
    """What an agency has to be told of an order that is not over, in this order.

    Args:
        told: the newest event of its stream.
        terms: what the order names now, see `terms_of`.
        active: it is in the kernel, or will be at once.
        restarted: the daemon began a moment ago.
    """
    if told is None:
        return ["begin"] if active else []
    if active and not told.running:
        return ["resume"]
    changed: list[EventKind] = ["change"] if told.terms != terms and told.event.kind != "end" else []
    if told.running and not active:
        return [*changed, "suspend"]
    return [*changed, "continue"] if active and restarted else changed


def agree(rooms: Rooms, orders: Iterable[LiveOrder], *, active: bool) -> None:
    """Tells the agencies of orders that have been served what is due, behind every packet taken until now."""
    missing = [
        (order, stream)
        for order in orders
        for stream in order.streams
        if not stream.ended and due(stream.stream.standing, terms_of(order.warrant), active=active)
    ]
    if not missing:
        return
    rooms.datapath.call(lambda: _write(rooms, missing, active=active))
    for order, stream in missing:
        if stream.stream.waiting:
            _keep(order, stream)
    rooms.workers.wake_all()


def _write(rooms: Rooms, missing: list[tuple[LiveOrder, LiveStream]], *, active: bool) -> None:
    with contextlib.suppress(LictlError):  # a batch waits for the disk: the event stands before it
        rooms.datapath.drain_past(time.monotonic_ns())
    for order, stream in missing:
        tell_due(order, stream, active=active)


def _keep(order: LiveOrder, stream: LiveStream) -> None:
    """Writes down what there is no room for in the spool: a restart would not see what was undone meanwhile."""
    try:
        stream.save()
    except OSError as error:  # the next turn of the housekeeping tries again
        _log.error("account not saved", order=order.id, error=type(error).__name__, **log.place(error))


def tell_due(order: LiveOrder, stream: LiveStream, *, active: bool, restarted: bool = False) -> None:
    """Tells one agency what is due; only in the data path's thread, or for a stream that it does not know yet."""
    if restarted:
        _take_up_waiting(order, stream)
        waiting = stream.stream.waiting
        restarted = not waiting or waiting[-1].event.kind != "continue"  # it has not heard of the last restart yet
    for kind in due(stream.stream.standing, terms_of(order.warrant), active=active, restarted=restarted):
        _tell(order, stream, kind, now_ns())


def tell_end(order: LiveOrder, stream: LiveStream) -> None:
    """Tells one agency that the order is over, where that is not told yet; threads as of `tell_due`."""
    told = stream.stream.standing
    if told is None or told.event.kind != "end":
        _tell(order, stream, "end", now_ns())


def _take_up_waiting(order: LiveOrder, stream: LiveStream) -> None:
    """Events that found no room before the restart, with what the order names now."""
    told = stream.stream.told
    for number, kind, ns in stream.saved.waiting:
        if told is None or number > told.number:
            _tell(order, stream, kind, ns)


def _tell(order: LiveOrder, stream: LiveStream, kind: EventKind, ns: int) -> None:
    _log.info("order told", order=order.id, agency=stream.agency, of=kind)
    warrant, told = order.warrant, stream.stream.standing
    ends_ns = order.ends_ns if kind == "end" else warrant.ends_ns  # that of a halted order is the halt
    suspended = kind in ("change", "end") and told is not None and not told.running
    event = Event(kind, ns, addresses_of(warrant.targets), warrant.starts_ns, ends_ns, suspended=suspended)
    stream.stream.event(event, terms_of(warrant))


def terms_of(warrant: Warrant) -> bytes:
    """16 bytes that are others where what an order names is."""
    targets = sorted(str(target) for target in warrant.targets)
    named = "\n".join((*targets, f"{warrant.mode} {warrant.flags} {warrant.starts_ns} {warrant.ends_ns}"))
    return sha256(named.encode()).digest()[:16]


def addresses_ever(warrant: Warrant) -> Iterator[tuple[str, ...]]:
    """Those of each set of targets that the order named or names, the newest first: an agency was told of one of them.

    Where the order's key is destroyed there is none.
    """
    yield addresses_of(warrant.targets)
    for instrument in reversed(warrant.instruments):
        if instrument.state == "approved":
            yield addresses_of(instrument.targets)


def addresses_of(targets: tuple[Target, ...]) -> tuple[str, ...]:
    """The IP addresses and prefixes among an order's targets, each once, as text."""
    found = []
    for target in targets:
        if isinstance(target, IpTarget):
            found.append(str(target).removeprefix("ip:"))
        elif isinstance(target, PortTarget):
            found.append(str(target.address))
        elif isinstance(target, FlowTarget):
            found.append(str(target.local))
    return tuple(dict.fromkeys(found))
