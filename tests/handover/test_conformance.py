# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: it runs for every format that the registry has, new ones too."""

from __future__ import annotations

import contextlib
import io
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conformance import (
    CASES,
    EVENTS,
    HEADER_FIELDS,
    RESOLUTION_NS,
    SIZES,
    UNNUMBERED,
    WINDOW,
    Stream,
    base,
    content,
    contradicts,
    event,
    example,
    items,
    numbers,
    records,
    same_packet,
)
from handover_records import T0, header, info, numbered, packet
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.errors import RefusedError, UsageError
from lictl.handover.base import MAX_STATE, Gap
from lictl.handover.decode import DECODERS, DecodeError, Loss, Opening, Record
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import content_encoder, encoder, headers_encoder
from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence
from lictl.probe.native import ffi

if TYPE_CHECKING:
    from lictl.handover.base import Mode

cases = pytest.mark.parametrize(("name", "mode"), CASES)
NUMBERED = [case for case in CASES if case[0] not in UNNUMBERED]


@cases
def test_it_is_what_it_is_called(name: str, mode: Mode) -> None:
    """Name, mode and framing are those that delivery and receivers go by."""
    made = encoder(name, info(mode))
    assert (made.name, made.mode) == (name, mode)
    assert made.framing in ("stream", "ber", "length")


@cases
def test_the_opening_comes_first(name: str, mode: Mode) -> None:
    """Nothing is encoded before it, and what a receiver reads begins with it where the format has one."""
    batch = Batch.of(*_batch(mode, 1))
    (group,) = groups(batch)
    made = encoder(name, info(mode))
    with pytest.raises(AssertionError, match="opening") if made.opening() else contextlib.suppress(AssertionError):
        made = encoder(name, info(mode))
        list(made.encode(batch, sequence(batch, group, WINDOW, made.kind, Position())))
    found = items(name, Stream(name, mode).write(*example(mode, 1, 2)).data)
    openings = [item for item in found if isinstance(item, Opening)]
    assert openings[:1] == found[:1] or not openings
    assert all(item.mode in (mode, "") for item in openings)
    assert sum(isinstance(item, Record) for item in found) == 2


@pytest.mark.parametrize("name", [name for name, mode in CASES if mode == "content"])
def test_every_packet_comes_back_whole(name: str) -> None:
    """Each size and version, in order, cut at its own length: a trailer of the link is no content."""
    pairs = [content(size, padding=size % 3, dir=size % 4) for size in SIZES]
    pairs += [content(size, version=6) for size in (40, 48, 1500)]
    recs, frames = numbered([rec for rec, _ in pairs]), [frame for _, frame in pairs]
    found = records(name, Stream(name, "content").write(recs, frames).data)
    assert [same_packet(item, frame) for item, frame in zip(found, frames, strict=True)] == [True] * len(frames)
    for at, item in enumerate(found):
        if item.utc_ns:  # some formats have no time of their own
            assert abs(item.utc_ns - int(recs[at]["utc_ns"])) < RESOLUTION_NS


@pytest.mark.parametrize("name", [name for name, mode in CASES if mode == "headers"])
@given(rows=st.lists(HEADER_FIELDS, min_size=1, max_size=5))
@settings(max_examples=40)
def test_no_field_says_what_the_record_does_not(name: str, rows: list[dict[str, Any]]) -> None:
    """A decoded header report says what its record proves, or nothing."""
    recs = numbered([header(**row) for row in rows])
    made = Stream(name, "headers").write(recs)
    found = records(name, made.data)
    assert len(found) == sum(chunk.records for chunk in made.chunks)
    if len(found) == len(recs):
        pairs = list(zip(found, recs, strict=True))
    else:  # some cannot be carried; they took numbers
        assert len(recs) - len(found) == sum(chunk.unfit for chunk in made.chunks)
        pairs = [(item, recs[item.sequence - base(name, "headers")]) for item in found]
    assert [contradicts(name, item, rec) for item, rec in pairs] == [{}] * len(pairs)


