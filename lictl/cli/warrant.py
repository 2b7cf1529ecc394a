# SPDX-License-Identifier: Apache-2.0
"""`lictl warrant`: the orders, from draft to closed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lictl.cli import asking, output, state
from lictl.cli.order_text import COLUMNS, row, shown
from lictl.errors import UsageError
from lictl.inputs import read_text
from lictl.printable import printable

app = typer.Typer(
    no_args_is_help=True,
    help="The orders: what may be intercepted, for whom, from when until when. Who submits one cannot approve it.",
)

Name = Annotated[str, typer.Argument(help="The order's id or its LIID.")]
File = Annotated[Path, typer.Argument(help="Warrant file (TOML); docs/warrant-file.md describes it.")]
Submit = Annotated[bool, typer.Option("--submit", help="Ask for its approval at once.")]
_A_FILE = "a warrant file"


@app.command("add", epilog="Example: lictl warrant add order.toml --submit")
def add(
    file: File,
    submit: Submit = False,
    emergency: Annotated[
        bool,
        typer.Option("--emergency", help="Put it into force by yourself: for authorities that know an emergency."),
    ] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Checks an order and writes it down as a draft. For operators.

    With --emergency it is in force at once, by one person, for the short time that its authority allows. That stands
    in the audit chain and as an alarm in the status for as long as it lasts.
    """
    now, text = state.use(home, as_json), read_text(file, _A_FILE)
    if emergency and submit:
        raise UsageError("--emergency needs no approval.", "Give one of --emergency and --submit.")
    if emergency:
        _act(now, "warrant.emergency", "EMERGENCY: put into force by one person:", text=text, name=printable(str(file)))
        return
    _act(now, "warrant.add", "Submitted" if submit else "Added", text=text, name=printable(str(file)), submit=submit)


