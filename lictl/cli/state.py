# SPDX-License-Identifier: Apache-2.0
"""The options that every command has: which home, and whether to answer in JSON.

Both may stand before or after the subcommand; what stands after it wins.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from lictl.home import Home

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        readable=False,
        show_default=False,
        help="Folder of this site. (env: LICTL_HOME; default: /var/lib/lictl)",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON on standard output.", show_default=False)]


@dataclass(frozen=True, slots=True)
class State:
    """What the common options say.

    Attributes:
        home: the site's home folder, not yet checked.
        as_json: answer in JSON.
    """

    home: Home
    as_json: bool


_state: ContextVar[State | None] = ContextVar("lictl_cli_state", default=None)


def begin(home: Path | None, as_json: bool) -> State:
    """Starts a command line: only what stands before the subcommand is known."""
    state = State(Home(home) if home is not None else Home.default(), as_json)
    _state.set(state)
    return state


def use(home: Path | None = None, as_json: bool = False) -> State:
    """The state of this command line, with what stands after the subcommand."""
    state = current()
    if home is not None:
        state = replace(state, home=Home(home))
    if as_json:
        state = replace(state, as_json=True)
    _state.set(state)
    return state


def current() -> State:
    """The state as far as the command line was read."""
    return _state.get() or State(Home.default(), False)
