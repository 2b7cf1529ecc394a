# SPDX-License-Identifier: Apache-2.0
"""What happens when a store is opened: its tables are made or brought up to date, its key is checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select

from lictl.errors import IntegrityError, UnavailableError
from lictl.home import Home
from lictl.warrants.rows import Reader
from lictl.warrants.schema import VERSION, meta
from lictl.warrants.upgrade import upgrade, version_of
from lictl.warrants.vault import Vault

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lictl.keys.sealer import Sealer
    from lictl.warrants.database import Database, Place

CHECK: Final = "seal_check"
"""Key of `meta`: a wrapped key (hex), by which another site's key is found before it seals anything."""
ERASE: Final = "erase"
"""Key of `meta`: rows of version 1 were sealed, and what they held in plain is still in the file."""
_CONTEXT: Final = b"lictl.warrants/check"


def prepare(database: Database, sealer: Sealer | None) -> tuple[Vault, Reader]:
    """Brings the tables up to date and opens what is sealed; errors as of `Store.open`."""
    with database.read() as connection:
        version = version_of(connection, database.name)
    if version < VERSION:
        with database.write() as connection:
            sealer = _bring_up(connection, database, sealer)
    if sealer is None:
        sealer = _of_home(database.place, make=False)
    with database.read() as connection:
        noted = dict(connection.execute(select(meta.c.key, meta.c.value).where(meta.c.key.in_((CHECK, ERASE)))).all())
    _check_key(database.name, sealer, noted.get(CHECK))
    if ERASE in noted:
        _erase(database)
    vault = Vault(sealer)
    return vault, Reader(vault)


def _bring_up(connection: Connection, database: Database, sealer: Sealer | None) -> Sealer:
    version = version_of(connection, database.name)  # another process may have done it meanwhile
    made = sealer or _of_home(database.place, make=version < VERSION)
    if version < VERSION:
        upgrade(connection, version, lambda: made)
        check = made.wrap(made.new_key(), _CONTEXT).hex()
        connection.execute(insert(meta), [{"key": CHECK, "value": check}])
        if version:
            connection.execute(insert(meta), [{"key": ERASE, "value": "due"}])
    return made


def _of_home(place: Place, *, make: bool) -> Sealer:
    """The sealer of the home in which the file lies; its keys are made where nothing can have been sealed yet."""
    from lictl.keys.site import FOLDER, SiteKey

    if not isinstance(place, Path):
        raise ValueError("a store that is no file needs the sealer of its home")
    home = Home(place.parent)
    if make and not (home.root / FOLDER).exists():
        return SiteKey.make(home).sealer
    return SiteKey.open(home).sealer


def _check_key(name: str, sealer: Sealer, check: str | None) -> None:
    try:
        sealer.unwrap(bytes.fromhex(check or ""), _CONTEXT)
    except (IntegrityError, ValueError):
        raise IntegrityError(
            f"{name} was sealed with another site's key.", "Restore database and keys from one backup."
        ) from None


def _erase(database: Database) -> None:
    try:
        database.kind.erase()
    except UnavailableError:
        return  # somebody reads; the next opening does it
    with database.write() as connection:
        connection.execute(delete(meta).where(meta.c.key == ERASE))
