# SPDX-License-Identifier: Apache-2.0
"""Grouping and sequencing, against a model in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from handover_records import T0, header
from hypothesis import given
from hypothesis import strategies as st

from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence
from lictl.probe.native import ffi, lib


def batch_of(rows: list[dict[str, Any]]) -> Batch:
    return Batch.of(
        np.concatenate([header(**row) for row in rows]) if rows else np.zeros(0, abi.REC), [b""] * len(rows)
    )


@given(st.lists(st.sampled_from([0x1001, 0x2001, 0x1002, 0xFFFFFFFF, 0, 5, 0x10001]), max_size=200))
def test_groups_are_the_claims_in_order_of_time(claims: list[int]) -> None:
    """Every record is in the group of its claim, once, in order; groups appear as their first record does."""
    found = [(g.claim, list(g.order)) for g in groups(batch_of([{"claim": c} for c in claims]))]
    expected: dict[int, list[int]] = {}
    for i, claim in enumerate(claims):
        expected.setdefault(claim, []).append(i)
    assert found == list(expected.items())


def test_all_slots_at_once() -> None:
    """8,192 records of 4,096 orders with two generations each make 8,192 groups."""
    recs = np.zeros(8192, abi.REC)
    recs["claim"] = np.random.default_rng(1).permutation(8192)
    found = groups(Batch.of(recs, [b""] * len(recs)))
    assert [g.claim for g in found] == recs["claim"].tolist()
    assert all(len(g.order) == 1 for g in found)


def test_too_many_groups_are_refused() -> None:
    """More claims than there is room for is -ENOSPC, not an overrun."""
    recs = np.zeros(100, abi.REC)
    recs["claim"] = np.arange(100)
    order = ffi.new("uint32_t[]", 100)
    room = ffi.new("struct ln_group[]", 10)
    assert lib.ln_group(ffi.cast("struct li_rec *", recs.ctypes.data), 100, order, room, 10) == -28


@dataclass
class Model:
    """What sequencing promises, said plainly."""

    last: int = 0
    taken: dict[int, int] = field(default_factory=dict)

    def take(self, rows: list[dict[str, Any]], window: tuple[int, int], kind: int) -> dict[str, Any]:
        kept: list[tuple[int, int, int]] = []
        pending = duplicates = refused = 0
        for i, row in enumerate(rows):
            before = self.taken.get(row["cpu"], 0)
            if row["slot_seq"] <= before:
                duplicates += 1
                continue
            pending += row["slot_seq"] - before - 1
            self.taken[row["cpu"]] = row["slot_seq"]
            if row["kind"] != kind or not window[0] <= row["utc_ns"] < window[1]:
                refused += 1
                continue
            self.last += pending + 1
            kept.append((i, self.last, pending))
            pending = 0
        self.last += pending
        return {"kept": kept, "lost_after": pending, "duplicates": duplicates, "refused": refused}


rows = st.lists(
    st.fixed_dictionaries(
        {
            "cpu": st.integers(0, 3),
            "slot_seq": st.integers(0, 60),
            "utc_ns": st.integers(T0, T0 + 20),
            "kind": st.sampled_from([1, 1, 1, 2]),
        }
    ),
    max_size=40,
)


@given(st.lists(rows, min_size=1, max_size=4), st.integers(0, 22), st.integers(0, 22))
def test_sequencing_is_what_the_model_says(batches: list[list[dict[str, Any]]], start: int, end: int) -> None:
    """Over several batches: kept records, numbers, losses, duplicates, refusals and the position all agree."""
    model, position, window = Model(), Position(), (T0 + start, T0 + end)
    for taken in batches:
        expected = model.take(taken, window, 1)
        batch = batch_of(taken)
        for group in groups(batch):
            found = sequence(batch, group, window, 1, position)
            kept = [
                (int(a), int(b), int(c)) for a, b, c in zip(found.order, found.sequence, found.lost_before, strict=True)
            ]
            assert kept == expected["kept"]
            assert found.lost == sum(lost for _, _, lost in kept)
            assert found.lost_after == expected["lost_after"]
            assert (found.duplicates, found.refused) == (expected["duplicates"], expected["refused"])
        assert position.next_sequence == model.last
        position = Position.from_bytes(position.to_bytes())
        assert {cpu: int(seq) for cpu, seq in enumerate(position.last_slot_seq) if seq} == {
            cpu: seq for cpu, seq in model.taken.items() if seq
        }


@given(rows)
def test_a_batch_given_twice_is_taken_once(taken: list[dict[str, Any]]) -> None:
    """The second time everything is a duplicate and the position stands still."""
    position, batch = Position(), batch_of(taken)
    for group in groups(batch):
        sequence(batch, group, (0, 2**63), 1, position)
        before = position.to_bytes()
        again = sequence(batch, group, (0, 2**63), 1, position)
        assert (again.n, again.lost, again.lost_after, again.duplicates) == (0, 0, 0, len(taken))
        assert position.to_bytes() == before


def test_the_first_record_tells_of_losses_before_it() -> None:
    """slot_seq counts from 1, so a new claim's first record with 5 means four lost, and gets number 5."""
    batch, position = batch_of([{"slot_seq": 5}]), Position()
    found = sequence(batch, groups(batch)[0], (0, 2**63), 1, position)
    assert (list(found.sequence), list(found.lost_before), position.next_sequence) == ([5], [4], 5)


def test_a_loss_beyond_32_bits_keeps_the_numbers() -> None:
    """lost_before stops at 2^32-1; sequence and sum stay exact."""
    batch, position = batch_of([{"slot_seq": 2**40}]), Position()
    found = sequence(batch, groups(batch)[0], (0, 2**63), 1, position)
    assert (list(found.sequence), list(found.lost_before), found.lost) == ([2**40], [2**32 - 1], 2**40 - 1)


def test_a_cpu_that_cannot_be_is_refused() -> None:
    """A record of CPU 256 and above reaches no memory outside the position."""
    batch, position = batch_of([{"cpu": 256}, {"cpu": 65535}]), Position()
    found = sequence(batch, groups(batch)[0], (0, 2**63), 1, position)
    assert (found.n, found.refused, position.next_sequence) == (0, 2, 0)


def test_the_window_is_half_open() -> None:
    """A packet at the first instant is inside, at the last it is outside."""
    batch = batch_of([{"slot_seq": i + 1, "utc_ns": t} for i, t in enumerate((99, 100, 199, 200))])
    found = sequence(batch, groups(batch)[0], (100, 200), 1, Position())
    assert (list(found.order), found.refused) == ([1, 2], 2)
