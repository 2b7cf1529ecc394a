# SPDX-License-Identifier: Apache-2.0
"""What an agency must be, and its rows in the store."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError
from sqlalchemy import insert, select, update

from lictl.delivery.config import Transport
from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.warrants.fields import did_you_mean, read_name, shown
from lictl.warrants.records import Agency
from lictl.warrants.schema import agencies, deliveries, warrants
from lictl.warrants.states import OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lictl.warrants.vault import Vault

_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_NO_PORT = 1
"""In the store, whose column asks for a port, of an agency that has none."""
MAX_OPTIONS = 4096
"""Bytes of an agency's options as JSON."""


def check(agency: Agency) -> None:
    """Refuses an agency that cannot be.

    Raises:
        UsageError: what is wrong with it.
    """
    for what, name in (("agency name", agency.name), ("format", agency.format)):
        try:
            read_name(name)
        except PydanticCustomError as error:
            context = error.context or {}
            fix = str(context["fix"])
            raise UsageError(f"The {what} {context['what']}.", f"{fix[:1].upper()}{fix[1:]}.") from None
    _check_place(agency)
    if len(_options(agency.options)) > MAX_OPTIONS:
        raise UsageError(f"The options of agency {agency.name} are longer than {MAX_OPTIONS} bytes.", "Shorten them.")


def _check_place(agency: Agency) -> None:
    if agency.transport.kind == "files":
        if agency.host or agency.port:
            raise UsageError("An agency that fetches files is not connected to.", "Leave --host and --port out.")
        return
    if not _is_host(agency.host):
        raise UsageError(f"{shown(agency.host)} is no host.", "Write a host name or an IP address.")
    if isinstance(agency.port, bool) or not isinstance(agency.port, int) or not 1 <= agency.port <= 65535:
        raise UsageError(f"{agency.port!r} is no TCP port.", "Write a number from 1 to 65535.")


def _options(options: dict[str, Any]) -> str:
    try:
        return json.dumps(options, allow_nan=False)
    except (TypeError, ValueError):
        raise UsageError("An agency's options are text and numbers.", "Write KEY=VALUE.") from None


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # All digits and dots is a mistyped address, not a name.
        return bool(_HOST.fullmatch(host)) and not re.fullmatch(r"[0-9.]+", host)
    return True


def add(connection: Connection, vault: Vault, agency: Agency) -> None:
    """Adds an agency with keys of its own; one that was removed may come back under its name, with other keys."""
    row = connection.execute(select(agencies).where(agencies.c.name == agency.name)).one_or_none()
    values = {
        "host": agency.host,
        "port": agency.port or _NO_PORT,
        "format": agency.format,
        "options": _options(agency.options),
        "removed": False,
        "transport": json.dumps(agency.to_plain()["transport"]),
    }
    if row is None:
        connection.execute(insert(agencies).values(name=agency.name, **values))
    elif row.removed:
        connection.execute(update(agencies).where(agencies.c.name == agency.name).values(**values))
    else:
        fix = f"Remove it first with `lictl agency remove {agency.name}`, or choose another name."
        raise UsageError(f"There is an agency {agency.name} already.", fix)
    vault.keep_secrets(connection, agency.name, agency.transport.key)


def renew(connection: Connection, vault: Vault, name: str, transport: Transport) -> None:
    """Replaces how an agency is reached; its own keys stay.

    Raises:
        UnavailableError: there is none of that name.
    """
    agency = replace(one(connection, name), transport=transport)
    values = {"transport": json.dumps(agency.to_plain()["transport"])}
    connection.execute(update(agencies).where(agencies.c.name == name).values(**values))
    vault.renew_tls_key(connection, name, transport.key)


def every(connection: Connection) -> list[Agency]:
    """All agencies that were not removed, by name."""
    rows = connection.execute(select(agencies).where(~agencies.c.removed).order_by(agencies.c.name))
    return [_agency(row) for row in rows]


def one(connection: Connection, name: str) -> Agency:
    """One agency.

    Raises:
        UnavailableError: there is none of that name.
    """
    return among(every(connection), name)


def among(known: Sequence[Agency], name: str) -> Agency:
    """One of these agencies; UnavailableError where none has that name."""
    for agency in known:
        if agency.name == name:
            return agency
    fix = f"{did_you_mean(name, [agency.name for agency in known])}add it with `lictl agency add`."
    raise UnavailableError(f"There is no agency {shown(name)}.", fix[0].upper() + fix[1:])


def remove(connection: Connection, vault: Vault, name: str) -> None:
    """Removes an agency that no order in force names, and its keys.

    Raises:
        UnavailableError: there is none of that name.
        RefusedError: an order that is not over names it.
    """
    one(connection, name)
    query = (
        select(warrants.c.number)
        .join(deliveries, deliveries.c.warrant == warrants.c.number)
        .where(deliveries.c.agency == name, warrants.c.state.in_(OPEN))
        .order_by(warrants.c.number)
    )
    numbers = connection.execute(query).scalars().all()
    if numbers:
        orders = ", ".join(f"W-{number}" for number in numbers)
        raise RefusedError(
            f"Agency {name} receives orders that are not over: {orders}.",
            "Revoke them first; certificates change with `lictl agency renew`.",
        )
    connection.execute(update(agencies).where(agencies.c.name == name).values(removed=True))
    vault.forget_secrets(connection, name)


def _agency(row: Any) -> Agency:
    transport = Transport(**json.loads(row.transport))
    host, port = ("", 0) if transport.kind == "files" else (row.host, row.port)
    return Agency(row.name, host, port, row.format, json.loads(row.options), transport)
