# SPDX-License-Identifier: Apache-2.0
"""Files of the chain looked at by several processes, where none of them can hold up the whole.

What a process was given that died or fell silent is looked at here. An executor of the standard library waits without
limit for a process that does not end; an audit must not.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

from lictl.audit.scan import FileScan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    Look = Callable[[], FileScan]
    """Looks at one file; can be pickled."""

SILENCE_S: Final = 60.0
"""So long nothing comes from any of them until they are given up; a file takes a second."""
_LEAVE_S: Final = 5.0


def look_at_all(looks: Sequence[Look], processes: int) -> Iterator[FileScan]:
    """What each look finds, in their order.

    Args:
        looks: one a file.
        processes: how many work side by side.

    Raises:
        Exception: what a look raises.
    """
    crew = [_Helper() for _ in range(processes)]
    try:
        yield from _in_order(looks, [helper.line for helper in crew])
    finally:
        for helper in crew:
            helper.line.close()  # it ends when it has done what it was given
        for helper in crew:
            helper.end()


class _Helper:
    """A process that looks at what is sent to it on its line, one after the other."""

    def __init__(self) -> None:
        # A fresh one: a daemon has threads, which a fork would copy halfway, and a data path that needs this one's GIL.
        context = multiprocessing.get_context("spawn")
        self.line, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far,), name="lictl-audit", daemon=True)
        self._process.start()
        far.close()

    def end(self) -> None:
        """Waits until it is gone, not for long."""
        self._process.join(_LEAVE_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(_LEAVE_S)


def _serve(line: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked, and ends the line
    with contextlib.suppress(Exception):  # where a look fails, who asked makes it again, and hears why
        while True:
            line.send(line.recv()())


def _in_order(looks: Sequence[Look], idle: list[Connection]) -> Iterator[FileScan]:
    waiting = deque(range(len(looks)))
    busy: dict[Connection, int] = {}
    found: dict[int, FileScan] = {}
    for number in range(len(looks)):
        while number not in found:
            while idle and waiting:
                line, given = idle.pop(), waiting.popleft()
                busy[line] = given
                with contextlib.suppress(OSError):  # it died: there will be no answer either
                    line.send(looks[given])
            heard = wait(busy, SILENCE_S) if busy else []
            answered = [line for line in busy if line in heard]
            for line in answered:
                given = busy.pop(line)
                part = _answer(line)
                if part is not None:
                    idle.append(line)
                found[given] = part or looks[given]()
            if not answered:  # nobody is there any more
                found |= {given: looks[given]() for given in busy.values() or [waiting.popleft()]}
                busy.clear()
        yield found.pop(number)


def _answer(line: Connection) -> FileScan | None:
    """None where the process has died."""
    with contextlib.suppress(EOFError, OSError):
        found = line.recv()
        return found if isinstance(found, FileScan) else None
    return None