@app.command("submit", epilog="Example: lictl warrant submit LIID0117")
def submit(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Asks for the approval of a draft: an order, or an extension or amendment of one. For operators."""
    _act(state.use(home, as_json), "warrant.submit", "Submitted", name=name)


@app.command("approve", epilog="Example: lictl warrant approve LIID0117")
def approve(
    name: Name,
    reason: Annotated[str | None, typer.Option(help="Why, where `lictl warrant check` warns of something.")] = None,
    confirm_shared: Annotated[
        bool, typer.Option("--confirm-shared", help="Targets that others share are meant; needs --reason.")
    ] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Gives what was submitted its effect. For approvers, and never by the person who submitted it.

    Where the daemon runs and the window is open the kernel takes packets from now on.
    """
    now = state.use(home, as_json)
    _act(now, "warrant.approve", "Approved", name=name, reason=reason, confirm_shared=confirm_shared)


@app.command("reject", epilog='Example: lictl warrant reject LIID0117 --reason "docket number is wrong"')
def reject(
    name: Name,
    reason: Annotated[str, typer.Option(help="What is to be put right; kept sealed with the order.")],
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Sends what was submitted back to be drafted, with the reason. For approvers."""
    _act(state.use(home, as_json), "warrant.reject", "Rejected", name=name, reason=reason)


@app.command("suspend", epilog="Example: lictl warrant suspend LIID0117")
def suspend(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Stops an order for now: its next packet is not taken. For operators and approvers."""
    _act(state.use(home, as_json), "warrant.suspend", "Suspended", name=name)


@app.command("resume", epilog="Example: lictl warrant resume LIID0117")
def resume(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Lets a suspended order go on. For approvers, and never by the person who submitted the order."""
    _act(state.use(home, as_json), "warrant.resume", "Resumed", name=name)


@app.command("extend", epilog="Example: lictl warrant extend LIID0117 extension.toml --submit")
def extend(
    name: Name, file: File, submit: Submit = False, home: state.HomeOption = None, as_json: state.JsonOption = False
) -> None:
    """Adds an extension, a new instrument with a later end; it has its effect when it is approved. For operators."""
    now, text = state.use(home, as_json), read_text(file, _A_FILE)
    _act(now, "warrant.extend", "Extension of", name=name, text=text, file=printable(str(file)), submit=submit)


@app.command("amend", epilog="Example: lictl warrant amend LIID0117 amendment.toml --submit")
def amend(
    name: Name, file: File, submit: Submit = False, home: state.HomeOption = None, as_json: state.JsonOption = False
) -> None:
    """Adds an amendment, a new instrument that names all targets the order shall have from its approval on."""
    now, text = state.use(home, as_json), read_text(file, _A_FILE)
    _act(now, "warrant.amend", "Amendment of", name=name, text=text, file=printable(str(file)), submit=submit)


@app.command("withdraw", epilog="Example: lictl warrant withdraw LIID0117")
def withdraw(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Drops an extension or amendment that was not approved. For operators."""
    _act(state.use(home, as_json), "warrant.withdraw", "Withdrawn from", name=name)


@app.command("unable", epilog='Example: lictl warrant unable LIID0117 --reason "the port to the core is down"')
def unable(
    name: Name,
    reason: Annotated[str, typer.Option(help="What keeps it from being performed; with --restored, what was done.")],
    restored: Annotated[bool, typer.Option("--restored", help="It can be performed again.")] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Notes that an order cannot be performed, and why; once more for each further reason. For operators and approvers.

    It stops nothing and starts nothing: what can be taken of the order is taken on. It stands in the audit chain, with
    the order and in its certificate, and --restored notes its end.
    """
    now = state.use(home, as_json)
    if restored:
        _act(now, "warrant.able", "Noted that it can be performed again:", name=name, reason=reason)
    else:
        _act(now, "warrant.unable", "Noted that it cannot be performed:", name=name, reason=reason)


@app.command("revoke", epilog="Example: lictl warrant revoke LIID0117")
def revoke(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Ends an order now: its next packet is not taken, whether the daemon runs or not. For operators and approvers."""
    _act(state.use(home, as_json), "warrant.revoke", "Revoked", name=name)


@app.command("close", epilog="Example: lictl warrant close LIID0117")
def close(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Seals an order that is over and delivered: final counts, manifest, hashes. For operators."""
    _act(state.use(home, as_json), "warrant.close", "Closed", name=name)


@app.command("destroy-key", epilog="Example: lictl warrant destroy-key LIID0117 --yes")
def destroy_key(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Makes all that names the subject of a closed order unreadable for good. For approvers."""
    now = state.use(home, as_json)
    if not yes:
        with asking.to_the_end():
            sure = asking.yes("Destroy it", f"The key of {name}: nobody can read its targets and files afterwards.")
        if not sure:
            raise typer.Abort
    _act(now, "warrant.destroy-key", "Key destroyed of", name=name)


@app.command("list", epilog="Example: lictl warrant list --all")
def show_all(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Lists the orders. Each look is recorded; an auditor is not told whom they name."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    orders = call(now.home, "warrant.list", everything=all_)
    if now.as_json:
        output.emit(orders)
    elif not orders:
        output.console().print("No order that is not over; see --all." if not all_ else "No order yet.")
    else:
        output.console().print(output.table(COLUMNS, [row(order) for order in orders]))


@app.command("show", epilog="Example: lictl warrant show LIID0117")
def show(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Shows one order: its instruments with who did what, window, targets, agencies, and the file presented."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    order = call(now.home, "warrant.show", name=name)
    if now.as_json:
        output.emit(order)
        return
    for part in shown(order):
        output.console().print(part)


def _act(now: state.State, op: str, word: str, **args: Any) -> None:
    from lictl.service.administration import call

    done = call(now.home, op, **args)
    head = f"{word} order {done['id']} (LIID {done['liid']}), {done['mode']}, {done['starts']} to {done['ends']}."
    output.answer(now, done, f"{head}\nState: {done['state']}. {done['effect']}")
