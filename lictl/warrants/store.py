# SPDX-License-Identifier: Apache-2.0
"""The store: agencies and orders. Each method is one transaction, whole or not at all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import insert, select, update

from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.targets import layout
from lictl.targets.grammar import parse
from lictl.targets.kinds import Target, access_only
from lictl.times import format_rfc3339
from lictl.warrants import agencies, slots
from lictl.warrants.database import Database
from lictl.warrants.fields import shown
from lictl.warrants.records import Agency, Delivery, Warrant, to_armed
from lictl.warrants.schema import deliveries, warrants
from lictl.warrants.states import OVER, State, move

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from lictl.warrants.tables import InterceptTable, WarrantFile

__all__ = ["Agency", "Delivery", "Store", "Warrant", "to_armed"]

Warrants: TypeAlias = list[Warrant]

_ID = re.compile(r"W-([1-9][0-9]{0,17})", re.ASCII)


class Store:
    """Agencies and orders of one home; safe for several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._targets: dict[int, tuple[Target, ...]] = {}  # by number; an order's targets never change

    @classmethod
    def open(cls, path: Path) -> Store:
        """Opens the store, or makes it; errors as of :class:`lictl.warrants.database.Database`."""
        return cls(Database(path))

    def close(self) -> None:
        """Closes it."""
        self._database.close()

    def add_agency(self, agency: Agency) -> None:
        """Adds an agency; UsageError where it cannot be or is there already."""
        agencies.check(agency)
        with self._database.write() as connection:
            agencies.add(connection, agency)

    def agencies(self) -> list[Agency]:
        """All agencies, by name."""
        with self._database.read() as connection:
            return agencies.every(connection)

    def agency(self, name: str) -> Agency:
        """One agency; UnavailableError where there is none of that name."""
        with self._database.read() as connection:
            return agencies.one(connection, name)

    def remove_agency(self, name: str) -> None:
        """Removes an agency; RefusedError while an order that is not over names it."""
        with self._database.write() as connection:
            agencies.remove(connection, name)

    def add_warrant(self, file: WarrantFile, now_ns: int) -> Warrant:
        """Puts an order into force and gives it a slot.

        Raises:
            UnavailableError: an agency is not known.
            RefusedError: the order is past its end; its LIID is in use at that agency; no slot is free.
        """
        order = file.intercept
        if order.ends <= now_ns:
            raise RefusedError(f"The order ended at {format_rfc3339(order.ends)}.", "Get an extension.")
        with self._database.write() as connection:
            for delivery in file.delivery:
                agencies.one(connection, delivery.agency)
            _refuse_second_liid(connection, file, now_ns)
            slot, generation = slots.take(connection)
            result = connection.execute(insert(warrants).values(_columns(file, slot, generation, now_ns)))
            number = int(result.inserted_primary_key[0])  # type: ignore[index]
            slots.hold(connection, slot, number)
            connection.execute(
                insert(deliveries),
                [
                    {"warrant": number, "position": position, "agency": delivery.agency, "format": delivery.format}
                    for position, delivery in enumerate(file.delivery)
                ],
            )
            return self._load(connection, [number])[0]

    def get(self, name: str) -> Warrant:
        """One order by its id or its LIID; where several have the LIID, the one in force.

        Raises:
            UnavailableError: there is none.
            UsageError: the name could mean several orders.
        """
        with self._database.read() as connection:
            return self._load(connection, [_number(connection, name)])[0]

    def list(self) -> Warrants:
        """All orders, oldest first."""
        with self._database.read() as connection:
            return self._load(connection)

    def live(self, now_ns: int) -> Warrants:
        """Orders to be armed: in force and not past their end; also those that start later, with their window."""
        return [warrant for warrant in self._in_state(State.ACTIVE) if warrant.ends_ns > now_ns]

    def unreleased(self) -> Warrants:
        """Orders that are over and still hold their slot: the daemon removes their target entries, then releases."""
        with self._database.read() as connection:
            query = select(warrants.c.number).where(~warrants.c.released, warrants.c.state.in_(OVER))
            return self._load(connection, connection.execute(query).scalars().all())

    def revoke(self, name: str, now_ns: int) -> Warrant:
        """Ends an order now.

        Raises:
            UnavailableError, UsageError: as of :meth:`get`.
            RefusedError: it is over already.
        """
        with self._database.write() as connection:
            number = _number(connection, name)
            ends = connection.execute(select(warrants.c.ends_ns).where(warrants.c.number == number)).scalar_one()
            _end(connection, number, State.REVOKED, now_ns, min(ends, now_ns))
            return self._load(connection, [number])[0]

    def expire(self, now_ns: int) -> Warrants:
        """Ends every order whose window is over; returns those that it ended."""
        with self._database.write() as connection:
            query = select(warrants.c.number).where(warrants.c.state == State.ACTIVE, warrants.c.ends_ns <= now_ns)
            numbers = connection.execute(query).scalars().all()
            for number in numbers:
                _end(connection, number, State.EXPIRED, now_ns)
            return self._load(connection, numbers)

    def release_slot(self, warrant_id: str) -> None:
        """Gives back the slot of an order that is over, once none of its target entries is left; again does nothing.

        Raises:
            UnavailableError: there is no such order.
            RefusedError: the order is in force.
        """
        with self._database.write() as connection:
            number = _number_of_id(connection, warrant_id)
            state = connection.execute(select(warrants.c.state).where(warrants.c.number == number)).scalar_one()
            if state not in OVER:
                raise RefusedError(f"Order {warrant_id} is {state} and keeps its slot.", "Revoke it first.")
            slots.give_back(connection, number)
            connection.execute(update(warrants).where(warrants.c.number == number).values(released=True))

    def set_base(self, warrant_id: str, incarnation: int, base: Mapping[str, Any]) -> None:
        """Records to which kernel tables the order's counters belong now, and what it had counted before them.

        Raises:
            UnavailableError: there is no such order.
        """
        with self._database.write() as connection:
            number = _number_of_id(connection, warrant_id)
            values = {"incarnation": str(incarnation), "base": json.dumps(dict(base))}
            connection.execute(update(warrants).where(warrants.c.number == number).values(values))

    def _in_state(self, state: State) -> Warrants:
        with self._database.read() as connection:
            query = select(warrants.c.number).where(warrants.c.state == state)
            return self._load(connection, connection.execute(query).scalars().all())

    def _load(self, connection: Connection, numbers: Iterable[int] | None = None) -> Warrants:
        """Orders by number, all where `numbers` is None; oldest first."""
        wanted = None if numbers is None else set(numbers)
        query, receivers = select(warrants).order_by(warrants.c.number), select(deliveries)
        if wanted is not None and len(wanted) <= 500:
            query = query.where(warrants.c.number.in_(wanted))
            receivers = receivers.where(deliveries.c.warrant.in_(wanted))
        received: dict[int, list[Delivery]] = {}
        for row in connection.execute(receivers.order_by(deliveries.c.warrant, deliveries.c.position)):
            received.setdefault(row.warrant, []).append(Delivery(row.agency, row.format))
        return [
            self._warrant(row, tuple(received[row.number]))
            for row in connection.execute(query)
            if wanted is None or row.number in wanted
        ]

    def _warrant(self, row: Any, receivers: tuple[Delivery, ...]) -> Warrant:
        targets = self._targets.get(row.number)
        if targets is None:
            targets = self._targets[row.number] = tuple(parse(text) for text in json.loads(row.targets))
        return Warrant(
            id=f"W-{row.number}",
            liid=row.liid,
            case_id=row.case_id,
            mode=row.mode,
            state=row.state,
            starts_ns=row.starts_ns,
            ends_ns=row.ends_ns,
            slot=row.slot,
            generation=row.generation,
            flags=row.flags,
            targets=targets,
            deliveries=receivers,
            authority=json.loads(row.authority),
            added_ns=row.added_ns,
            ended_ns=row.ended_ns,
            released=row.released,
            incarnation=None if row.incarnation is None else int(row.incarnation),
            base=json.loads(row.base),
            text=row.text,
        )


