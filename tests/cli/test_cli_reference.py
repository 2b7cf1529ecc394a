# SPDX-License-Identifier: Apache-2.0
"""The command reference is made from the commands, and every command explains itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from lictl.cli.reference import commands, render

ROOT = Path(__file__).resolve().parents[2]
ALL = list(commands())
NAMES = [" ".join(path) for path, _ in ALL]


@pytest.mark.skipif(not (ROOT / "docs" / "cli.md").exists(), reason="the documents are not here")
def test_the_reference_is_not_stale() -> None:
    """docs/cli.md is what `python -m lictl.cli.reference` prints."""
    assert (ROOT / "docs" / "cli.md").read_text() == render(), "run: python -m lictl.cli.reference > docs/cli.md"


def test_every_promised_command_is_there() -> None:
    """The set of commands is part of the contract."""
    assert set(NAMES) == {
        "lictl init", "lictl serve", "lictl status", "lictl receive", "lictl replay", "lictl demo", "lictl doctor",
        "lictl agency setup-sftp", "lictl decode",
        "lictl verify", "lictl version", "lictl report", "lictl drill", "lictl agency add", "lictl agency list",
        "lictl agency keys", "lictl agency renew", "lictl agency new",
        "lictl agency test", "lictl agency remove", "lictl warrant add", "lictl warrant new", "lictl warrant submit",
        "lictl warrant approve", "lictl warrant reject", "lictl warrant suspend", "lictl warrant resume",
        "lictl warrant extend", "lictl warrant amend", "lictl warrant withdraw", "lictl warrant revoke",
        "lictl warrant close", "lictl warrant destroy-key", "lictl warrant list", "lictl warrant show",
        "lictl warrant certificate", "lictl warrant check", "lictl role list", "lictl role grant",
        "lictl role withdraw", "lictl profile list", "lictl profile show", "lictl profile status",
        "lictl profile confirm", "lictl audit verify", "lictl audit show", "lictl audit export", "lictl audit head",
        "lictl audit reconcile", "lictl audit rotate-key", "lictl warrant unable",
    }  # fmt: skip


@pytest.mark.parametrize(("path", "command"), ALL, ids=NAMES)
def test_every_command_has_help_and_an_example_that_parses(path: tuple[str, ...], command: Any) -> None:
    """The example names the command itself, and the command line parser takes it."""
    assert command.help
    assert command.epilog.startswith(f"Example: {' '.join(path)}")
    arguments = shlex.split(command.epilog.removeprefix("Example: "))[len(path) :]
    command.make_context(path[-1], arguments)


@pytest.mark.parametrize(("path", "command"), ALL, ids=NAMES)
def test_every_option_is_explained(path: tuple[str, ...], command: Any) -> None:
    """No option or argument without a sentence."""
    assert [parameter.name for parameter in command.params if not parameter.help] == []


@pytest.mark.parametrize(("path", "command"), ALL, ids=NAMES)
def test_every_command_takes_home_and_json(path: tuple[str, ...], command: Any) -> None:
    """Also behind its name."""
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--home", "--json"} <= options
