# SPDX-License-Identifier: Apache-2.0
"""`lictl agency new`: scripted people answer its questions; what it adds is what the command that it shows adds."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bounded
import pytest
from test_cli_agencies import home
from test_cli_commands import RUNNER, answer, failure, lictl

from lictl.audit.read import entries
from lictl.cli.app import app

sys.path.append(str(Path(__file__).parent.parent / "delivery"))
from authority_kit import Authority

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

__all__ = ["home"]
ENTER = ""


def told(*answers: object, name: str = "a", code: int = 0) -> Any:
    """What the person saw and got; answers in the order of the questions, confirmed where all were given."""
    text = "\n".join(map(str, answers)) + "\n"
    result = RUNNER.invoke(app, ["--json", "agency", "new", name], input=text)
    assert result.exit_code == code, f"{result.exit_code}: {result.stderr}"
    assert "Traceback" not in result.stderr
    return result


def the_same(result: Any, name: str = "a") -> dict[str, Any]:
    """What it added; the command that it showed adds the same, and the audit chain has the same of both."""
    added: dict[str, Any] = json.loads(result.stdout)
    shown = next(line for line in result.stderr.splitlines() if line.startswith(f"  lictl agency add {name} "))
    lictl("agency", "remove", name)
    again = answer(*shlex.split(shown)[1:])
    assert again == added
    assert [agency["name"] for agency in answer("agency", "list")] == [name]
    first, second = [each for each in entries(Path(os.environ["LICTL_HOME"]) / "audit") if each.action == "agency.add"]
    assert (first.before, first.after) == (second.before, second.after)
    return added


@pytest.mark.usefixtures("home")
def test_answers_become_the_same_agency_as_the_command_that_is_shown() -> None:
    """Options, events and further settings of ETSI's protocol; what is proposed is taken by Enter."""
    result = told(
        ENTER, "etsi-102232", ENTER, "192.0.2.9", 9000, "n", "192.0.2.10:9001", "iri-only", "summary", 30, "sha256",
        "eddsa", "aes-256-cbc", "generalized", "request", "y", 20.5, 10, 100000, "64K", "2G", "y",
    )  # fmt: skip
    added = the_same(result)
    assert added["options"] == {
        "headers": "iri-only", "reports": "summary", "interval": "30", "integrity": "sha256", "signature": "eddsa",
        "encryption": "aes-256-cbc", "time": "generalized", "acknowledgement": "request",
    }  # fmt: skip
    way = added["transport"]
    assert (way["kind"], way["events_host"], way["events_port"]) == ("tcp", "192.0.2.10", 9001)
    assert (way["keepalive_s"], way["response_s"], way["bytes_per_s"]) == (20.5, 10.0, 100000)
    assert way["backlog_bytes"] == 2 << 30
    assert "holds no block" in result.stderr


@pytest.mark.usefixtures("home")
def test_a_wrong_answer_is_asked_for_again_with_the_reason() -> None:
    """At once, each time; nothing else changes by it."""
    result = told(
        "mars", "\x1b[D", ENTER, "morse", "pcapng", "udp", "tcp", "no host!", "192.0.2.9", 0, "x", 9000, "perhaps", "n",
        "round", ENTER, "y", -5, 0, ENTER, "y",
    )  # fmt: skip
    for reason in (
        "'mars' is none", "no visible text", "'morse' is none", "'udp' is none", "no host", "no TCP port",
        "'x' is no number", "neither yes nor no", "the option link cannot be 'round'", "'-5' is no number",
    ):  # fmt: skip
        assert reason in result.stderr
    added = the_same(result)
    assert (added["host"], added["port"], added["options"]) == ("192.0.2.9", 9000, {})


@pytest.mark.usefixtures("home")
def test_what_cannot_work_is_not_offered() -> None:
    """No signature without digests, no interval without summaries, no stream of datagrams, no foreign format."""
    etsi = told(ENTER, "etsi-102232", "tcp", "h", 1, *[ENTER] * 10, code=130).stderr
    assert "interval [" not in etsi
    assert "signature [" not in etsi
    assert "atis-1000013" not in etsi  # the site's profile has no such family
    narrow = told("us", code=130).stderr.partition("profile [de]: ")[2]
    assert "pcapng" in narrow
    assert "etsi-102232" not in narrow  # the agency's profile has none
    datagrams = told(ENTER, "tzsp", ENTER, "h", *[ENTER] * 5, code=130).stderr
    assert "transport [udp]" in datagrams
    assert "port [37008]" in datagrams
    assert "for content orders only" in datagrams
    for never in ("  tcp ", "  files ", "tls [", "events ["):
        assert never not in datagrams
    assert answer("agency", "list") == []


