# SPDX-License-Identifier: Apache-2.0
"""Who owns which slot of the kernel's slot table, and for the how-manieth time it was given out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select, update

from lictl.errors import RefusedError
from lictl.targets import layout
from lictl.warrants.schema import slots

if TYPE_CHECKING:
    from sqlalchemy import Connection


# Made once: to make a statement takes longer than to run it.
_FREE: Final = (
    select(slots)
    .where(slots.c.holder.is_(None), slots.c.generation < layout.GENERATION_MAX)
    .order_by(slots.c.slot)
    .limit(1)
)
_LAST: Final = select(func.max(slots.c.slot))


def take(connection: Connection) -> tuple[int, int]:
    """A free slot and its new generation; `hold` it in the same transaction.

    The lowest of those that had an owner before, else the next one that had none.

    A slot whose generations are used up is retired: an old record must never pass for a new order's.

    Raises:
        RefusedError: no slot is free.
    """
    row = connection.execute(_FREE).first()
    if row is not None:
        connection.execute(update(slots).where(slots.c.slot == row.slot).values(generation=row.generation + 1))
        return row.slot, row.generation + 1
    last = connection.execute(_LAST).scalar()
    new = 0 if last is None else last + 1
    if new < layout.MAX_SLOTS:
        connection.execute(insert(slots).values(slot=new, generation=1, holder=None))
        return new, 1
    raise RefusedError(
        f"{layout.MAX_SLOTS} orders are live or wait for the daemon to remove their targets.",
        "Revoke orders that are no longer needed, and let the daemon run.",
    )


def hold(connection: Connection, slot: int, number: int) -> None:
    """Makes order `number` the owner of a slot that was just taken."""
    connection.execute(update(slots).where(slots.c.slot == slot).values(holder=number))


def give_back(connection: Connection, number: int) -> None:
    """Frees the slot that order `number` holds; nothing where it holds none."""
    connection.execute(update(slots).where(slots.c.holder == number).values(holder=None))
