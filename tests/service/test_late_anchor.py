# SPDX-License-Identifier: Apache-2.0
"""Heads are kept behind the acts, the last one always."""

from __future__ import annotations

import threading

import pytest

from lictl import log
from lictl.errors import MachineError
from lictl.service import late_anchor
from lictl.service.late_anchor import LateAnchor


class Slow:
    """An anchor that waits for leave, and can fail."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, str]] = []
        self.leave = threading.Event()
        self.broken = False

    def write(self, seq: int, hash: str) -> None:
        """Keeps a head."""
        self.leave.wait(20)
        if self.broken:
            raise MachineError("the disk is full.")
        self.kept.append((seq, hash))

    def read(self) -> tuple[int, str] | None:
        """The last one."""
        return self.kept[-1] if self.kept else None


def test_a_write_does_not_wait_and_the_last_head_is_kept() -> None:
    """Heads that were overtaken are left out; when it is stopped the last one is there."""
    slow = Slow()
    late = LateAnchor(slow)
    for seq in range(1, 50):
        late.write(seq, "h")
    assert slow.kept == []
    slow.leave.set()
    late.stop()
    assert late.read() == (49, "h")
    assert len(slow.kept) <= 2


def test_a_failure_is_told_with_the_next_head() -> None:
    """The chain hears that its head is not kept, until it is again."""
    slow = Slow()
    slow.broken = True
    slow.leave.set()
    late = LateAnchor(slow)
    late.write(1, "h")
    limit = threading.Event()
    for _ in range(400):
        try:
            late.write(2, "h")
        except MachineError:
            break
        limit.wait(0.01)
    else:
        pytest.fail("the failure was not told")
    slow.broken = False
    late.stop()


def test_a_place_that_does_not_answer_holds_up_no_stop(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The stop goes on without the last head, and the log says so."""
    monkeypatch.setattr(late_anchor, "STOP_S", 0.1)
    log.configure("error")
    slow = Slow()
    late = LateAnchor(slow)
    late.write(1, "h")
    late.stop()
    assert slow.kept == []
    assert "head not anchored" in capfd.readouterr().err
    slow.leave.set()
