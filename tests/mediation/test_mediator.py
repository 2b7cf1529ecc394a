# SPDX-License-Identifier: Apache-2.0
"""The mediator with real spools: who gets what, numbered how, and what happens when a spool fails."""

from __future__ import annotations

import contextlib
import io
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from handover_records import CLAIM, T0, header, info, numbered, packet

from lictl import handover
from lictl.delivery.blocks import HEADER_BYTES, BlockKind
from lictl.delivery.reader import SpoolReader, Stored
from lictl.delivery.spool import Spool, SpoolFull
from lictl.handover.base import Event
from lictl.handover.decode import Record, decode
from lictl.handover.decoded import Loss
from lictl.mediation import stream as stream_module
from lictl.mediation.mediator import Mediator
from lictl.mediation.stream import Stream
from lictl.probe.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lictl.delivery.blocks import Header

QUOTA = 1 << 24
OTHER = 8 | 1 << 12


@dataclass(frozen=True)
class Order:
    mode: str = "headers"
    starts_ns: int = 0
    ends_ns: int = 2**63


class Full:
    """A real spool whose next appends fail as a full quota, a full disk or a defect does."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.error: Exception | None = None
        self.let = 0

    @property
    def position(self) -> bytes:
        return self.spool.position

    @property
    def next_sequence(self) -> int:
        return self.spool.next_sequence

    @property
    def totals(self) -> Any:
        return self.spool.totals

    def append(self, *args: Any, **kwargs: Any) -> object:
        if self.error is not None and not self.let:
            raise self.error
        self.let = max(self.let - 1, 0)
        return self.spool.append(*args, **kwargs)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "RETRY_S", 0.0)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    with ExitStack() as stack:
        yield lambda name="a", quota=QUOTA: stack.enter_context(Spool.open(tmp_path / name, quota, fsync="never"))


def stream_of(
    spool: Any, claim: int = CLAIM, mode: str = "headers", form: str = "msgpack", incarnation: int = 1
) -> Stream:
    return Stream(claim, "fbi", handover.encoder(form, info(mode)), spool, incarnation)  # type: ignore[arg-type]


def blocks(spool: Spool) -> list[tuple[Header, bytes]]:
    """What the delivery worker would read, all of it intact."""
    out: list[tuple[Header, bytes]] = []
    reader = SpoolReader(spool.folder)
    with contextlib.closing(reader):
        while found := reader.read():
            for item in found:
                assert isinstance(item, Stored)
                out.append((item.header, bytes(item.data[HEADER_BYTES:])))
    return out


def records(spool: Spool, form: str = "msgpack") -> list[Record]:
    text = b"".join(payload for _, payload in blocks(spool))
    return [item for item in decode(form, io.BytesIO(text)) if isinstance(item, Record)]


def adds_up(spool: Spool) -> None:
    """Every number from 1 to the last is in exactly one block, as a record or as a loss."""
    at = 0
    for head, _ in blocks(spool):
        assert head.sequence_before == at
        if head.records or head.lost:
            assert head.first_sequence == at + 1
            assert head.last_sequence - head.first_sequence + 1 == head.records + head.lost
        at = head.last_sequence


def heads(slot_seqs: list[int], **fields: Any) -> Batch:
    recs = np.concatenate([header(slot_seq=s, utc_ns=T0 + s, **fields) for s in slot_seqs])
    return Batch.of(recs, [b""] * len(recs))


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_batch_reaches_each_agency_of_its_order(opened: Callable[..., Spool]) -> None:
    """Two streams of one order both get every record, under their own numbers; another order's get none."""
    a, b, c = opened("a"), opened("b"), opened("c")
    mediator = Mediator([stream_of(a), stream_of(b), stream_of(c, OTHER)])
    mediator.take(heads([1, 2, 3]), {CLAIM: Order(), OTHER: Order()})
    assert [r.sequence for r in records(a)] == [r.sequence for r in records(b)] == [1, 2, 3]
    assert blocks(c) == []
    adds_up(a)


