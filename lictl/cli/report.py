# SPDX-License-Identifier: Apache-2.0
"""`lictl report`."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lictl.cli import files, output, state
from lictl.errors import UsageError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("report", epilog="Example: lictl report --columns 2519 --from 2026-01 --to 2026-12 --csv")(report)


def report(
    columns: Annotated[
        str | None, typer.Option(help="2519 or 3126: one row an order, with the columns of 18 USC 2519 or 3126.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Numbers for the public: in bands, which tell of no single order.")
    ] = False,
    first: Annotated[str | None, typer.Option("--from", help="First month (UTC), such as 2026-01.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month (UTC), such as 2026-12.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Answer in CSV.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write it to this file (CSV or JSON).")] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Counts orders by authority and month of approval, or makes the rows for the reports of 18 USC 2519 and 3126.

    What a carrier cannot know stands in the report as not known, with the reason.
    """
    from lictl.service import administration

    now = state.use(home, as_json)
    if public and columns is not None:
        raise UsageError("--public and --columns exclude each other.", "What is public are bands, not rows.")
    if as_csv and now.as_json:
        raise UsageError("--csv and --json exclude each other.", "Choose one.")
    kind = "public" if public else columns or "counts"
    made = administration.call(now.home, "report", kind=kind, first=first, last=last)
    if out is not None:
        text = to_csv(made) if as_csv else json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        files.write_private(out, text.encode("utf-8", "backslashreplace"))
        output.answer(now, {"file": str(out)}, f"Wrote {out}.")
    elif now.as_json:
        output.emit(made)
    elif as_csv:
        sys.stdout.write(to_csv(made))
    else:
        _show(made)


def to_csv(made: dict[str, Any]) -> str:
    """The table of a report; its notes stand below it, each a row of one cell."""
    from lictl.papers.report import harmless

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(made["columns"])
    writer.writerows([harmless(row[column]) for column in made["columns"]] for row in made["rows"])
    writer.writerows([harmless(note)] for note in made["notes"])
    return text.getvalue()


def _show(made: dict[str, Any]) -> None:
    terminal = output.console()
    if not made["rows"]:
        terminal.print(f"{made['title']}: none.", markup=False)
    else:
        heads = [column.replace("_", " ").upper() for column in made["columns"]]
        rows = [[row[column] for column in made["columns"]] for row in made["rows"]]
        terminal.print(output.table(heads, rows, title=made["title"]))
    for note in made["notes"]:
        terminal.print(note, markup=False)
