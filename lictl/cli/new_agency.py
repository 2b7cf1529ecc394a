# SPDX-License-Identifier: Apache-2.0
"""`lictl agency new`: asks for what the chosen format and way need, and adds the agency as `lictl agency add` does."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from lictl.cli import state
from lictl.cli.agency_request import add
from lictl.cli.asking import to_the_end, yes
from lictl.errors import UsageError
from lictl.home import Home

if TYPE_CHECKING:
    from lictl.cli.agency_request import AgencyRequest


def register(app: typer.Typer) -> None:
    """Adds the command to `lictl agency`."""
    app.command("new", epilog="Example: lictl agency new county-sheriff")(new)


def new(
    name: Annotated[str, typer.Argument(help="Name of the agency, as warrant files write it.")],
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Asks for what an agency needs: format, way, TLS, options; shows the same as `agency add`, and adds it.

    What this site may not hand over, or what cannot work together, is not offered; each answer is judged at once.
    Nothing is added before you confirm it at the end.
    """
    now = state.use(home, as_json)
    with to_the_end():
        request = _asked(now, name)
        place = [] if now.home.root == Home.default().root else ["--home", shlex.quote(str(now.home.root))]
        command = " ".join([request.command(name), *place])
        confirmed = yes("Add it", f"The same without questions:\n  {command}")
    if not confirmed:
        raise typer.Abort
    add(now, name, request)


def _asked(now: state.State, name: str) -> AgencyRequest:
    from lictl.cli import agency_questions
    from lictl.service.administration import call

    allowed = call(now.home, "agency.formats")
    if any(agency["name"] == name for agency in call(now.home, "agency.list")):
        fix = "Choose another name; certificates change with `lictl agency renew`."
        raise UsageError(f"there is an agency {name} already.", fix)
    return agency_questions.asked(name, allowed["site"], allowed["formats"])
