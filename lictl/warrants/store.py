# SPDX-License-Identifier: Apache-2.0
"""The store: agencies and orders. Each method is one transaction, whole or not at all.

Who may do an act by its role is judged where the act comes in (`lictl.people`); that two people are needed is judged
here as well, and once more by the database.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import select, update

from lictl.errors import RefusedError
from lictl.home import Home
from lictl.warrants import approval, inabilities, lifecycle, slots
from lictl.warrants.agency_book import AgencyBook
from lictl.warrants.approval import write_instrument
from lictl.warrants.database import Database, Place
from lictl.warrants.instruments import check_file
from lictl.warrants.names import number_of, number_of_id, owned
from lictl.warrants.opening import place_of, prepare
from lictl.warrants.openings import Openings
from lictl.warrants.records import Agency, Approval, Delivery, Instrument, Overview, Warrant, to_armed
from lictl.warrants.rows import approvals, overviews
from lictl.warrants.schema import warrants
from lictl.warrants.standing import Standing
from lictl.warrants.states import LIVE, OPEN, OVER, Act, State, move
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection

    from lictl.keys.sealer import Sealer
    from lictl.warrants.tables import WarrantFile

__all__ = ["Agency", "Delivery", "Instrument", "Overview", "Store", "Warrant", "Who", "to_armed"]

Warrants: TypeAlias = list[Warrant]
Overviews: TypeAlias = list[Overview]
Approvals: TypeAlias = list[Approval]


class Store(AgencyBook):
    """Agencies and orders of one home; safe for several threads and processes.

    Where an order is meant by `name`, that is its id or its LIID; UnavailableError where there is none, UsageError
    where it could be several. An act that the table of `lictl.warrants.states` does not have is a RefusedError.
    """

    def __init__(self, database: Database, keys: Sealer | Home) -> None:
        super().__init__(database)
        self._vault, self._reader = prepare(database, keys)
        self._standing = Standing()

    @classmethod
    def open(cls, place: Place, sealer: Sealer | None = None) -> Store:
        """Opens the store, or makes it; an older version is brought up to date.

        Args:
            place: its SQLite file, or the URL of a PostgreSQL database.
            sealer: of the site; None: of the home in whose folder the file lies.

        Raises:
            UnavailableError: it is not there, or a newer lictl made it.
            MachineError: no permission, disk full.
            IntegrityError: it is no store, or another site's key sealed it.
        """
        keys = Home(place.parent) if sealer is None and isinstance(place, Path) else sealer
        if keys is None:
            raise ValueError("a store that is no file needs the sealer of its home")
        return cls._opened(place, keys)

    @classmethod
    def _opened(cls, place: Place, keys: Sealer | Home) -> Store:
        database = Database(place)
        try:
            return cls(database, keys)
        except BaseException:
            database.close()
            raise

    @classmethod
    def of(cls, home: Home) -> Store:
        """Opens the store of a home: the database that `database = URL` in its lictl.toml names, else its file.

        Raises:
            UsageError: lictl.toml cannot be read, or the URL is none of PostgreSQL.
            UnavailableError, MachineError, IntegrityError: as of :meth:`open`.
        """
        return cls._opened(place_of(home), home)

    def close(self) -> None:
        """Closes it."""
        self._database.close()

    # ---- acts, in the order of a life

    def draft(self, file: WarrantFile, who: Who, now_ns: int, *, emergency: bool = False) -> Warrant:
        """Writes an order down. It has no slot, and nothing of it can be armed.

        Raises:
            UnavailableError: an agency is not known.
            RefusedError: the order is past its end; its authority is none for an emergency.
        """
        return self._act(
            lambda connection: lifecycle.draft(connection, self._vault, file, who, now_ns, emergency=emergency)
        )

    def submit(self, name: str, who: Who, now_ns: int) -> Warrant:
        """Asks for the approval of the order, or of its extension or amendment that is drafted."""
        return self._on(name, lambda connection, number: approval.submit(connection, number, who, now_ns))

    def reject(self, name: str, reason: str) -> Warrant:
        """Sends what was submitted back to be drafted, with the reason."""
        return self._on(name, lambda connection, number: approval.reject(connection, self._vault, number, reason))

    def approve(
        self, name: str, who: Who, now_ns: int, reason: str | None = None, confirm_shared: bool = False
    ) -> Warrant:
        """Gives what was submitted its effect: a slot to the order, time to the extension, targets to the amendment.

        Args:
            name: of the order.
            who: another person than who submitted it, but under an emergency authority.
            now_ns: UTC nanoseconds.
            reason: why in spite of a warning; kept sealed.
            confirm_shared: targets that others share were confirmed.

        Raises:
            RefusedError: one person did both; it is past its end; its LIID is in use at that agency; no slot is free.
            UnavailableError: an agency is not there any more.
        """
        return self._on(
            name,
            lambda connection, number: approval.approve(
                connection, self._vault, number, who, now_ns, reason=reason, confirm_shared=confirm_shared
            ),
        )

    def armed(self, name: str, now_ns: int) -> Warrant:
        """The daemon has put an approved order into the kernel; again does nothing."""
        return self._on(name, lambda connection, number: lifecycle.armed(connection, number, now_ns))

    def armed_all(self, names: Iterable[str], now_ns: int) -> Warrants:
        """As `armed`, in one transaction; those whose window ended meanwhile are left out."""
        with self._standing.turn:
            with self._database.write() as connection:
                numbers = [number_of_id(connection, name) for name in names]
                done = [number for number in numbers if lifecycle.armed_in_time(connection, number, now_ns)]
                orders = self._reader.read(connection, done)
            for order in orders:
                self._standing.keep(order)
        return orders

    def took(self, name: str, first_ns: int) -> Warrant:
        """Notes when the first packet of an order was taken; the window may become shorter, never longer."""
        return self._on(name, lambda connection, number: lifecycle.took(connection, number, first_ns))

    def extend(self, name: str, file: WarrantFile, who: Who, now_ns: int) -> Warrant:
        """Writes an extension down; it changes nothing before `submit` and `approve`.

        Raises:
            UsageError: it is about something else than the order.
            RefusedError: it leaves a gap, or ends no later; its authority cannot follow; another one waits.
        """
        return self._further(name, file, Act.EXTEND, "extension", who, now_ns)

    def amend(self, name: str, file: WarrantFile, who: Who, now_ns: int) -> Warrant:
        """Writes an amendment down, which names all targets that the order shall have; else as `extend`."""
        return self._further(name, file, Act.AMEND, "amendment", who, now_ns)

    def withdraw(self, name: str) -> Warrant:
        """Drops an extension or amendment that was not approved."""
        return self._on(name, lambda connection, number: approval.withdraw(connection, number))

    def suspend(self, name: str) -> Warrant:
        """Takes an order out of force for now; it keeps its slot."""
        return self._on(name, lambda connection, number: lifecycle.suspend(connection, number))

    def resume(self, name: str, who: Who, now_ns: int) -> Warrant:
        """Lets a suspended order go on: approved, to be armed. Not by the person who submitted it."""
        return self._on(name, lambda connection, number: approval.resume(connection, number, who, now_ns))

    def revoke(self, name: str, now_ns: int) -> Warrant:
        """Ends an order now."""
        return self._on(name, lambda connection, number: lifecycle.revoke(connection, number, now_ns))

    def unable(self, name: str, reason: str, who: Who, now_ns: int) -> Warrant:
        """Notes that an order cannot be performed, and why; nothing else of it changes."""
        return self._on(
            name, lambda connection, number: inabilities.begin(connection, self._vault, number, reason, who, now_ns)
        )

    def able(self, name: str, reason: str, who: Who, now_ns: int) -> Warrant:
        """Notes that it can be performed again; RefusedError where nothing kept it from that."""
        return self._on(
            name, lambda connection, number: inabilities.end(connection, self._vault, number, reason, who, now_ns)
        )

    def expire(self, now_ns: int, trusted: bool = True) -> Warrants:
        """Ends every order whose window is over; returns those that it ended.

        Args:
            now_ns: UTC nanoseconds.
            trusted: False while the clock may be wrong: nothing is ended for good. `live` leaves out what seems to be
                over, and has it again when the clock was put right.
        """
        if not trusted:
            return []
        with self._standing.turn:
            with self._database.write() as connection:
                ended = self._reader.read(connection, lifecycle.expire(connection, now_ns))
            for order in ended:
                self._standing.keep(order)
        return ended

    def release_slot(self, warrant_id: str) -> None:
        """Gives back the slot of an order that is over, once none of its target entries is left; again does nothing.

        Raises:
            UnavailableError: there is no such order.
            RefusedError: the order is not over.
        """
        with self._database.write() as connection:
            number = number_of_id(connection, warrant_id)
            state = connection.execute(select(warrants.c.state).where(warrants.c.number == number)).scalar_one()
            if state not in OVER:
                raise RefusedError(f"Order {warrant_id} is {state} and keeps its slot.", "Revoke it first.")
            slots.give_back(connection, number)
            connection.execute(update(warrants).where(warrants.c.number == number).values(released=True))

    def close_order(self, name: str, now_ns: int, summary: Mapping[str, Any]) -> Warrant:
        """Seals an order that is over and delivered, with its final counts, manifest and hashes.

        Raises:
            RefusedError: it is not over, or its slot was not given back.
        """
        return self._on(name, lambda connection, number: lifecycle.close(connection, number, now_ns, summary))

    def destroy_key(self, name: str, now_ns: int) -> Warrant:
        """Makes all that names the subject of a closed order unreadable for good."""
        done = self._on(name, lambda connection, number: lifecycle.destroy_key(connection, self._vault, number, now_ns))
        self._reader.forget()
        self._database.kind.erase(whole=False)
        return done

    # ---- questions

    def get(self, name: str) -> Warrant:
        """One order; of several with a LIID, the one that is not over."""
        with self._database.read() as connection:
            return self._reader.one(connection, number_of(connection, name))

    def stand(self) -> None:
        """From here on `standing` answers from memory: for a daemon, beside which nobody writes to the database."""
        with self._standing.turn:
            self._standing.begin(self.list(OPEN))

    def standing(self, name: str) -> Warrant | None:
        """As `get`, of an order that is not over, without the database; None where only the database can tell."""
        return self._standing.find(name)

    def list(self, states: Collection[State] | None = None) -> Warrants:
        """Orders, oldest first: all, or those in some states. Unseals each; see `overview`."""
        if states is not None:
            return self._where(warrants.c.state.in_(states))
        with self._database.read() as connection:
            return self._reader.read(connection)

    def overview(self, states: Collection[State] | None = None) -> Overviews:
        """As `list`, without anything that names a subject."""
        query = select(warrants)
        with self._database.read() as connection:
            return overviews(connection, query if states is None else query.where(warrants.c.state.in_(states)))

    def approvals(self) -> Approvals:
        """Every approved instrument of every order, without anything that names a subject."""
        with self._database.read() as connection:
            return approvals(connection)

    def live(self, now_ns: int) -> Warrants:
        """Orders to be armed: approved and not past their end; also those that start later, with their window."""
        return self._where(warrants.c.state.in_(LIVE), warrants.c.ends_ns > now_ns)

    def unfinished(self) -> Warrants:
        """Orders that hold a slot: approved and not over, or over and not delivered."""
        return self._where(~warrants.c.released, warrants.c.slot.is_not(None))

    def warrant_key(self, name: str) -> bytes:
        """The order's own key, 32 bytes, to derive others from (`lictl.keys.sealer.derive`).

        Raises:
            RefusedError: it was destroyed.
        """
        with self._database.read() as connection:
            number = number_of(connection, name)
            uuid = connection.execute(select(warrants.c.uuid).where(warrants.c.number == number)).scalar_one()
            return self._vault.key(connection, number, uuid)

    def seal(self, name: str, place: str, value: Any) -> bytes:
        """A JSON value under the order's own key, for a place outside of the store.

        Args:
            name: of the order.
            place: that it is for, and opens at (`unseal`): such as "audit/unable".
            value: what JSON can hold.

        Raises:
            RefusedError: the key was destroyed.
        """
        order = self.get(name)
        return self._vault.seal(self.warrant_key(order.id), order.uuid, place, value)

    def unseal(self, name: str, place: str, blob: bytes) -> Any:
        """What `seal` sealed; IntegrityError where it was changed or moved."""
        order = self.get(name)
        return self._vault.open(self.warrant_key(order.id), order.uuid, place, blob)

    def owned(self, names: Iterable[str]) -> set[str]:
        """Those of some names that are the uuid or the id of an order."""
        with self._database.read() as connection:
            return owned(connection, list(names))

    def openings(self, orders: Iterable[Warrant]) -> Openings:
        """What opening the streams of orders takes, read at once."""
        with self._database.read() as connection:
            return Openings(connection, self._vault, orders)

    # ---- what the daemon keeps

    def set_base(self, warrant_id: str, incarnation: int, base: Mapping[str, Any]) -> None:
        """Records to which kernel tables the order's counters belong now, and what it had counted before them.

        Raises:
            UnavailableError: there is no such order.
        """
        self.set_bases([warrant_id], incarnation, base)

    def set_bases(self, warrant_ids: Iterable[str], incarnation: int, base: Mapping[str, Any]) -> None:
        """As `set_base`, of several orders in one transaction."""
        values = {"incarnation": str(incarnation), "base": json.dumps(dict(base))}
        with self._standing.turn:
            with self._database.write() as connection:
                numbers = [number_of_id(connection, name) for name in warrant_ids]
                for number in numbers:
                    connection.execute(update(warrants).where(warrants.c.number == number).values(values))
            for number in numbers:
                self._standing.change(f"W-{number}", incarnation=incarnation, base=dict(base))

    # ---- inside

    def _act(self, act: Callable[[Connection], int]) -> Warrant:
        """One act, one transaction; `act` returns the order's number."""
        with self._standing.turn:
            with self._database.write() as connection:
                order = self._reader.one(connection, act(connection))
            self._standing.keep(order)
        return order

    def _on(self, name: str, act: Callable[[Connection, int], None]) -> Warrant:
        def on_number(connection: Connection) -> int:
            number = number_of(connection, name)
            act(connection, number)
            return number

        return self._act(on_number)

    def _further(self, name: str, file: WarrantFile, act: Act, word: str, who: Who, now_ns: int) -> Warrant:
        def write(connection: Connection, number: int) -> None:
            order = self._reader.one(connection, number)
            move(order.id, State(order.state), act)
            check_file(order, file, word)
            write_instrument(connection, self._vault, number, file, word, who, now_ns)

        return self._on(name, write)

    def _where(self, *conditions: ColumnElement[bool]) -> Warrants:
        with self._database.read() as connection:
            return self._reader.read(
                connection, connection.execute(select(warrants.c.number).where(*conditions)).scalars()
            )
