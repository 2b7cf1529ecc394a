# SPDX-License-Identifier: Apache-2.0
"""The database below the store: one writer at a time, each transaction whole or nothing.

SQLite in a private file of the home is the default (`lictl.warrants.sqlite`); PostgreSQL by its URL
(`lictl.warrants.postgres`).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from lictl.warrants.postgres import Postgres
from lictl.warrants.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

Place: TypeAlias = Path | str
"""A file, or the URL of a PostgreSQL database."""


class Kind(Protocol):
    """What differs between databases."""

    name: str
    """Of the database, for people: no password in it."""
    engine: Engine

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begins a transaction; one that writes waits until no other one writes."""

    def errors(self) -> AbstractContextManager[None]:
        """Turns what the database reports into errors for people."""

    def erase(self, *, whole: bool) -> None:
        """Takes out of its files what rows held that are gone: all of them, or only of keys."""

    def hold(self) -> AbstractContextManager[Callable[[], None]]:
        """Keeps other daemons from this database; RefusedError where one has it.

        What it gives holds it anew where a connection was lost; as an error, where that is not possible.
        """


class Database:
    """Transactions on one database.

    Raises:
        UnavailableError: it is not there.
        MachineError: no permission, disk full.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        # SQLite's own waiting sleeps in steps that grow; between threads a lock hands over at once.
        self._writer = threading.Lock()
        self.kind: Kind = Sqlite(place) if isinstance(place, Path) else Postgres(place)

    @property
    def name(self) -> str:
        """For people."""
        return self.kind.name

    def close(self) -> None:
        """Closes every connection."""
        self.kind.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the store; writers go on beside it."""
        with self._transaction(write=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end, rolled back on an exception; no other writer meanwhile."""
        with self._writer, self._transaction(write=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        with self.kind.errors(), self.kind.engine.connect() as connection, connection.begin():
            self.kind.begin(connection, write=write)
            yield connection
