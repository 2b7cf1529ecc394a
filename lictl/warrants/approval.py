# SPDX-License-Identifier: Apache-2.0
"""Two people: one submits an instrument, another one approves it, which alone gives it effect.

This holds for the order itself (its first instrument) and for each extension and amendment of it. Under an emergency
authority one person may do both for the order itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, bindparam, func, insert, select

from lictl.errors import RefusedError
from lictl.warrants import slots
from lictl.warrants.agencies import among, every
from lictl.warrants.changes import refuse_past, row_of, set_instrument, set_order, settle
from lictl.warrants.instruments import check_effect
from lictl.warrants.rows import Reader, clock, document, target_flags, target_texts
from lictl.warrants.schema import deliveries, instruments, warrants
from lictl.warrants.states import HELD, OVER, Act, State, move
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lictl.warrants.records import Warrant
    from lictl.warrants.tables import WarrantFile
    from lictl.warrants.vault import Vault

# Made once: to make a statement takes longer than to run it.
_NUMBER: Final[BindParameter[Any]] = bindparam("number")
_PENDING: Final = select(instruments).where(
    instruments.c.warrant == _NUMBER, instruments.c.state.in_(("draft", "submitted"))
)
_RECEIVERS: Final = select(deliveries.c.agency).where(deliveries.c.warrant == _NUMBER)
_MINE: Final = deliveries.alias()
_SAME_LIID: Final = (
    select(warrants.c.number, warrants.c.liid, deliveries.c.agency)
    .join(deliveries, deliveries.c.warrant == warrants.c.number)
    .join(_MINE, (_MINE.c.warrant == _NUMBER) & (_MINE.c.agency == deliveries.c.agency))
    .where(
        warrants.c.liid == select(warrants.c.liid).where(warrants.c.number == _NUMBER).scalar_subquery(),
        warrants.c.number != _NUMBER,
        warrants.c.state.in_(HELD),
    )
)


def write_instrument(
    connection: Connection,
    vault: Vault,
    number: int,
    file: WarrantFile,
    act: str,
    who: Who,
    now_ns: int,
    *,
    emergency: bool = False,
) -> None:
    """Writes an instrument of an order down, as a draft."""
    mine = select(func.max(instruments.c.position)).where(instruments.c.warrant == number)
    position = (connection.execute(mine).scalar() or 0) + 1
    uuid = row_of(connection, number).uuid
    sealed = vault.seal(vault.key(connection, number, uuid), uuid, f"document/{position}", document(file))
    values = {
        "warrant": number,
        "position": position,
        "act": act,
        "state": "draft",
        "emergency": emergency,
        "origin": "lictl",
        "sealed_document": sealed,
        "confirmed_shared": False,
        "drafted_by": who.to_json(),
        "drafted_ns": now_ns,
    }
    connection.execute(insert(instruments).values(values | clock(file)))


def pending(connection: Connection, number: int) -> Any:
    """The row of the instrument that is drafted or submitted; None where there is none."""
    return connection.execute(_PENDING, {"number": number}).one_or_none()


def submit(connection: Connection, number: int, who: Who, now_ns: int) -> None:
    """Asks for the approval of what is drafted."""
    row, paper = row_of(connection, number), pending(connection, number)
    state = _judge(row, paper, Act.SUBMIT, "draft")
    refuse_past(row.ends_ns, now_ns)
    set_order(connection, number, state=state.value)
    set_instrument(
        connection, paper, state="submitted", submitted_by=who.to_json(), submitted_uid=who.uid, submitted_ns=now_ns
    )


def reject(connection: Connection, vault: Vault, number: int, reason: str) -> None:
    """Sends what was submitted back to its drafter, with the reason."""
    row, paper = row_of(connection, number), pending(connection, number)
    state = _judge(row, paper, Act.REJECT, "submitted")
    set_order(connection, number, state=state.value)
    set_instrument(
        connection,
        paper,
        state="draft",
        submitted_by=None,
        submitted_uid=None,
        submitted_ns=None,
        sealed_reason=_sealed_reason(connection, vault, row, paper, reason),
    )


def withdraw(connection: Connection, number: int) -> None:
    """Drops an extension or amendment that was not approved."""
    row, paper = row_of(connection, number), pending(connection, number)
    if paper is None or paper.position == 1:
        raise RefusedError(
            f"Order W-{number} has no extension or amendment that waits.", "An order itself is ended with revoke."
        )
    if row.state in OVER:
        raise RefusedError(f"Order W-{number} is {row.state}.", "Nothing was changed.")
    set_instrument(connection, paper, state="withdrawn")


def approve(
    connection: Connection,
    vault: Vault,
    number: int,
    who: Who,
    now_ns: int,
    *,
    reason: str | None,
    confirm_shared: bool,
) -> None:
    """Gives what was submitted its effect."""
    row, paper = row_of(connection, number), pending(connection, number)
    state = _judge(row, paper, Act.APPROVE, "submitted")
    refuse_past(row.ends_ns, now_ns)
    refuse_same_person(number, paper, who, "approve")
    if paper.position == 1:
        take_slot(connection, number, state)
    else:
        _give_effect(connection, vault, Reader(vault).one(connection, number), now_ns)
    set_instrument(
        connection,
        paper,
        state="approved",
        approved_by=who.to_json(),
        approved_uid=who.uid,
        approved_ns=now_ns,
        confirmed_shared=confirm_shared,
        sealed_reason=_sealed_reason(connection, vault, row, paper, reason),
    )
    settle(connection, number)
    refuse_past(row_of(connection, number).ends_ns, now_ns)


def resume(connection: Connection, number: int, who: Who, now_ns: int) -> None:
    """Lets a suspended order go on: what one person submitted is again armed by another one."""
    row = row_of(connection, number)
    state = move(f"W-{number}", State(row.state), Act.RESUME)
    refuse_past(row.ends_ns, now_ns)
    first = select(instruments).where(instruments.c.warrant == number, instruments.c.position == 1)
    refuse_same_person(number, connection.execute(first).one(), who, "resume")
    set_order(connection, number, state=state.value)


def take_slot(connection: Connection, number: int, state: State) -> None:
    """The order gets its place in the kernel's slot table, and its state."""
    known = every(connection)
    for receiver in connection.execute(_RECEIVERS, {"number": number}).scalars():
        among(known, receiver)
    _refuse_second_liid(connection, number)
    slot, generation = slots.take(connection)
    set_order(connection, number, state=state.value, slot=slot, generation=generation)
    slots.hold(connection, slot, number)


