# SPDX-License-Identifier: Apache-2.0
"""`lictl demo`: the verdict, the exit status, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bounded
import pytest

from lictl.lab import demo, namespace, report
from lictl.lab.lab import PREFIX, environment

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

pytestmark = [pytest.mark.kernel, pytest.mark.net]


def running(*arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """The demo as a process of its own."""
    argv = [sys.executable, "-m", "lictl", *arguments, "demo"]
    return bounded.running(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def traces(pid: int) -> list[str]:
    """Namespaces, folders and mounts of the lab of a process."""
    folders = [str(path) for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}{pid}t*")]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{PREFIX}{pid}t" in line]
    return namespace.names(f"{PREFIX}{pid}t") + folders + mounts


def test_every_promise_of_the_demo_holds() -> None:
    """Exit status 0, every statement true, both warrants matched something, under 60 seconds, no trace."""
    with running("--json") as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, output + errors
    found = json.loads(output)
    assert found["ok"]
    assert [check for check in found["checks"] if not check["ok"]] == []
    assert len(found["checks"]) >= 8
    assert all(stream["matched"] > 1000 for warrant in found["warrants"] for stream in warrant["streams"])
    assert found["seconds"] < 60
    assert traces(process.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["Building", "Starting", "sub1"])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals, after: str) -> None:
    """Ctrl-C or SIGTERM at any stage: exit status 130, and no namespace, process, mount or file is left."""
    with running() as process:
        while not (line := bounded.line(process.stdout)).startswith(after):
            assert line, f"it ended before {after!r}"
        time.sleep(0.3)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == demo.INTERRUPTED, errors
    assert "Traceback" not in errors
    assert traces(process.pid) == []


def test_a_false_statement_fails_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    """One statement that does not hold makes the verdict negative, and is shown with what is wrong."""
    outcome = demo.Outcome()
    outcome.add("holds", "", "fine")
    assert outcome.ok
    outcome.add("does not hold", "3 packets are missing", "fine")
    assert not outcome.ok
    report.show(outcome)
    shown = capsys.readouterr().out
    assert "does not hold: 3 packets are missing" in shown
    assert "NOT all promises held" in shown


def test_a_demo_without_statements_is_no_success() -> None:
    """Nothing checked is not a positive verdict."""
    assert not demo.Outcome().ok
