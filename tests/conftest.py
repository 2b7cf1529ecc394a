# SPDX-License-Identifier: Apache-2.0
"""What every test gets: skips without root, and a session that fails if it leaves anything behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

# An example's time says more about the machine's other work than about the code.
settings.register_profile("lictl", deadline=None)
settings.load_profile("lictl")

SESSION = "LICTL_TEST_SESSION"  # in the environment of everything that this session starts
PREFIX = "lictl-"
NETWORK = "LICTL_TEST_NETWORK"  # "stuck" where the kernel makes no network namespace any more
STUCK = (
    "this machine's kernel no longer answers to changes of its network (`unshare --net true` waits for ever): "
    "dmesg says why; restart it and run these tests again"
)
_NETNS = Path("/run/netns")
_before: set[str] = set()
_left: list[str] = []


def _is_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


def pytest_configure() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored; what the tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Clears what an earlier, killed session left, and remembers what belongs to others."""
    if _is_worker() or os.geteuid() != 0:
        return
    os.environ[NETWORK] = "answers" if _network_answers() else "stuck"
    os.environ[SESSION] = f"{os.getpid()}-{time.time_ns()}"
    with contextlib.suppress(ImportError):
        from lictl.lab.lab import Lab

        Lab.sweep()
    _before.update(_namespaces())


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Tests that need root are skipped without it, with the reason shown."""
    if os.environ.get(NETWORK) == "stuck":
        for item in items:
            if item.get_closest_marker("net"):
                item.add_marker(pytest.mark.skip(reason=STUCK))
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("kernel") or item.get_closest_marker("net"):
            item.add_marker(pytest.mark.skip(reason="needs root: it loads BPF programs or makes network namespaces"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes down what failed, for tools/run-tests: pytest's own list forgets what ended with its process."""
    if report.failed and "LICTL_TEST_FAILED" in os.environ and not _is_worker():
        with Path(os.environ["LICTL_TEST_FAILED"]).open("a") as file:
            file.write(f"{report.nodeid}\n")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Looks for namespaces, mounts and processes of this session; anything found fails it, and is then removed."""
    if _is_worker() or os.geteuid() != 0:
        return
    factory = getattr(session.config, "_tmp_path_factory", None)
    base = str(factory.getbasetemp()) if factory is not None else "/nonexistent"
    limit = time.monotonic() + 5
    while (found := _leftovers(base)) and time.monotonic() < limit:
        time.sleep(0.1)  # an orphan that is on its way out is not a leftover
    for kind, name in found:
        _left.append(f"{kind} {name}")
        _clear(kind, name)
    if _left and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names what was left behind, and says loudly where the network could not be tested."""
    if os.environ.get(NETWORK) == "stuck":
        terminalreporter.write_line(f"NOT TESTED: every test with a network. {STUCK}", red=True)
    for line in _left:
        terminalreporter.write_line(f"LEFT BEHIND: {line}", red=True)


@pytest.fixture(scope="session")
def netns_prefix() -> str:
    """Begin the names of your network namespaces with this: unique to this process, found if left behind."""
    return f"{PREFIX}{os.getpid()}p-"


def _network_answers() -> bool:
    """False where a network namespace cannot be made because the kernel waits for ever.

    A kernel that failed while it held its routing lock (rtnl) leaves every such call waiting, and nothing can end
    the process: each test would be lost to it, and the run after them.
    """
    silent = subprocess.DEVNULL  # it may outlive this session, and must not hold its output open
    probe = subprocess.Popen(
        ["unshare", "--net", "true"], stdin=silent, stdout=silent, stderr=silent, start_new_session=True
    )
    try:
        probe.wait(timeout=30)
    except subprocess.TimeoutExpired:
        probe.returncode = -signal.SIGKILL  # it cannot be killed, and must not be waited for
        return False
    return True


def _leftovers(base: str) -> list[tuple[str, str]]:
    spaces = [("namespace", name) for name in sorted(_namespaces() - _before) if not _is_of_others(name)]
    mounts = [("mount", path) for path in _mounts() if path.startswith(f"{base}/")]
    return spaces + mounts + [("process", str(pid)) for pid in _processes()]


def _namespaces() -> set[str]:
    return {path.name for path in _NETNS.glob(f"{PREFIX}*")} if _NETNS.is_dir() else set()


def _is_of_others(name: str) -> bool:
    """True for a namespace whose name holds the id of a living process that is not of this session."""
    first = re.search(r"\d+", name)
    if first is None:
        return False
    pid = int(first[0])
    return pid != os.getpid() and Path(f"/proc/{pid}").exists() and pid not in _processes()


def _mounts() -> list[str]:
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def _processes() -> list[int]:
    """Living processes that carry this session's mark, and are not this process."""
    mark = f"{SESSION}={os.environ.get(SESSION)}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                # multiprocessing's own helper ends with this process.
                if b"multiprocessing.resource_tracker" in (entry / "cmdline").read_bytes():
                    continue
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def _clear(kind: str, name: str) -> None:
    with contextlib.suppress(Exception):
        if kind == "process":
            command = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            _left.append(f"  which is: {command}")
            os.kill(int(name), signal.SIGKILL)
        elif kind == "namespace":
            from lictl.lab import namespace

            namespace.remove([name])
        else:
            import ctypes

            ctypes.CDLL(None).umount2(name.encode(), 2)  # MNT_DETACH
