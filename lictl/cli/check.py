# SPDX-License-Identifier: Apache-2.0
"""`lictl warrant check`: what an order would touch, before anything is armed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lictl.cli import output, state
from lictl.inputs import read_text
from lictl.printable import printable


def register(app: typer.Typer) -> None:
    """Adds the command to `lictl warrant`."""
    app.command("check", epilog="Example: lictl warrant check order.toml")(check)


def check(
    subject: Annotated[str, typer.Argument(metavar="FILE|ORDER", help="Warrant file, or id or LIID of an order.")],
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Shows whom an order would touch and what would be delivered to whom. Changes nothing.

    Exit code 3 where something stands against it: what an approver may confirm, and what nobody can.
    """
    from lictl.service.administration import call

    now = state.use(home, as_json)
    if subject.endswith(".toml") or os.sep in subject or os.access(subject, os.F_OK):
        text = read_text(Path(subject), "a warrant file, or an order by its id or LIID")
        found = call(now.home, "warrant.check", text=text, name=printable(subject))
    else:
        found = call(now.home, "warrant.check", order=subject)
    if now.as_json:
        output.emit(found)
    else:
        _show(found)
    if found["refusals"]:
        raise typer.Exit(3)


def _show(found: dict[str, Any]) -> None:
    console = output.console()
    window = f"{found['starts']} to {found['ends']}"
    head = f"{found['name']}: {found['kind']}, {found['mode']}, LIID {found['liid']}, {window}\n"
    console.print(head, markup=False)
    targets = [
        (each["target"], each["resolves"], _number(each["addresses"]), _known(each)) for each in found["targets"]
    ]
    console.print(output.table(["TARGET", "NOW", "ADDRESSES", "TOUCHES"], targets))
    overlaps = [
        (each["target"], one["relation"], one["target"], one["order"], one["liid"], one["state"])
        for each in found["targets"]
        for one in each["overlaps"]
    ]
    if overlaps:
        console.print()
        console.print(output.table(["TARGET", "IS", "TARGET OF", "ORDER", "LIID", "STATE"], overlaps))
    console.print()
    agencies = [
        (each["agency"], _place(each), each["gets"], each["format"], each["problem"] or "may receive")
        for each in found["deliveries"]
    ]
    console.print(output.table(["AGENCY", "AT", "GETS", "FORMAT", ""], agencies))
    console.print("\n" + _kernel(found["kernel"]), markup=False)
    console.print(_verdict(found["refusals"]), markup=False)


def _place(delivery: dict[str, Any]) -> str:
    return f"{delivery['host']}:{delivery['port']}" if delivery["host"] else "-"


def _number(value: int | str | None) -> str:
    return "as the line has" if value is None else f"{int(value):,}"


def _known(view: dict[str, Any]) -> str:
    words = [f"subscriber {name}" for name in view["subscribers"]]
    words += [f"shared range {name}" for name in view["shared"]]
    words += [f"infrastructure {name}" for name in view["infrastructure"]]
    return ", ".join(words) or "-"


def _kernel(kernel: dict[str, Any]) -> str:
    if kernel["full"]:
        return f"The kernel's tables have no room: {kernel['full']}."
    added, changed = sum(kernel["added"].values()), sum(kernel["changed"].values())
    return (
        f"The kernel's tables would get {added} new entries and {changed} changed ones; "
        f"{kernel['entries']} entries and {kernel['slots']} orders then."
    )


def _verdict(refusals: list[dict[str, Any]]) -> str:
    if not refusals:
        return "Nothing stands against it."
    lines = ["Against it:"]
    for each in refusals:
        how = "an approver may confirm it" if each["confirmable"] else "it cannot be armed"
        lines.append(f"  {each['where']}: {each['what']} ({how})")
    if all(each["confirmable"] for each in refusals):
        lines.append('Approved only with: lictl warrant approve ORDER --confirm-shared --reason "..."')
    return "\n".join(lines)
