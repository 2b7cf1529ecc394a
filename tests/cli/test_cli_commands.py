# SPDX-License-Identifier: Apache-2.0
"""The commands that need no daemon: what they do, say and answer in JSON; and how each kind of failure ends."""

from __future__ import annotations

import datetime as dt
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import bounded
import pytest
from typer.testing import CliRunner

from lictl.audit.chain import Chain
from lictl.audit.read import entries
from lictl.cli.app import app
from lictl.collection.receiver import Receiver
from lictl.errors import BY_EXIT_CODE
from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.lab.people import APPROVER_UID, Team, as_user
from lictl.lab.site import stated
from lictl.version import __version__
from lictl.warrants.store import Store

RUNNER = CliRunner()
TARGET = "203.0.113.7"


def lictl(*arguments: str, code: int = 0) -> Any:
    """Runs a command line, checks its exit code, returns what typer's runner saw."""
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, f"{result.exit_code}: {result.stdout} {result.stderr}"
    assert "Traceback" not in result.stdout + result.stderr
    return result


def answer(*arguments: str) -> Any:
    """What a command answers in JSON."""
    return json.loads(lictl("--json", *arguments).stdout)


def failure(*arguments: str, code: int) -> dict[str, Any]:
    """What a command says in JSON when it fails."""
    result = lictl("--json", *arguments, code=code)
    error: dict[str, Any] = json.loads(result.stderr)["error"]
    assert error["code"] == code
    return error


def when(days: float) -> str:
    """RFC 3339, relative to now."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def warrant_file(folder: Path, **change: str) -> Path:
    """A warrant file; `change` replaces values by key."""
    values = {
        "kind": '"title-iii"', "citation": '"18 USC 2518"', "court": '"A Court"', "docket": '"D-1"',
        "signed_by": '"Judge A."', "signed_at": when(-2), "presented_by": '"Det. B."',
    }  # fmt: skip
    intercept = {
        "case_id": '"CASE-1"', "liid": '"LIID0117"', "mode": '"content"', "starts": when(-1), "ends": when(20),
        "targets": f'["ip:{TARGET}"]',
    }  # fmt: skip
    lines = ["[authority]", *(f"{k} = {change.get(k, v)}" for k, v in values.items())]
    lines += stated("content" if "title-iii" in change.get("kind", values["kind"]) else "headers")
    lines += ["[intercept]", *(f"{k} = {change.get(k, v)}" for k, v in intercept.items())]
    lines += ["[[delivery]]", f"agency = {change.get('agency', chr(34) + 'sheriff' + chr(34))}"]
    path = folder / "order.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made home that LICTL_HOME names."""
    home = tmp_path / "home"
    monkeypatch.setenv("LICTL_HOME", str(home))
    roles = ["--role", "operator=root", "--role", f"approver={APPROVER_UID}"]
    lictl("init", "--operator", "ISP-7", "--element", "box-1", "--country", "US", *roles)
    return home


@pytest.fixture
def agency(home: Path) -> str:
    """An agency that nobody serves."""
    lictl("agency", "add", "sheriff", "--host", "127.0.0.1", "--port", "9")
    return "sheriff"


def test_init_says_what_it_made_and_what_is_next(tmp_path: Path) -> None:
    """Human text names the home and the next command."""
    text = lictl("--home", str(tmp_path / "h"), "init", "--operator", "X", "--country", "US").stdout
    assert str(tmp_path / "h") in text
    assert "lictl agency new" in text
    assert (tmp_path / "h").stat().st_mode & 0o777 == 0o711


def test_init_twice_is_refused(home: Path) -> None:
    """The home stays as it is."""
    before = (home / "lictl.toml").read_text()
    assert "exists" in failure("init", "--operator", "Y", "--country", "DE", code=3)["what"]
    assert (home / "lictl.toml").read_text() == before


