# SPDX-License-Identifier: Apache-2.0
"""What the demonstration prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lictl.lab.demo import Outcome


def say(text: str) -> None:
    """A line of progress."""
    Console().print(Text(text, style="dim"))


def show(outcome: Outcome) -> None:
    """The accounting of each warrant and the verdict."""
    console = Console()
    console.print()
    console.print(_accounts(outcome))
    console.print()
    for check in outcome.checks:
        mark = Text("  ok    ", style="green") if check.ok else Text("  FAILED", style="bold red")
        console.print(mark + Text(f" {check.name}: {check.detail}", style=""), soft_wrap=True)
    console.print()
    verdict, style = ("All promises held", "bold green") if outcome.ok else ("NOT all promises held", "bold red")
    console.print(Text(f"{verdict}. {outcome.seconds:g} s.", style=style))


def _accounts(outcome: Outcome) -> Table:
    classes = sorted({name for w in outcome.warrants for stream in w["streams"] for name in stream["lost"]})
    table = Table(title="Packets of each warrant", title_justify="left")
    for column in ("warrant", "mode", "agency"):
        table.add_column(column)
    for column in ("seen", "matched", "delivered", *(f"lost: {name}" for name in classes), "withheld"):
        table.add_column(column, justify="right")
    for warrant in outcome.warrants:
        for stream in warrant["streams"]:
            figures = [warrant["seen"], stream["matched"], stream["delivered"]]
            figures += [stream["lost"].get(name, 0) for name in classes]
            figures.append(stream["withheld"])
            table.add_row(warrant["liid"], warrant["mode"], stream["agency"], *(f"{figure:,}" for figure in figures))
    return table
