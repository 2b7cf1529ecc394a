# SPDX-License-Identifier: Apache-2.0
"""What commands print: JSON for programs, short text and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from lictl.cli.state import State

_UNFOLDED = 1000


def console() -> Console:
    """Standard output; where no terminal is, nothing is folded."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(soft_wrap=True, highlight=False, width=_UNFOLDED)


def emit(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def answer(state: State, value: Any, text: str) -> None:
    """The outcome of a command: `value` with --json, else `text`."""
    if state.as_json:
        emit(value)
    else:
        console().print(text, markup=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> Table:
    """A plain table; numbers are set flush right with separators of thousands."""
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    cells = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(isinstance(row[index], int) for row in cells)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        grid.add_row(*(_cell(cell) for cell in row))
    return grid


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("[", r"\[")
