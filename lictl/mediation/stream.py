# SPDX-License-Identifier: Apache-2.0
"""One order delivered to one agency in one format: where it stands, what it lost, what has to be written first."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lictl.delivery.blocks import BlockKind
from lictl.delivery.spool import SpoolFull
from lictl.handover.base import Gap
from lictl.mediation import notes
from lictl.mediation.counts import StreamCounts
from lictl.mediation.notes import Note
from lictl.mediation.stored import Stored, owner_of
from lictl.mediation.told import Told
from lictl.probe.batch import Position
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lictl.delivery.crc import Buffer
    from lictl.delivery.state import Totals
    from lictl.handover.base import ContentEncoder, Encoded, Event, GapReason, HeadersEncoder
    from lictl.mediation.rotation import Rotation
    from lictl.probe.batch import Selection

U16 = np.ndarray[Any, np.dtype[np.uint16]]
U64 = np.ndarray[Any, np.dtype[np.uint64]]

# What a spool that was full is given to recover before it is tried again: each try writes an opening and a gap.
RETRY_S = 0.1
MAX_EVENTS = 1024
"""Events that wait for room in a spool; of more, the oldest are dropped: the newest tell how things stand."""


class SpoolLike(Protocol):
    """What a stream needs of `lictl.delivery.spool.Spool`."""

    @property
    def position(self) -> bytes:
        """The newest block's position."""

    @property
    def next_sequence(self) -> int:
        """The number of the stream's next packet."""

    @property
    def totals(self) -> Totals:
        """Of the stream since it began."""

    def append(
        self, kind: BlockKind, payload: Buffer, *, records: int, first_sequence: int, last_sequence: int, lost: int,
        first_ns: int, last_ns: int, position: bytes,
    ) -> object: ...  # fmt: skip


