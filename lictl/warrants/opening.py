# SPDX-License-Identifier: Apache-2.0
"""What happens when a store is opened: its tables are made or brought up to date, its key is checked."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, inspect, select

from lictl.errors import IntegrityError, RefusedError, UnavailableError, UsageError
from lictl.home import Home
from lictl.warrants.database import Database
from lictl.warrants.postgres import DRIVER
from lictl.warrants.rows import Reader
from lictl.warrants.schema import VERSION, meta
from lictl.warrants.upgrade import upgrade, version_of
from lictl.warrants.vault import Vault

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lictl.keys.sealer import Sealer
    from lictl.warrants.database import Place

CHECK: Final = "seal_check"
"""Key of `meta`: a wrapped key (hex), by which another site's key is found before it seals anything."""
ERASE: Final = "erase"
"""Key of `meta`: rows of version 1 were sealed, and what they held in plain is still in the file."""
SEALED_SINCE: Final = 2
"""Version of the tables that sealed first."""
_CONTEXT: Final = b"lictl.warrants/check"


def place_of(home: Home) -> Place:
    """Where the store of a home is: the URL that `database` in its lictl.toml gives, else its file.

    Raises:
        UsageError: lictl.toml cannot be read.
    """
    try:
        url = tomllib.loads(home.site_file.read_text()).get("database")
    except FileNotFoundError:
        url = None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{home.site_file} cannot be read: {reason}.", "Correct it.") from None
    if url is None:
        return home.database
    if not isinstance(url, str):
        raise UsageError(f"{home.site_file}: `database` is no text.", f"Write {DRIVER}://USER@HOST/NAME, or nothing.")
    return url


def check_new(url: str) -> None:
    """Whether a new site can have this database.

    Raises:
        UsageError: the URL is none of PostgreSQL.
        UnavailableError: it cannot be reached.
        RefusedError: a site's store is there already.
    """
    database = Database(url)
    try:
        with database.read() as connection:
            if inspect(connection).get_table_names():
                raise RefusedError(f"The {database.name} is not empty.", "Give each site a new database of its own.")
    finally:
        database.close()


def prepare(database: Database, keys: Sealer | Home) -> tuple[Vault, Reader]:
    """Brings the tables up to date and opens what is sealed.

    Args:
        database: as it is.
        keys: what seals; or the home whose keys do, which get made where nothing can have been sealed yet.

    Raises:
        LictlError: as of `Store.open`.
    """
    with database.read() as connection:
        version = version_of(connection, database.name)
    if version < VERSION:
        with database.write() as connection:
            _bring_up(connection, database, keys)
    sealer = _sealer(keys, make=False)
    with database.read() as connection:
        noted = dict(connection.execute(select(meta.c.key, meta.c.value).where(meta.c.key.in_((CHECK, ERASE)))).all())
    _check_key(database.name, sealer, noted.get(CHECK))
    if ERASE in noted:
        _erase(database)
    vault = Vault(sealer)
    return vault, Reader(vault)


def _bring_up(connection: Connection, database: Database, keys: Sealer | Home) -> None:
    version = version_of(connection, database.name)
    if version == VERSION:
        return  # another process has done it meanwhile
    sealer = _sealer(keys, make=version < SEALED_SINCE)
    if version >= SEALED_SINCE:  # before anything is sealed with another site's key
        _check_key(database.name, sealer, connection.execute(select(meta.c.value).where(meta.c.key == CHECK)).scalar())
    upgrade(connection, version, sealer)
    if version < SEALED_SINCE:
        check = sealer.wrap(sealer.new_key(), _CONTEXT).hex()
        connection.execute(insert(meta).values(key=CHECK, value=check))
    if 0 < version < SEALED_SINCE:
        connection.execute(insert(meta).values(key=ERASE, value="due"))


def _sealer(keys: Sealer | Home, *, make: bool) -> Sealer:
    if not isinstance(keys, Home):
        return keys
    from lictl.keys.site import FOLDER, SiteKey

    if make and not (keys.root / FOLDER).exists():
        return SiteKey.make(keys).sealer
    return SiteKey.open(keys).sealer


def _check_key(name: str, sealer: Sealer, check: str | None) -> None:
    try:
        sealer.unwrap(bytes.fromhex(check or ""), _CONTEXT)
    except (IntegrityError, ValueError):
        raise IntegrityError(
            f"{name} was sealed with another site's key.", "Restore database and keys from one backup."
        ) from None


def _erase(database: Database) -> None:
    try:
        database.kind.erase(whole=True)
    except UnavailableError:
        return  # somebody reads; the next opening does it
    with database.write() as connection:
        connection.execute(delete(meta).where(meta.c.key == ERASE))
