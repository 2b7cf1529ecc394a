# SPDX-License-Identifier: Apache-2.0
"""What the store keeps beside agencies and orders: the daemon's notes and hold, and the anchor of the audit chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from lictl.warrants.schema import audit_head, meta

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from lictl.warrants.database import Database


class Notes:
    """Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, key: str) -> str | None:
        """A note that was kept; None: there is none."""
        with self._database.read() as connection:
            return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()

    def keep_note(self, key: str, value: str) -> None:
        """Keeps a note under a key, such as the last time that could be trusted."""
        with self._database.write() as connection:
            connection.execute(delete(meta).where(meta.c.key == key))
            connection.execute(insert(meta).values(key=key, value=value))

    def audit_head(self) -> tuple[int, str] | None:
        """Sequence and hash of the audit chain's last entry that was anchored here."""
        with self._database.read() as connection:
            row = connection.execute(select(audit_head)).one_or_none()
            return None if row is None else (row.seq, row.hash)

    def set_audit_head(self, seq: int, hash_: str, now_ns: int) -> None:
        """Anchors the head of the audit chain."""
        with self._database.write() as connection:
            connection.execute(delete(audit_head))
            connection.execute(insert(audit_head).values(id=1, seq=seq, hash=hash_, time_ns=now_ns))

    def hold(self) -> AbstractContextManager[Callable[[], None]]:
        """While the context lasts no other daemon can hold this database; RefusedError where one does.

        What it gives is to be called now and then: the hold ends with its connection, and is taken anew.
        """
        return self._database.kind.hold()