@pytest.mark.parametrize(
    "arguments", [("--operator", "x" * 17, "--country", "US"), ("--operator", "x", "--country", "USA")]
)
def test_init_with_impossible_identifiers(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Refused before anything is made."""
    failure("--home", str(tmp_path / "h"), "init", *arguments, code=2)
    assert not (tmp_path / "h").exists()


def test_home_and_json_before_and_after_the_command(tmp_path: Path, home: Path) -> None:
    """What stands after the command wins."""
    other = tmp_path / "other"
    lictl("--home", str(other), "init", "--operator", "X", "--country", "US")
    lictl("--home", str(other), "agency", "add", "a", "--host", "h", "--port", "1")
    assert answer("agency", "list") == []
    assert [a["name"] for a in json.loads(lictl("agency", "list", "--home", str(other), "--json").stdout)] == ["a"]
    both = lictl("--home", str(home), "agency", "list", "--json", "--home", str(other)).stdout
    assert [a["name"] for a in json.loads(both)] == ["a"]


def test_state_of_one_command_line_is_not_the_next_one_s(home: Path) -> None:
    """--json is forgotten."""
    answer("agency", "list")
    assert "No agency yet" in lictl("agency", "list").stdout


def test_agencies_come_and_go(home: Path, agency: str) -> None:
    """add, list and remove, in JSON and in text."""
    (listed,) = answer("agency", "list")
    assert listed.pop("transport")["kind"] == "lictl"
    assert listed == {"name": "sheriff", "host": "127.0.0.1", "port": 9, "format": "pcapng", "options": {}}
    assert "sheriff" in lictl("agency", "list").stdout
    assert "already" in failure("agency", "add", "sheriff", "--host", "h", "--port", "1", code=2)["what"]
    assert "Removed" in lictl("agency", "remove", "sheriff").stdout
    assert answer("agency", "list") == []
    failure("agency", "remove", "sheriff", code=4)


def test_roles_come_and_go(home: Path) -> None:
    """list, grant and withdraw without a daemon, in JSON and in text; no slip of the pen gets into the table."""
    both = {"user": "root", "uid": 0, "roles": ["auditor", "operator"]}
    assert both in answer("role", "grant", "root", "auditor")
    assert "auditor, operator" in lictl("role", "list").stdout
    failure("role", "grant", "no-such-user", "operator", code=2)
    failure("role", "grant", "root", "king", code=2)
    failure("role", "withdraw", "root", "approver", code=2)
    lictl("role", "withdraw", "root", "auditor")
    lictl("role", "withdraw", str(APPROVER_UID), "approver")
    assert answer("role", "withdraw", "root", "operator") == []
    assert "Nobody" in lictl("role", "list").stdout


def test_init_with_roles(tmp_path: Path) -> None:
    """The first people are named at init; a role that is none makes no home."""
    made = answer(
        "--home", str(tmp_path / "h"), "init", "--operator", "X", "--country", "US", "--role", "approver=64102"
    )
    assert made["roles"] == [{"user": "64102", "uid": 64102, "roles": ["approver"]}]
    failure("--home", str(tmp_path / "i"), "init", "--operator", "X", "--country", "US", "--role", "king=root", code=2)
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("bad name", "--host", "h", "--port", "1"),
        ("a", "--host", "no host", "--port", "1"),
        ("a", "--host", "h", "--port", "1", "--option", "nothing"),
        ("a", "--host", "h", "--port", "1", "--format", "nonsense"),
    ],
)
def test_agencies_that_cannot_be(home: Path, arguments: tuple[str, ...]) -> None:
    """Refused with exit code 2, and not stored."""
    failure("agency", "add", *arguments, code=2)
    assert answer("agency", "list") == []


def test_agency_test_greets_a_receiver(home: Path, tmp_path: Path) -> None:
    """It says that the receiver answered, and leaves no file there."""
    with Receiver(("127.0.0.1", 0), tmp_path / "evidence").start() as receiver:
        host, port = receiver.address
        lictl("agency", "add", "a", "--host", host, "--port", str(port))
        found = answer("agency", "test", "a")
        assert found["version"] == 1
        assert found["address"] == host
        assert "speaks version 1" in lictl("agency", "test", "a").stdout
        assert receiver.verdict().streams == ()
    assert list((tmp_path / "evidence").glob("*test*")) == []


def test_agency_test_without_a_receiver(home: Path, agency: str) -> None:
    """Nothing listens: exit code 4."""
    assert "does not answer" in failure("agency", "test", agency, code=4)["what"]


def test_agency_test_of_something_else(home: Path) -> None:
    """A server of another protocol is told apart."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(bounded.PATIENCE_S)

        def chat() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 smtp.example.org ESMTP\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=chat, daemon=True)
        thread.start()
        lictl("agency", "add", "a", "--host", "127.0.0.1", "--port", str(port))
        assert "no receiver" in failure("agency", "test", "a", code=4)["what"]
        bounded.join(thread)