def slot_flags(order: InterceptTable) -> int:
    """SLOT_* bits that an order's file asks for."""
    return (
        (layout.SLOT_ACCESS_ONLY if access_only(order.targets) else 0)
        | (layout.SLOT_NO_PORTS if order.ports is False else 0)
        | (layout.SLOT_NO_LENGTH if order.length is False else 0)
    )


def _columns(file: WarrantFile, slot: int, generation: int, now_ns: int) -> dict[str, Any]:
    order = file.intercept
    return {
        "liid": order.liid,
        "case_id": order.case_id,
        "mode": order.mode.value,
        "state": State.ACTIVE.value,
        "starts_ns": order.starts,
        "ends_ns": order.ends,
        "slot": slot,
        "generation": generation,
        "flags": slot_flags(order),
        "targets": json.dumps([str(target) for target in order.targets]),
        "authority": json.dumps(file.authority.model_dump()),
        "added_ns": now_ns,
        "ended_ns": None,
        "released": False,
        "incarnation": None,
        "base": "{}",
        "text": file.text,
    }


def _refuse_second_liid(connection: Connection, file: WarrantFile, now_ns: int) -> None:
    """An agency tells orders apart by their LIID, so it can hold one live order of each."""
    query = (
        select(warrants.c.number, deliveries.c.agency)
        .join(deliveries, deliveries.c.warrant == warrants.c.number)
        .where(
            warrants.c.liid == file.intercept.liid,
            warrants.c.state == State.ACTIVE,
            warrants.c.ends_ns > now_ns,
            deliveries.c.agency.in_({delivery.agency for delivery in file.delivery}),
        )
    )
    other = connection.execute(query).first()
    if other is not None:
        what = f"Order W-{other.number} for agency {other.agency} has LIID {file.intercept.liid} already."
        raise RefusedError(
            what, f"Revoke it first with `lictl warrant revoke W-{other.number}`, or ask for another LIID."
        )


