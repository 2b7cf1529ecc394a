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
    Console().print(Text(text, style="dim"), soft_wrap=True)


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
    """One column a warrant and agency, so that it fits 80 characters."""
    streams = [(warrant, stream) for warrant in outcome.warrants for stream in warrant["streams"]]
    classes = sorted({name for _, stream in streams for name in stream["lost"]})
    table = Table(title="Packets of each warrant", title_justify="left")
    table.add_column("")
    for warrant, stream in streams:
        table.add_column(f"{warrant['liid']}\n{warrant['mode']}, to {stream['agency']}", justify="right")
    rows: list[tuple[str, list[int]]] = [("seen", [warrant["seen"] for warrant, _ in streams])]
    rows += [(name, [stream[name] for _, stream in streams]) for name in ("matched", "delivered")]
    rows += [(f"lost: {name}", [stream["lost"].get(name, 0) for _, stream in streams]) for name in classes]
    rows += [(name.replace("_", " "), [stream[name] for _, stream in streams]) for name in ("withheld", "in_flight")]
    for name, figures in rows:
        table.add_row(name, *(f"{figure:,}" for figure in figures))
    return table
