# SPDX-License-Identifier: Apache-2.0
"""`lictl role`: who may do what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lictl.cli import output, state

app = typer.Typer(no_args_is_help=True, help="Who may do what: operators, approvers, auditors, collector-admins.")

User = Annotated[str, typer.Argument(help="Unix user name, or number.")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="operator, approver, auditor or collector-admin.")]


@app.command("list", epilog="Example: lictl role list")
def show_all(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Lists the users that have roles."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    rows = call(now.home, "role.list")
    if now.as_json:
        output.emit(rows)
    elif not rows:
        output.console().print("Nobody has a role yet. Give one with `lictl role grant USER ROLE`.")
    else:
        _table(rows)


@app.command("grant", epilog="Example: lictl role grant alice operator")
def grant(user: User, role: RoleName, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Gives a user a role. For root and the owner of the home; it counts from the user's next command on."""
    _change("role.grant", f"{user} is {role} now.", user, role, state.use(home, as_json))


@app.command("withdraw", epilog="Example: lictl role withdraw alice operator")
def withdraw(user: User, role: RoleName, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Takes a role from a user. For root and the owner of the home."""
    _change("role.withdraw", f"{user} is not {role} any more.", user, role, state.use(home, as_json))


def _change(op: str, text: str, user: str, role: str, now: state.State) -> None:
    from lictl.service.administration import call

    rows = call(now.home, op, user=user, role=role)
    output.answer(now, rows, text)


def _table(rows: list[dict[str, Any]]) -> None:
    columns = ["USER", "UID", "ROLES"]
    cells = [(row["user"], "no such user" if row["uid"] is None else str(row["uid"]), ", ".join(row["roles"]))
             for row in rows]  # fmt: skip
    output.console().print(output.table(columns, cells))
