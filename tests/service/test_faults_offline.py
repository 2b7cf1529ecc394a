# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the steps of acts where no daemon runs: chain and store agree after the next start, on the safe side.

test_daemon_faults.py does it at every point of a running daemon.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from daemon_rig import order

from lictl import faults
from lictl.audit.local import verify_home
from lictl.audit.read import entries
from lictl.home import Home
from lictl.lab.people import Team, lab_roles
from lictl.people.actor import this_process
from lictl.service.administration import on_files
from lictl.service.founding import found
from lictl.service.site import Site

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import json, sys
from pathlib import Path
from lictl.home import Home
from lictl.lab.people import Team
who, op, args = json.loads(sys.argv[2])
getattr(Team(Home(Path(sys.argv[1]))), who)(op, **args)
"""


@dataclass(frozen=True)
class Act:
    """One act: which state it begins with, who does it, and the state that it leads to."""

    begins: str
    who: str
    op: str
    ends: str
    args: dict[str, Any] = field(default_factory=dict)

    @property
    def points(self) -> list[str]:
        """Its fault points, in the order of the source."""
        return [name for name in NAMES if name.startswith(f"{self.op}.")]


PLACES = faults.names()
NAMES = sorted(PLACES, key=lambda name: int(PLACES[name].rpartition(":")[2]))
BY_NAME = {"name": "L1"}
STOPS = {"warrant.suspend", "warrant.revoke"}
ACTS = [
    Act("none", "operator", "warrant.add", "draft", {"name": "x", "text": ""}),
    Act("submitted", "approver", "warrant.approve", "approved", BY_NAME),
    Act("approved", "operator", "warrant.suspend", "suspended", BY_NAME),
    Act("approved", "approver", "warrant.revoke", "revoked", BY_NAME),
    Act("submitted", "operator", "warrant.revoke", "revoked", BY_NAME),
    Act("released", "operator", "warrant.close", "closed", BY_NAME),
]
CASES = [(act, point) for act in ACTS for point in act.points]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A home for each state that an act begins with."""
    base = tmp_path_factory.mktemp("homes")
    made: dict[str, Path] = {}
    home = Home(base / "home")
    found(home, Site(operator="ISP-7", element="box-1", country="US"), lab_roles())
    agency = {"name": "agency", "host": "127.0.0.1", "port": 9, "format": "pcapng", "options": {}}
    on_files(home, this_process(home), "agency.add", agency)
    team = Team(home)

    def keep(state: str) -> None:
        shutil.copytree(home.root, base / state)
        made[state] = base / state

    keep("none")
    text = order("L1", ends=1800)
    for state, step in (
        ("submitted", lambda: team.operator("warrant.add", text=text, name="x", submit=True)),
        ("approved", lambda: team.approver("warrant.approve", name="L1")),
    ):
        step()
        keep(state)
    team.operator("warrant.revoke", name="L1")
    release(home)
    keep("released")
    return made


def release(home: Home) -> None:
    """Gives back the slot, as the daemon does when all is delivered."""
    from lictl.warrants.store import Store

    store = Store.of(home)
    store.release_slot("W-1")
    store.close()


def do(home: Path, act: Act, **env: str) -> subprocess.CompletedProcess[str]:
    """The act, in a process of its own."""
    args = dict(act.args)
    if "text" in args:
        args["text"] = order("L1")
    call = json.dumps([act.who, act.op, args])
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(home), call], env={**os.environ, **env}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def seen(home: Path) -> tuple[str, list[str]]:
    """State of the only order and of its instruments, told as after any start."""
    orders = Team(Home(home)).operator("warrant.list", everything=True)
    if not orders:
        return "none", []
    shown = Team(Home(home)).operator("warrant.show", name="W-1")
    return shown["state"], [instrument["state"] for instrument in shown["instruments"]]


def check_chain(home: Path) -> None:
    """Whole, and every intent has exactly one outcome."""
    verdict = verify_home(Home(home))
    assert verdict.good, verdict
    found = list(entries(home / "audit"))
    outcomes = [entry.subject for entry in found if entry.action in ("done", "failed")]
    assert sorted(outcomes, key=str) == sorted((str(e.seq) for e in found if e.intent), key=str)


def test_there_are_forty_points() -> None:
    """As many as the promise says, and each act has its own."""
    assert len(NAMES) >= 40
    assert all(len(act.points) >= 3 for act in ACTS)


@pytest.mark.parametrize(("act", "point"), CASES, ids=[f"{act.op}-{act.begins}-{point}" for act, point in CASES])
def test_a_kill_at_this_point_leaves_chain_and_store_whole(
    homes: dict[str, Path], tmp_path: Path, act: Act, point: str
) -> None:
    """Before the store has it nothing happened, but what stops is done all the same; from then on it is done."""
    home = tmp_path / "home"
    shutil.copytree(homes[act.begins], home)
    before = seen(home)
    killed = do(home, act, LICTL_FAULT=f"{point}:1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state, instruments = seen(home)
    check_chain(home)
    if act.op in STOPS or not point.endswith(".intended"):
        assert state == act.ends
        assert (state, instruments) != before
    else:
        assert (state, instruments) == before
    again = do(home, act)
    assert (again.returncode == 0) == (act.op not in STOPS and point.endswith(".intended")) or act.op == "warrant.add"
    check_chain(home)


@pytest.mark.parametrize("point", [name for name in NAMES if name.startswith("audit.group")])
def test_a_kill_while_the_chain_is_written_is_safe(homes: dict[str, Path], tmp_path: Path, point: str) -> None:
    """An intent that did not get to the disk whole announces nothing, and nothing was done."""
    home = tmp_path / "home"
    shutil.copytree(homes["submitted"], home)
    killed = do(home, Act("submitted", "approver", "warrant.approve", "approved", BY_NAME), LICTL_FAULT=f"{point}:1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert seen(home)[0] == "submitted"
    check_chain(home)


@pytest.mark.parametrize("point", [name for name in NAMES if name.startswith("recovery.")])
def test_a_kill_while_a_crash_is_resolved_is_resolved_again(homes: dict[str, Path], tmp_path: Path, point: str) -> None:
    """The second start finishes what the first one began: the revocation holds."""
    home = tmp_path / "home"
    shutil.copytree(homes["approved"], home)
    revoke = Act("approved", "operator", "warrant.revoke", "revoked", BY_NAME)
    assert do(home, revoke, LICTL_FAULT="warrant.revoke.intended:1").returncode == -signal.SIGKILL
    look = Act("", "operator", "warrant.list", "")
    assert do(home, look, LICTL_FAULT=f"{point}:1").returncode == -signal.SIGKILL
    assert seen(home)[0] == "revoked"
    check_chain(home)
