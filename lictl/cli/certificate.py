# SPDX-License-Identifier: Apache-2.0
"""`lictl warrant certificate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lictl.cli import files, output, state
from lictl.errors import UsageError
from lictl.inputs import read_text


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "certificate", epilog="Example: lictl warrant certificate W-7 --rule 1.20004 --pdf w-7.pdf --out w-7.json"
    )(certificate)


def certificate(
    name: Annotated[str, typer.Argument(help="The order's id or its LIID; none with --incident alone.")] = "",
    rule: Annotated[str, typer.Option(help="1.20004: 47 CFR 1.20004(a). 3123: 18 USC 3123(a)(3).")] = "1.20004",
    pdf: Annotated[Path | None, typer.Option(help="Write the pages to sign here.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the JSON record, whose hash the pages bear, here.")] = None,
    sheet: Annotated[str, typer.Option(help="a4 or letter.")] = "letter",
    overseer: Annotated[
        str | None,
        typer.Option(help="Name and position of the employee who oversees. Default: who approved the order."),
    ] = None,
    incident: Annotated[
        Path | None, typer.Option(help="Incident file: the interception was made without authorisation.")
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Makes the certificate of an interception: the JSON record, and the pages that the overseeing employee signs.

    What was not recorded is named, and has a line to complete it by hand.
    """
    from lictl.papers.certificate import printed
    from lictl.papers.page import Size
    from lictl.service import administration

    now = state.use(home, as_json)
    if sheet not in list(Size):
        raise UsageError(f"There is no sheet {sheet}.", f"Choose one of {', '.join(Size)}.")
    told = None if incident is None else read_text(incident, "an incident file")
    record = administration.call(
        now.home, "warrant.certificate", name=name, rule=rule, overseer=overseer, incident=told
    )
    made = printed(record, Size(sheet))
    if pdf is not None:
        files.write_private(pdf, made.pdf)
    if out is not None:
        files.write_private(out, made.text)
    lines = [f"{record['title']} ({record['rule']}), SHA-256 of its JSON record {made.digest}."]
    lines += [f"Wrote {path}." for path in (pdf, out) if path is not None]
    lines += [f"Not recorded, to be completed by hand: {each}." for each in made.missing]
    if pdf is None and out is None:
        lines.append("Write it with --pdf FILE and --out FILE.")
    output.answer(now, {"sha256": made.digest, "certificate": record}, "\n".join(lines))