def refuse_same_person(number: int, paper: Any, who: Who, act: str) -> None:
    """Two people are needed, but for an emergency."""
    if paper.emergency or paper.submitted_by is None:
        return
    submitter = Who.from_json(paper.submitted_by)
    if submitter.is_same(who):
        raise RefusedError(
            f"{submitter.name} submitted W-{number}/{paper.position} and cannot {act} it: two people are needed.",
            "Ask another person who may approve.",
        )


def _judge(row: Any, paper: Any, act: Act, needs: str) -> State:
    """The order's state after the act on what is pending, where both of them allow it."""
    name, old = f"W-{row.number}", State(row.state)
    if paper is None or paper.position == 1:
        return move(name, old, act)
    if old not in HELD:
        raise RefusedError(f"Order {name} is {old}: {act} is not possible.", "Nothing was changed.")
    if paper.state != needs:
        raise RefusedError(
            f"The {paper.act} {name}/{paper.position} is {paper.state}: {act} is not possible.",
            f"It is possible for one that is {needs}. Nothing was changed.",
        )
    return old


def _give_effect(connection: Connection, vault: Vault, order: Warrant, now_ns: int) -> None:
    instrument = order.pending
    assert instrument is not None  # noqa: S101 - its row was judged
    check_effect(order, instrument, now_ns)
    if instrument.act == "amendment":
        key = vault.key(connection, order.number, order.uuid)
        sealed = vault.seal(key, order.uuid, "targets", target_texts(instrument.targets))
        flags = order.flags & ~target_flags(order.targets) | target_flags(instrument.targets)
        set_order(connection, order.number, sealed_targets=sealed, flags=flags)


def _sealed_reason(connection: Connection, vault: Vault, row: Any, paper: Any, reason: str | None) -> bytes | None:
    if reason is None:
        return None
    key = vault.key(connection, row.number, row.uuid)
    return vault.seal(key, row.uuid, f"reason/{paper.position}", reason)


def _refuse_second_liid(connection: Connection, number: int) -> None:
    """An agency tells orders apart by their LIID, so it can hold one of each that is not over.

    Whatever the clock says: one whose window seems to be over comes back when a wrong clock was put right.
    """
    other = connection.execute(_SAME_LIID, {"number": number}).first()
    if other is not None:
        what = f"Order W-{other.number} for agency {other.agency} has LIID {other.liid} already."
        raise RefusedError(
            what, f"Revoke it first with `lictl warrant revoke W-{other.number}`, or ask for another LIID."
        )
