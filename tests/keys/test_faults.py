# SPDX-License-Identifier: Apache-2.0
"""Fault points: silent unless asked, then a SIGKILL at the count-th hit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lictl import faults

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
from lictl import faults
for turn in range(5):
    print(turn, flush=True)
    faults.point("test.a")
    faults.point("test.b")
"""


def _run(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | env, capture_output=True, text=True, timeout=60, check=False
    )


def test_nothing_happens_without_the_setting() -> None:
    """Points cost a look into the environment and do nothing."""
    assert _run().returncode == 0


def test_the_process_is_killed_at_the_named_hit() -> None:
    """The third time, not before, not another point."""
    done = _run(LICTL_FAULT="test.b:3")
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["0", "1", "2"])


def test_a_point_that_is_not_reached_kills_nobody() -> None:
    """Neither an unknown name nor a count that is not reached."""
    assert _run(LICTL_FAULT="test.c:1").returncode == 0
    assert _run(LICTL_FAULT="test.a:6").returncode == 0


def test_the_trace_tells_what_was_passed(tmp_path: Path) -> None:
    """Also the point at which the process died."""
    trace = tmp_path / "trace"
    _run(LICTL_FAULT="test.b:1", LICTL_FAULT_TRACE=str(trace))
    assert trace.read_text().split() == ["test.a", "test.b"]


@pytest.mark.tree
def test_names_are_literal_and_stand_once() -> None:
    """`names` raises where they do not."""
    assert all(name.count(".") >= 1 for name in faults.names())
