# SPDX-License-Identifier: Apache-2.0
"""What commands print: JSON for programs, short text and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lictl.cli.state import State

_UNFOLDED = 1000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Not rich's exit code 1: the command line ends it where all failures end."""
        raise BrokenPipeError


def console() -> Console:
    """Standard output; where no terminal is, nothing is folded."""
    if sys.stdout.isatty():
        return _Console(highlight=False)
    return _Console(soft_wrap=True, highlight=False, width=_UNFOLDED)


def emit(value: Any) -> None:
    """One JSON value on standard output: UTF-8, or ASCII where that cannot be; what is no text in a name is escaped."""
    narrow = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = json.dumps(value, indent=2, ensure_ascii=narrow)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def answer(state: State, value: Any, text: str) -> None:
    """The outcome of a command: `value` with --json, else `text`."""
    if state.as_json:
        emit(value)
    else:
        console().print(text, markup=False)


class Fitted:
    """Rows in columns; where the terminal is too narrow for that without breaking words, one value a line.

    Args:
        columns: titles.
        rows: of as many cells; numbers are set flush right with separators of thousands.
        title: above all of it.
    """

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None) -> None:
        self._columns, self._title = columns, title
        self._rows = [list(row) for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The form that fits."""
        grid = self._grid()
        needed = Measurement.get(console, options.update(max_width=_UNFOLDED * 100), grid).minimum
        if needed <= options.max_width:
            yield grid
            return
        if not self._rows:
            yield Text("  ".join(self._columns), style="bold")
            return
        if self._title:
            yield Text(self._title, style="italic")
        for number, row in enumerate(self._rows):
            if number:
                yield Text()
            yield self._record(row)

    def _grid(self) -> Table:
        grid = Table(title=self._title, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for index, column in enumerate(self._columns):
            cells = [row[index] for row in self._rows]
            numeric = bool(cells) and all(isinstance(cell, int) for cell in cells)
            whole = not any(
                " " in _cell(cell) for cell in cells
            )  # a time or an id is never cut: other columns give way
            grid.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=whole)
        for row in self._rows:
            grid.add_row(*map(_cell, row))
        return grid

    def _record(self, row: Sequence[object]) -> Table:
        record = Table.grid(padding=(0, 2, 0, 0))
        record.add_column(style="bold", no_wrap=True, min_width=max(map(len, self._columns)))
        record.add_column(overflow="fold")
        for column, value in zip(self._columns, row, strict=True):
            if value != "":  # it stands in the row above
                record.add_row(column, _cell(value))
        return record


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> Fitted:
    """A plain table, or a list where there is no room for one: see Fitted."""
    return Fitted(columns, rows, title)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("[", r"\[")
