# SPDX-License-Identifier: Apache-2.0
"""Makes docs/cli.md from the commands themselves: `python -m lictl.cli.reference > docs/cli.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer.main

from lictl.cli.app import app

COMMON = """\
## Common options

Every command takes them, before or after its name.

| option | meaning |
|---|---|
| `--home FOLDER` | folder of this site; also in the environment as `LICTL_HOME`; else `/var/lib/lictl` |
| `--json` | answer in JSON on standard output; failures as `{"error": {"what", "fix", "code"}}` on standard error |
| `--help`, `-h` | says what the command does and how it is written |

`lictl --install-completion` sets up completion of commands and options in your shell.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a defect of lictl; `LICTL_DEBUG=1` shows the details |
| 2 | the command line is wrong, or what stands in a file |
| 3 | refused by rule, law or permission |
| 4 | something is not there: the daemon, an agency, an interface, a file; also a file that cannot be read |
| 5 | a verification failed |
| 6 | this machine cannot do it: kernel, permission, disk; also a file that cannot be written |
| 130 | interrupted (Ctrl-C), or a question that was not answered with yes |

Times are RFC 3339 with a zone, such as `2026-03-01T12:00:00Z`.
"""
_COMMON_NAMES = {"home", "as_json", "help", "install_completion", "show_completion"}


def commands(command: Any = None, path: tuple[str, ...] = ("lictl",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its full name, in the order of the help."""
    command = typer.main.get_command(app) if command is None else command
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, command
        return
    for name, subcommand in subcommands.items():
        yield from commands(subcommand, (*path, name))


def render() -> str:
    """The whole of docs/cli.md."""
    parts = ["# Command line\n\nMade by `python -m lictl.cli.reference`; do not edit.\n", COMMON, "## Commands\n"]
    parts += [_command(" ".join(path), command) for path, command in commands()]
    return "\n".join(parts)


def _command(name: str, command: Any) -> str:
    own = [parameter for parameter in command.params if parameter.name not in _COMMON_NAMES]
    arguments = [parameter for parameter in own if parameter.param_type_name == "argument"]
    usage = " ".join([name, *(["[OPTIONS]"] if len(own) > len(arguments) else []), *map(_metavar, arguments)])
    lines = [f"### {name}\n", inspect.cleandoc(command.help) + "\n", f"```sh\n{usage}\n```\n"]
    if own:
        lines += ["| argument or option | meaning | default |", "|---|---|---|", *map(_row, own), ""]
    example = command.epilog.removeprefix("Example: ")
    lines.append(f"Example: `{example}`\n")
    return "\n".join(lines)


def _metavar(parameter: Any) -> str:
    name = parameter.name.strip("_").upper()
    return f"{name}..." if parameter.nargs == -1 else name


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{_metavar(parameter)}`"
    else:
        kind = "" if getattr(parameter, "is_flag", False) else f" {_metavar(parameter)}"
        name = ", ".join(f"`{option}{kind}`" for option in parameter.opts)
    default = parameter.default
    shown = (
        "required"
        if parameter.required
        else f"`{default}`"
        if isinstance(default, str | int | float) and default not in (False, True)
        else ""
    )
    return f"| {name} | {(parameter.help or '').replace('|', chr(92) + '|')} | {shown} |"


if __name__ == "__main__":
    sys.stdout.write(render())
