# SPDX-License-Identifier: Apache-2.0
"""`lictl profile` and `lictl warrant check` on a home without a daemon, through the real parser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from lictl.cli.app import app
from lictl.lab.site import Order
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.authorities import adopt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNER = CliRunner()
HOUR_NS = 3_600_000_000_000


def run(*arguments: str, code: int = 0) -> str:
    """Standard output of a command line with that exit code."""
    result = RUNNER.invoke(app, list(arguments))
    assert result.exit_code == code, f"{result.exit_code}: {result.stdout} {result.stderr}"
    return result.stdout if code in (0, 3) and result.stdout else result.stderr


def answer(*arguments: str, code: int = 0) -> Any:
    """What a command answers in JSON."""
    return json.loads(run("--json", *arguments, code=code))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A US site whose owner has every role."""
    home = tmp_path / "home"
    monkeypatch.setenv("LICTL_HOME", str(home))
    roles = [word for role in ("operator", "approver", "collector-admin") for word in ("--role", f"{role}=root")]
    run("init", "--operator", "ISP-7", "--country", "US", *roles)
    yield home
    adopt(None)


@pytest.fixture
def order(home: Path, tmp_path: Path) -> Path:
    """A headers order for two targets, one of them shared by many."""
    with (home / "lictl.toml").open("a") as file:
        file.write('[network]\nshared = ["100.64.0.0/10"]\n')
    run("agency", "add", "sheriff", "--host", "192.0.2.10", "--port", "41900")
    now = now_ns()
    window = format_rfc3339(now - HOUR_NS), format_rfc3339(now + HOUR_NS)
    path = tmp_path / "order.toml"
    path.write_text(Order("L1", "headers", ("ip:203.0.113.7", "ip:100.64.0.9"), *window, ("sheriff",)).toml())
    return path


def test_a_new_site_is_bound(home: Path) -> None:
    """To its country's profile, by who made it."""
    found = answer("profile", "status")
    assert found["arms"] is True
    assert found["changes"] == []
    assert (found["lock"]["profile"], found["lock"]["bound"]["by"]["name"]) == ("us", "root")
    assert "as they were bound" in run("profile", "status")


def test_init_takes_a_profile(tmp_path: Path) -> None:
    """Where the country has none of its own it must be named, and it must be for the country."""
    made = ("--home", str(tmp_path / "h"), "init", "--operator", "X", "--country")
    assert "--profile" in run(*made, "BR", code=2)
    assert "not for country BR" in run(*made, "BR", "--profile", "us", code=2)
    assert not (tmp_path / "h").exists()
    assert answer(*made, "FR")["profile"] == "eu"


def test_profiles_are_listed_and_shown(home: Path) -> None:
    """All of the package; one with its authorities; the template to begin with."""
    assert [each["name"] for each in answer("profile", "list")] == ["us", "eu", "uk", "de", "au", "nz"]
    assert "New Zealand" in run("profile", "list")
    shown = answer("profile", "show")
    assert shown["name"] == "us"
    assert {"title-iii", "subpoena"} <= {each["kind"] for each in shown["kinds"]}
    assert "never armed" in run("profile", "show", "us")
    assert "(unconfirmed)" in run("profile", "show", "uk")
    assert 'name = "template"' in run("profile", "show", "template")
    assert "no profile" in run("profile", "show", "atlantis", code=4)


