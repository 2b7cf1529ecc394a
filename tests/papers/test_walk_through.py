# SPDX-License-Identifier: Apache-2.0
"""docs/walk-through.md, command by command, as three Unix users, on the box of the laboratory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from paper_kit import beside_labels, squeezed, text

from lictl.lab import topology
from lictl.lab.lab import Lab
from lictl.times import format_rfc3339, now_ns, parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.tree, pytest.mark.kernel, pytest.mark.net, pytest.mark.timeout(600)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "walk-through.md"
PART = re.compile(r"^```(sh|toml)\n(.*?)^```|^<!-- (.+?) -->$", re.MULTILINE | re.DOTALL)
USERS = {"alice": 64111, "bob": 64112, "carol": 64113}
WRITTEN = parse_rfc3339("2026-11-22T12:00:00Z")
"""The day on which the page plays."""
# What the page calls its ports and hosts -> what they are called in the laboratory.
LAB_NAMES = {"eth1": topology.ACCESS, "eth2": topology.CORE}
SLOW = 60.0

TREE = PAGE.parents[1]
# A command is run with a user table of its own, outside of any login session.  Where this tree lies behind a folder
# that other users cannot enter, such as /root, an open folder stands in that one's place, for the command alone.
ALONE = (
    'mount --bind "$1" /etc/passwd && { echo 4294967295 >/proc/self/loginuid; } 2>/dev/null; [ -z "$2" ] || { '
    'mount --bind "$3" "$1.tree" && mount -t tmpfs -o mode=0755 lictl-test "$2" && mkdir -p "$3" && '
    'mount --bind "$1.tree" "$3"; } || exit 1; shift 3; exec "$@"'
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the page does.

    Attributes:
        kind: "run", "write" (text into order.toml) or "wait" (for what an HTML comment says).
        text: the command line, the file, or the comment.
        user: who does it; "root" where the page says sudo alone.
        refused: the exit code that the page states, else 0.
    """

    kind: str
    text: str
    user: str = "root"
    refused: int = 0


def steps(page: str) -> list[Step]:
    """Everything that the page does, in its order."""
    found = []
    for language, body, comment in PART.findall(page):
        if comment:
            found.append(Step("wait", comment))
        elif language == "toml":
            found.append(Step("write", body))
        else:
            found += [_command(line) for line in body.splitlines() if line.strip()]
    return found


def _command(line: str) -> Step:
    code = re.search(r"#.*exit code (\d+)", line)
    words = shlex.split(line, comments=True)
    user = "root"
    if words[0] == "sudo":
        words = words[1:]
        if words[0] == "-u":
            user, words = words[1], words[2:]
    return Step("run", shlex.join(words), user, int(code[1]) if code else 0)


def test_the_page_is_read_whole() -> None:
    """Every command line of the page is a step with its user; nothing is skipped."""
    page = PAGE.read_text()
    found = steps(page)
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
             for line in block.splitlines() if line.strip()]  # fmt: skip
    assert len([step for step in found if step.kind == "run"]) == len(lines)
    assert {step.user for step in found} == {"root", *USERS}
    verbs = [tuple(step.text.split()[1:3]) for step in found if step.text.startswith("lictl warrant")]
    wanted = ["add", "approve", "approve", "suspend", "resume", "revoke", "close", "certificate"]
    assert [verb for _, verb in verbs if verb in wanted][: len(wanted)] == wanted
    assert [step.refused for step in found if step.refused] == [3]


def as_on_the_page(folder: Path, user: str, words: list[str]) -> list[str]:
    """A command as that user runs it."""
    if user != "root":
        uid = str(USERS[user])
        words = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *words]
    closed = next((str(place) for place in reversed(TREE.parents) if not place.stat().st_mode & 0o001), "")
    return ["unshare", "--mount", "sh", "-c", ALONE, "sh", str(folder / "passwd"), closed, str(TREE), *words]


