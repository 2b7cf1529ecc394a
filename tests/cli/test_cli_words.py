# SPDX-License-Identifier: Apache-2.0
"""Words of a command line that nothing can be done with: no text, no name, the wrong way round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli_commands import answer, failure, home, lictl, warrant_file

from lictl.audit.read import entries
from lictl.home import Home

__all__ = ["home"]


@pytest.mark.parametrize("line", [
    ("warrant", "submit", "\udcff"), ("warrant", "show", "\udcff"), ("agency", "keys", "\udcff"),
    ("role", "grant", "\udcff", "auditor"), ("audit", "show", "--subject", "\udcff"),
    ("profile", "confirm", "--reason", "\udcff"),
    ("agency", "add", "a", "--transport", "files", "--file", "folder=/\udcff"),
])  # fmt: skip
def test_words_that_are_no_text(home: Path, line: tuple[str, ...]) -> None:
    """Octets that are no UTF-8 are told as such, also to who may not do it; nothing of it gets into store or chain."""
    lictl("role", "grant", "root", "auditor")
    before = len(list(entries(home / "audit")))
    error = failure(*line, code=2)
    assert "not text in UTF-8" in error["what"] or "no user name" in error["what"]
    assert len(list(entries(home / "audit"))) == before


def test_a_name_that_is_no_text_is_escaped(home: Path, tmp_path: Path) -> None:
    """A file may have such a name; the JSON is UTF-8 all the same, and text of one that a terminal cannot show is told,
    whatever the terminal can."""
    lictl("role", "grant", "root", "operator")
    file = warrant_file(tmp_path).rename(tmp_path / "\udcff.toml")
    for encoding in ("utf-8:strict", "ascii:strict", "latin-1:strict"):
        given = {**os.environ, "PYTHONIOENCODING": encoding}
        argv = [sys.executable, "-m", "lictl", "--json", "replay", "/dev/null", "--warrant", os.fsencode(file)]
        done = subprocess.run(
            [*argv, "--into", tmp_path / "x"], capture_output=True, env=given, timeout=60, check=False
        )
        assert b"Traceback" not in done.stderr
        assert json.loads(done.stderr.decode())["error"]["code"] == 2
        argv = [sys.executable, "-m", "lictl", "--json", "init", "--operator", "O", "--country", "US", "--home"]
        made = os.fsencode(tmp_path / f"{encoding}-\udcff-\u20ac")
        done = subprocess.run([*argv, made], capture_output=True, env=given, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.decode("utf-8"))["home"].endswith("-\udcff-\u20ac")


def test_an_empty_variable_names_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as if it were not set: the folder in which somebody happens to be is never taken for a home."""
    monkeypatch.setenv("LICTL_HOME", "")
    assert Home.default().root == Path("/var/lib/lictl")
    monkeypatch.delenv("LICTL_HOME")
    assert Home.default().root == Path("/var/lib/lictl")


def test_a_profile_of_no_site(tmp_path: Path) -> None:
    """Without a name it is the site's: that there is no home is told, not that a key of it is missing."""
    assert "not the home of a site" in failure("--home", str(tmp_path), "profile", "show", code=4)["what"]


def test_months_that_are_turned_round(home: Path) -> None:
    """A report from a later month to an earlier one is refused: "none" would be taken for an answer."""
    lictl("role", "grant", "root", "auditor")
    assert "2026-01 is before 2026-12" in failure("report", "--from", "2026-12", "--to", "2026-01", code=2)["what"]
    answer("report", "--from", "2026-01", "--to", "2026-01")


def test_what_serve_cannot_take(home: Path) -> None:
    """A name that no interface can have and a level that does not exist are told before anything is attached."""
    assert "not the name of an interface" in failure("serve", "--interface", "\udcff=access", code=2)["what"]
    error = failure("serve", "--interface", "nope=access", "--log-level", "loud", code=2)
    assert "no log level 'loud'" in error["what"]
    assert "there is no interface" in failure("serve", "--interface", "nope=access", code=4)["what"]
