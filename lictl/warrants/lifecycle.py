# SPDX-License-Identifier: Apache-2.0
"""From draft to closed: the acts on an order itself, each on a transaction that its caller commits."""

from __future__ import annotations

import json
import uuid as uuids
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from lictl.errors import RefusedError
from lictl.warrants import agencies, inabilities
from lictl.warrants.approval import write_instrument
from lictl.warrants.changes import move_order, refuse_past, row_of, set_order, settle
from lictl.warrants.kinds import rule_of
from lictl.warrants.rows import slot_flags, target_texts
from lictl.warrants.schema import deliveries, instruments, warrants
from lictl.warrants.states import HELD, OPEN, Act, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from lictl.warrants.tables import WarrantFile
    from lictl.warrants.vault import Vault
    from lictl.warrants.who import Who


def draft(
    connection: Connection, vault: Vault, file: WarrantFile, who: Who, now_ns: int, *, emergency: bool = False
) -> int:
    """Writes an order down; returns its number."""
    refuse_past(file.intercept.ends, now_ns)
    rule = rule_of(file.authority.kind)
    if emergency and not rule.emergency:
        raise RefusedError(
            f"{rule.title[0].upper()}{rule.title[1:]} is no emergency authority: two people are needed.",
            "Leave --emergency out, or name the emergency authority that the officer acts under.",
        )
    for delivery in file.delivery:
        agencies.one(connection, delivery.agency)
    uuid = uuids.uuid4().hex
    result = connection.execute(insert(warrants).values(_columns(file, uuid, now_ns, emergency)))
    number = int(result.inserted_primary_key[0])  # type: ignore[index]
    key = vault.make_key(connection, number, uuid)
    texts = target_texts(file.intercept.targets)
    set_order(connection, number, sealed_targets=vault.seal(key, uuid, "targets", texts))
    connection.execute(
        insert(deliveries),
        [
            {"warrant": number, "position": position, "agency": delivery.agency, "format": delivery.format}
            for position, delivery in enumerate(file.delivery)
        ],
    )
    write_instrument(connection, vault, number, file, "original", who, now_ns, emergency=emergency)
    return number


def _columns(file: WarrantFile, uuid: str, now_ns: int, emergency: bool) -> dict[str, Any]:
    order = file.intercept
    return {
        "uuid": uuid,
        "liid": order.liid,
        "case_id": order.case_id,
        "mode": order.mode.value,
        "kind": file.authority.kind,
        "emergency": emergency,
        "state": State.DRAFT.value,
        "starts_ns": order.starts,
        "ends_ns": order.ends,
        "flags": slot_flags(order),
        "added_ns": now_ns,
        "released": False,
        "base": "{}",
    }


def armed(connection: Connection, number: int, now_ns: int) -> None:
    """The daemon has put the order into the kernel; again does nothing."""
    row = row_of(connection, number)
    if row.state != State.ACTIVE:
        refuse_past(row.ends_ns, now_ns)
        move_order(connection, row, Act.ARM)


def armed_in_time(connection: Connection, number: int, now_ns: int) -> bool:
    """As `armed`; False, and nothing is changed, where its window is over or it is not to be armed any more."""
    try:
        armed(connection, number, now_ns)
    except RefusedError:
        return False
    return True


def suspend(connection: Connection, number: int) -> None:
    """Takes the order out of force for now; it keeps its slot."""
    move_order(connection, row_of(connection, number), Act.SUSPEND)


def revoke(connection: Connection, number: int, now_ns: int) -> None:
    """Ends the order now; its window ends now at the latest."""
    row = row_of(connection, number)
    ends = min(row.ends_ns, now_ns)
    move_order(connection, row, Act.REVOKE, ended_ns=now_ns, ends_ns=ends, released=row.slot is None)


def expire(connection: Connection, now_ns: int) -> list[int]:
    """Ends every order whose window is over; returns their numbers."""
    query = select(warrants).where(warrants.c.state.in_(OPEN), warrants.c.ends_ns <= now_ns)
    rows = connection.execute(query.order_by(warrants.c.number)).all()
    for row in rows:
        move_order(connection, row, Act.EXPIRE, ended_ns=now_ns, released=row.slot is None)
    return [row.number for row in rows]


def close(connection: Connection, number: int, now_ns: int, summary: Mapping[str, Any]) -> None:
    """Seals an order that is over and delivered."""
    row = row_of(connection, number)
    values = {"closed_ns": now_ns, "summary": json.dumps(dict(summary))}
    move_order(connection, row, Act.CLOSE, **values)
    if not row.released:
        raise RefusedError(
            f"Order W-{number} is {row.state}, and its agencies do not have all of it yet.",
            "Let the daemon run until it is delivered; see `lictl status`.",
        )


def took(connection: Connection, number: int, first_ns: int) -> None:
    """Notes the first interception, which can only make the window shorter."""
    row = row_of(connection, number)
    if row.first_taken_ns is not None and row.first_taken_ns <= first_ns:
        return
    set_order(connection, number, first_taken_ns=first_ns)
    if row.state in HELD:
        settle(connection, number)


def destroy_key(connection: Connection, vault: Vault, number: int, now_ns: int) -> None:
    """Makes all that names the subject of a closed order unreadable for good."""
    row = row_of(connection, number)
    if row.state != State.CLOSED:
        raise RefusedError(f"Order W-{number} is {row.state}; its key is still needed.", "Close it first.")
    vault.key(connection, number, row.uuid)  # RefusedError where it was destroyed already
    vault.destroy_key(connection, number, now_ns)
    set_order(connection, number, sealed_targets=None)
    nothing = {"sealed_document": None, "sealed_reason": None}
    connection.execute(update(instruments).where(instruments.c.warrant == number).values(nothing))
    inabilities.forget_reasons(connection, number)
