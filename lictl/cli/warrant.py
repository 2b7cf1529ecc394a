# SPDX-License-Identifier: Apache-2.0
"""`lictl warrant`: the orders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lictl.cli import output, state
from lictl.cli.store import open_store
from lictl.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The orders: what may be intercepted, for whom, from when until when.")

MAX_FILE = 1 << 20
Name = Annotated[str, typer.Argument(help="The order's id or its LIID.")]


@app.command("add", epilog="Example: lictl warrant add order.toml")
def add(
    file: Annotated[Path, typer.Argument(help="Warrant file (TOML); docs/warrant-file.md describes it.")],
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Checks an order and puts it into force: at once where the daemon runs, else when it is started."""
    from lictl.service import administration
    from lictl.service.guard import open_home

    now = state.use(home, as_json)
    done = administration.add(open_home(now.home), _read(file), str(file))
    output.answer(now, done, f"Added order {done['id']} (LIID {done['liid']}), {done['mode']}, "
                             f"{done['starts']} to {done['ends']}.\n{done['effect']}")  # fmt: skip


@app.command("list", epilog="Example: lictl warrant list --all")
def show_all(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are revoked or expired.")] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Lists the orders."""
    from lictl.service import administration

    now = state.use(home, as_json)
    with open_store(now.home) as store:
        orders = [administration.summary(warrant) for warrant in store.list() if all_ or warrant.state == "active"]
    if now.as_json:
        output.emit(orders)
    elif not orders:
        output.console().print("No order in force." if not all_ else "No order yet.")
    else:
        columns = ["id", "liid", "case_id", "state", "mode", "starts", "ends", "targets", "agencies"]
        rows = [[_cell(order[column]) for column in columns] for order in orders]
        output.console().print(output.table([column.upper() for column in columns], rows))


@app.command("show", epilog="Example: lictl warrant show LIID0117")
def show(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Shows one order: authority, window, targets, agencies and the file that was presented."""
    from lictl.service import administration

    now = state.use(home, as_json)
    with open_store(now.home) as store:
        order = administration.details(store, name)
    if now.as_json:
        output.emit(order)
        return
    shown = ("id", "state", "added", "ended", "targets", "agencies")
    text = "\n".join(f"{key}: {_cell(value)}" for key, value in order.items() if key in shown)
    output.console().print(f"{text}\n\n{order['file']}", markup=False)


@app.command("revoke", epilog="Example: lictl warrant revoke LIID0117")
def revoke(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Ends an order now: its next packet is not taken, whether the daemon runs or not."""
    from lictl.service import administration
    from lictl.service.guard import open_home

    now = state.use(home, as_json)
    done = administration.revoke(open_home(now.home), name)
    output.answer(
        now, done, f"Revoked order {done['id']} (LIID {done['liid']}) at {done['revoked']}.\n{done['effect']}"
    )


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
        if len(data) > MAX_FILE:
            raise UsageError(f"{file} has {len(data)} bytes.", f"A warrant file has at most {MAX_FILE}.")
        return data.decode()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", "Name a warrant file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a text file in UTF-8.", "Name a warrant file.") from None


def _cell(value: Any) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
