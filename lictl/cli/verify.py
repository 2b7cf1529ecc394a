# SPDX-License-Identifier: Apache-2.0
"""`lictl verify`: the agency's check of files that it fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lictl.cli import output, state
from lictl.errors import IntegrityError
from lictl.inputs import read_bytes


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("verify", epilog="Example: lictl verify fetched --key agency.pem")(verify)


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder with the fetched files; folders in it are looked at, too.")],
    key: Annotated[Path, typer.Option(help="The operator's public key for this agency (PEM).")],
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Verifies files that were fetched: signatures, hashes, the chain of manifests, the number of every packet.

    Exit code 5 where something is wrong or missing. What was lost before it reached a file is listed, and is no fault.
    """
    from lictl.collection.manifests import verify_folder

    now = state.use(home, as_json)
    verdicts = verify_folder(folder, read_bytes(key, "the operator's public key in PEM"))
    ok = all(verdict.ok for verdict in verdicts)
    if now.as_json:
        output.emit({"ok": ok, "streams": [verdict.to_plain() for verdict in verdicts]})
    else:
        rows = [
            (
                v.liid or "-", v.files, f"{v.first_number}-{v.last_number}", v.records, v.lost, v.skipped,
                "BAD" if not v.ok else "complete" if v.complete else "ok",
            )
            for v in verdicts
        ]  # fmt: skip
        output.console().print(
            output.table(["LIID", "FILES", "NUMBERS", "PACKETS", "LOST", "SKIPPED", "VERDICT"], rows)
        )
        for problem in (each for v in verdicts for each in v.problems):
            output.console().print(problem, markup=False)
    if not ok:
        raise IntegrityError(
            "the files are not as they were sent.", "Fetch them again; if that does not help, ask the sender."
        )
