# SPDX-License-Identifier: Apache-2.0
"""Giving up every privilege, seen from /proc in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs privileges to give up")

NOBODY = 65534
DROP = """
import os, sys
from lictl.probe._native import ffi, lib
text = ffi.new("char[]", 512)
result = lib.ln_drop_privileges({uid}, {gid}, text, 512)
print("result", result, ffi.string(text).decode())
"""


def run(script: str) -> str:
    """What a fresh interpreter prints."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status_after_drop() -> dict[str, str]:
    """/proc/self/status after the drop."""
    out = run(DROP.format(uid=NOBODY, gid=NOBODY) + "print(open('/proc/self/status').read())")
    assert out.startswith("result 0")
    return {line.split(":")[0]: line.split(":")[1].strip() for line in out.splitlines() if ":" in line}


def test_no_capability_is_left() -> None:
    """Inheritable, permitted, effective, bounding and ambient sets are empty; no_new_privs is set."""
    status = status_after_drop()
    for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[field], 16) == 0, field
    assert status["NoNewPrivs"] == "1"


def test_user_and_groups_are_the_ones_named() -> None:
    """Real, effective, saved and file-system ids; no supplementary group."""
    status = status_after_drop()
    assert set(status["Uid"].split()) == {str(NOBODY)}
    assert set(status["Gid"].split()) == {str(NOBODY)}
    assert status["Groups"].split() in ([], [str(NOBODY)])


def test_there_is_no_way_back() -> None:
    """Neither setuid(0) nor opening a root-only file works, and the process cannot be dumped."""
    out = run(
        DROP.format(uid=NOBODY, gid=NOBODY)
        + """
import ctypes
for action in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: open("/etc/shadow").read()):
    try:
        action(); print("WAY BACK")
    except PermissionError:
        print("refused")
print("dumpable", ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
print("securebits", ctypes.CDLL(None).prctl(27, 0, 0, 0, 0))
"""
    )
    assert out.count("refused") == 3
    assert "WAY BACK" not in out
    assert "dumpable 0" in out
    # NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each locked, and KEEP_CAPS locked off
    assert f"securebits {0b11101111}" in out


def test_a_process_without_privilege_may_call_it_too() -> None:
    """Dropping again, as the user that one is already, succeeds."""
    out = run(DROP.format(uid=NOBODY, gid=NOBODY) + DROP.format(uid=NOBODY, gid=NOBODY))
    assert out.count("result 0") == 2


def test_another_thread_would_keep_its_privileges() -> None:
    """Capabilities are a thread's: with a second thread running the call is refused, and says why."""
    out = run(
        "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait).start()\n"
        + DROP.format(uid=NOBODY, gid=NOBODY)
        + "stop.set()"
    )
    assert "result -16" in out
    assert "thread" in out


def test_an_impossible_user_changes_nothing_silently() -> None:
    """uid -1 means "leave as is" to the kernel: the verification notices."""
    out = run(DROP.format(uid=0xFFFFFFFF, gid=0xFFFFFFFF))
    assert "result -" in out
