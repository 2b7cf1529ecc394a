# SPDX-License-Identifier: Apache-2.0
"""Processes that look at files of the chain: whatever becomes of them, every file is looked at, and nobody waits."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from lictl.audit import crew
from lictl.audit.crew import look_at_all
from lictl.audit.scan import FileScan

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = os.getpid()


def look(number: int) -> FileScan:
    """A file that is good."""
    return FileScan(number, good=True)


def die(number: int, here: int) -> FileScan:
    """The process is killed over it, unless it is the one that asked."""
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    return look(number)


def fall_silent(number: int, here: int) -> FileScan:
    """The process hangs over it, unless it is the one that asked."""
    if os.getpid() != here:
        time.sleep(600)
    return look(number)


def fail(number: int) -> FileScan:
    """A file that cannot be read."""
    raise PermissionError(number)


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("odd", [look, partial(die, here=HERE), partial(fall_silent, here=HERE)])
@pytest.mark.parametrize("at", [{0}, set(range(7))], ids=["first", "all"])
def test_every_file_is_looked_at(
    odd: Callable[[int], FileScan], at: set[int], processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, and where processes die or hang the rest is looked at without them; none of them is left."""
    monkeypatch.setattr(crew, "SILENCE_S", 1.0 if odd is not look else 30.0)
    monkeypatch.setattr(crew, "_LEAVE_S", 0.1)
    looks = [partial(odd if number in at else look, number) for number in range(7)]
    began = time.monotonic()
    assert [found.number for found in look_at_all(looks, processes)] == list(range(7))
    assert time.monotonic() - began < 25
    assert multiprocessing.active_children() == []


def test_what_cannot_be_read_is_told() -> None:
    """By the very error that reading it gives; the processes end."""
    with pytest.raises(PermissionError):
        list(look_at_all([partial(look, 0), partial(fail, 1), partial(look, 2)], 2))
    assert multiprocessing.active_children() == []