def approve(home: Path, name: str) -> Any:
    """By the lab's approver, as root cannot be two people."""
    return Team(Home(home)).approver("warrant.approve", name=name)


def test_an_order_without_a_daemon(home: Path, agency: str, tmp_path: Path) -> None:
    """It is added, submitted, approved by another person, listed, shown and revoked; each answer says what it means."""
    path = str(warrant_file(tmp_path))
    added = answer("warrant", "add", path)
    assert (added["id"], added["liid"], added["state"]) == ("W-1", "LIID0117", "draft")
    assert "lictl warrant submit" in added["effect"]
    assert answer("warrant", "submit", "LIID0117")["state"] == "submitted"
    assert "may not do warrant.approve" in failure("warrant", "approve", "LIID0117", code=3)["what"]
    approved = approve(home, "LIID0117")
    assert approved["state"] == "approved"
    assert "lictl serve" in approved["effect"]
    assert [w["id"] for w in answer("warrant", "list")] == ["W-1"]
    assert "LIID0117" in lictl("warrant", "list").stdout
    shown = answer("warrant", "show", "LIID0117")
    assert shown["authority"]["docket"] == "D-1"
    assert shown["file"] == Path(path).read_text()
    assert [shown["instruments"][0][who]["uid"] for who in ("submitted", "approved")] == [0, APPROVER_UID]
    assert TARGET in lictl("warrant", "show", "W-1").stdout
    assert failure("agency", "remove", "sheriff", code=3)["what"].startswith("Agency sheriff receives")
    assert answer("warrant", "revoke", "LIID0117")["state"] == "revoked"
    failure("warrant", "revoke", "LIID0117", code=3)
    assert answer("warrant", "list") == []
    assert [w["state"] for w in answer("warrant", "list", "--all")] == ["revoked"]


def test_directed_assistance_is_shown_with_the_order(home: Path, agency: str, tmp_path: Path) -> None:
    """It may be left out; where the order directs it, it stands among the order's facts; it is never blank."""
    path = str(warrant_file(tmp_path))
    lictl("warrant", "add", path)
    assert "assistance" not in lictl("warrant", "show", "W-1").stdout
    directed = str(warrant_file(tmp_path, docket='"D-1"\nassistance = "access to the switch"', liid='"L2"'))
    lictl("warrant", "add", directed)
    assert answer("warrant", "show", "W-2")["authority"]["assistance"] == "access to the switch"
    facts = lictl("warrant", "show", "W-2").stdout.partition("[authority]")[0]
    assert "assistance  access to the switch" in facts
    blank = str(warrant_file(tmp_path, docket='"D-1"\nassistance = " "', liid='"L3"'))
    assert "authority.assistance" in failure("warrant", "add", blank, code=2)["what"]


def test_one_person_cannot_be_both(home: Path, agency: str, tmp_path: Path) -> None:
    """With both roles, what a person submitted is still approved by another one."""
    lictl("role", "grant", "root", "approver")
    lictl("warrant", "add", str(warrant_file(tmp_path)), "--submit")
    assert "two people" in failure("warrant", "approve", "W-1", code=3)["what"]
    assert answer("warrant", "show", "W-1")["state"] == "submitted"


