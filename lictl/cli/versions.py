# SPDX-License-Identifier: Apache-2.0
"""`lictl version`."""

from __future__ import annotations

import platform

import typer

from lictl.cli import output, state
from lictl.version import __version__


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("version", epilog="Example: lictl version --json")(version)


def version(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Says which lictl, which capture object and which kernel this is."""
    from lictl.probe import probe

    now = state.use(home, as_json)
    facts = {
        "lictl": __version__,
        "capture_object_sha256": probe.object_hash(),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    output.answer(now, facts, "\n".join(f"{name}: {value}" for name, value in facts.items()))
