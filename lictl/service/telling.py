# SPDX-License-Identifier: Apache-2.0
"""Events of an order's interception, told to its agencies at their place in the streams (HI2, CmII)."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.handover.base import Event
from lictl.targets.kinds import FlowTarget, IpTarget, PortTarget
from lictl.times import now_ns

if TYPE_CHECKING:
    from lictl.handover.base import EventKind
    from lictl.service.live import LiveOrder, LiveStream
    from lictl.service.rooms import Rooms
    from lictl.targets.kinds import Target

_log = log.get("orders")


def tell(rooms: Rooms, order: LiveOrder, kind: EventKind) -> None:
    """Tells the agencies of an order that has been served, behind every packet taken until now."""
    _log.info("order told", order=order.id, of=kind)
    streams = [stream for stream in order.streams if not stream.ended]
    if streams:
        rooms.datapath.call(lambda: _write(rooms, order, streams, kind))
        rooms.workers.wake_all()


def tell_at_once(order: LiveOrder, stream: LiveStream, kind: EventKind) -> None:
    """Tells one agency; only in the data path's thread, or for a stream that it does not know yet."""
    totals = stream.spool.totals
    warrant = order.warrant
    addresses = addresses_of(warrant.targets)
    stream.stream.event(Event(kind, now_ns(), addresses, warrant.starts_ns, order.ends_ns, totals.records, totals.lost))


def _write(rooms: Rooms, order: LiveOrder, streams: list[LiveStream], kind: EventKind) -> None:
    with contextlib.suppress(LictlError):  # a batch waits for the disk: the event stands before it
        rooms.datapath.drain_past(time.monotonic_ns())
    for stream in streams:
        tell_at_once(order, stream, kind)


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
