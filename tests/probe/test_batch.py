# SPDX-License-Identifier: Apache-2.0
"""Batches, groups, positions and selections as Python sees them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence

FOREVER = (0, 1 << 63)


def records(*rows: tuple[int, int, int]) -> np.ndarray:
    """REC rows of (claim, cpu, slot_seq), packet records, one nanosecond apart."""
    recs = np.zeros(len(rows), abi.REC)
    for index, (claim, cpu, slot_seq) in enumerate(rows):
        recs[index]["claim"], recs[index]["cpu"], recs[index]["slot_seq"] = claim, cpu, slot_seq
        recs[index]["utc_ns"] = index + 1
        recs[index]["kind"] = abi.REC_PACKET
    return recs


def test_a_batch_of_values_gives_them_back() -> None:
    """Frames and records come out as they went in; a header record has no frame."""
    frames = [b"abc", b"", b"x" * 9000]
    batch = Batch.of(records((1, 0, 1), (2, 0, 1), (1, 1, 1)), frames)
    assert batch.n == 3
    assert [batch.frame(index) for index in range(3)] == frames
    assert batch.records["cap_len"].tolist() == [3, 0, 9000]
    with pytest.raises(IndexError):
        batch.frame(3)


def test_records_and_frames_must_be_as_many() -> None:
    """A batch is never made of halves."""
    with pytest.raises(ValueError, match="1 records and 2 frames"):
        Batch.of(records((1, 0, 1)), [b"", b""])


@given(st.lists(st.sampled_from([1, 2, 3, 0xFFFFFFFF]), max_size=60))
def test_groups_are_a_stable_partition(claims: list[int]) -> None:
    """Every record is in the group of its claim, once, in its order."""
    batch = Batch.of(records(*((claim, 0, at + 1) for at, claim in enumerate(claims))), [b""] * len(claims))
    found = {group.claim: group.order.tolist() for group in groups(batch)}
    wanted: dict[int, list[int]] = {}
    for index, claim in enumerate(claims):
        wanted.setdefault(claim, []).append(index)
    assert found == wanted


@given(
    st.integers(0, 2**64 - 1),
    st.dictionaries(st.integers(0, abi.MAX_CPUS - 1), st.integers(1, 2**64 - 1), max_size=10),
)
def test_a_position_survives_its_bytes(last: int, taken: dict[int, int]) -> None:
    """to_bytes and from_bytes are inverse; the size grows with the CPUs in use only."""
    position = Position()
    position.next_sequence = last
    for cpu, value in taken.items():
        position.last_slot_seq[cpu] = value
    data = position.to_bytes()
    assert len(data) == 12 + 12 * len(taken)
    again = Position.from_bytes(data)
    assert again.next_sequence == last
    assert again.last_slot_seq.tolist() == position.last_slot_seq.tolist()
    assert position.copy().to_bytes() == data


@given(st.binary(max_size=60))
def test_bytes_that_are_no_position_are_refused(data: bytes) -> None:
    """Whatever is stored: a position, or ValueError."""
    try:
        position = Position.from_bytes(data)
    except ValueError:
        return
    assert Position.from_bytes(position.to_bytes()).to_bytes() == position.to_bytes()


def test_a_position_of_an_impossible_cpu_is_refused() -> None:
    """A CPU number beyond the table would be written out of bounds."""
    data = bytearray(Position().to_bytes())
    data[8:12] = (1).to_bytes(4, "little")
    data += (abi.MAX_CPUS).to_bytes(4, "little") + (5).to_bytes(8, "little")
    with pytest.raises(ValueError, match="CPU"):
        Position.from_bytes(bytes(data))


def test_nothing_stored_is_a_new_stream() -> None:
    """b"" begins at zero."""
    assert Position.from_bytes(b"").next_sequence == 0


def test_a_selection_numbers_records_and_losses() -> None:
    """A jump of slot_seq is a loss before the record that shows it."""
    batch = Batch.of(records((9, 0, 1), (9, 0, 4), (9, 1, 1)), [b"a", b"b", b"c"])
    position = Position()
    (group,) = groups(batch)
    selection = sequence(batch, group, FOREVER, abi.REC_PACKET, position)
    assert selection.order.tolist() == [0, 1, 2]
    assert selection.sequence.tolist() == [1, 4, 5]
    assert selection.lost_before.tolist() == [0, 2, 0]
    assert (selection.lost, selection.lost_after, selection.duplicates, selection.refused) == (2, 0, 0, 0)
    assert position.next_sequence == 5
    assert position.last_slot_seq[:2].tolist() == [4, 1]


def test_the_same_batch_again_is_all_duplicates() -> None:
    """A batch read again after a crash is taken once."""
    batch = Batch.of(records((9, 0, 1), (9, 0, 2)), [b"a", b"b"])
    position = Position()
    (group,) = groups(batch)
    sequence(batch, group, FOREVER, abi.REC_PACKET, position)
    before = position.to_bytes()
    again = sequence(batch, group, FOREVER, abi.REC_PACKET, position)
    assert (again.n, again.duplicates, again.lost) == (0, 2, 0)
    assert position.to_bytes() == before


def test_wrong_kind_and_wrong_time_are_refused() -> None:
    """The second check of minimisation and window."""
    recs = records((9, 0, 1), (9, 0, 2), (9, 0, 3))
    recs["kind"][0] = abi.REC_HEADER
    batch = Batch.of(recs, [b"", b"b", b"c"])
    (group,) = groups(batch)
    selection = sequence(batch, group, (0, 3), abi.REC_PACKET, Position())
    assert selection.order.tolist() == [1]
    assert selection.refused == 2