@dataclass(slots=True)
class Walk:
    """The page, being done.

    Attributes:
        lab: the laboratory.
        folder: where the files of the page lie; everybody can write there.
        answers: standard output of each command that was run, by its text.
        daemon: runs as long as the walk.
    """

    lab: Lab
    folder: Path
    answers: dict[str, str] = field(default_factory=dict)
    daemon: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        """Of the site."""
        return self.folder / "home"

    def argv(self, step: Step) -> list[str]:
        """A command of the page as it is run here."""
        words = [re.sub(r"^eth[12](?==)", lambda m: LAB_NAMES[m[0]], word) for word in shlex.split(step.text)]
        if words[0] == "lictl":
            words = [sys.executable, "-m", "lictl", *words[1:]]
        return as_on_the_page(self.folder, step.user, words)

    def do(self, step: Step) -> None:
        """One step."""
        if step.kind == "write":
            (self.folder / "order.toml").write_text(_shifted(step.text))
        elif step.kind == "wait":
            {"the subscriber is busy": self.traffic, "all is delivered": self.delivered}[step.text]()
        elif step.text.startswith("lictl serve"):
            self.daemon = self.begin(step, "isp", "daemon.log")
            self.until(lambda: self.answered(Step("run", "lictl status")), "daemon.log")
        elif step.text.startswith("lictl receive"):
            self.begin(step, "agency", "receiver.log")
            self.until(lambda: self.lab.listens("agency", 41900), "receiver.log")
        else:
            done = self.run(step)
            assert done.returncode == step.refused, f"{step.text}: {done.returncode} {done.stderr}{self.log()}"
            self.answers[f"{step.user}: {step.text}"] = done.stdout

    def run(self, step: Step) -> subprocess.CompletedProcess[str]:
        """A command on the box."""
        command = self.lab.command("isp", self.argv(step))
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False,
                              timeout=SLOW)  # fmt: skip

    def begin(self, step: Step, host: str, log: str) -> subprocess.Popen[bytes]:
        """A command that stays."""
        with (self.folder / log).open("ab") as out:
            return self.lab.start(host, self.argv(step), cwd=self.folder, env=self.env, stdout=out, stderr=out)

    @property
    def env(self) -> dict[str, str]:
        """Of every command."""
        return os.environ | {"LICTL_HOME": str(self.home), "PYTHONPATH": str(TREE)}

    def answered(self, step: Step) -> bool:
        """Whether a command succeeds now."""
        return self.run(step).returncode == 0

    def until(self, condition: object, log: str) -> None:
        """Waits for something that takes a while."""
        limit = time.monotonic() + SLOW
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < limit, (self.folder / log).read_text()[-3000:]
            time.sleep(0.2)

    def log(self) -> str:
        """What the daemon wrote."""
        path = self.folder / "daemon.log"
        return path.read_text()[-2000:] if path.exists() else ""

    def traffic(self) -> None:
        """The subscriber of the order and another one send packets that pass the box."""
        for host in ("sub1", "sub2"):
            self.lab.run(host, ["ping", "-q", "-c", "20", "-i", "0.02", topology.SERVER.v4], timeout=SLOW)

    def delivered(self) -> None:
        """Until the daemon serves no order any more: its agency has everything."""
        status = Step("run", "lictl --json status")
        self.until(lambda: json.loads(self.run(status).stdout)["warrants"] == [], "daemon.log")


def _shifted(order: str) -> str:
    """The order with its times moved from the day of the page to today."""
    moved = (now_ns() - WRITTEN) // 10**9 * 10**9
    time_ = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z")
    return time_.sub(lambda m: format_rfc3339(parse_rfc3339(m[0]) + moved), order)


