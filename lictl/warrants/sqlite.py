# SPDX-License-Identifier: Apache-2.0
"""SQLite in one private file: write-ahead log, full synchronisation, freed pages overwritten."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import IntegrityError as ConstraintError

from lictl.errors import IntegrityError, MachineError, UnavailableError
from lictl.home import FILE_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MORE: Final = 40
"""Connections beside those that are kept: as many as there are clients at once, and threads of the daemon."""
BUSY_MS: Final = 10_000
"""How long a writer waits for another one."""


class Sqlite:
    """One file; made where it is not there.

    Raises:
        UnavailableError: its folder is not there.
        MachineError: no permission.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)
        _make_private(path)
        # Parameters name targets, so no exception may quote them.
        self.engine: Engine = create_engine(f"sqlite:///{path}", hide_parameters=True, max_overflow=MORE)
        event.listen(self.engine, "connect", _prepare)

    def begin(self, connection: Connection, *, write: bool) -> None:
        """The driver begins nothing by itself (`_prepare`)."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what SQLite reports into errors for people."""
        try:
            yield
        except OperationalError as error:
            reason = str(error.orig)
            if "locked" in reason:
                raise UnavailableError(f"{self.name} is in use by another process.", "Try again.") from None
            raise MachineError(f"{self.name}: {reason}.", "Check disk space and permissions.") from None
        except ConstraintError as error:
            raise IntegrityError(f"{self.name} refuses a change: {error.orig}.", "Nothing was changed.") from None
        except DatabaseError as error:
            if "not a database" in str(error.orig) or "malformed" in str(error.orig):
                raise IntegrityError(f"{self.name} is damaged: {error.orig}.", "Restore it from a backup.") from None
            raise

    def erase(self, *, whole: bool) -> None:
        """Empties the log of what was overwritten; `whole`: writes the file anew as well."""
        with self.errors(), self.engine.connect() as connection:
            if whole:
                connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def hold(self) -> Iterator[Callable[[], None]]:
        """Nothing to do: the file lies in the home, and the home's own lock admits one daemon."""
        yield lambda: None


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
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()
