# SPDX-License-Identifier: Apache-2.0
"""Waits that end: where something does not come in time the test fails at once, says what it was, and leaves nothing.

A test's own time limit ends no second wait behind the first one (`with subprocess.Popen(...)`, a thread's `join`), so
every wait of a test has a bound of its own. `packaging/test_bounds.py` looks for those that have none.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PATIENCE_S: Final = 60.0
"""Far more than anything takes on a busy machine, far less than a test may take."""


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Returns as soon as the condition holds; fails where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:g} s in vain until {what}")
        time.sleep(0.005)


def at_once(*actions: Callable[[], object]) -> None:
    """Runs actions beside each other, each in a thread of its own; raises what the first of them raised."""
    failures: list[Exception] = []

    def take(action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=take, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    join(*threads)
    if failures:
        raise failures[0]


def join(*threads: threading.Thread, seconds: float = PATIENCE_S) -> None:
    """Waits for the end of threads; fails where one goes on. Make them daemons: the interpreter waits for others."""
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0.0))
    alive = [thread.name for thread in threads if thread.is_alive()]
    if alive:
        pytest.fail(f"threads that did not end within {seconds:g} s: {', '.join(alive)}")


def ended(process: subprocess.Popen[Any], seconds: float = PATIENCE_S) -> int:
    """Waits for the end of a process and returns its status; kills it and fails where it goes on."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill(process)
        pytest.fail(f"{_name(process)} did not end within {seconds:g} s")


def kill(process: subprocess.Popen[Any]) -> None:
    """As kill -9, and takes its status: one that the kernel does not let go of is left to it, with a failure."""
    process.kill()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.returncode = -signal.SIGKILL  # nothing waits for it any more, not even at the interpreter's end
        pytest.fail(f"{_name(process)} cannot be killed")


def forked(child: int, seconds: float = PATIENCE_S) -> int:
    """Waits for the end of a child that was forked; its wait status. Kills it and fails where it goes on."""
    end = time.monotonic() + seconds
    while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            pytest.fail(f"the child {child} did not end within {seconds:g} s")
        time.sleep(0.002)
    return found[1]


@contextlib.contextmanager
def running(command: Sequence[Any], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is killed at the end where it still runs; `options` as for `subprocess.Popen`."""
    process = subprocess.Popen(list(map(os.fspath, command)), **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            kill(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def read(source: int | IO[Any], seconds: float = PATIENCE_S, what: str = "a process's output") -> bytes:
    """What comes next on a pipe or terminal; b"" at its end, fails where nothing comes."""
    descriptor = source if isinstance(source, int) else source.fileno()
    if not select.select([descriptor], [], [], seconds)[0]:
        pytest.fail(f"nothing came within {seconds:g} s: {what}")
    return os.read(descriptor, 1 << 16)


def line(pipe: IO[Any] | None, seconds: float = PATIENCE_S) -> str:
    """The next line of a process's output; "" at its end, fails where none comes.

    It is taken octet by octet: what stands behind it is left to whoever reads next.
    """
    assert pipe is not None
    end, found = time.monotonic() + seconds, bytearray()
    while not found.endswith(b"\n"):
        if not select.select([pipe], [], [], max(end - time.monotonic(), 0.0))[0]:
            pytest.fail(f"no line came within {seconds:g} s, only {bytes(found)!r}")
        octet = os.read(pipe.fileno(), 1)
        if not octet:
            break
        found += octet
    return found.decode()


def _name(process: subprocess.Popen[Any]) -> str:
    command = process.args if isinstance(process.args, list) else [process.args]
    return f"process {process.pid} ({' '.join(map(str, command))[:200]})"
