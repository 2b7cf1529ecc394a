# SPDX-License-Identifier: Apache-2.0
"""Questions on the terminal. They go to standard error: standard output has the outcome alone."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, TypeVar

import typer

from lictl.errors import LictlError, UsageError
from lictl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_T = TypeVar("_T")


def say(text: str) -> None:
    """A line or more for the person who is asked."""
    typer.echo(text, err=True)


@contextlib.contextmanager
def to_the_end() -> Iterator[None]:
    """Who gives up amid the questions, by Ctrl-C, the end of the input or of the terminal, has the command do nothing.

    Raises:
        Abort: the person has given up.
    """
    try:
        yield
    except (EOFError, KeyboardInterrupt):
        raise typer.Abort from None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise typer.Abort from None


def ask(key: str, why: str, take: Callable[[str], _T], default: str | None = None, hint: str = "") -> _T:
    """Asks until an answer can be taken.

    Args:
        key: what is asked for, as the option of the command is called.
        why: what it means.
        take: makes something of the answer, or raises LictlError with the reason why it cannot be.
        default: what Enter gives; None: something has to be written.
        hint: what is shown of that, where it is not the default itself.

    Raises:
        EOFError: the input has ended.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    say(f"\n{why}")
    while True:
        shown = hint or default
        typer.echo(f"{key} [{shown}]: " if shown else f"{key}: ", nl=False, err=True)
        try:
            answer = _line()
            if answer or default is not None:
                return take(answer or default or "")
        except LictlError as error:
            say(f"  {printable(str(error))}")


def choose(key: str, why: str, values: Mapping[str, str], default: str | None = None) -> str:
    """One of the values, each of which is shown with what it is; same errors as `ask`."""

    def take(answer: str) -> str:
        if answer not in values:
            raise UsageError(f"{answer!r} is none of them.", f"There are {', '.join(values)}.")
        return answer

    width = max(map(len, values))
    lines = [f"  {value:<{width}}  {what}" for value, what in values.items()]
    return ask(key, "\n".join([why, *lines]), take, default)


def yes(key: str, why: str) -> bool:
    """Yes or no; Enter is no. Same errors as `ask`."""

    def take(answer: str) -> bool:
        word = answer.lower()
        if word not in ("y", "yes", "n", "no"):
            raise UsageError(f"{answer!r} is neither yes nor no.", "Write y or n.")
        return word[0] == "y"

    return ask(key, why, take, "n", "y/N")


def _line() -> str:
    """One line of input. Not by `typer.prompt`, which writes a blank to standard output."""
    try:
        answer = input().strip()
    except UnicodeDecodeError:
        answer = "\0"
    if not answer.isprintable():
        raise UsageError("that is no visible text.", "Write it again; arrow keys have no meaning here.")
    return answer
