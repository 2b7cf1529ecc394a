# SPDX-License-Identifier: Apache-2.0
"""Promise 5 on a model of the whole path: kernel, ring, mediator, spool, agency and restarts in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from lictl.service.accounting import Account, Base, Kernel, Stream, account

STEPS = ["emit", "lose-ring", "lose-frame", "take", "refuse", "quota", "acknowledge", "trailing", "reboot"]


@dataclass
class Path:
    """One order and stream, packet by packet: the truth that the account is held against."""

    ring: list[int] = field(default_factory=list)
    slot_seq: int = 0
    kernel: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("emitted", "lost_ring", "lost_frame"), 0))
    passed: int = 0
    spooled: int = 0
    lost: int = 0
    acknowledged: int = 0
    quota: int = 0
    other: int = 0
    base: Base = field(default_factory=Base)
    matched_ever: int = 0

    def do(self, step: str) -> None:
        """One event."""
        if step in ("emit", "lose-ring", "lose-frame"):
            self.slot_seq += 1
            self.matched_ever += 1
            self.kernel[{"emit": "emitted", "lose-ring": "lost_ring", "lose-frame": "lost_frame"}[step]] += 1
            if step == "emit":
                self.ring.append(self.slot_seq)
        elif step in ("take", "refuse", "quota") and self.ring:
            number = self.ring.pop(0)
            self.lost += number - self.passed - 1
            self.passed = number
            if step == "take":
                self.spooled += 1
            elif step == "quota":
                self.lost += 1
                self.quota += 1
        elif step == "acknowledge":
            self.acknowledged += (self.spooled - self.acknowledged + 1) // 2
        elif step == "trailing" and not self.ring:
            self.lost += self.slot_seq - self.passed
            self.passed = self.slot_seq
        elif step == "reboot":
            while self.ring:
                self.do("take")
            self.do("trailing")
            now = self.account()
            self.base = Base(self.spooled, self.lost, now.withheld, now.lost)
            self.slot_seq = self.passed = self.quota = self.other = 0
            self.kernel = dict.fromkeys(self.kernel, 0)

    def account(self) -> Account:
        """What lictl would say now."""
        stream = Stream(self.spooled, self.lost, self.passed, self.acknowledged, self.quota, self.other)
        return account(self.base, stream, Kernel(**self.kernel))


@given(st.lists(st.sampled_from(STEPS), max_size=120))
def test_the_balance_holds_at_every_moment(steps: list[str]) -> None:
    """After each event: the parts add up, none is negative, and matched is the true number."""
    path = Path()
    for step in steps:
        path.do(step)
        now = path.account()
        assert now.balanced, now
        assert now.matched == path.matched_ever
        assert now.in_ring == len(path.ring)


@given(st.lists(st.sampled_from(STEPS), max_size=120))
def test_when_the_rings_are_empty_everything_is_explained(steps: list[str]) -> None:
    """Nothing is in flight in the rings and no loss is unexplained once they are drained and the tail is closed."""
    path = Path()
    for step in [*steps, *["take"] * steps.count("emit"), "trailing"]:
        path.do(step)
    assert path.account().settled


@given(st.lists(st.sampled_from(STEPS), max_size=60), st.integers(1, 5))
def test_a_packet_that_vanishes_is_found(steps: list[str], vanished: int) -> None:
    """Records that leave the ring without a trace leave the account unsettled for ever."""
    path = Path()
    for step in [*steps, *["emit"] * vanished, *["take"] * steps.count("emit")]:
        path.do(step)
    for _ in range(vanished):
        path.do("emit")
    path.ring.clear()  # the defect
    path.do("trailing")
    assert not path.account().settled


@given(st.lists(st.sampled_from([step for step in STEPS if step != "refuse"]), max_size=60))
def test_a_packet_that_is_delivered_twice_is_found(steps: list[str]) -> None:
    """More records in the spool than the kernel emitted cannot balance: withheld would be negative."""
    path = Path()
    for step in [*steps, "emit", "take", *["take"] * steps.count("emit"), "trailing"]:
        path.do(step)
    path.spooled += 1  # the defect
    assert not (path.account().balanced and path.account().settled)
