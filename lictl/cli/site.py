# SPDX-License-Identifier: Apache-2.0
"""`lictl init`."""

from __future__ import annotations

from typing import Annotated

import typer

from lictl.cli import output, state

EXAMPLE = "Example: lictl init --operator ISP-7 --country US --role operator=alice --role approver=bob"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "init", epilog="Example: lictl init --operator ISP-7 --country US --role operator=alice --role approver=bob"
    )(init)


def init(
    operator: Annotated[str, typer.Option(help="Operator identifier, 1 to 16 of A-Z a-z 0-9 . _ -")],
    country: Annotated[str, typer.Option(help="Country whose law applies, two capital letters (ISO 3166-1).")],
    element: Annotated[str, typer.Option(help="Identifier of this network element, 1 to 16 characters.")] = "lictl-1",
    role: Annotated[
        list[str] | None, typer.Option(help="ROLE=USER: operator, approver, auditor or collector-admin; repeat.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Jurisdiction profile (`lictl profile list`); by default the country's.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Keep the orders in PostgreSQL: postgresql+psycopg://USER@HOST/NAME, a new one.")
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Makes the home of a site: its settings, its store, who may do what. Refuses a folder that is in use.

    An order takes two people: an operator who submits it and an approver who is somebody else.
    """
    from lictl.people.roles import read_grants
    from lictl.service.founding import found
    from lictl.service.site import check_site

    now = state.use(home, as_json)
    site, roles = check_site(operator, element, country, database), read_grants(role or [])
    jurisdiction = found(now.home, site, roles, profile)
    output.answer(
        now,
        {
            "home": str(now.home.root),
            **site.model_dump(mode="json"),
            "profile": jurisdiction.name,
            "roles": roles.rows(),
        },
        f"Made the home {now.home.root} of operator {site.operator}, element {site.element}, country {site.country}, "
        f"profile {jurisdiction.name}.\n"
        "Next: lictl agency new NAME",
    )
