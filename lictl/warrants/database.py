# SPDX-License-Identifier: Apache-2.0
"""The SQLite file below the store: private, durable, one writer at a time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import DatabaseError, OperationalError

from lictl.errors import IntegrityError, MachineError, UnavailableError
from lictl.home import FILE_MODE
from lictl.warrants import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_MS: Final = 10_000
"""How long a writer waits for another one."""


class Database:
    """Connections to one file; each transaction is whole or nothing, also across kill -9 and power loss."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file.

        Raises:
            UnavailableError: the folder is not there, or the file was made by another version.
            MachineError: no permission, disk full.
            IntegrityError: the file is no store.
        """
        self.path = path
        _make_private(path)
        # Parameters name targets, so no exception may quote them.
        self._engine: Engine = create_engine(f"sqlite:///{path}", hide_parameters=True)
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        try:
            with self.write() as connection:
                _make_schema(connection, path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the store; writers go on beside it."""
        with _plain_errors(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end, rolled back on an exception; no other writer meanwhile."""
        with _plain_errors(self.path), self._engine.connect() as plain:
            connection = plain.execution_options(lictl_write=True)
            with connection.begin():
                yield connection


def _make_private(path: Path) -> None:
    """The file with mode 0600 before SQLite sees it; its -wal and -shm get the same mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    except FileNotFoundError:
        raise UnavailableError(f"{path.parent} does not exist.", "Make the home with `lictl init`.") from None
    except OSError as error:
        raise MachineError(
            f"{path} cannot be opened: {error.strerror}.", "Run lictl as the owner of its home."
        ) from None
    try:
        os.fchmod(descriptor, FILE_MODE)
    except OSError as error:
        raise MachineError(f"{path} cannot be made private: {error.strerror}.", "Check who owns it.") from None
    finally:
        os.close(descriptor)


def _prepare(connection: Any, _record: Any) -> None:
    # Without this the driver decides by itself when a transaction begins.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("lictl_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_schema(connection: Connection, path: Path) -> None:
    if not inspect(connection).get_table_names():
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.schema).values(version=schema.VERSION))
        return
    if not inspect(connection).has_table("schema"):
        raise IntegrityError(f"{path} is no store of lictl.", "Name the home that `lictl init` made.")
    version = connection.execute(select(schema.schema.c.version)).scalar()
    if version != schema.VERSION:
        what = f"{path} has version {version}, this lictl reads version {schema.VERSION}."
        raise UnavailableError(what, "Use the lictl that made it.")


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite reports into errors for people."""
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig)
        if "locked" in reason:
            raise UnavailableError(f"{path} is in use by another process.", "Try again.") from None
        raise MachineError(f"{path}: {reason}.", "Check disk space and permissions.") from None
    except DatabaseError as error:
        if "not a database" in str(error.orig) or "malformed" in str(error.orig):
            raise IntegrityError(f"{path} is damaged: {error.orig}.", "Restore it from a backup.") from None
        raise
