# SPDX-License-Identifier: Apache-2.0
"""What an agency was told last of an interception: it stands beside each block of the spool, so a restart knows it.

An event and the mark that it was told are one block. So after a crash either both are there or neither is, and what an
agency has to be told is found by comparing the mark with the order (`lictl.service.telling`), never by remembering.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, get_args

from lictl.handover.base import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TOLD: Final = 920
"""Bytes of a mark: with the position on 256 CPUs, an encoder's state and a gap it fits beside a block."""
_HEAD: Final = struct.Struct("<IBBQQQQQ16s")
_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
_NOTED, _ENDED, _SUSPENDED, _CUT = 1, 2, 4, 8
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream.

    Attributes:
        number: of the event in its stream, from 1.
        event: without `before`. Read back, it has as many addresses as there is room for (some 50).
        terms: 16 bytes that stand for all that the order names, or zeros where nobody gave them.
        noted: the line for the file of events is written, or none is due.
        ended: the END block is written.
        cut: digest of all addresses where `event` was read back without some of them, see `completed`.
    """

    number: int
    event: Event
    terms: bytes = bytes(16)
    noted: bool = False
    ended: bool = False
    cut: bytes = b""

    @property
    def running(self) -> bool:
        """The agency takes it that packets are intercepted."""
        return self.event.kind not in ("suspend", "end") and not self.event.suspended

    def completed(self, known: Iterable[tuple[str, ...]]) -> Told:
        """With all addresses, where some were left out: those of `known` that have the digest; else as it is."""
        if not self.cut:
            return self
        whole = next((each for each in known if _digest(_lines(each)) == self.cut), None)
        return self if whole is None else replace(self, event=replace(self.event, addresses=whole), cut=b"")

    def to_bytes(self) -> bytes:
        """At most MAX_TOLD bytes; for addresses that have no room a digest of all of them."""
        event, lines, room = self.event, _lines(self.event.addresses), MAX_TOLD - _HEAD.size
        if cut := self.cut or (_digest(lines) if len(lines) > room else b""):
            lines = cut + _fitting(lines, room - _DIGEST_BYTES)
        flags = self.noted * _NOTED | self.ended * _ENDED | event.suspended * _SUSPENDED | bool(cut) * _CUT
        head = _HEAD.pack(self.number, _KINDS.index(event.kind), flags, event.ns, event.starts_ns, event.ends_ns,
                          event.records, event.lost, self.terms)  # fmt: skip
        return head + lines

    @classmethod
    def from_bytes(cls, data: bytes) -> Told:
        """The inverse. Raises ValueError: not what `to_bytes` makes."""
        if len(data) < _HEAD.size:
            raise ValueError("the mark of what an agency was told is too short")
        number, kind, flags, ns, starts, ends, records, lost, terms = _HEAD.unpack_from(data)
        if kind >= len(_KINDS):
            raise ValueError("the mark of what an agency was told names an event that cannot be")
        behind = _HEAD.size + (_DIGEST_BYTES if flags & _CUT else 0)
        addresses = tuple(data[behind:].decode().split("\n")) if len(data) > behind else ()
        event = Event(_KINDS[kind], ns, addresses, starts, ends, records, lost, bool(flags & _SUSPENDED))
        return cls(number, event, terms, bool(flags & _NOTED), bool(flags & _ENDED), data[_HEAD.size : behind])


def _lines(addresses: tuple[str, ...]) -> bytes:
    return "\n".join(addresses).encode()


def _digest(lines: bytes) -> bytes:
    return sha256(lines).digest()[:_DIGEST_BYTES]


def _fitting(lines: bytes, room: int) -> bytes:
    """As many whole lines as fit."""
    return lines if len(lines) <= room else lines[: max(lines.rfind(b"\n", 0, room + 1), 0)]
