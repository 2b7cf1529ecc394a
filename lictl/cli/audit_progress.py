# SPDX-License-Identifier: Apache-2.0
"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """Shows how far a verification has come.

    Args:
        silent: shows nothing.
    """

    def __init__(self, *, silent: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("Verifying"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TextColumn("{task.fields[entries]:,} entries"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=silent or not console.is_terminal,
        )
        self._task = self._progress.add_task("verify", total=None, entries=0)

    def show(self, entries: int, done: int, total: int) -> None:
        """Called by the verification."""
        self._progress.update(self._task, completed=done, total=total, entries=entries)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