@cases
def test_directions_come_back(name: str, mode: Mode) -> None:
    """From and to the target are never exchanged."""
    found = records(name, Stream(name, mode).write(*example(mode, 1, 2, 3, 4)).data)
    for item, direction in zip(found, ("unknown", "from", "to", "both"), strict=True):
        assert item.direction in (direction, "unknown")


@pytest.mark.parametrize(("name", "mode"), NUMBERED)
def test_losses_stand_at_their_place(name: str, mode: Mode) -> None:
    """Numbers count delivered and lost packets alike, and the losses before a record are told or follow from them."""
    data = Stream(name, mode).write(*example(mode, 3, 4, 9, 10)).data
    assert numbers(name, mode, data) == [(3, 2), (4, 0), (9, 4), (10, 0)]


@pytest.mark.parametrize(("name", "mode"), NUMBERED)
def test_numbers_go_on_after_a_restart(name: str, mode: Mode) -> None:
    """A new process with the newest block's state repeats no number and skips none."""
    stream = Stream(name, mode)
    data = stream.write(*example(mode, 1, 2, 3)).data
    stream.begin()
    data += stream.write(*example(mode, 4, 5)).data
    stream.begin()
    data += stream.write(*example(mode, 8)).data
    assert numbers(name, mode, data) == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (8, 2)]


