# SPDX-License-Identifier: Apache-2.0
"""Brings the tables of a store up to what this lictl reads: Alembic's steps, all in one transaction."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from sqlalchemy import inspect, select

from lictl.errors import IntegrityError, UnavailableError
from lictl.warrants import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lictl.keys.sealer import Sealer


def version_of(connection: Connection, name: str) -> int:
    """The version of the tables that are there; 0: none.

    Raises:
        IntegrityError: they are not those of a store.
        UnavailableError: a newer lictl made them.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return 0
    if "schema" not in tables:
        raise IntegrityError(f"{name} is no store of lictl.", "Name the home that `lictl init` made.")
    version = connection.execute(select(schema.schema.c.version)).scalar()
    if version is None or not 1 <= version <= schema.VERSION:
        what = f"{name} has version {version}, this lictl reads versions 1 to {schema.VERSION}."
        raise UnavailableError(what, "Use the lictl that made it.")
    return int(version)


def upgrade(connection: Connection, version: int, sealer: Sealer) -> None:
    """Runs the steps that are missing.

    Args:
        connection: in a transaction that writes; nothing is committed here.
        version: of the tables that are there.
        sealer: seals what an older version had in plain.
    """
    # Alembic is slow to import and not needed on most starts.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    with as_file(files("lictl.warrants.migrations")) as folder:
        config = Config()
        config.attributes["sealer"] = sealer
        script = ScriptDirectory(str(folder), version_locations=[str(folder / "versions")])
        head = f"{schema.VERSION:04d}"
        with EnvironmentContext(config, script, destination_rev=head) as environment:
            environment.configure(connection=connection, fn=lambda at, _: script._upgrade_revs(head, at))
            context = environment.get_context()
            if version and not context.get_current_heads():
                context.stamp(script, f"{version:04d}")  # version 1 was made without Alembic
            environment.run_migrations()
