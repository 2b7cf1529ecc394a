# SPDX-License-Identifier: Apache-2.0
"""`lictl demo`."""

from __future__ import annotations

import typer

from lictl.cli import state


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo", epilog="Example: lictl demo")(demo)


def demo(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Shows the whole path in a lab of network namespaces, in under a minute, and checks what the agency got.

    The exit code says whether all promises held. Nothing is left behind. Needs root; --home is not used.
    """
    from lictl.lab import demo as lab_demo

    now = state.use(home, as_json)
    raise typer.Exit(lab_demo.run(as_json=now.as_json))