class Stream:
    """Writes an encoder's output to a spool and keeps the numbers right when that fails.

    Not for several threads: the data path's thread owns it.

    Attributes:
        claim: of the order; with `incarnation` the owner of the kernel's counters that `position` refers to.
        agency: whom it is for.
        encoder: of the order's mode and the agency's format.
        position: where the stream stands: the last number given, the last slot_seq taken on each CPU.
        counts: of this daemon's life.
        pending: losses that have to be written before anything else; None where there are none.
        told: the event that the agency was told last, as the spool holds it; None: none yet.
        failure: why the last write failed; "" while all is well.
        failing: the class of that failure.
    """

    def __init__(
        self, claim: int, agency: str, encoder: ContentEncoder | HeadersEncoder, spool: SpoolLike, incarnation: int,
        rotation: Rotation | None = None, known: Iterable[tuple[str, ...]] = (),
    ) -> None:  # fmt: skip
        """Continues where the spool ends.

        Args:
            incarnation: li_config.incarnation: kernel counters of another one mean nothing to this stream.
            rotation: for an agency that fetches files; notes of events and gaps are written beside them.
            known: addresses that the agency may have been told of last; more than a mark has room for are found there.
        """
        self.claim = claim
        self.agency = agency
        self.encoder = encoder
        self.counts = StreamCounts()
        self.pending: Gap | None = None
        self._restart: Gap | None = None
        self.told: Told | None = None
        self.failure = ""
        self.failing: GapReason = "quota"
        self._spool = spool
        self._owner = owner_of(claim, incarnation)
        self._events: deque[Told] = deque(maxlen=MAX_EVENTS)
        self._note: Note | None = None
        self._rotation = rotation
        self._opened = False
        self._retry_at = 0.0
        self._last_ns = 0
        self.position = self._recover(spool, known)

    def _recover(self, spool: SpoolLike, known: Iterable[tuple[str, ...]]) -> Position:
        stored = Stored.split(spool.position)
        position = stored.place(self._owner)
        self.told = stored.told and stored.told.completed(known)
        if self._rotation is not None and stored.gap is not None:
            self._note = Note.of_gap(stored.gap)
        elif self._rotation is not None and self.told is not None and not self.told.noted:
            self._note = Note.of_event(self.told)
        # Behind what the spool holds: it may have skipped numbers that the agency might know.
        position.next_sequence = spool.next_sequence - 1
        if stored.owner and stored.owner != self._owner:
            # The kernel's counters began anew (restart of the machine): nobody counted in between.
            now = now_ns()
            self._restart = Gap(0, position.next_sequence + 1, "restart", now, now)
        return position

    def stored_position(self) -> bytes:
        """Where the stream stands now, as the spool keeps it beside a block."""
        return self._stored(self.position).to_bytes()

    def stored_behind(self, cpus: U16, slot_seqs: U64, sequence: int) -> bytes:
        """The same behind some records that follow on the newest block: their CPUs, slot_seqs and last number."""
        position = Stored.split(self._spool.position).place(self._owner)
        np.maximum.at(position.last_slot_seq, cpus, slot_seqs)
        position.next_sequence = sequence
        return self._stored(position).to_bytes()

    @property
    def standing(self) -> Told | None:
        """The newest event of all: told last, or of those that wait. From any thread."""
        try:
            return self._events[-1]
        except IndexError:
            return self.told

    @property
    def waiting(self) -> tuple[Told, ...]:
        """Events that there is no room for yet, in order. From any thread."""
        return tuple(self._events)

    @property
    def held_up(self) -> bool:
        """A gap has to be written before anything else."""
        return self.pending is not None or self._restart is not None

    @property
    def behind(self) -> bool:
        """Something waits for room, or the last write failed: `writable` has to be asked though no packet comes."""
        return self.held_up or bool(self._events or self._note or self.failure)

    @property
    def writable(self) -> bool:
        """Opening, pending gap and events stand in the spool, or could be written just now."""
        if self._opened and not self.held_up and not self._events and not self._note:
            return True
        if time.monotonic() < self._retry_at:
            return False
        try:
            self._write_first()
        except Exception as error:  # whatever it is, it is this stream's alone
            self._failed(error)
            return False
        return True

    def parts(self, selection: Selection) -> Iterator[Selection]:
        """The selection, whole, or in parts between which a file ends where that is due.

        Raises:
            SpoolFull, OSError: the next file cannot be begun.
        """
        if self._rotation is None:
            yield selection
            return
        at = 0
        while at < selection.n:
            self._rotate()
            stop = min(at + self._rotation.room, selection.n)
            yield selection.part(at, stop)
            at = stop
        self._rotate()  # a file that is full is the agency's now, not when the next packet comes

    def write(self, encoded: Encoded, position: bytes) -> None:
        """Appends a chunk of records.

        Raises:
            SpoolFull, OSError: it is not in the spool.
        """
        self._spool.append(
            BlockKind.DATA, encoded.payload, records=encoded.records, first_sequence=encoded.first_sequence,
            last_sequence=encoded.last_sequence, lost=encoded.lost, first_ns=encoded.first_ns, last_ns=encoded.last_ns,
            position=position,
        )  # fmt: skip
        self.counts.records += encoded.records
        self.counts.lost_kernel += encoded.lost - encoded.unfit
        self.counts.lost_format += encoded.unfit
        self.counts.bytes += len(encoded.payload)
        self._last_ns = encoded.last_ns
        if self._rotation is not None:
            self._rotation.add(encoded.records, len(encoded.payload))

    def lose(self, gap: Gap, kernel: int, error: Exception | None) -> None:
        """Remembers numbers that will not be written; of them the kernel had lost `kernel` before."""
        lost_here = gap.lost - kernel
        self.counts.lost_kernel += kernel
        if gap.reason == "quota":
            self.counts.lost_quota += lost_here
        elif gap.reason == "disk":
            self.counts.lost_disk += lost_here
        elif gap.reason == "fault":
            self.counts.lost_fault += lost_here
        else:
            self.counts.lost_kernel += lost_here
        self.pending = gap if self.pending is None else _joined(self.pending, gap)
        if error is not None:
            self._failed(error)

    def gap(self, lost: int, reason: GapReason, to_ns: int) -> None:
        """Numbers, and writes if it can, losses behind the last record; the position already knows them."""
        first = self.position.next_sequence - lost + 1
        self.lose(Gap(lost, first, reason, min(self._last_ns, to_ns) or to_ns, to_ns), 0, None)
        _ = self.writable

    def event(self, event: Event, terms: bytes = bytes(16)) -> None:
        """Tells the agency of it, at this place of the stream; one that there is no room for waits.

        Args:
            event: `before` and the counts are put in where it is written.
            terms: what the mark of it shall hold, see Told.
        """
        newest = self.standing
        number = newest.number + 1 if newest is not None else 1
        self._events.append(Told(number, event, terms, noted=self._rotation is None))
        _ = self.writable

    def tick(self, now_ns: int) -> None:
        """Writes what time alone demands; called about once a second."""
        if not (self._opened and self.writable):
            return
        try:
            if due := self.encoder.due(now_ns):
                self._mark(BlockKind.EVENT, due, self._stored_here())
            self._rotate()
        except Exception as error:  # as in `writable`
            self._failed(error)

    def end(self) -> None:
        """Writes what is pending and the END block.

        Raises:
            SpoolFull, OSError: there is no room; try again later.
        """
        try:
            self._write_first()
            told = self.told and replace(self.told, ended=True)
            self._mark(BlockKind.END, b"", self._stored(self.position, told))
            self.told = told
        except Exception as error:  # the encoder goes back to what the spool holds: no number is given in vain
            self._failed(error)
            raise

    def _stored_here(self, told: Told | None = None) -> Stored:
        """The newest block's position with the encoder's present state: for blocks that move nothing else.

        Args:
            told: the event that the block tells of; None: as before.
        """
        stored = Stored.split(self._spool.position)
        if not stored.owner:  # the very first block of a stream
            return self._stored(Position(), told)
        return stored._replace(state=self.encoder.state(), told=told or self.told, gap=self._unnoted)

    def _stored(self, position: Position, told: Told | None = None) -> Stored:
        return Stored(self._owner, position.to_bytes(), self.encoder.state(), told or self.told, self._unnoted)

    @property
    def _unnoted(self) -> Gap | None:
        """A gap that stands in the spool without its line."""
        return self._note.gap if self._note is not None else None

    def _failed(self, error: Exception) -> None:
        self.counts.errors += 1
        self.failure = str(error) or type(error).__name__
        self.failing = reason_of(error)
        self._retry_at = time.monotonic() + RETRY_S
        # The receiver lacks a chunk, which may have held declarations: begin anew.
        self._opened = False

    def _write_first(self) -> None:
        self._write_opening()
        self._write_pending()
        self._write_events()
        self._write_note()

    def _rotate(self) -> None:
        """Ends the file and begins the next one where that is due."""
        if self._rotation is not None and (cause := self._rotation.cause):
            now = now_ns()
            self._mark(BlockKind.NOTE, notes.of_rotation(cause, now), self._stored_here(), now)
            self._opened = False
            self._write_opening()

    def _write_opening(self) -> None:
        if not self._opened:
            self.encoder.resume(Stored.split(self._spool.position).state)
            opening = self.encoder.opening()
            # It moves nothing: a gap that follows is found again, as a jump, if this process dies in between.
            self._mark(BlockKind.OPEN, opening, self._stored_here())
            self._opened = True
            if self._rotation is not None:
                self._rotation.begin()

    def _write_pending(self) -> None:
        if self._restart is not None:  # nobody knows how many: a gap of its own, whatever is lost behind it
            position = Position()
            position.next_sequence = self._restart.last_sequence
            self._write_gap(self._restart, position)
            self._restart = None
        if self.pending is not None:
            self._write_gap(self.pending, self.position)
            self.pending = None
        self.failure = ""

    def _write_gap(self, gap: Gap, position: Position) -> None:
        self._write_note()
        payload = self.encoder.gap(gap)
        due = gap if self._rotation is not None else None
        self._spool.append(
            BlockKind.GAP, payload, records=0, first_sequence=gap.first_sequence, last_sequence=gap.last_sequence,
            lost=gap.lost, first_ns=gap.from_ns, last_ns=gap.to_ns,
            position=self._stored(position)._replace(gap=due).to_bytes(),
        )  # fmt: skip
        self.counts.bytes += len(payload)
        if self._rotation is not None:
            self._rotation.add(0, len(payload))
            self._note = Note.of_gap(gap)

    def _write_events(self) -> None:
        while self._events:
            self._write_note()
            before, totals = self.told.event.addresses if self.told is not None else (), self._spool.totals
            event = replace(self._events[0].event, records=totals.records, lost=totals.lost)
            told = replace(self._events[0], event=event)
            if payload := self.encoder.event(replace(event, before=before)):
                self._mark(BlockKind.EVENT, payload, self._stored_here(told))
            self.told = told
            self._events.popleft()
            if self._rotation is not None:
                self._note = Note.of_event(told)
                self._rotation.tell()

    def _write_note(self) -> None:
        """Behind the block that it tells of, before any other: were both one, a retry would hand an event over twice.

        Until it is written, the mark beside each block says that it is due.
        """
        if (note := self._note) is not None:
            told = replace(note.told, noted=True) if note.told is not None else None
            self._mark(BlockKind.NOTE, note.line, self._stored_here(told)._replace(gap=None), note.ns)
            self.told = told or self.told
            self._note = None

    def _mark(self, kind: BlockKind, payload: bytes, stored: Stored, ns: int = 0) -> None:
        """A block without records or losses; the spool gives it the stream's last number."""
        self._spool.append(
            kind, payload, records=0, first_sequence=0, last_sequence=0, lost=0, first_ns=ns, last_ns=ns,
            position=stored.to_bytes(),
        )  # fmt: skip
        self.counts.bytes += len(payload)
        if self._rotation is not None and kind is not BlockKind.OPEN:
            self._rotation.add(0, len(payload))


def reason_of(error: Exception) -> GapReason:
    """The class of loss that a failed write leads to."""
    if isinstance(error, SpoolFull):
        return error.reason
    return "disk" if isinstance(error, OSError) else "fault"


def _joined(earlier: Gap, later: Gap) -> Gap:
    """One gap for two that follow on each other; the reason of the larger one."""
    reason = earlier.reason if earlier.lost >= later.lost else later.reason
    return Gap(
        earlier.lost + later.lost, earlier.first_sequence, reason, earlier.from_ns, max(earlier.to_ns, later.to_ns)
    )
