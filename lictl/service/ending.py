# SPDX-License-Identifier: Apache-2.0
"""From an order's last packet to the agencies' having all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.service.accounting import account
from lictl.service.live import Phase
from lictl.service.settling import Snapshot, kernel_of, settle, snapshot
from lictl.service.telling import tell_end

if TYPE_CHECKING:
    from lictl.service.live import LiveOrder, LiveStream
    from lictl.service.rooms import Rooms

_log = log.get("orders")

# A packet that was being judged when its order ended is in the ring after far less than this.
GRACE_S = 0.2


def close(rooms: Rooms, order: LiveOrder) -> bool:
    """Completes the streams of an order that is out of the kernel; False where that has to be tried again."""
    taken = snapshot(rooms, [order])
    if not rooms.datapath.call(lambda: _write_end(rooms, order, taken)):
        return False
    rooms.datapath.call(lambda: rooms.mediator.remove(order.claim))
    order.phase = Phase.DELIVERING
    for stream in order.streams:
        stream.spool.sync()
        stream.save()
    rooms.workers.wake_all()
    return True


def _write_end(rooms: Rooms, order: LiveOrder, taken: Snapshot) -> bool:
    """In the data path's thread: takes the last records, tells of losses behind them, writes END."""
    settle(rooms, taken)
    for stream in order.streams:
        if not stream.ended:
            tell_end(order, stream)
            stream.ended = _ended(order, stream)
    return all(stream.ended for stream in order.streams)


def _ended(order: LiveOrder, stream: LiveStream) -> bool:
    """One stream's END; False where it has no room now, or fails: that is this agency's alone, and tried again."""
    try:
        stream.stream.end()
    except Exception as error:  # isolation: one stream's failure is never another's
        if not isinstance(error, LictlError | OSError):
            _log.error("stream not ended", order=order.id, error=type(error).__name__, **log.place(error))
        return False
    return True


def delivered(order: LiveOrder) -> bool:
    """The agencies have acknowledged every block."""
    return all(stream.spool.acknowledged >= stream.spool.last_block for stream in order.streams)


def finish(rooms: Rooms, order: LiveOrder) -> None:
    """Keeps the final counts, which closing the order seals; then the spools go."""
    ((_, counts),) = snapshot(rooms, [order]).counts
    for stream in order.streams:
        rooms.workers.remove(stream.agency, stream.name)
        stream.fold(account(stream.saved.base, stream.facts(stream.spool.cursor.total_records), kernel_of(counts)))
    for stream in order.streams:
        stream.spool.remove()