def test_an_order_is_suspended_rejected_and_closed(home: Path, agency: str, tmp_path: Path) -> None:
    """The other ways through a life, by command."""
    path = str(warrant_file(tmp_path))
    lictl("warrant", "add", path, "--submit")
    lictl("role", "grant", "root", "approver")
    assert "draft" in lictl("warrant", "reject", "W-1", "--reason", "wrong docket").stdout
    assert answer("warrant", "show", "W-1")["instruments"][0]["reason"] == "wrong docket"
    lictl("warrant", "submit", "W-1")
    approve(home, "W-1")
    assert "Suspended" in lictl("warrant", "suspend", "W-1").stdout
    assert "two people" in failure("warrant", "resume", "W-1", code=3)["what"]
    Team(Home(home)).approver("warrant.resume", name="W-1")
    failure("warrant", "close", "W-1", code=3)
    lictl("warrant", "revoke", "W-1")


def test_an_inability_is_noted_with_the_order(home: Path, agency: str, tmp_path: Path) -> None:
    """Shown in the list and with the order; in the chain as an act whose reason is sealed; refused once it is over."""
    lictl("warrant", "add", str(warrant_file(tmp_path)), "--submit")
    approve(home, "W-1")
    told = lictl("warrant", "unable", "LIID0117", "--reason", f"no port to {TARGET}").stdout
    assert "cannot be performed: order W-1" in told
    assert "State: approved" in told
    assert "UNABLE" in lictl("warrant", "list").stdout
    lictl("warrant", "unable", "W-1", "--reason", "the site has no power")
    lictl("warrant", "unable", "W-1", "--restored", "--reason", "another port")
    assert "UNABLE" not in lictl("warrant", "list").stdout
    shown = answer("warrant", "show", "W-1")
    assert [(i["reason"], i["noted"]["uid"], i["restored_reason"]) for i in shown["inabilities"]] == [
        (f"no port to {TARGET}", 0, "another port"), ("the site has no power", 0, "another port"),
    ]  # fmt: skip
    assert "the site has no power" in lictl("warrant", "show", "W-1").stdout
    assert "Nothing is noted" in failure("warrant", "unable", "W-1", "--restored", "--reason", "again", code=3)["what"]
    for reason in ("  ", "no", "x" * 2001):
        assert "3 to 2000" in failure("warrant", "unable", "W-1", "--reason", reason, code=2)["what"]
    lictl("warrant", "revoke", "W-1")
    assert "is revoked" in failure("warrant", "unable", "W-1", "--reason", "too late", code=3)["what"]
    acts = [e for e in entries(home / "audit") if e.action in ("warrant.unable", "warrant.able")]
    assert [(e.action, e.subject) for e in acts] == [
        ("warrant.unable", "W-1"), ("warrant.unable", "W-1"), ("warrant.able", "W-1"), ("warrant.able", "W-1"),
    ]  # fmt: skip
    store = Store.of(Home(home))
    assert store.unseal("W-1", "audit/inability", acts[0].sealed or b"") == f"no port to {TARGET}"
    store.close()
    assert TARGET not in "".join(path.read_text() for path in (home / "audit").glob("*.jsonl"))


@pytest.mark.parametrize(("known", "outcome"), [("draft", "failed"), ("submitted", "done")])
def test_an_act_that_an_older_lictl_was_cut_off_in(
    home: Path, agency: str, tmp_path: Path, known: str, outcome: str
) -> None:
    """It is judged by the facts that its intent wrote down: one that lictl knows only by now is no change."""
    lictl("warrant", "add", str(warrant_file(tmp_path)))
    added = next(e.after or {} for e in entries(home / "audit") if e.action == "done" and "order" in (e.after or {}))
    before = {key: value for key, value in added.items() if key not in ("order", "inabilities")} | {"state": known}
    with Chain.open(Home(home), SiteKey.open(Home(home)).signer) as chain:
        intent = chain.append("warrant.submit", actor={"uid": 0}, subject="W-1", before=before)
    lictl("warrant", "list")
    assert [e.action for e in entries(home / "audit") if e.subject == str(intent)] == [outcome]


