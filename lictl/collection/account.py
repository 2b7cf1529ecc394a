# SPDX-License-Identifier: Apache-2.0
"""What one stream must look like: which blocks are new, which numbers are explained, what is missing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lictl.delivery.blocks import FLAG_RESTART, BlockKind, Header
from lictl.delivery.wire import DamagedRange, Hello, ProtocolError


@dataclass(slots=True)
class Account:
    """The books of one stream; every packet number is delivered, explained or missing.

    Attributes:
        liid, stream, spool, format, suffix, mode, operator, element: as in the sender's HELLO.
        block: last block taken.
        sequence: last packet number accounted for.
        records: delivered.
        lost: numbers that the sender declared lost, at their place.
        skipped: numbers that the sender never gave out, after a restart without an orderly end.
        damaged: numbers whose blocks the sender could not read any more.
        missing: numbers that nothing explains.
        gaps: places where numbers are missing.
        backwards: blocks whose numbers had been there before.
        inconsistent: blocks that contradict their own running totals.
        duplicates: blocks that came again and were dropped.
        size: bytes in the file.
        first_ns, last_ns: UTC ns of the first and the last packet, 0 for none.
        ended: the sender said that nothing follows.
    """

    liid: str
    stream: str
    spool: str
    format: str
    suffix: str
    mode: str
    operator: str
    element: str
    block: int = 0
    sequence: int = 0
    records: int = 0
    lost: int = 0
    skipped: int = 0
    damaged: int = 0
    missing: int = 0
    gaps: int = 0
    backwards: int = 0
    inconsistent: int = 0
    duplicates: int = 0
    size: int = 0
    first_ns: int = 0
    last_ns: int = 0
    ended: bool = False
    total_records: int = -1
    total_lost: int = -1

    @classmethod
    def begin(cls, hello: Hello) -> Account:
        """The books of a stream that begins."""
        return cls(
            liid=hello.liid,
            stream=hello.stream,
            spool=hello.spool,
            format=hello.format,
            suffix=hello.suffix,
            mode=hello.mode,
            operator=hello.operator,
            element=hello.element,
        )

    def to_plain(self) -> dict[str, Any]:
        """A dict that msgpack and JSON can carry."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Account:
        """The reverse of `to_plain`; a field that is not known is ignored."""
        return cls(**{field.name: plain[field.name] for field in fields(cls) if field.name in plain})

    @property
    def ok(self) -> bool:
        """Nothing is unexplained."""
        return not (self.missing or self.gaps or self.backwards or self.inconsistent)

    def is_new(self, header: Header, first_available: int) -> bool:
        """Whether to take a block; False: it is here already.

        Args:
            first_available: oldest block that the sender says it still has.

        Raises:
            ProtocolError: blocks before it are missing although the sender has them.
        """
        if header.block <= self.block:
            return False
        self._check_jump(header.block, first_available, restart=bool(header.flags & FLAG_RESTART))
        return True

    def _check_jump(self, block: int, first_available: int, *, restart: bool) -> None:
        if block > self.block + 1 and not restart and block != first_available:
            raise ProtocolError(f"Block {block} came where block {self.block + 1} was due.")

    def add(self, header: Header) -> None:
        """Books a block whose payload is in the file."""
        if header.flags & FLAG_RESTART:
            self._miss(header.first_sequence - 1)
            self.skipped += max(header.last_sequence - self.sequence, 0)
        else:
            self._expect(header.sequence_before)
            self._check_totals(header)
        self.block = header.block
        self.sequence = max(self.sequence, header.last_sequence)
        self.records += header.records
        self.lost += header.lost
        self.total_records, self.total_lost = header.total_records, header.total_lost
        self.size += header.payload_len
        self.ended = header.kind == BlockKind.END
        if header.records:
            self.first_ns = self.first_ns or header.first_ns
            self.last_ns = max(self.last_ns, header.last_ns)

    def _expect(self, before: int) -> None:
        """Compares the number that a block continues from with the one reached."""
        self._miss(before)
        if before < self.sequence:
            self.backwards += 1

    def _miss(self, before: int) -> None:
        if before > self.sequence:
            self.missing += before - self.sequence
            self.gaps += 1
            self.sequence = before

    def _check_totals(self, header: Header) -> None:
        sums = (self.total_records + header.records, self.total_lost + header.lost)
        contiguous = header.block == self.block + 1 and self.total_records >= 0
        if contiguous and sums != (header.total_records, header.total_lost):
            self.inconsistent += 1

    def add_damaged(self, damaged: DamagedRange, first_available: int) -> bool:
        """Books blocks that the sender lost; False when they are here."""
        if damaged.last_block <= self.block:
            return False
        self._check_jump(damaged.first_block, first_available, restart=damaged.first_block <= self.block)
        self.damaged += max(damaged.last_sequence - self.sequence, 0)
        self.sequence = max(self.sequence, damaged.last_sequence)
        self.block = damaged.last_block
        self.total_records = self.total_lost = -1
        return True
