# SPDX-License-Identifier: Apache-2.0
"""Who runs this site: `lictl.toml`, made by `lictl init` and read by everything that names the operator."""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lictl.errors import MachineError, RefusedError, UsageError
from lictl.home import FILE_MODE, FOLDER_MODE, PASSAGE_MODE
from lictl.people.roles import Roles

if TYPE_CHECKING:
    from lictl.home import Home

# OperatorIdentifier and NetworkElementIdentifier: OCTET STRING (SIZE (1..16)), ETSI TS 102 232-1 annex A.
Identifier = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[A-Za-z0-9._-]+$")]
# ISO 3166-1 alpha-2, the authorizationCountryCode of ETSI TS 102 232-1.
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class NetworkPlan(BaseModel):
    """``[network]``: what `lictl warrant check` and approvers are warned of.

    Attributes:
        shared: ranges whose addresses many subscribers have at once (CGNAT, RFC 6598 and public pools).
        infrastructure: the operator's own routers, resolvers and servers.
        subscribers: subscriber -> its fixed networks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shared: tuple[IpNetwork, ...] = ()
    infrastructure: tuple[IpNetwork, ...] = ()
    subscribers: Annotated[dict[str, tuple[IpNetwork, ...]], Field(repr=False)] = {}


class Site(BaseModel):
    """The operator, the network element this machine is, and the country whose law applies.

    `audit_syslog` also sends heads of the audit chain to the syslog, for another machine to keep. `database` is the URL
    of a PostgreSQL database that holds the orders in place of the home's own file (`lictl.warrants.opening`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    operator: Identifier
    element: Identifier
    country: Country
    network: Annotated[NetworkPlan, Field(exclude=True)] = NetworkPlan()
    audit_syslog: Annotated[bool, Field(exclude=True)] = False
    database: Annotated[str | None, Field(exclude=True, repr=False)] = None


def make_site(home: Home, site: Site, roles: Roles | None = None) -> None:
    """Makes a home: its folders (0700; 0711 on the way to the control socket), lictl.toml and roles.toml (0600).

    Args:
        home: not made yet.
        site: what lictl.toml says.
        roles: who may do what from the beginning.

    Raises:
        RefusedError: something is there already; nothing was changed.
        MachineError: it cannot be made there.
    """
    try:
        _make(home, site, roles or Roles({}))
    except OSError as error:
        raise MachineError(
            f"{home.root} cannot be made: {error.strerror}.", "Name a folder where you can make one with --home."
        ) from None


def _make(home: Home, site: Site, roles: Roles) -> None:
    if home.root.exists() and any(home.root.iterdir()):
        raise RefusedError(
            f"{home.root} exists already and is not empty.", "Name another folder with --home, or remove this one."
        )
    home.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    home.make_folder(home.run)
    for folder in home.passages:
        folder.chmod(PASSAGE_MODE)
    home.make_folder(home.spool)
    values = site.model_dump() | ({} if site.database is None else {"database": site.database})
    text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
    descriptor = os.open(home.site_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write("# The site of this lictl home. Identifiers stand in everything that is handed over.\n" + text)
        file.flush()
        os.fsync(file.fileno())
    roles.save(home)


def check_site(operator: str, element: str, country: str, database: str | None = None) -> Site:
    """A site from the command line.

    Raises:
        UsageError: an identifier cannot be used, with the reason.
    """
    try:
        return Site(operator=operator, element=element, country=country, database=database)
    except ValidationError as error:
        fix = "operator and element take 1 to 16 of A-Z a-z 0-9 . _ -, country two capital letters such as US."
        raise UsageError(_reasons(error), fix) from None


def read_site(home: Home) -> Site:
    """The site of this home.

    Raises:
        UsageError: the file is damaged or was edited wrongly, with the reason.
    """
    try:
        return Site.model_validate(tomllib.loads(home.site_file.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{home.site_file} is not TOML: {error}.", "Correct the file.") from None
    except ValidationError as error:
        raise UsageError(f"{home.site_file}: {_reasons(error)}", "Correct the file.") from None


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()) + "."
