# SPDX-License-Identifier: Apache-2.0
"""One batch of records, and the once-a-batch calls that fan it out and number it.

Arrays belong to Python, the native core writes into them; frames stay where they are (ring memory) until the batch is
released.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lictl.probe import abi
from lictl.probe.native import check, ffi, lib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_POSITION_HEAD: Final = struct.Struct("<QI")
_POSITION_PAIR: Final = np.dtype([("cpu", "<u4"), ("slot_seq", "<u8")])


def _pointer(ctype: str, array: NDArray[Any]) -> Any:
    return ffi.cast(ctype, array.ctypes.data)


class Batch:
    """Room for `capacity` records.

    Attributes:
        recs: REC[capacity]; the first `n` are valid.
        data: uint64[capacity]: addresses of the frames; valid until the batch is released.
        c: ``struct ln_batch *``.
    """

    __slots__ = ("_frames", "_group_memory", "c", "data", "recs")

    def __init__(self, capacity: int) -> None:
        self.recs: NDArray[np.void] = np.zeros(capacity, abi.REC)
        self.data: NDArray[np.uint64] = np.zeros(capacity, np.uint64)
        self.c: Any = ffi.new("struct ln_batch *")
        self.c.recs = _pointer("struct li_rec *", self.recs)
        self.c.data = _pointer("const uint8_t **", self.data)
        self.c.capacity = capacity
        self.c.n = 0
        self._frames: list[bytes] = []
        self._group_memory: tuple[NDArray[np.uint32], Any] | None = None

    @classmethod
    def of(cls, recs: NDArray[np.void], frames: Sequence[bytes]) -> Batch:
        """A batch of Python values.

        Args:
            recs: REC[n]; ``cap_len`` is set from the frames.
            frames: n frames; b"" for a header record.
        """
        if len(recs) != len(frames):
            raise ValueError(f"{len(recs)} records and {len(frames)} frames")
        batch = cls(max(len(recs), 1))
        batch.recs[: len(recs)] = recs
        batch._frames = list(frames)
        for index, frame in enumerate(batch._frames):
            batch.recs["cap_len"][index] = len(frame)
            batch.data[index] = int(ffi.cast("uintptr_t", ffi.from_buffer(frame))) if frame else 0
        batch.c.n = len(recs)
        return batch

    @property
    def n(self) -> int:
        """How many records are valid."""
        return int(self.c.n)

    @property
    def capacity(self) -> int:
        """How many records have room."""
        return int(self.c.capacity)

    @property
    def records(self) -> NDArray[np.void]:
        """View of the valid records: REC[n]."""
        return self.recs[: self.n]

    def frame(self, index: int) -> bytes:
        """A copy of one frame (tests and diagnosis; the data path never copies)."""
        if not 0 <= index < self.n:
            raise IndexError(f"record {index} of {self.n}")
        length = int(self.recs["cap_len"][index])
        if length == 0:
            return b""
        return bytes(ffi.buffer(ffi.cast("const uint8_t *", int(self.data[index])), length))


@dataclass(frozen=True, slots=True)
class Group:
    """The records of one claim, in time order.

    Attributes:
        claim: slot and generation.
        order: uint32[count]: indexes into the batch; a view, valid until the batch is grouped again.
    """

    claim: int
    order: NDArray[np.uint32]


def groups(batch: Batch) -> list[Group]:
    """The batch by claim; every record is in exactly one group."""
    if batch._group_memory is None:
        batch._group_memory = (
            np.zeros(batch.capacity, np.uint32),
            ffi.new("struct ln_group[]", min(batch.capacity, 3 * abi.MAX_SLOTS)),
        )
    order, memory = batch._group_memory
    count = lib.ln_group(batch.c.recs, batch.n, _pointer("uint32_t *", order), memory, len(memory))
    check(count, None, "grouping a batch by order")
    return [
        Group(int(group.claim), order[group.start : group.start + group.count])
        for group in (memory[index] for index in range(count))
    ]


class Position:
    """Where one delivery stream stands: its last sequence number, and the last record taken from each CPU.

    Attributes:
        last_slot_seq: uint64[MAX_CPUS]: highest ``slot_seq`` taken from each CPU's ring; writable.
        c: ``struct ln_position *``.
    """

    __slots__ = ("c", "last_slot_seq")

    def __init__(self) -> None:
        self.c: Any = ffi.new("struct ln_position *")
        self.last_slot_seq: NDArray[np.uint64] = np.frombuffer(ffi.buffer(self.c.last_slot_seq), np.uint64)

    @property
    def next_sequence(self) -> int:
        """The last number given, to a delivered or a lost packet; 0: none yet."""
        return int(self.c.next_sequence)

    @next_sequence.setter
    def next_sequence(self, value: int) -> None:
        self.c.next_sequence = value

    def to_bytes(self) -> bytes:
        """Little endian: next_sequence u64, pairs u32, then (cpu u32, slot_seq u64) of every CPU that is not 0."""
        cpus = np.flatnonzero(self.last_slot_seq)
        pairs = np.empty(len(cpus), _POSITION_PAIR)
        pairs["cpu"] = cpus
        pairs["slot_seq"] = self.last_slot_seq[cpus]
        return _POSITION_HEAD.pack(self.next_sequence, len(cpus)) + pairs.tobytes()

    @staticmethod
    def size(data: bytes) -> int:
        """How many of the bytes, which begin with a position, belong to it; at most all of them."""
        if len(data) < _POSITION_HEAD.size:
            return len(data)
        _, count = _POSITION_HEAD.unpack_from(data)
        return int(min(_POSITION_HEAD.size + count * _POSITION_PAIR.itemsize, len(data)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Position:
        """The inverse of `to_bytes`; b"" is a new stream.

        Raises:
            ValueError: not what `to_bytes` makes.
        """
        position = cls()
        if not data:
            return position
        if len(data) < _POSITION_HEAD.size:
            raise ValueError("a stream position is too short")
        position.next_sequence, count = _POSITION_HEAD.unpack_from(data)
        if len(data) != _POSITION_HEAD.size + count * _POSITION_PAIR.itemsize:
            raise ValueError("a stream position has the wrong length")
        pairs = np.frombuffer(data, _POSITION_PAIR, offset=_POSITION_HEAD.size)
        if np.any(pairs["cpu"] >= abi.MAX_CPUS):
            raise ValueError("a stream position names a CPU that cannot be")
        position.last_slot_seq[pairs["cpu"]] = pairs["slot_seq"]
        return position

    def copy(self) -> Position:
        """An independent copy."""
        other = Position()
        ffi.memmove(other.c, self.c, ffi.sizeof("struct ln_position"))
        return other


class Selection:
    """What one stream takes of one batch.

    Attributes:
        order: uint32[n]: indexes into the batch, in time order.
        sequence: uint64[n]: number of each packet in the stream.
        lost_before: uint32[n]: packets lost since the one before.
        c: ``struct ln_sequenced *``; keep this object while the native core uses it.
    """

    __slots__ = ("_lost_before", "_order", "_sequence", "c")

    def __init__(self, room: int) -> None:
        self._order: NDArray[np.uint32] = np.zeros(max(room, 1), np.uint32)
        self._sequence: NDArray[np.uint64] = np.zeros(max(room, 1), np.uint64)
        self._lost_before: NDArray[np.uint32] = np.zeros(max(room, 1), np.uint32)
        self.c: Any = ffi.new("struct ln_sequenced *")
        self.c.order = _pointer("uint32_t *", self._order)
        self.c.sequence = _pointer("uint64_t *", self._sequence)
        self.c.lost_before = _pointer("uint32_t *", self._lost_before)

    def part(self, start: int, stop: int) -> Selection:
        """The records [start, stop), at least one, as a selection in the same memory; without losses behind them."""
        other = Selection.__new__(Selection)
        other._order = self._order[start:stop]
        other._sequence = self._sequence[start:stop]
        other._lost_before = self._lost_before[start:stop]
        other.c = ffi.new("struct ln_sequenced *")
        other.c.order = _pointer("uint32_t *", other._order)
        other.c.sequence = _pointer("uint64_t *", other._sequence)
        other.c.lost_before = _pointer("uint32_t *", other._lost_before)
        other.c.n = stop - start
        before = int(self._sequence[start - 1]) if start else int(self._sequence[self.n - 1]) - self.n - self.lost
        other.c.lost = int(self._sequence[stop - 1]) - before - (stop - start)  # lost_before stops at 2^32-1
        return other

    @property
    def n(self) -> int:
        """How many records remain."""
        return int(self.c.n)

    @property
    def order(self) -> NDArray[np.uint32]:
        """uint32[n]."""
        return self._order[: self.n]

    @property
    def sequence(self) -> NDArray[np.uint64]:
        """uint64[n]."""
        return self._sequence[: self.n]

    @property
    def lost_before(self) -> NDArray[np.uint32]:
        """uint32[n]."""
        return self._lost_before[: self.n]

    @property
    def lost(self) -> int:
        """Sum of `lost_before`."""
        return int(self.c.lost)

    @property
    def lost_after(self) -> int:
        """Losses seen behind the last remaining record: numbered already, no record tells of them."""
        return int(self.c.lost_after)

    @property
    def duplicates(self) -> int:
        """Records that the stream had already taken."""
        return int(self.c.duplicates)

    @property
    def refused(self) -> int:
        """Records outside the window or of a kind that the order may not have."""
        return int(self.c.refused)


def sequence(batch: Batch, group: Group, window: tuple[int, int], kind: int, position: Position) -> Selection:
    """Numbers the records of a group for one stream and moves its position on.

    Args:
        window: [starts, ends) in UTC nanoseconds; records outside are refused.
        kind: REC_HEADER or REC_PACKET; records of the other kind are refused.
    """
    selection = Selection(len(group.order))
    order = np.ascontiguousarray(group.order)
    result = lib.ln_sequence(
        batch.c.recs, _pointer("const uint32_t *", order), len(order), *window, kind, position.c, selection.c
    )
    check(result, None, "numbering a stream's records")
    return selection
