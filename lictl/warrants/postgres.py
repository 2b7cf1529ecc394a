# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL by URL, such as ``postgresql+psycopg://lictl@db.example/lictl``: one database for each home."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import IntegrityError as ConstraintError

from lictl.errors import IntegrityError, MachineError, RefusedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRIVER: Final = "postgresql+psycopg"
MORE: Final = 40
"""Connections beside those that are kept: as many as there are clients at once, and threads of the daemon."""
WAIT_MS: Final = 10_000
"""How long a writer waits for another one."""
PATIENCE: Final = {
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""A server whose machine or network is gone is noticed in 25 s: the kernel's own times would hold an act for hours."""
WRITER: Final = 0x6C69_6374_6C00
"""Advisory lock of the one transaction that writes."""
DAEMON: Final = WRITER + 1
"""Advisory lock of the one daemon that serves what the database holds."""


class Postgres:
    """One database of a server.

    Raises:
        UsageError: the URL is none of PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            parsed = None
        if parsed is None or parsed.drivername != DRIVER:
            # The URL may hold a password and is not shown.
            raise UsageError("The database is no URL of PostgreSQL.", f"Write {DRIVER}://USER@HOST/NAME.")
        host = parsed.host or parsed.query.get("host", "this machine")
        self.name = f"database {parsed.database} on {host}"
        # Parameters name targets, so no exception may quote them.
        self.engine: Engine = create_engine(
            parsed,
            hide_parameters=True,
            pool_pre_ping=True,
            max_overflow=MORE,
            connect_args={"application_name": "lictl", **PATIENCE},
        )
        event.listen(self.engine, "connect", _prepare)

    def begin(self, connection: Connection, *, write: bool) -> None:
        """A reader sees one snapshot; a writer sees all that earlier writers committed, once it has the lock."""
        if not write:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            return
        # Under a snapshot of its own the writer would not see what was committed while it waited.
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITER})

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what PostgreSQL reports into errors for people."""
        try:
            yield
        except OperationalError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == "55P03":  # lock_not_available
                raise UnavailableError(f"The {self.name} is in use by another process.", "Try again.") from None
            if state is not None and state.startswith("53"):  # insufficient_resources
                raise MachineError(f"The {self.name} has no room left.", "Free space on its server.") from None
            raise UnavailableError(
                f"The {self.name} cannot be reached: {_first_line(error)}", "Check the server and the URL."
            ) from None
        except ConstraintError as error:  # its detail quotes the row
            reason = _first_line(error)
            raise IntegrityError(f"The {self.name} refuses a change: {reason}.", "Nothing was changed.") from None
        except DatabaseError as error:
            if getattr(error.orig, "sqlstate", None) == "42501":  # insufficient_privilege
                raise MachineError(
                    f"The {self.name} refuses: {_first_line(error)}", "Make the user its owner."
                ) from None
            raise

    def erase(self, *, whole: bool) -> None:
        """Takes out what dead rows hold; what the server's own log and backups hold is the server's affair."""
        with self.errors(), self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM FULL" if whole else "VACUUM FULL warrant_keys")

    @contextmanager
    def hold(self) -> Iterator[Callable[[], None]]:
        """Keeps other daemons out while a connection lives that nothing else uses."""
        hold = _Hold(self)
        hold.keep()
        try:
            yield hold.keep
        finally:
            hold.end()


class _Hold:
    """A session whose end, also a sudden one, lets the next daemon in."""

    def __init__(self, database: Postgres) -> None:
        self._database = database
        self._connection: Connection | None = None

    def keep(self) -> None:
        """Takes it where it is not held, or not any more.

        Raises:
            RefusedError: another daemon has it.
            UnavailableError: the server cannot be reached.
        """
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
            except DatabaseError:
                self.end()
            else:
                return
        with self._database.errors():
            connection = self._database.engine.execution_options(isolation_level="AUTOCOMMIT").connect()
            taken = connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": DAEMON}).scalar()
        if not taken:
            connection.close()
            raise RefusedError(
                f"Another daemon serves the {self._database.name}.",
                "Stop it, or give each home a database of its own.",
            )
        self._connection = connection

    def end(self) -> None:
        """Ends the session, and with it the lock."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _prepare(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {WAIT_MS}")
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("SET timezone = 'UTC'")
    connection.commit()


def _first_line(error: DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason given."