def test_a_record_whose_order_is_not_live_is_never_delivered(opened: Callable[..., Spool]) -> None:
    """It is counted as unclaimed; also when the claim is of an earlier generation of the slot."""
    spool = opened()
    mediator = Mediator([stream_of(spool)])
    mediator.take(heads([1, 2]), {})
    mediator.take(heads([3], claim=CLAIM - (1 << 12)), {CLAIM: Order()})
    assert mediator.unclaimed == 3
    assert blocks(spool) == []


def test_the_window_is_checked_again(opened: Callable[..., Spool]) -> None:
    """A record outside its order's window gets no number and does not leave."""
    spool = opened()
    stream = stream_of(spool)
    Mediator([stream]).take(heads([1, 2, 3]), {CLAIM: Order(starts_ns=T0 + 2, ends_ns=T0 + 3)})
    assert [(r.sequence, r.utc_ns) for r in records(spool)] == [(1, T0 + 2)]
    assert stream.counts.refused == 2


def test_an_order_narrowed_to_headers_gets_nothing_through_the_old_stream(opened: Callable[..., Spool]) -> None:
    """A content stream of an order that is for headers now is not given even one record."""
    spool = opened()
    stream = stream_of(spool, mode="content")
    frames = [bytes(60)]
    Mediator([stream]).take(Batch.of(packet(frames[0]), frames), {CLAIM: Order("headers")})
    assert blocks(spool) == []
    assert stream.counts.refused == 1
    assert int(stream.position.last_slot_seq[0]) == 1  # passed, so not in flight any more


def test_a_packet_record_never_leaves_by_a_headers_stream(opened: Callable[..., Spool]) -> None:
    """It is refused, also between header records, and its bytes are in no block."""
    spool = opened()
    stream = stream_of(spool)
    frame = b"TAINT" * 20
    recs = np.concatenate([header(slot_seq=1), packet(frame, slot_seq=2), header(slot_seq=3)])
    Mediator([stream]).take(Batch.of(recs, [b"", frame, b""]), {CLAIM: Order()})
    assert [r.sequence for r in records(spool)] == [1, 2]
    assert stream.counts.refused == 1
    assert b"TAINT" not in b"".join(p.read_bytes() for p in spool.folder.iterdir() if p.is_file())


def test_losses_of_the_kernel_stand_at_their_place(opened: Callable[..., Spool]) -> None:
    """A jump of slot_seq is in the next record and in the block's sums."""
    spool = opened()
    stream = stream_of(spool)
    Mediator([stream]).take(heads([3, 4, 9]), {CLAIM: Order()})
    assert [(r.sequence, r.lost_before) for r in records(spool)] == [(3, 2), (4, 0), (9, 4)]
    assert (stream.counts.records, stream.counts.lost_kernel) == (3, 6)
    adds_up(spool)


def test_a_loss_before_a_refused_record_becomes_a_gap(opened: Callable[..., Spool]) -> None:
    """Where no later record could tell of it, a GAP block does, and a restart then repeats nothing."""
    spool = opened()
    stream = stream_of(spool)
    live = {CLAIM: Order(ends_ns=T0 + 5)}
    Mediator([stream]).take(heads([1, 9]), live)
    gap = blocks(spool)[-1][0]
    assert (gap.kind, gap.first_sequence, gap.last_sequence, gap.lost) == (BlockKind.GAP, 2, 8, 7)
    adds_up(spool)
    again = stream_of(spool)
    assert again.position.to_bytes() == stream.position.to_bytes()


def test_a_batch_given_twice_is_written_once(opened: Callable[..., Spool]) -> None:
    """The data path may repeat a batch; so may the ring after a killed daemon."""
    spool = opened()
    stream = stream_of(spool)
    mediator, batch = Mediator([stream]), heads([1, 2])
    mediator.take(batch, {CLAIM: Order()})
    before = len(blocks(spool))
    mediator.take(batch, {CLAIM: Order()})
    Mediator([stream_of(spool)]).take(batch, {CLAIM: Order()})
    assert len(blocks(spool)) == before
    assert stream.counts.duplicates == 2