def test_a_changed_site_waits_for_confirmation(home: Path) -> None:
    """Said by status, lifted by an approver with a reason, kept in the chain."""
    (home / "authorities.d").mkdir(mode=0o700)
    (home / "authorities.d" / "own.toml").write_text('[[authority]]\nkind = "pen-trap"\nlongest = "30 days"\n')
    found = answer("profile", "status")
    assert found["arms"] is False
    assert [each["what"] for each in found["changes"]] == ["authorities data"]
    assert "Nothing is armed until an approver" in run("profile", "status")
    assert "reason" in run("profile", "confirm", "--reason", " ", code=2)
    confirmed = answer("profile", "confirm", "--reason", "counsel: 30 days here")
    assert confirmed["arms"] is True
    assert confirmed["lock"]["bound"]["reason"] == "counsel: 30 days here"
    assert "30 days" in run("profile", "show", "us")
    chain = "".join(path.read_text() for path in sorted((home / "audit").glob("*.jsonl")))
    entry = next(json.loads(line) for line in chain.splitlines() if '"profile.confirm"' in line)
    assert entry["before"]["changes"][0]["what"] == "authorities data"
    assert entry["after"]["bound"]["reason"] == "counsel: 30 days here"


def test_a_broken_lock_takes_a_profile_by_name(home: Path) -> None:
    """Nothing is guessed where nothing can be read."""
    (home / "site.lock").write_text("broken")
    assert answer("profile", "status")["bound"] is False
    assert "--profile" in run("profile", "confirm", "--reason", "x", code=4)
    assert "not for country US" in run("profile", "confirm", "--reason", "x", "--profile", "de", code=2)
    assert answer("profile", "confirm", "--reason", "x", "--profile", "us")["arms"] is True


def test_confirming_takes_an_approver(home: Path) -> None:
    """The owner of the home alone is not enough."""
    run("role", "withdraw", "root", "approver")
    assert "approver" in run("profile", "confirm", "--reason", "x", code=3)


def test_a_file_is_checked(home: Path, order: Path) -> None:
    """Table for people, JSON for programs; exit 3 while something stands against it; nothing is stored."""
    found = answer("warrant", "check", str(order), code=3)
    assert [(each["code"], each["where"], each["confirmable"]) for each in found["refusals"]] == [
        ("shared", "ip:100.64.0.9", True)
    ]
    assert found["kernel"]["added"] == {"li_v4": 2}
    text = run("warrant", "check", str(order), code=3)
    assert "shared range 100.64.0.0/10" in text
    assert "--confirm-shared" in text
    assert answer("warrant", "list", "--all") == []
    order.write_text(order.read_text().replace(', "ip:100.64.0.9"', ""))
    assert "Nothing stands against it." in run("warrant", "check", str(order))


def test_a_stored_order_is_checked(home: Path, order: Path) -> None:
    """As the approver sees it, by its id or LIID."""
    run("warrant", "add", str(order))
    assert answer("warrant", "check", "W-1", code=3)["name"] == "W-1"
    assert answer("warrant", "check", "L1", code=3)["liid"] == "L1"
    assert "W-9" in run("warrant", "check", "W-9", code=4)


def test_files_that_cannot_be_checked(home: Path, tmp_path: Path) -> None:
    """What is wrong with them, as with `warrant add`."""
    assert "cannot be read" in run("warrant", "check", str(tmp_path / "no.toml"), code=4)
    (tmp_path / "x.toml").write_bytes(b"\xff")
    assert "UTF-8" in run("warrant", "check", str(tmp_path / "x.toml"), code=2)
    (tmp_path / "x.toml").write_text("[authority]\nkind = 'subpoena'\n")
    result = RUNNER.invoke(app, ["warrant", "check", str(tmp_path / "x.toml")])
    assert result.exit_code == 3
    assert "reaches stored records only" in result.stderr
    (tmp_path / "x.toml").write_text("#" * ((1 << 20) + 1))
    assert "more than 1048576 bytes" in run("warrant", "check", str(tmp_path / "x.toml"), code=2)


def test_an_agency_has_its_own_jurisdiction(home: Path) -> None:
    """Its format must be of a family that both know."""
    added = answer("agency", "add", "yard", "--host", "192.0.2.20", "--port", "41900", "--profile", "uk")
    assert added["profile"] == "uk"
    assert "no profile" in run("agency", "add", "z", "--host", "192.0.2.20", "--port", "1", "--profile", "zz", code=4)
