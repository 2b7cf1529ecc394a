# SPDX-License-Identifier: Apache-2.0
"""The one place where a failed command ends: text, JSON and exit code.

Exit codes: those of `lictl.errors`; 130 after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import tempfile
import traceback
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from lictl.cli.state import current
from lictl.errors import LictlError, MachineError
from lictl.printable import printable
from lictl.times import format_rfc3339, now_ns
from lictl.version import __version__

EXIT_DEFECT = 1
EXIT_INTERRUPTED = 130
_FULL = (errno.ENOSPC, errno.EDQUOT)
# typer brings its own copy of click in some releases: its base of command-line errors is found through a name that is
# public in all of them.
_COMMAND_LINE_ERROR: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


# Whether --json stands anywhere on the command line: one that cannot be read has not told it to the state.
_json_is_there: ContextVar[bool] = ContextVar("lictl_cli_json_is_there", default=False)


class RootGroup(TyperGroup):
    """The top command: turns every failure into a message and an exit code, never a bare traceback."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Reads the options that stand before the command."""
        _json_is_there.set("--json" in args[: args.index("--") if "--" in args else None])
        try:
            return super().make_context(info_name, args, parent, **extra)
        except Exception as error:
            _command_line(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command."""
        try:
            return super().invoke(ctx)
        except typer.Exit:
            raise
        except typer.Abort:  # a question that was not answered with yes
            with contextlib.suppress(OSError):  # the terminal itself may have hung up
                sys.stderr.write("\n")  # it waits behind the question
                report("stopped, nothing was done.", "", EXIT_INTERRUPTED)
            raise SystemExit(EXIT_INTERRUPTED) from None
        except LictlError as error:
            report(error.what, error.fix, error.exit_code)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            raise SystemExit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            _drop_output()  # the reader (head, less) has gone: nothing left to say
            raise SystemExit(0) from None
        except Exception as error:
            _command_line(error)
            if isinstance(error, _COMMAND_LINE_ERROR):
                raise
            if isinstance(error, OSError) and error.errno in _FULL:
                _drop_output()
                what = f"{error.filename or 'the outcome'} cannot be written: {error.strerror}."
                report(
                    what, "Free space on that disk; then see what was done and what was not.", MachineError.exit_code
                )
                raise SystemExit(MachineError.exit_code) from None
            defect(error)
            raise SystemExit(EXIT_DEFECT) from None


def _drop_output() -> None:
    """Nothing more goes to standard output, also not at the interpreter's exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command_line(error: Exception) -> None:
    """Ends a command line that cannot be read, in JSON where that was asked for; people get what typer makes of it."""
    if not isinstance(error, _COMMAND_LINE_ERROR) or not _json_is_there.get():
        return
    told: Any = error
    missing = type(error).__name__ == "NoArgsIsHelpError"  # its message is the whole help
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "lictl"
    report("a command is missing." if missing else told.format_message(), f"See `{path} --help`.", told.exit_code)
    raise SystemExit(told.exit_code) from None


def report(what: str, fix: str, code: int) -> None:
    """The failure on standard error: JSON `{"error": {...}}` with --json, else text."""
    if current().as_json or _json_is_there.get():
        sys.stderr.write(json.dumps({"error": {"what": what, "fix": fix, "code": code}}, ensure_ascii=False) + "\n")
        return
    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    # What was wrong with a file or an answer may quote it.
    stderr.print(f"error: {_lines(what)}", style="bold red" if stderr.is_terminal else None, markup=False)
    if fix:
        stderr.print(f"  fix: {_lines(fix)}", markup=False)


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def defect(error: Exception) -> None:
    """An error that nobody foresaw: a pointer to the details, which stay on this machine."""
    if os.environ.get("LICTL_DEBUG") == "1":
        traceback.print_exception(error)
        return
    try:
        where = f"The details are in {_save(error)}; they may name targets, so read them before you pass them on."
    except OSError:
        where = "Run the command again with LICTL_DEBUG=1 to see the details."
    report(f"this is a defect of lictl {__version__} ({type(error).__name__}).", where, EXIT_DEFECT)


def _save(error: Exception) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="lictl-defect-", suffix=".txt")  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(f"lictl {__version__}, {format_rfc3339(now_ns())}\n")
        traceback.print_exception(error, file=file)
    return Path(name)
