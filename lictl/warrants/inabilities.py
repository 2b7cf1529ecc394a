# SPDX-License-Identifier: Apache-2.0
"""What kept an order from being performed: noted with it for as long as it is not over, its window and state untouched.

Who cannot perform an order is not thereby out of the law, but has to be able to say since when and why. Several may
last at once, each with a reason of its own; what is put right ends all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, bindparam, func, insert, select, update

from lictl.errors import RefusedError
from lictl.warrants.changes import row_of
from lictl.warrants.schema import inabilities
from lictl.warrants.states import Act, State, move

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lictl.warrants.vault import Vault
    from lictl.warrants.who import Who

_NUMBER: Final[BindParameter[Any]] = bindparam("number")
_LAST: Final = select(func.max(inabilities.c.position)).where(inabilities.c.warrant == _NUMBER)
_LASTING: Final = (
    select(inabilities.c.position)
    .where(inabilities.c.warrant == _NUMBER, inabilities.c.restored_ns.is_(None))
    .order_by(inabilities.c.position)
)


def begin(connection: Connection, vault: Vault, number: int, reason: str, who: Who, now_ns: int) -> None:
    """Notes that an order cannot be performed, and why."""
    row = row_of(connection, number)
    move(f"W-{number}", State(row.state), Act.UNABLE)
    position = (connection.execute(_LAST, {"number": number}).scalar() or 0) + 1
    key = vault.key(connection, number, row.uuid)
    values = {
        "warrant": number,
        "position": position,
        "noted_by": who.to_json(),
        "noted_ns": now_ns,
        "sealed_reason": vault.seal(key, row.uuid, f"inability/{position}", reason),
    }
    connection.execute(insert(inabilities).values(values))


def end(connection: Connection, vault: Vault, number: int, reason: str, who: Who, now_ns: int) -> None:
    """Notes that an order can be performed again, and what was put right: whatever kept it from that has ended."""
    row = row_of(connection, number)
    move(f"W-{number}", State(row.state), Act.ABLE)
    lasting = connection.execute(_LASTING, {"number": number}).scalars().all()
    if not lasting:
        raise RefusedError(
            f"Nothing is noted that keeps order W-{number} from being performed.",
            f"See `lictl warrant show W-{number}`. Nothing was changed.",
        )
    key = vault.key(connection, number, row.uuid)
    for position in lasting:
        mine = (inabilities.c.warrant == number) & (inabilities.c.position == position)
        sealed = vault.seal(key, row.uuid, f"restored/{position}", reason)
        values = {"restored_by": who.to_json(), "restored_ns": now_ns, "sealed_restored": sealed}
        connection.execute(update(inabilities).where(mine).values(values))


def forget_reasons(connection: Connection, number: int) -> None:
    """Removes what was sealed; when and who stay."""
    nothing = {"sealed_reason": None, "sealed_restored": None}
    connection.execute(update(inabilities).where(inabilities.c.warrant == number).values(nothing))