def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A new daemon numbers on, begins with an opening, and tells of what was lost in between."""
    for slot_seqs in ([1, 2], [2, 3, 7]):
        with Spool.open(tmp_path / "s", QUOTA, fsync="never") as spool:
            Mediator([stream_of(spool)]).take(heads(slot_seqs), {CLAIM: Order()})
            found = [(r.sequence, r.lost_before) for r in records(spool)]
            kinds = [head.kind for head, _ in blocks(spool)]
            adds_up(spool)
    assert found == [(1, 0), (2, 0), (3, 0), (7, 3)]
    assert kinds == [BlockKind.OPEN, BlockKind.DATA] * 2


def test_new_kernel_counters_do_not_hide_records(tmp_path: Path) -> None:
    """After a reboot slot_seq counts from 1 again: nothing is a duplicate, numbers go on, the break is marked."""
    for incarnation in (1, 2):
        with Spool.open(tmp_path / "s", QUOTA, fsync="never") as spool:
            Mediator([stream_of(spool, incarnation=incarnation)]).take(heads([1, 2]), {CLAIM: Order()})
            found = [r.sequence for r in records(spool)]
            kinds = [head.kind for head, _ in blocks(spool)]
            adds_up(spool)
    assert found == [1, 2, 3, 4]
    assert kinds == [BlockKind.OPEN, BlockKind.DATA, BlockKind.OPEN, BlockKind.GAP, BlockKind.DATA]


def test_a_restart_is_told_beside_what_is_lost_behind_it(tmp_path: Path) -> None:
    """Nobody counted while the machine was down, and the spool has no room then: two gaps, each with its reason; killed
    between them, the next daemon finds the second one again."""
    with Spool.open(tmp_path / "s", QUOTA, fsync="never") as spool:
        Mediator([stream_of(spool)]).take(heads([1, 2]), {CLAIM: Order()})
    for let in (2, 9):  # an opening and the first gap; everything
        with Spool.open(tmp_path / "s", QUOTA, fsync="never") as spool:
            full = Full(spool)
            stream = stream_of(full, incarnation=2)
            full.error = SpoolFull("quota", "full.", "")
            mediator = Mediator([stream])
            mediator.take(heads([1, 2, 3]), {CLAIM: Order()})
            full.let = let
            mediator.write_pending()
            adds_up(spool)
            text = b"".join(payload for _, payload in blocks(spool))
            gaps = [(item.reason, item.lost) for item in decode("msgpack", io.BytesIO(text)) if isinstance(item, Loss)]
            assert gaps == [("restart", 0), ("quota", 3)][: 1 if let == 2 else 2]
            assert stream.pending is None or let == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SpoolFull("quota", "full.", ""), "quota"),
        (SpoolFull("disk", "no space.", ""), "disk"),
        (OSError(5, "EIO"), "disk"),
        (ValueError("the spool is closed"), "fault"),
    ],
)
def test_what_a_spool_does_not_take_becomes_one_gap(
    opened: Callable[..., Spool], error: Exception, reason: str
) -> None:
    """All numbers of the outage stand in one GAP, then records go on; the other agency's stream misses nothing."""
    spool, other = opened("a"), opened("b")
    full = Full(spool)
    stream, healthy = stream_of(full), stream_of(other)
    mediator, live = Mediator([stream, healthy]), {CLAIM: Order()}
    mediator.take(heads([1]), live)
    full.error = error
    mediator.take(heads([2, 5]), live)
    mediator.take(heads([6]), live)
    assert stream.failure
    full.error = None
    mediator.take(heads([7]), live)
    assert stream.failure == ""
    assert [r.sequence for r in records(spool)] == [1, 7]
    assert [r.sequence for r in records(other)] == [1, 2, 5, 6, 7]
    gap = next(head for head, _ in blocks(spool) if head.kind == BlockKind.GAP)
    assert (gap.first_sequence, gap.last_sequence, gap.lost, gap.first_ns, gap.last_ns) == (2, 6, 5, T0 + 2, T0 + 6)
    assert getattr(stream.counts, f"lost_{reason}") == 3
    assert (stream.counts.lost_kernel, stream.counts.lost, stream.counts.records) == (2, 5, 2)
    assert f"{reason}".encode() in next(p for head, p in blocks(spool) if head.kind == BlockKind.GAP)
    adds_up(spool)


