# SPDX-License-Identifier: Apache-2.0
"""`lictl warrant new`: scripted people answer its questions."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from lictl.cli.app import app
from lictl.times import now_ns
from lictl.warrants.model import load

if TYPE_CHECKING:
    from pathlib import Path

PEN_TRAP = {
    "authority": "pen-trap", "citation": "", "court": "A Court", "docket": "D-1", "signed_by": "Judge A.",
    "signed_at": "", "presented_by": "Det. B.", "offence": "fraud, 18 USC 1343", "subject": "unknown",
    "subscriber": "unknown", "attributes": "addressing of account 4711", "case_id": "C-1", "liid": "L1", "mode": "",
    "starts": "", "ends": "", "targets": "ip:203.0.113.7, ip:2001:db8:7::/56", "agency": "sheriff",
}  # fmt: skip


def when(days: float) -> str:
    """RFC 3339, relative to now."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made home that LICTL_HOME names."""
    monkeypatch.setenv("LICTL_HOME", str(tmp_path / "home"))
    assert CliRunner().invoke(app, ["init", "--operator", "ISP-7", "--country", "US"]).exit_code == 0
    return tmp_path / "home"


def told(answers: dict[str, Any], file: Path, code: int = 0) -> str:
    """What the person saw; several answers to one question are a list."""
    lines = [line for given in answers.values() for line in (given if isinstance(given, list) else [given])]
    result = CliRunner().invoke(app, ["warrant", "new", str(file)], input="\n".join(lines) + "\n")
    assert result.exit_code == code, f"{result.exit_code}: {result.stderr}"
    return result.stderr


def test_answers_become_a_lawful_file(home: Path, tmp_path: Path) -> None:
    """What was answered stands in the file; proposals are taken by Enter; only its owner can read it."""
    text = told({**PEN_TRAP, "signed_at": when(-2), "starts": when(-1)}, tmp_path / "order.toml")
    order = load(tmp_path / "order.toml", now_ns())
    assert (order.authority.kind, order.authority.citation, order.intercept.mode) == (
        "pen-trap",
        "18 USC 3123",
        "headers",
    )
    assert [str(target) for target in order.intercept.targets] == ["ip:203.0.113.7", "ip:2001:db8:7::/56"]
    assert (tmp_path / "order.toml").stat().st_mode & 0o777 == 0o600
    assert "18 USC 3123" in text
    assert "no authority" in text


def test_a_wrong_answer_is_asked_for_again_with_the_reason(home: Path, tmp_path: Path) -> None:
    """Content under a pen register, an end behind the term, a default route: each is named with its rule."""
    answers = {
        **PEN_TRAP, "authority": ["wish", "pen-trap"], "signed_at": ["yesterday", when(-2)], "starts": when(-1),
        "mode": ["content", "headers"], "ends": [when(100), when(20)], "targets": ["ip:0.0.0.0/0", "ip:203.0.113.7"],
    }  # fmt: skip
    text = told(answers, tmp_path / "order.toml")
    for word in ("'wish' is none", "60 days", "0.0.0.0/0"):
        assert word in text
    assert load(tmp_path / "order.toml", now_ns()).intercept.ends < now_ns() + 21 * 86400 * 10**9


def test_every_required_field_of_title_iii_is_asked_for(home: Path, tmp_path: Path) -> None:
    """Each with the paragraph that asks for it."""
    answers = {
        "authority": "title-iii", "citation": "", "court": "C", "docket": "D", "signed_by": "J", "signed_at": when(-1),
        "presented_by": "P", "offence": "o", "predicate": ["murder", "18 USC 2516(1)(e)"], "subject": "unknown",
        "facilities": "f", "communications": "c", "authorised_agency": "a", "authorised_by": "b",
        "ends_at_first": "no", "case_id": "C-1", "liid": "L1", "mode": "content", "starts": when(0), "ends": "",
        "targets": "ip:203.0.113.7", "agency": "sheriff",
    }  # fmt: skip
    text = told(answers, tmp_path / "order.toml")
    for paragraph in ("2518(4)(a)", "2518(4)(b)", "2518(4)(c)", "2518(4)(d)", "2518(4)(e)", "18 USC 2516"):
        assert paragraph in text
    assert load(tmp_path / "order.toml", now_ns()).authority.ends_at_first is False


def test_what_never_arms_an_intercept_is_not_offered(home: Path, tmp_path: Path) -> None:
    """A subpoena gets no questions; a person who gives up leaves no file."""
    text = told({"authority": "subpoena"}, tmp_path / "order.toml", code=130)
    assert "'subpoena' is none of them" in text
    assert not (tmp_path / "order.toml").exists()


def test_a_file_that_is_there_is_kept(home: Path, tmp_path: Path) -> None:
    """Without --replace nothing is asked."""
    (tmp_path / "order.toml").write_text("mine")
    told({}, tmp_path / "order.toml", code=3)
    assert (tmp_path / "order.toml").read_text() == "mine"


def test_standard_output_is_the_outcome_alone(home: Path, tmp_path: Path) -> None:
    """Through pipes, as a program sees it: one JSON document from the first octet on, every question beside it."""
    answers = {**PEN_TRAP, "signed_at": when(-2), "starts": when(-1)}
    file = tmp_path / "order.toml"
    argv = [sys.executable, "-m", "lictl", "--json", "warrant", "new", str(file)]
    given = "\n".join(answers.values()) + "\n"
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == json.dumps({"file": str(file)}, indent=2) + "\n"
    assert "targets: " in done.stderr


def test_no_place_for_the_file_is_told_before_the_first_question(home: Path, tmp_path: Path) -> None:
    """Nobody copies a whole order for nothing."""
    for file in (tmp_path / "none" / "order.toml", tmp_path / ("x" * 300)):
        text = told({}, file, code=6)
        assert "cannot be written" in text
        assert "authority: " not in text