def test_atis_proposes_its_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CmC's and, for events at the same host, CmII's."""
    monkeypatch.setenv("LICTL_HOME", str(tmp_path / "home"))
    lictl("init", "--operator", "ISP", "--element", "box", "--country", "US")
    way = the_same(told(ENTER, "atis-1000013", ENTER, "2001:db8::7", *[ENTER] * 6, "n", "y"))
    assert (way["port"], way["transport"]["events_host"], way["transport"]["events_port"]) == (
        41818, "2001:db8::7", 41817,
    )  # fmt: skip


@pytest.mark.usefixtures("home")
def test_files_are_asked_for_in_an_order_in_which_each_can_be(tmp_path: Path) -> None:
    """Larger files than the quota holds are refused where they are answered; nobody asks where to connect to."""
    result = told(
        ENTER, "pcap", "files", ENTER, "y", 1 << 30, 0, 600, 1 << 29, 1 << 27, tmp_path / "out", 30, "md4", "md5",
        ENTER, "y",
    )  # fmt: skip
    assert "could not hold four files" in result.stderr
    assert "no digest 'md4'" in result.stderr
    added = the_same(result)
    assert (added["host"], added["port"], added["transport"]["backlog_bytes"]) == ("", 0, 0)
    assert added["transport"]["files"] == {
        "quota_bytes": str(1 << 30), "seconds": "600", "bytes": str(1 << 27), "folder": str(tmp_path / "out"),
        "retention_days": "30", "digests": "md5",
    }  # fmt: skip


@pytest.mark.usefixtures("home")
def test_certificates_are_judged_when_they_are_named(tmp_path: Path) -> None:
    """What is no PEM or has ended is asked for again; where certificate and key differ, both are."""
    ours = Authority(tmp_path, "ca")
    certificate, key = ours.issue("operator")
    old, _ = ours.issue("old", days=-1)
    _, other = ours.issue("other")
    ended = Authority(tmp_path, "ended", days=-1).file
    result = told(
        ENTER, "text", ENTER, "agency.example", 9000, "y", tmp_path / "none", ended, ours.file, old, certificate, other,
        certificate, key, ENTER, "y", "1.1", "1.2", 0, ENTER, "y",
    )  # fmt: skip
    for reason in ("cannot be read", "authority's certificate has expired", "our own certificate has expired",
                   "not that of the certificate", "'1.1' is none"):  # fmt: skip
        assert reason in result.stderr
    way = the_same(result)["transport"]
    assert (way["tls"], way["tls_min"], way["certificate"]) == (True, "1.2", certificate.read_text())
    assert key.read_text().splitlines()[1] not in result.stdout + result.stderr


@pytest.mark.usefixtures("home")
def test_who_gives_up_adds_nothing() -> None:
    """The end of input and a no are told in one sentence; a name that is there or cannot be costs no answers."""
    whole = (ENTER, "text", ENTER, "h", 9, ENTER, ENTER, ENTER)
    for count in (0, 4, len(whole)):
        assert "stopped, nothing was done." in told(*whole[:count], code=130).stderr.splitlines()[-1]
    assert "stopped, nothing was done." in told(*whole, "n", code=130).stderr.splitlines()[-1]
    assert answer("agency", "list") == []
    told(*whole, "y")
    assert "already" in told(code=2).stderr
    assert "Write 1 to 64 of A-Z a-z" in told(name="b/c", code=2).stderr
    assert [each["name"] for each in answer("agency", "list")] == ["a"]


def state(pid: int) -> str:
    """Of a process's first thread, as in proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def asked() -> Iterator[tuple[subprocess.Popen[bytes], int, bytes]]:
    """The command on a terminal of its own, at its first question: its process, our end, what it wrote."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lictl", "agency", "new", "a"]
    with bounded.running(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        seen = b""
        while b"profile [de]" not in seen:
            seen += bounded.read(ours, what="the first question")
        yield process, ours, seen


@pytest.mark.usefixtures("home")
def test_ctrl_c_adds_nothing() -> None:
    """On a terminal: exit code 130, one sentence."""
    with asked() as (process, ours, seen):
        # A signal between the question and the read(2) behind it wakes nobody: Python has noted it, and waits.
        bounded.until(lambda: state(process.pid) == "S", "it waits for the answer")
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(OSError):  # the terminal ends with its last process
            while True:
                seen += bounded.read(ours, what=f"the end, only {seen!r}")
        assert bounded.ended(process) == 130
    os.close(ours)
    assert "error: stopped, nothing was done." in seen.decode().splitlines()[-1]
    assert answer("agency", "list") == []


@pytest.mark.usefixtures("home")
def test_a_terminal_that_hangs_up_adds_nothing() -> None:
    """As one who gives up, also where nobody can be told any more: no defect of lictl's."""
    with asked() as (process, ours, _):
        os.close(ours)
        assert bounded.ended(process) == 130
    assert answer("agency", "list") == []


@pytest.mark.usefixtures("home")
def test_add_names_what_is_missing() -> None:
    """All of it, and the command that asks."""
    assert "without --host and --port " in failure("agency", "add", "a", code=2)["what"]
    error = failure("agency", "add", "a", "--port", "9", "--tls", code=2)
    assert "without --host and --tls-ca " in error["what"]
    assert "lictl agency new a" in error["fix"]
