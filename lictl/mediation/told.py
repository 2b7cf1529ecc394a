# SPDX-License-Identifier: Apache-2.0
"""What an agency was told last of an interception: it stands beside each block of the spool, so a restart knows it.

An event and the mark that it was told are one block. So after a crash either both are there or neither is, and what an
agency has to be told is found by comparing the mark with the order (`lictl.service.telling`), never by remembering.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, get_args

from lictl.handover.base import Event, EventKind

MAX_TOLD: Final = 960
"""Bytes of a mark: with the position on 256 CPUs and an encoder's state it fits beside a block."""
_HEAD: Final = struct.Struct("<IBBQQQQQ16s")
_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
_NOTED, _ENDED, _SUSPENDED = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream.

    Attributes:
        number: of the event in its stream, from 1.
        event: without `before`. Read back, it has as many addresses as there is room for (some 60).
        terms: 16 bytes that stand for all that the order names, or zeros where nobody gave them.
        noted: the line for the file of events is written, or none is due.
        ended: the END block is written.
    """

    number: int
    event: Event
    terms: bytes = bytes(16)
    noted: bool = False
    ended: bool = False

    @property
    def running(self) -> bool:
        """The agency takes it that packets are intercepted."""
        return self.event.kind not in ("suspend", "end") and not self.event.suspended

    def to_bytes(self) -> bytes:
        """At most MAX_TOLD bytes; addresses that have no room are left out."""
        event = self.event
        flags = self.noted * _NOTED | self.ended * _ENDED | event.suspended * _SUSPENDED
        head = _HEAD.pack(self.number, _KINDS.index(event.kind), flags, event.ns, event.starts_ns, event.ends_ns,
                          event.records, event.lost, self.terms)  # fmt: skip
        return head + _fitting("\n".join(event.addresses).encode(), MAX_TOLD - len(head))

    @classmethod
    def from_bytes(cls, data: bytes) -> Told:
        """The inverse. Raises ValueError: not what `to_bytes` makes."""
        if len(data) < _HEAD.size:
            raise ValueError("the mark of what an agency was told is too short")
        number, kind, flags, ns, starts, ends, records, lost, terms = _HEAD.unpack_from(data)
        if kind >= len(_KINDS):
            raise ValueError("the mark of what an agency was told names an event that cannot be")
        addresses = tuple(data[_HEAD.size :].decode().split("\n")) if len(data) > _HEAD.size else ()
        event = Event(_KINDS[kind], ns, addresses, starts, ends, records, lost, bool(flags & _SUSPENDED))
        return cls(number, event, terms, bool(flags & _NOTED), bool(flags & _ENDED))


def _fitting(lines: bytes, room: int) -> bytes:
    """As many whole lines as fit."""
    return lines if len(lines) <= room else lines[: max(lines.rfind(b"\n", 0, room + 1), 0)]
