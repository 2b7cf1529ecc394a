# SPDX-License-Identifier: Apache-2.0
"""The documents say what is there: commands exist, links resolve, nothing is left out of the index."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from lictl.lab.people import APPROVER_UID
from lictl.times import parse_rfc3339

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL_BLOCKS = {"", "sh", "bash", "console", "shell"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def command_lines(text: str) -> list[list[str]]:
    """The `lictl ...` lines of a document's shell blocks, as argument lists without `lictl`."""
    found = []
    for language, body in FENCE.findall(text):
        if language not in SHELL_BLOCKS:
            continue
        for line in body.replace("\\\n", " ").splitlines():
            match = re.match(r"^(?:[$#] )?(?:sudo )?(?:[A-Z_]+=\S+ )*(?:\S*/)?lictl (.+)$", line)
            if match and not match[1].startswith("--help"):
                found.append(shlex.split(match[1], comments=True))
    return found


def complaint(arguments: list[str]) -> str | None:
    """What is wrong with a command line, judged against the command tree; None if nothing."""
    from lictl.cli.app import app

    command: Any = typer.main.get_command(app)
    known = option_names(command)
    rest = list(arguments)
    while rest and hasattr(command, "commands"):
        word = rest.pop(0)
        if word.startswith("-"):
            if word.split("=")[0] not in known:
                return f"no option {word}"
            if known[word.split("=")[0]] and "=" not in word:
                rest.pop(0)
            continue
        if word not in command.commands:
            return f"no command {word}"
        command = command.commands[word]
        known |= option_names(command)
    for word in rest:
        if re.match(r"^--?[a-z]", word) and word.split("=")[0] not in known:
            return f"no option {word} of {command.name}"
    return None


def option_names(command: Any) -> dict[str, bool]:
    """Option spellings of one command, and whether each takes a value."""
    names = {"--help": False, "-h": False}
    for parameter in command.params:
        for name in [*parameter.opts, *parameter.secondary_opts]:
            if name.startswith("-"):
                names[name] = not getattr(parameter, "is_flag", False)
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_documents_exist(document: Path) -> None:
    """Every `lictl` line of a code block names a command and options that the program has."""
    wrong = [
        f"lictl {shlex.join(line)}: {why}"
        for line in command_lines(document.read_text())
        if (why := complaint(line)) is not None
    ]
    assert wrong == []


def test_the_command_check_can_fail() -> None:
    """An invented command, option and sub-command are all found out."""
    text = (
        "```sh\nlictl fly\n$ lictl status --wings\nsudo lictl warrant burn x  # no\nLICTL_HOME=/x lictl status\n```\n"
    )
    lines = command_lines(text)
    assert [complaint(line) for line in lines] == [
        "no command fly",
        "no option --wings of status",
        "no command burn",
        None,
    ]


def test_readme_has_the_quick_start() -> None:
    """README leads from nothing to a delivered packet: the two make targets, then the commands of a real site."""
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text
    commands = {tuple(w for w in line[:2] if not w.startswith("-") and "." not in w) for line in command_lines(text)}
    for wanted in [("agency", "add"), ("warrant", "add")]:
        assert wanted in commands
    assert {"init", "serve", "status"} <= {c[0] for c in commands}


@pytest.mark.tree
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_resolve(document: Path) -> None:
    """A link to a file of this repository finds it, and a link to a heading finds the heading."""
    broken = []
    for target in LINK.findall(FENCE.sub("", document.read_text())):
        if re.match(r"^[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(document: Path) -> set[str]:
    """The heading anchors that a Markdown renderer makes."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_index_lists_every_document() -> None:
    """docs/README.md links each other document under docs/."""
    index = (ROOT / "docs" / "README.md").read_text()
    linked = {target.partition("#")[0] for target in LINK.findall(index)}
    documents = {str(d.relative_to(ROOT / "docs")) for d in DOCUMENTS[1:]}
    assert documents - {"README.md"} - linked == set()


@pytest.mark.tree
def test_named_places_exist() -> None:
    """Where a document says `tests/x` or another folder or file of the repository, it is there."""
    rooms = r"`((?:tests|kernel|native|lictl|bench|tools)/[\w./-]*)`"
    named = {place for document in DOCUMENTS for place in re.findall(rooms, document.read_text())}
    assert named
    assert sorted(place for place in named if not (ROOT / place).exists()) == []


def test_readme_states_the_limits_of_the_kernel_tables() -> None:
    """Its figures are those of the contract with the capture program."""
    from lictl.probe import abi

    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"Up to {abi.MAX_SLOTS:,} orders and {abi.MAX_TARGETS:,} targets at once" in text
    assert f"{abi.MAX_CLAIMS} orders on one target" in text


@pytest.mark.tree
def test_readme_make_targets_exist() -> None:
    """Every `make x` in README and docs is a target."""
    for document in DOCUMENTS:
        for _language, body in FENCE.findall(document.read_text()):
            for target in re.findall(r"^(?:[$#] )?(?:sudo )?make ([a-z-]+)", body, re.MULTILINE):
                done = subprocess.run(
                    ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
                )
                assert "No rule to make target" not in done.stderr, f"{document.name}: make {target}"


def test_readme_quick_start_runs(tmp_path: Path) -> None:
    """Site, agency and order of README's quick start go through as they are written, on the day after the signature.

    Its alice is this user here, and bob another one, who approves.
    """
    text = (ROOT / "README.md").read_text()
    order = next(body for language, body in FENCE.findall(text) if language == "toml")
    (tmp_path / "order.toml").write_text(order)
    offset = parse_rfc3339("2026-11-21T12:00:00Z") - time.time_ns()
    env = os.environ | {"LICTL_HOME": str(tmp_path / "home"), "LICTL_CLOCK_OFFSET_NS": str(offset)}
    users = {"operator=alice": f"operator={os.geteuid()}", "approver=bob": f"approver={APPROVER_UID}"}
    wanted = [("init",), ("agency", "add"), ("warrant", "check"), ("warrant", "add"), ("warrant", "revoke")]
    for start in [*wanted, ("audit", "verify")]:
        line = next(line for line in command_lines(text) if tuple(line[: len(start)]) == start)
        program = Path(sys.executable).with_name("lictl")
        line = [users.get(word, word) for word in line]
        done = subprocess.run(
            [program, *line], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"lictl {shlex.join(line)}: {done.stderr}"
