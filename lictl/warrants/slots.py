# SPDX-License-Identifier: Apache-2.0
"""Who owns which slot of the kernel's slot table, and for the how-manieth time it was given out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from lictl.errors import RefusedError
from lictl.targets import layout
from lictl.warrants.schema import slots

if TYPE_CHECKING:
    from sqlalchemy import Connection


def take(connection: Connection) -> tuple[int, int]:
    """The lowest free slot and its new generation; `hold` it in the same transaction.

    A slot whose generations are used up is retired: an old record must never pass for a new order's.

    Raises:
        RefusedError: no slot is free.
    """
    rows = connection.execute(select(slots)).all()
    used = {row.slot: row for row in rows}
    for slot in range(layout.MAX_SLOTS):
        row = used.get(slot)
        if row is None:
            connection.execute(insert(slots).values(slot=slot, generation=1, holder=None))
            return slot, 1
        if row.holder is None and row.generation < layout.GENERATION_MAX:
            connection.execute(update(slots).where(slots.c.slot == slot).values(generation=row.generation + 1))
            return slot, row.generation + 1
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
