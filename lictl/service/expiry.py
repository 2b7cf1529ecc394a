# SPDX-License-Identifier: Apache-2.0
"""Orders whose window is over: the kernel has ended them by itself, the store and the audit chain follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl import faults
from lictl.people.actor import daemon
from lictl.service.record import facts
from lictl.warrants.states import OPEN

if TYPE_CHECKING:
    from lictl.service.record import Record
    from lictl.warrants.model import Warrant
    from lictl.warrants.store import Store


def expire_in_store(record: Record, store: Store, now: int) -> list[Warrant]:
    """Ends for good what is over at `now` (UTC nanoseconds); each is an intent before. Returns what was ended."""
    due = [order for order in store.overview(OPEN) if order.ends_ns <= now]
    if not due:
        return []
    before = {order.id: {"state": order.state, "ends_ns": order.ends_ns} for order in due}
    intents = record.announce("warrant.expire", daemon(), before)
    faults.point("warrant.expire.intended")
    ended = store.expire(now)
    faults.point("warrant.expire.stored")
    record.conclude(intents, daemon(), {order.id: facts(order) for order in ended})
    faults.point("warrant.expire.recorded")
    return ended