def test_a_held_up_gap_is_written_without_traffic(opened: Callable[..., Spool]) -> None:
    """Housekeeping writes it when there is room again."""
    spool = opened()
    full = Full(spool)
    stream = stream_of(full)
    mediator = Mediator([stream])
    full.error = SpoolFull("quota", "full.", "")
    mediator.take(heads([1, 2]), {CLAIM: Order()})
    assert mediator.write_pending() == 1
    full.error = None
    assert mediator.write_pending() == 0
    assert [head.kind for head, _ in blocks(spool)] == [BlockKind.OPEN, BlockKind.GAP]
    adds_up(spool)


def test_an_event_that_found_no_room_is_written_without_traffic(opened: Callable[..., Spool]) -> None:
    """A suspended order has no packets that could bring it: housekeeping tells it as soon as there is room again."""
    full = Full(opened())
    stream = stream_of(full, form="etsi-103221-2")
    mediator = Mediator([stream])
    stream.event(Event("begin", T0))
    full.error = SpoolFull("quota", "full.", "")
    stream.event(Event("suspend", T0))
    assert mediator.write_pending() == 1
    full.error = None
    assert mediator.write_pending() == 0
    assert stream.waiting == ()
    assert stream.failure == ""
    assert [head.kind for head, _ in blocks(full.spool)].count(BlockKind.EVENT) == 2


def test_a_summary_that_found_no_room_is_written_without_traffic(opened: Callable[..., Spool]) -> None:
    """It is due by time alone; a spool that was full at that moment holds it up no longer than it is full."""
    full = Full(opened())
    made = handover.encoder("atis-1000013", info("headers", {"reports": "summary", "interval": "10"}))
    stream = Stream(CLAIM, "fbi", made, full, 1)  # type: ignore[arg-type]
    mediator = Mediator([stream])
    mediator.take(heads([1, 2]), {CLAIM: Order()})
    full.error = SpoolFull("quota", "full.", "")
    mediator.tick(T0 + 11 * 10**9)
    full.error = None
    mediator.write_pending()
    mediator.tick(T0 + 12 * 10**9)
    assert [head.kind for head, _ in blocks(full.spool)][-1] == BlockKind.EVENT


def test_a_kill_between_opening_and_gap_loses_no_number(opened: Callable[..., Spool]) -> None:
    """The opening keeps the old position, so the next daemon finds the losses again as a jump."""
    spool = opened()
    full = Full(spool)
    mediator = Mediator([stream_of(full)])
    live = {CLAIM: Order()}
    mediator.take(heads([1]), live)
    full.error = SpoolFull("quota", "full.", "")
    mediator.take(heads([2, 3]), live)
    full.let = 1
    mediator.take(heads([4]), live)
    assert [head.kind for head, _ in blocks(spool)] == [BlockKind.OPEN, BlockKind.DATA, BlockKind.OPEN]
    Mediator([stream_of(spool)]).take(heads([5]), live)
    assert [(r.sequence, r.lost_before) for r in records(spool)] == [(1, 0), (5, 3)]
    adds_up(spool)