def _end(connection: Connection, number: int, state: State, now_ns: int, ends_ns: int | None = None) -> None:
    old = connection.execute(select(warrants.c.state).where(warrants.c.number == number)).scalar_one()
    values: dict[str, Any] = {"state": move(f"W-{number}", State(old), state).value, "ended_ns": now_ns}
    if ends_ns is not None:
        values["ends_ns"] = ends_ns
    connection.execute(update(warrants).where(warrants.c.number == number).values(values))


def _number_of_id(connection: Connection, warrant_id: str) -> int:
    match = _ID.fullmatch(warrant_id)
    number = int(match[1]) if match else 0
    if connection.execute(select(warrants.c.number).where(warrants.c.number == number)).scalar() is None:
        raise UnavailableError(f"There is no order {shown(warrant_id)}.", "See `lictl warrant list --all`.")
    return number


def _number(connection: Connection, name: str) -> int:
    """The one order that an id or a LIID means."""
    rows = connection.execute(select(warrants.c.number, warrants.c.state).where(warrants.c.liid == name)).all()
    in_force = [row.number for row in rows if row.state not in OVER]
    meant = set(in_force or [row.number for row in rows])
    match = _ID.fullmatch(name)
    if match is not None:
        query = select(warrants.c.number).where(warrants.c.number == int(match[1]))
        meant.update(connection.execute(query).scalars())
    if not meant:
        raise UnavailableError(f"There is no order {shown(name)}.", "See `lictl warrant list --all`.")
    if len(meant) > 1:
        orders = ", ".join(f"W-{number}" for number in sorted(meant))
        raise UsageError(f"{shown(name)} could be {orders}.", "Name one by its id; see `lictl warrant list --all`.")
    return int(meant.pop())
