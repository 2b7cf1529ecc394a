# SPDX-License-Identifier: Apache-2.0
"""What is said of one file that an agency fetches: counted from the blocks that it is made of, signed and chained.

Nothing in it depends on when or how often the file was made, so a file that is made again has the same manifest.
Field by field: docs/formats/store-and-forward.md.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from lictl.delivery.blocks import FLAG_RESTART, BlockKind
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.delivery.blocks import Header

VERSION = 1
MOST_GAPS = 1024
"""Places of losses that a manifest lists; of more, the last one stands for all the rest."""


class Gap(NamedTuple):
    """`lost` of the numbers `first` to `last` are not in the file."""

    first: int
    last: int
    lost: int
    kind: str
    from_ns: int
    to_ns: int

    def to_plain(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "first_sequence": self.first,
            "last_sequence": self.last,
            "lost": self.lost,
            "kind": self.kind,
            "from": _time(self.from_ns),
            "to": _time(self.to_ns),
        }


class Written:
    """A file while it is written: how long it is, and its digests.

    Args:
        names: of digests beside SHA-256.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.size = 0
        self._hashes = {"sha256": hashlib.sha256()}
        self._hashes |= {name: hashlib.new(name, usedforsecurity=False) for name in names}

    def add(self, data: bytes | memoryview) -> None:
        """Takes what was written."""
        self.size += len(data)
        for each in self._hashes.values():
            each.update(data)

    def digests(self) -> dict[str, str]:
        """Hexadecimal, by name."""
        return {name: each.hexdigest() for name, each in self._hashes.items()}


class Book:
    """The account of one file, from the headers of its blocks.

    Args:
        before: the stream's last number before it, as far as it is known.

    Attributes:
        first: the stream's first number that the file accounts for; `last`: the last one.
        records, lost, skipped: packets in it; packets lost before; numbers that were never given to a packet.
        first_ns, last_ns: times of its first and last packet, UTC ns; 0: it has none.
        told_ns: time of its first event, 0: it has none.
        bare: it holds nothing but an opening.
        ended: the stream is over.
    """

    def __init__(self, before: int = 0) -> None:
        self.first, self.last = before + 1, before
        self.records = self.lost = self.skipped = 0
        self.first_ns = self.last_ns = self.told_ns = 0
        self.gaps: list[Gap] = []
        self.blocks = (0, 0)
        self.bare = True
        self.ended = False

    def add(self, header: Header) -> None:
        """Takes the next block."""
        if not self.blocks[0]:
            self.first = header.sequence_before + 1
        self._next(header.block)
        self.last = header.last_sequence
        self.bare = self.bare and header.kind == BlockKind.OPEN
        self.ended = header.kind == BlockKind.END
        if header.kind == BlockKind.NOTE:
            self.told_ns = self.told_ns or header.first_ns
        if header.flags & FLAG_RESTART:
            self._gap(header, header.last_sequence - header.first_sequence + 1, "skipped")
        elif header.lost:
            self._gap(header, header.lost, "lost")
        if header.records:
            self.records += header.records
            self.first_ns = self.first_ns or header.first_ns
            self.last_ns = header.last_ns

    def damaged(self, last_block: int, last_sequence: int) -> int:
        """Blocks that cannot be read any more: their packets are lost. Returns how many numbers went with them."""
        self._next(last_block)
        self.bare = False
        count = last_sequence - self.last
        if count > 0:
            self._place(Gap(self.last + 1, last_sequence, count, "damaged", 0, 0))
            self.lost += count
            self.last = last_sequence
        return max(count, 0)

    def _next(self, block: int) -> None:
        self.blocks = (self.blocks[0] or block, block)

    def _gap(self, header: Header, count: int, kind: str) -> None:
        if count > 0:
            gap = Gap(header.first_sequence, header.last_sequence, count, kind, header.first_ns, header.last_ns)
            if kind == "lost" and header.records:  # the losses lie before its records, wherever among the numbers
                gap = gap._replace(first=header.sequence_before + 1)
            self._place(gap)
            self.lost += count if kind == "lost" else 0
            self.skipped += count if kind == "skipped" else 0

    def _place(self, gap: Gap) -> None:
        if len(self.gaps) < MOST_GAPS:
            self.gaps.append(gap)
        else:
            last = self.gaps[-1]
            self.gaps[-1] = last._replace(last=gap.last, lost=last.lost + gap.lost, kind="several", to_ns=gap.to_ns)

    @property
    def ns(self) -> int:
        """The time that stands in the file's name."""
        return self.first_ns or self.told_ns

    def to_plain(self) -> dict[str, Any]:
        """The part of the manifest that counts."""
        return {
            "first_sequence": self.first,
            "last_sequence": self.last,
            "records": self.records,
            "lost": self.lost,
            "skipped": self.skipped,
            "gaps": [gap.to_plain() for gap in self.gaps],
            "first_time": _time(self.first_ns),
            "last_time": _time(self.last_ns),
            "ended": self.ended,
        }


def to_bytes(fields: dict[str, Any]) -> bytes:
    """The manifest as it is written and signed."""
    return json.dumps({"manifest": VERSION, **fields}, indent=2).encode() + b"\n"


def _time(ns: int) -> str:
    return format_rfc3339(ns) if ns else ""