@contextlib.contextmanager
def site_folder() -> Iterator[Path]:
    """A folder that three users can work in; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory(prefix="lictl-walk-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        lines = [line for line in Path("/etc/passwd").read_text().splitlines() if line.split(":")[0] not in USERS]
        lines += [f"{user}:x:{uid}:{uid}:{user}:/:/usr/sbin/nologin" for user, uid in USERS.items()]
        (folder / "passwd").write_text("\n".join(lines) + "\n")
        (folder / "passwd").chmod(0o644)
        (folder / "passwd.tree").mkdir()
        yield folder


def _users_can_run_lictl(folder: Path) -> bool:
    argv = as_on_the_page(folder, "alice", [sys.executable, "-c", "import lictl"])
    env = os.environ | {"PYTHONPATH": str(TREE)}
    return subprocess.run(argv, cwd="/", env=env, capture_output=True, check=False, timeout=120).returncode == 0


@pytest.fixture(scope="module")
def walk() -> Iterator[Walk]:
    """The whole page, done once."""
    with site_folder() as folder, Lab() as lab:
        if not _users_can_run_lictl(folder):
            pytest.skip("other users cannot run this tree's interpreter")
        walk = Walk(lab, folder)
        for step in steps(PAGE.read_text()):
            walk.do(step)
        assert walk.daemon is not None
        walk.daemon.send_signal(signal.SIGTERM)
        walk.daemon.wait(SLOW)
        yield walk


def answer(walk: Walk, beginning: str) -> str:
    """What a command of the page answered."""
    return next(text for command, text in walk.answers.items() if command.startswith(beginning))


def test_every_step_is_done(walk: Walk) -> None:
    """All commands that end were run, each with the exit code that the page states."""
    ending = [step for step in steps(PAGE.read_text())
              if step.kind == "run" and not step.text.startswith(("lictl serve", "lictl receive"))]  # fmt: skip
    assert list(walk.answers) == [f"{step.user}: {step.text}" for step in ending]


def test_certificate_is_the_order(walk: Walk) -> None:
    """The pages show the record whose hash `sha256sum` tells, with the facts of the order and of both people."""
    record = (walk.folder / "w-1.json").read_bytes()
    digest = hashlib.sha256(record).hexdigest()
    pdf = (walk.folder / "w-1.pdf").read_bytes()
    shown = text(pdf) + beside_labels(pdf)
    assert answer(walk, "root: sha256sum").split()[0] == digest
    for wanted in (digest, "Judge Jürgen Müßig", "Det. B. Example", "B. Builder, Legal Compliance",
                   "ip:203.0.113.11", "pen register or trap and trace order", "alice (uid 64111",
                   "bob (uid 64112"):  # fmt: skip
        assert squeezed(wanted) in shown, wanted
    plain = json.loads(record)
    assert plain["missing"] == []
    assert plain["order"]["state"] == "closed"
    assert plain["enabled"] is not None
    assert plain["ending"].startswith("revoked by alice")
    what = [change["what"].split(",")[0] for change in plain["changes"]]
    assert what[:3] == ["warrant.add", "warrant.submit", "warrant.approve"]
    assert {"warrant.arm", "warrant.suspend", "warrant.resume", "warrant.revoke", "warrant.close"} <= set(what)


def test_counts_of_the_certificate_are_the_agencys(walk: Walk) -> None:
    """Both echo requests and replies of the order's subscriber while it was in force, all delivered, none lost."""
    count = json.loads((walk.folder / "w-1.json").read_bytes())["counts"][0]
    assert count["matched"] == count["delivered"] == 80
    assert sum(count["lost"].values()) == 0
    files = list((walk.folder / "evidence").rglob("*.pcapng"))
    assert files
    assert sum(path.stat().st_size for path in files) > 0


def test_the_pen_register_record(walk: Walk) -> None:
    """Who installed, who looked, what was collected."""
    shown = text((walk.folder / "w-1-pen.pdf").read_bytes())
    for wanted in ("18 USC 3123(a)(3)", "Who installed the device", "no byte of any payload", "read.warrant"):
        assert squeezed(wanted) in shown


def test_the_auditor_sees_no_target(walk: Walk) -> None:
    """carol sees the chain and the order, and not whom it names."""
    for command, told in walk.answers.items():
        if command.startswith("carol:"):
            assert "203.0.113.11" not in told, command
            assert "account 4711" not in told, command
    assert "warrant.approve" in answer(walk, "carol: lictl audit show")
    assert "pen-trap" in answer(walk, "carol: lictl report")
    assert "203.0.113.11" in answer(walk, "bob: lictl warrant show")


def test_alice_cannot_approve_her_own_order(walk: Walk) -> None:
    """The refusal is in the page with its exit code, and the order was approved by bob alone."""
    instrument = json.loads((walk.folder / "w-1.json").read_bytes())["instruments"][0]
    assert instrument["submitted_by"].startswith("alice")
    assert instrument["approved_by"].startswith("bob")
