# SPDX-License-Identifier: Apache-2.0
"""Small changes of rows that several acts are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update

from lictl.errors import RefusedError
from lictl.times import format_rfc3339
from lictl.warrants.schema import instruments, warrants
from lictl.warrants.states import Act, State, move
from lictl.warrants.window import clock_of, window

if TYPE_CHECKING:
    from sqlalchemy import Connection


# Made once: to make a statement takes longer than to run it.
_ROW: Final = select(warrants).where(warrants.c.number == bindparam("number"))
_APPROVED: Final = (
    select(instruments)
    .where(instruments.c.warrant == bindparam("number"), instruments.c.state == "approved")
    .order_by(instruments.c.position)
)


def row_of(connection: Connection, number: int) -> Any:
    """The row of an order that is there."""
    return connection.execute(_ROW, {"number": number}).one()


def set_order(connection: Connection, number: int, **values: Any) -> None:
    """Writes columns of an order."""
    connection.execute(update(warrants).where(warrants.c.number == number).values(values))


def set_instrument(connection: Connection, instrument: Any, **values: Any) -> None:
    """Writes columns of an instrument."""
    mine = (instruments.c.warrant == instrument.warrant) & (instruments.c.position == instrument.position)
    connection.execute(update(instruments).where(mine).values(values))


def move_order(connection: Connection, row: Any, act: Act, **values: Any) -> None:
    """Does an act of the table on an order; RefusedError where the table does not have it."""
    set_order(connection, row.number, state=move(f"W-{row.number}", State(row.state), act).value, **values)


def settle(connection: Connection, number: int) -> None:
    """Brings the window up to what the approved instruments and the first interception come to."""
    approved = [clock_of(row) for row in connection.execute(_APPROVED, {"number": number})]
    starts, ends = window(approved, row_of(connection, number).first_taken_ns)
    set_order(connection, number, starts_ns=starts, ends_ns=ends)


def refuse_past(ends_ns: int, now_ns: int) -> None:
    """Refuses what would go on behind the end of a window."""
    if ends_ns <= now_ns:
        raise RefusedError(f"The order ended at {format_rfc3339(ends_ns)}.", "Get a new order.")
