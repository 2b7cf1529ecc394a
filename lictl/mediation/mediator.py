# SPDX-License-Identifier: Apache-2.0
"""Fan-out of a batch: each order's records, checked again, numbered, encoded and spooled for each of its agencies.

Window and mode are checked a second time here (the kernel did so first), and an order that is not live gets nothing.
A stream that fails, for whatever reason, does not stop the others: what it could not write becomes a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from lictl import log
from lictl.delivery.spool import SpoolFull
from lictl.handover.base import Gap
from lictl.mediation.stream import reason_of
from lictl.probe.batch import groups, sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lictl.handover.base import GapReason
    from lictl.mediation.stream import Stream
    from lictl.probe.batch import Batch, Group, Selection

_log = log.get("mediation")
NOTHING = (0, 0)
"""A window that no packet is in."""


class Order(Protocol):
    """What the mediator needs of a live order (`warrants.store.Warrant` has it)."""

    @property
    def mode(self) -> str:
        """ "headers" or "content"."""

    @property
    def starts_ns(self) -> int:
        """First instant inside the window, UTC ns."""

    @property
    def ends_ns(self) -> int:
        """First instant outside the window, UTC ns."""


class Mediator:
    """Gives every record to the streams of its order. The data path's thread calls it; nobody else does.

    Attributes:
        unclaimed: records whose order is not live, or has no stream: never delivered.
    """

    def __init__(self, streams: Iterable[Stream] = ()) -> None:
        self.unclaimed = 0
        self._streams: dict[int, list[Stream]] = {}
        for stream in streams:
            self.add(stream)

    def add(self, stream: Stream) -> None:
        """From now on the stream gets its order's records."""
        self._streams.setdefault(stream.claim, []).append(stream)

    def remove(self, claim: int) -> list[Stream]:
        """Takes an order's streams out and returns them; `Stream.end` is the caller's."""
        return self._streams.pop(claim, [])

    def streams(self, claim: int) -> tuple[Stream, ...]:
        """The order's streams."""
        return tuple(self._streams.get(claim, ()))

    def take(self, batch: Batch, live: Mapping[int, Order]) -> None:
        """Writes a batch to the spools; a batch given twice is written once.

        Args:
            batch: drained records, in order of time.
            live: the orders that may have anything, by claim.
        """
        for group in groups(batch):
            order = live.get(group.claim)
            streams = self._streams.get(group.claim)
            if order is None or not streams:
                self.unclaimed += len(group.order)
                continue
            for stream in streams:
                _deliver(batch, group, order, stream)

    def trailing_gap(self, claim: int, matched: Sequence[int], now_ns: int, reason: GapReason = "ring") -> int:
        """Writes a gap for packets that the kernel matched and no record tells of.

        Args:
            claim: of the order.
            matched: `li_slot_count.matched` by CPU, read *before* the rings were drained empty and mediated.
            now_ns: when `matched` was read.
            reason: the class that the kernel's counters name.

        Returns:
            Losses found, of the stream that had most.
        """
        return max((_trail(stream, matched, now_ns, reason) for stream in self._streams.get(claim, ())), default=0)

    def tick(self, now_ns: int) -> None:
        """Lets every stream write what time alone demands; about once a second."""
        for streams in self._streams.values():
            for stream in streams:
                stream.tick(now_ns)

    def write_pending(self) -> int:
        """Writes what full spools held up (openings, gaps, events), where there is room now; how many still wait."""
        return sum(not stream.writable for streams in self._streams.values() for stream in streams if stream.behind)


def _deliver(batch: Batch, group: Group, order: Order, stream: Stream) -> None:
    counts = stream.counts
    # Promise 2: an order that was narrowed to headers gets nothing through the encoder of its content.
    window = (order.starts_ns, order.ends_ns) if stream.encoder.mode == order.mode else NOTHING
    # Losses that wait are written with the position as it is now, so before this batch moves it.
    clear = not stream.held_up or stream.writable
    selection = sequence(batch, group, window, stream.encoder.kind, stream.position)
    counts.refused += selection.refused
    counts.duplicates += selection.duplicates
    done, error = 0, None
    if selection.n and clear and stream.writable:
        done, error = _write(batch, selection, stream)
    if done < selection.n:
        _lose_rest(batch, selection, stream, done, error)
    elif selection.lost_after:
        stream.gap(selection.lost_after, "ring", int(batch.recs[group.order[-1]]["utc_ns"]))


def _write(batch: Batch, selection: Selection, stream: Stream) -> tuple[int, Exception | None]:
    """Encodes and appends; returns how many records are in the spool, and what stopped it."""
    done = 0
    try:
        for part in stream.parts(selection):
            for encoded in stream.encoder.encode(batch, part):
                end = done + encoded.records + encoded.unfit
                if end == selection.n and not selection.lost_after:
                    position = stream.stored_position()
                else:
                    cpus, seqs = (batch.recs[name][selection.order[done:end]] for name in ("cpu", "slot_seq"))
                    position = stream.stored_behind(cpus, seqs, encoded.last_sequence)
                stream.write(encoded, position)
                done = end
    except Exception as error:  # isolation: one stream's failure is never another's
        if not isinstance(error, SpoolFull | OSError):
            _log.error("stream failed", agency=stream.agency, error=type(error).__name__, **log.place(error))
        return done, error
    return done, None


def _lose_rest(batch: Batch, selection: Selection, stream: Stream, done: int, error: Exception | None) -> None:
    """Everything from record `done` on becomes a gap."""
    last = stream.position.next_sequence
    first = (
        int(selection.sequence[done - 1]) + 1
        if done
        else last - selection.n - selection.lost - selection.lost_after + 1
    )
    times = batch.recs["utc_ns"][selection.order[done:]]
    reason = reason_of(error) if error is not None else stream.failing
    lost = last - first + 1
    gap = Gap(lost, first, reason, int(times[0]), int(times[-1]))
    stream.lose(gap, lost - (selection.n - done), error)


def _trail(stream: Stream, matched: Sequence[int], now_ns: int, reason: GapReason) -> int:
    position = stream.position
    counted = np.asarray(matched, dtype=np.uint64)
    taken = position.last_slot_seq[: len(counted)]
    lost = int(np.where(counted > taken, counted - taken, 0).sum())
    if lost:
        np.maximum(taken, counted, out=taken)
        position.next_sequence += lost
        stream.gap(lost, reason, now_ns)
    return lost
