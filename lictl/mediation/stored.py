# SPDX-License-Identifier: Apache-2.0
"""Where a stream stands, as the spool keeps it beside each block: all that a stream knows of itself after a restart."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, get_args

from lictl.handover.base import Gap, GapReason
from lictl.mediation.told import Told
from lictl.probe.batch import Position

_OWNER = struct.Struct("<IQ")
_TAIL = struct.Struct("<H4s")
_MAGIC = b"told"
_GAP = struct.Struct("<QQBQQ4s")
_GAP_MAGIC = b"note"
_REASONS: Final[tuple[GapReason, ...]] = get_args(GapReason)


class Stored(NamedTuple):
    """The parts.

    Attributes:
        owner: whose kernel counters the position is in (`owner_of`); b"": no block is written yet.
        position: `Position.to_bytes`.
        state: the encoder's.
        told: what the agency was told last.
        gap: a GAP block stands in the spool whose line for the file of events does not; None: all have theirs.
    """

    owner: bytes = b""
    position: bytes = b""
    state: bytes = b""
    told: Told | None = None
    gap: Gap | None = None

    @classmethod
    def split(cls, data: bytes) -> Stored:
        """The inverse of `to_bytes`; a block of a version that kept no mark has none.

        Raises:
            ValueError: not what `to_bytes` makes.
        """
        data, gap = _without_gap(data)
        behind, end = _OWNER.size + Position.size(data[_OWNER.size :]), len(data) - _TAIL.size
        told = None
        if end >= behind and data.endswith(_MAGIC):
            size, _ = _TAIL.unpack_from(data, end)
            told = Told.from_bytes(data[end - size : end]) if size else None
            data = data[: end - size]
        return cls(data[: _OWNER.size], data[_OWNER.size : behind], data[behind:], told, gap)

    def to_bytes(self) -> bytes:
        """As the spool keeps it."""
        told = self.told.to_bytes() if self.told is not None else b""
        return self.owner + self.position + self.state + told + _TAIL.pack(len(told), _MAGIC) + _packed(self.gap)

    def place(self, owner: bytes) -> Position:
        """The position; that of a new stream where it is in another owner's counters."""
        return Position.from_bytes(self.position) if self.owner == owner else Position()


def _packed(gap: Gap | None) -> bytes:
    if gap is None:
        return b""
    return _GAP.pack(gap.lost, gap.first_sequence, _REASONS.index(gap.reason), gap.from_ns, gap.to_ns, _GAP_MAGIC)


def _without_gap(data: bytes) -> tuple[bytes, Gap | None]:
    before = data[: -_GAP.size]
    if not (data.endswith(_GAP_MAGIC) and before.endswith(_MAGIC)):
        return data, None
    lost, first, reason, from_ns, to_ns, _ = _GAP.unpack_from(data, len(before))
    if reason >= len(_REASONS):
        raise ValueError("the mark of a gap without its line has a reason that cannot be")
    return before, Gap(lost, first, _REASONS[reason], from_ns, to_ns)


def owner_of(claim: int, incarnation: int) -> bytes:
    """The name of a stream's kernel counters."""
    return _OWNER.pack(claim, incarnation)