@cases
def test_the_account_is_exact(name: str, mode: Mode) -> None:
    """Records and losses of all chunks are the numbers that they span, over many buffers and losses."""
    n = 3000
    if mode == "content":
        rec, frame = content(1500)
        recs, frames = np.repeat(rec, n), [frame] * n
    else:
        recs, frames = np.repeat(header(), n), [b""] * n
    recs["slot_seq"] = 1 + np.arange(n) + 2 * (np.arange(n) // 500)
    made = Stream(name, mode).write(recs, frames)
    before = 0
    for chunk in made.chunks:
        assert chunk.first_sequence == before + 1
        assert chunk.records + chunk.lost == chunk.last_sequence - before
        before = chunk.last_sequence
    assert (before, sum(chunk.records for chunk in made.chunks)) == (n + 2 * 5, n)
    assert len(records(name, made.data)) == n


@cases
def test_a_gap_is_told_or_silent(name: str, mode: Mode) -> None:
    """A loss that no record tells of decodes to itself, unless the format has no place for it."""
    stream = Stream(name, mode)
    data = stream.write(*example(mode, 1, 2)).data
    told = stream.encoder.gap(Gap(3, 3, "quota", T0, T0 + 10**9))
    losses = [item for item in items(name, data + told) if isinstance(item, Loss)]
    first = 2 + base(name, mode)
    assert [(loss.lost, loss.first_sequence) for loss in losses] == ([(3, first)] if told else [])
    stream.position.next_sequence += 3
    data += told + stream.write(*example(mode, 3), opening=False).data
    if told and name not in UNNUMBERED:
        assert numbers(name, mode, data) == [(1, 0), (2, 0), (6, 0)]


@cases
def test_events_do_not_disturb_the_records(name: str, mode: Mode) -> None:
    """Whatever an event becomes, the stream decodes and its records are all there."""
    stream = Stream(name, mode)
    data = stream.write(*example(mode, 1)).data
    for at, kind in enumerate(EVENTS):
        data += stream.encoder.event(event(kind)) + stream.write(*example(mode, at + 2), opening=False).data
        data += stream.encoder.due(T0 + at * 10**9)
    found = records(name, data)
    assert len(found) == len(EVENTS) + 1
    if name not in UNNUMBERED:
        told = numbers(name, mode, data)
        assert told == sorted(set(told))  # events may take numbers of their own
        assert {lost for _, lost in told} == {0}


@cases
def test_the_state_is_small(name: str, mode: Mode) -> None:
    """It lies beside each block of the spool."""
    stream = Stream(name, mode)
    stream.write(*example(mode, *range(1, 200)))
    assert len(stream.encoder.state()) <= MAX_STATE


@cases
def test_the_other_kind_of_record_is_refused(name: str, mode: Mode) -> None:
    """Nothing of a record of the wrong kind leaves."""
    frame = b"TAINTED" * 20
    rec = header() if mode == "content" else packet(frame)
    batch = Batch.of(rec, [b"" if mode == "content" else frame])
    (group,) = groups(batch)
    made = encoder(name, info(mode))
    made.opening()
    forced = sequence(batch, group, WINDOW, int(rec["kind"][0]), Position())
    with pytest.raises(RefusedError):
        list(made.encode(batch, forced))


@cases
def test_the_other_mode_is_refused(name: str, mode: Mode) -> None:
    """An order never gets an encoder of the other mode; where the format has none, those that have are named."""
    with pytest.raises(RefusedError):
        (headers_encoder if mode == "content" else content_encoder)(name, info(mode))
    other: Mode = "headers" if mode == "content" else "content"
    if (name, other) not in CASES:
        with pytest.raises(RefusedError, match=r"cannot carry.*Choose one of"):
            encoder(name, info(other))


@pytest.mark.parametrize("name", [name for name, mode in CASES if mode == "headers"])
@given(rows=st.lists(HEADER_FIELDS, min_size=1, max_size=4))
@settings(max_examples=25)
def test_no_octet_of_a_packet_is_read(name: str, rows: list[dict[str, Any]]) -> None:
    """With cap_len and data pointing to memory that must not be read, the stream is the same as without."""
    recs = numbered([header(**row) for row in rows])
    clean = Stream(name, "headers").write(recs).data
    batch = Batch.of(recs, [b""] * len(recs))
    batch.recs["cap_len"][: len(recs)] = 400
    taint = b"\xde\xad\xbe\xef" * 100
    for address in (int(ffi.cast("uintptr_t", ffi.from_buffer(taint))), 1):  # 1 ends this process if it is read
        batch.data[: len(recs)] = address
        made = encoder(name, info("headers"))
        (group,) = groups(batch)
        selection = sequence(batch, group, WINDOW, abi.REC_HEADER, Position())
        out = made.opening() + b"".join(bytes(part.payload) for part in made.encode(batch, selection))
        assert out == clean


@cases
def test_unknown_options_are_refused(name: str, mode: Mode) -> None:
    """With the options there are."""
    with pytest.raises(UsageError, match="Options of this format"):
        encoder(name, info(mode, {"no-such-option": "1"}))


@cache
def sample(name: str, mode: Mode) -> bytes:
    """A good stream with all there can be."""
    stream = Stream(name, mode)
    data = stream.encoder.opening() + stream.encoder.event(event("begin"))
    data += stream.write(*example(mode, 1, 2, 5), opening=False).data
    return data + stream.encoder.gap(Gap(3, 6, "quota", T0, T0 + 1)) + stream.encoder.event(event("end"))


@cases
@given(data=st.data())
@settings(max_examples=60)
def test_damage_never_breaks_a_reader(name: str, mode: Mode, data: st.DataObject) -> None:
    """Octets changed, removed or inserted anywhere give items or a DecodeError."""
    damaged = bytearray(sample(name, mode))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(damaged) - 1, 0)))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(DecodeError):
        list(DECODERS[name](io.BytesIO(bytes(damaged))))
    if name in PDU_FORMATS:
        with contextlib.suppress(DecodeError):
            PDU_FORMATS[name].length(memoryview(damaged))
        with contextlib.suppress(DecodeError):
            PDU_FORMATS[name].decode(bytes(damaged))


@pytest.mark.parametrize("name", sorted(PDU_FORMATS))
@given(noise=st.binary(max_size=200))
@settings(max_examples=60)
def test_noise_is_no_pdu(name: str, noise: bytes) -> None:
    """Any octets get an answer or a DecodeError."""
    with contextlib.suppress(DecodeError):
        PDU_FORMATS[name].length(memoryview(noise))
    with contextlib.suppress(DecodeError):
        PDU_FORMATS[name].decode(noise)


def _batch(mode: Mode, *slot_seqs: int) -> tuple[np.ndarray[Any, Any], list[bytes]]:
    recs, frames = example(mode, *slot_seqs)
    return recs, frames or [b""] * len(recs)
