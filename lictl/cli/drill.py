# SPDX-License-Identifier: Apache-2.0
"""`lictl drill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lictl.cli import files, output, state
from lictl.errors import IntegrityError, LictlError, UsageError

BULK_BYTES = 400_000


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("drill", epilog="Example: lictl drill --pdf drill.pdf --out drill.json")(drill)


def drill(
    pdf: Annotated[Path | None, typer.Option(help="Write the page of proof here.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the JSON record, whose hash the page bears, here.")] = None,
    sheet: Annotated[str, typer.Option(help="a4 or letter.")] = "letter",
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Proves that this machine could carry out an order today: synthetic orders, from two people to a receiver.

    All of it runs in network namespaces of its own; no interface of the machine and no order of the site is touched.
    The result, also a failed one, goes into the site's audit chain. The exit code says whether every check held.
    Needs root.
    """
    from lictl.lab import demo, tools
    from lictl.lab import report as lab_report
    from lictl.papers import drill as papers
    from lictl.papers.page import Size
    from lictl.service import administration
    from lictl.times import now_ns

    now = state.use(home, as_json)
    if sheet not in list(Size):
        raise UsageError(f"There is no sheet {sheet}.", f"Choose one of {', '.join(Size)}.")
    for path in (pdf, out):
        if path is not None:
            files.require_place(path)
    tools.require(*demo.TOOLS)
    started = administration.call(now.home, "drill.begin")
    began = now_ns()
    outcome = demo.Outcome()
    try:
        outcome = demo.play((lambda _text: None) if now.as_json else lab_report.say, BULK_BYTES)
    except LictlError as error:
        outcome.add("the drill runs to its end", str(error), "")
    except BaseException as error:
        outcome.add("the drill runs to its end", type(error).__name__, "")
        raise
    finally:
        record = papers.evidence(started["site"], outcome, began, now_ns())
        entry = administration.call(now.home, "drill.end", begun=started["seq"], result=papers.brief(record))
    record = papers.with_audit(record, entry)
    text, page = papers.printed(record, Size(sheet))
    for path, data in ((pdf, page), (out, text)):
        if path is not None:
            files.write_private(path, data)
    if now.as_json:
        output.emit(record)
    else:
        lab_report.show(outcome)
        output.console().print(f"Audit entry {entry['seq']}.", markup=False)
    if not outcome.ok:
        raise typer.Exit(IntegrityError.exit_code)