def test_without_a_role_nothing_is_read_or_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root keeps roles and agencies, and may stop; what orders say is other people's."""
    monkeypatch.setenv("LICTL_HOME", str(tmp_path / "h"))
    lictl("init", "--operator", "ISP-7", "--country", "US")
    lictl("agency", "add", "sheriff", "--host", "127.0.0.1", "--port", "9")
    for arguments in (("add", str(warrant_file(tmp_path))), ("list",), ("show", "W-1"), ("resume", "W-1")):
        assert "takes the role" in failure("warrant", *arguments, code=3)["what"]


def test_every_look_and_every_act_is_in_the_chain(home: Path, agency: str, tmp_path: Path) -> None:
    """Reads are entries before they are answered; acts are intents with an outcome; no target stands in plain."""
    lictl("warrant", "add", str(warrant_file(tmp_path)), "--submit")
    lictl("warrant", "list")
    lictl("warrant", "show", "W-1")
    found = list(entries(home / "audit"))
    actions = [entry.action for entry in found]
    assert actions == [
        "chain.begin", "note.site", "agency.add", "done", "warrant.add", "done", "warrant.submit", "done",
        "read.warrants", "read.warrant",
    ]  # fmt: skip
    assert [entry.subject for entry in found[-2:]] == [None, "W-1"]
    assert {entry.actor["uid"] for entry in found[1:]} == {0}
    assert TARGET not in "".join(path.read_text() for path in (home / "audit").glob("*.jsonl"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ends": when(-0.5)}, 3),
        ({"targets": '["ip:0.0.0.0/0"]'}, 3),
        ({"targets": '["nonsense"]'}, 2),
        ({"kind": '"pen-trap"'}, 3),
        ({"mode": '"everything"'}, 2),
        ({"agency": '"nobody"'}, 4),
        ({"case_id": '"x"\nunknown = 1'}, 2),
    ],
)
def test_orders_that_are_refused(home: Path, agency: str, tmp_path: Path, change: dict[str, str], code: int) -> None:
    """With the exit code of the reason, and nothing is stored."""
    assert failure("warrant", "add", str(warrant_file(tmp_path, **change)), code=code)["fix"]
    assert answer("warrant", "list", "--all") == []


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"[", b"x" * 2_000_000])
def test_files_that_are_no_orders(home: Path, tmp_path: Path, content: bytes) -> None:
    """Binary, empty, broken or huge: exit code 2 or 3, never a traceback."""
    (tmp_path / "x.toml").write_bytes(content)
    result = RUNNER.invoke(app, ["warrant", "add", str(tmp_path / "x.toml")])
    assert result.exit_code in (2, 3)


def test_a_file_that_is_not_there(home: Path, tmp_path: Path) -> None:
    """Exit code 2 or 4 with its name."""
    result = RUNNER.invoke(app, ["warrant", "add", str(tmp_path / "nothing.toml")])
    assert result.exit_code in (2, 4)
    assert "nothing.toml" in result.stderr


