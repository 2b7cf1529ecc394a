# SPDX-License-Identifier: Apache-2.0
"""Which order an id or a LIID means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select

from lictl.errors import UnavailableError, UsageError
from lictl.warrants.fields import shown
from lictl.warrants.schema import warrants
from lictl.warrants.states import OVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_AT_ONCE: Final = 500
"""Names in one IN list."""

# Made once: to make a statement takes longer than to run it.
_THAT: Final = select(warrants.c.number).where(warrants.c.number == bindparam("number"))
_OF_LIID: Final = select(warrants.c.number, warrants.c.state).where(warrants.c.liid == bindparam("liid"))
_ID = re.compile(r"W-([1-9][0-9]{0,17})", re.ASCII)


def number_of_id(connection: Connection, warrant_id: str) -> int:
    """The number of an order by its id alone; UnavailableError where there is none."""
    match = _ID.fullmatch(warrant_id)
    number = int(match[1]) if match else 0
    if connection.execute(_THAT, {"number": number}).scalar() is None:
        raise UnavailableError(f"There is no order {shown(warrant_id)}.", "See `lictl warrant list --all`.")
    return number


def number_of(connection: Connection, name: str) -> int:
    """The number of the one order that an id or a LIID means; of several with the LIID, the one that is not over.

    Raises:
        UnavailableError: there is none.
        UsageError: the name could mean several orders.
    """
    rows = connection.execute(_OF_LIID, {"liid": name}).all()
    not_over = [row.number for row in rows if row.state not in OVER]
    meant = set(not_over or [row.number for row in rows])
    match = _ID.fullmatch(name)
    if match is not None:
        meant.update(connection.execute(_THAT, {"number": int(match[1])}).scalars())
    if not meant:
        raise UnavailableError(f"There is no order {shown(name)}.", "See `lictl warrant list --all`.")
    if len(meant) > 1:
        orders = ", ".join(f"W-{number}" for number in sorted(meant))
        raise UsageError(f"{shown(name)} could be {orders}.", "Name one by its id; see `lictl warrant list --all`.")
    return int(meant.pop())


def owned(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of some names that are the uuid or the id of an order."""
    found: set[str] = set()
    for at in range(0, len(names), _AT_ONCE):
        some = names[at : at + _AT_ONCE]
        numbers = [int(match[1]) for match in map(_ID.fullmatch, some) if match]
        meant = warrants.c.uuid.in_(some) | warrants.c.number.in_(numbers)
        for row in connection.execute(select(warrants.c.uuid, warrants.c.number).where(meant)):
            found |= {row.uuid, f"W-{row.number}"}
    return found.intersection(names)