def test_a_kill_between_two_chunks_repeats_and_skips_nothing(
    opened: Callable[..., Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each chunk carries the position behind itself, on every CPU."""
    spool = opened()
    full = Full(spool)
    frames = [bytes([i]) * 60_000 for i in range(60)]
    recs = numbered([packet(frame, cpu=i % 3) for i, frame in enumerate(frames)])
    recs["slot_seq"] = np.arange(60) // 3 + 1
    batch, live = Batch.of(recs, frames), {CLAIM: Order("content")}
    full.error, full.let = KeyboardInterrupt(), 3  # the process dies at the third chunk
    with pytest.raises(KeyboardInterrupt):
        Mediator([stream_of(full, mode="content")]).take(batch, live)
    written = len(records(spool))
    assert 0 < written < 60
    Mediator([stream_of(spool, mode="content")]).take(batch, live)
    found = records(spool)
    assert [r.sequence for r in found] == list(range(1, 61))
    assert [r.data for r in found] == frames
    adds_up(spool)


def test_losses_that_no_record_tells_of_are_found_from_the_kernels_counters(opened: Callable[..., Spool]) -> None:
    """Matched packets by CPU above what was taken become a gap, once."""
    spool = opened()
    stream = stream_of(spool)
    mediator = Mediator([stream])
    mediator.take(heads([1, 2]), {CLAIM: Order()})
    assert mediator.trailing_gap(CLAIM, [2, 0], T0 + 50) == 0
    assert mediator.trailing_gap(CLAIM, [5, 4], T0 + 50) == 7
    assert mediator.trailing_gap(CLAIM, [5, 4], T0 + 60) == 0
    mediator.take(heads([6]), {CLAIM: Order()})
    assert [(r.sequence, r.lost_before) for r in records(spool)] == [(1, 0), (2, 0), (10, 0)]
    adds_up(spool)


def test_an_end_stands_last(opened: Callable[..., Spool]) -> None:
    """Pending gaps are written, then END."""
    spool = opened()
    full = Full(spool)
    stream = stream_of(full)
    mediator = Mediator([stream])
    full.error = SpoolFull("quota", "full.", "")
    mediator.take(heads([1]), {CLAIM: Order()})
    full.error = None
    (ended,) = mediator.remove(CLAIM)
    ended.end()
    assert [head.kind for head, _ in blocks(spool)] == [BlockKind.OPEN, BlockKind.GAP, BlockKind.END]
    mediator.take(heads([2]), {CLAIM: Order()})
    assert mediator.unclaimed == 1


def test_a_real_quota(opened: Callable[..., Spool]) -> None:
    """A spool that is never acknowledged fills to its quota; every number still is in the counts."""
    spool = opened(quota=1 << 16)
    stream = stream_of(spool)
    mediator = Mediator([stream])
    for first in range(1, 4001, 100):
        mediator.take(heads(list(range(first, first + 100))), {CLAIM: Order()})
    counts = stream.counts
    assert counts.records + counts.lost_quota == 4000
    assert counts.lost_quota > 0
    assert stream.pending is not None
    assert spool.totals.records + spool.totals.lost + stream.pending.lost == 4000
    adds_up(spool)


def test_an_encoder_that_fails_is_alone(opened: Callable[..., Spool], monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in one stream's encoder costs that stream a gap and the other nothing."""
    a, b = opened("a"), opened("b")
    broken, healthy = stream_of(a), stream_of(b)
    monkeypatch.setattr(broken.encoder, "encode", lambda *_: 1 / 0)
    Mediator([broken, healthy]).take(heads([1, 2]), {CLAIM: Order()})
    assert broken.counts.lost_fault == 2
    assert healthy.counts.records == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small tmpfs")
def test_a_full_disk(tmp_path: Path) -> None:
    """The file system's own refusal is a gap of class disk; the numbers add up when there is room again."""
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True, timeout=60)
    try:
        filler = small / "filler"
        with Spool.open(small / "s", QUOTA, fsync="never") as spool:
            stream = stream_of(spool)
            mediator, live = Mediator([stream]), {CLAIM: Order()}
            mediator.take(heads([1]), live)
            fill(filler)
            mediator.take(heads(list(range(2, 402))), live)
            assert stream.counts.lost_disk == 400
            filler.unlink()
            mediator.take(heads([402]), live)
            assert [r.sequence for r in records(spool)] == [1, 402]
            adds_up(spool)
    finally:
        subprocess.run(["umount", str(small)], check=True, timeout=60)