@pytest.mark.parametrize("arguments", [("status",), ("status", "--watch")])
def test_status_without_a_daemon(home: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 4 and how to start one."""
    assert "lictl serve" in failure(*arguments, code=4)["fix"]


@pytest.mark.parametrize(
    "arguments", [("agency", "list"), ("warrant", "list"), ("status",), ("serve", "--mirror", "lo")]
)
def test_commands_without_a_home(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 4 and `lictl init`; nothing is made."""
    assert "lictl init" in failure("--home", str(tmp_path / "no"), *arguments, code=4)["fix"]
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "arguments", [("agency", "list"), ("warrant", "list"), ("status",), ("serve", "--mirror", "lo")]
)
def test_commands_on_an_open_home(home: Path, arguments: tuple[str, ...]) -> None:
    """A home that others may open is refused, with chmod."""
    home.chmod(0o755)
    assert "chmod 711" in failure(*arguments, code=3)["fix"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("serve", "--interface", "eth1"),
        ("serve", "--mirror", "lo", "--ring-mib", "3"),
        ("serve", "--mirror", "lo", "--quota", "much"),
        ("receive", "--listen", "nowhere", "--into", "x"),
    ],
)
def test_options_that_make_no_sense(home: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 2 and what to write."""
    assert failure(*arguments, code=2)["fix"]


@pytest.mark.parametrize("arguments", [("nonsense",), ("agency", "add"), ("init", "--unknown"), ("agency", "nonsense")])
def test_wrong_command_lines(arguments: tuple[str, ...]) -> None:
    """Exit code 2, as of every command-line program."""
    assert lictl(*arguments, code=2).stderr


def test_version(home: Path) -> None:
    """Program, capture object and kernel."""
    facts = answer("version")
    assert facts["lictl"] == __version__
    assert len(facts["capture_object_sha256"]) == 64
    assert __version__ in lictl("version").stdout


@pytest.mark.net
def test_doctor_names_each_finding_with_a_fix(home: Path) -> None:
    """Exit code 0 or 6; every line that is not ok has a fix; an interface that is not there is bad."""
    result = RUNNER.invoke(app, ["--json", "doctor", "--interface", "nothere", "--interface", "\udcff"])
    assert result.exit_code == 6
    checks = json.loads(result.stdout)
    assert {check["state"] for check in checks} <= {"ok", "warn", "bad"}
    assert all(check["fix"] for check in checks if check["state"] != "ok")
    assert [c["state"] for c in checks if c["name"] == "interface nothere"] == ["bad"]
    assert [c["state"] for c in checks if c["name"] == "interface \udcff"] == ["bad"]
    assert {"kernel", "capabilities", "bpffs", "clock", "disk", "home"} <= {check["name"] for check in checks}


@pytest.mark.net
def test_doctor_sees_an_open_home(home: Path) -> None:
    """And says chmod."""
    (home / "lictl.toml").chmod(0o644)
    checks = json.loads(RUNNER.invoke(app, ["--json", "doctor"]).stdout)
    assert any(c["name"] == "home" and c["state"] == "bad" and "chmod 600" in c["fix"] for c in checks)


def test_every_error_class_has_its_exit_code(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The codes are those of lictl.errors, in text and in JSON."""
    from lictl.service import guard

    for code, kind in BY_EXIT_CODE.items():

        def fail(_home: object, kind: Any = kind) -> None:
            raise kind("it went wrong.", "do this.")

        monkeypatch.setattr(guard, "open_home", fail)
        assert failure("status", code=code) == {"what": "it went wrong.", "fix": "do this.", "code": code}
        text = lictl("status", code=code).stderr
        assert "error: it went wrong." in text
        assert "fix: do this." in text


def test_a_defect_is_told_as_one(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No traceback and no message of it on the terminal: a private file has them."""
    from lictl.service import guard

    def fail(_home: object) -> None:
        raise ZeroDivisionError("203.0.113.7")

    monkeypatch.setattr(guard, "open_home", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = lictl("status", code=1)
    assert "defect" in result.stderr
    assert TARGET not in result.stdout + result.stderr
    (details,) = tmp_path.glob("lictl-defect-*")
    assert details.stat().st_mode & 0o777 == 0o600
    assert "ZeroDivisionError" in details.read_text()


def test_help_of_everything() -> None:
    """--help and -h work at every level and end with 0."""
    for arguments in ([], ["agency"], ["warrant"], ["agency", "add"], ["serve"]):
        assert "Usage" in lictl(*arguments, "--help").stdout
        assert "Usage" in lictl(*arguments, "-h").stdout


def test_a_refused_emergency_leaves_no_order(home: Path, agency: str, tmp_path: Path) -> None:
    """What cannot be put into force by one person is not left behind submitted, for somebody else to approve."""
    emergency = {"kind": '"title-iii-emergency"', "citation": '"18 USC 2518(7)"', "ends": when(0.9)}
    file = warrant_file(tmp_path, **emergency)
    text = file.read_text().replace("[intercept]", 'designated_by = "AG"\ngrounds = "danger to life"\n[intercept]')
    file.write_text(text.replace(TARGET, "203.0.113.0/24"))
    assert "wider than" in failure("warrant", "add", "--emergency", str(file), code=3)["what"]
    assert answer("warrant", "list", "--all") == []
    file.write_text(text)
    command = [sys.executable, "-m", "lictl", "--json", "warrant", "add", "--emergency", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(result.stdout)["state"] == "approved"
    assert result.stderr == ""  # what the daemon logs stands in no command's answer


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        (["--json", "init"], "Missing option '--operator'.", "lictl init --help"),
        (["warrant", "chek", "--json"], "No such command 'chek'.", "lictl warrant --help"),
        (["--json", "warrant"], "a command is missing.", "lictl warrant --help"),
        (["nonsense", "--json"], "No such command 'nonsense'.", "lictl --help"),
        (["--json"], "Missing command.", "lictl --help"),
    ],
)
def test_a_command_line_that_cannot_be_read_fails_in_json_too(line: list[str], what: str, fix: str) -> None:
    """A program that asked for JSON reads every failure in one way, wherever --json stands."""
    result = lictl(*line, code=2)
    error = json.loads(result.stderr)["error"]
    assert error["what"].startswith(what)
    assert error["fix"] == f"See `{fix}`."
    assert error["code"] == 2


def test_a_question_without_a_yes_is_no_defect(tmp_path: Path) -> None:
    """Nothing is done, the exit code is that of an interruption, and the question does not stand in the outcome."""
    for given in ("n\n", ""):
        result = RUNNER.invoke(app, ["--json", "--home", str(tmp_path), "warrant", "destroy-key", "LIID1"], input=given)
        assert result.exit_code == 130
        assert json.loads(result.stderr.splitlines()[-1])["error"]["code"] == 130
        assert result.stdout == ""


def test_role_holders_may_name_a_home_that_they_cannot_read(home: Path) -> None:
    """It is its owner's, mode 0711: they are led to the daemon, whichever way the home is named."""
    result = as_user(APPROVER_UID, lambda: RUNNER.invoke(app, ["--home", str(home), "agency", "list"]))
    assert result.exit_code == 4, result.stderr
    assert "no daemon answers" in result.stderr


def test_places_that_cannot_be_written(home: Path, tmp_path: Path) -> None:
    """Each is named with what to do, nothing is called a defect, and no work is done whose outcome had no place."""
    file = tmp_path / "file"
    file.write_text("")
    lictl("role", "grant", "root", "auditor")
    init = ("init", "--operator", "A", "--country", "US", "--home")
    for line, place in (
        ((*init, str(file)), file),
        ((*init, "/proc/lictl"), Path("/proc/lictl")),
        (("audit", "export", "--bundle", str(file / "b.tar.gz")), file / "b.tar.gz"),
        (("drill", "--pdf", str(tmp_path / "none" / "d.pdf")), tmp_path / "none" / "d.pdf"),
        (("receive", "--listen", "127.0.0.1:0", "--into", str(file)), file),
    ):
        error = failure(*line, code=6)
        assert str(place) in error["what"], line
        assert error["fix"], line
    error = failure("audit", "export", "--bundle", str(tmp_path / "file"), code=3)
    assert error["what"] == f"{tmp_path / 'file'} is there already."
    assert "note.drill.begin" not in [entry.action for entry in entries(home / "audit")]
