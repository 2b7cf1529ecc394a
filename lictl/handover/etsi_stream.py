# SPDX-License-Identifier: Apache-2.0
"""A file of PS-PDUs as items: openings, records with the losses before them, declared losses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

from lictl.handover.decode_etsi import PS_PDUS
from lictl.handover.decoded import DecodeError, Item, Opening, Record
from lictl.handover.pdu_stream import pdus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.handover.decoded import Loss
    from lictl.handover.pdu import Pdu

_MODULUS: Final = 1 << 32


def decode_etsi(stream: BinaryIO) -> Iterator[Item]:
    """The items of a stream. Sealed payloads stay closed and give none; neither do events, nor losses between records.

    Raises:
        DecodeError: on the way, where the octets are no PS-PDUs.
    """
    orders: dict[tuple[str, str, str], _Numbering] = {}
    for pdu in _read(stream):
        if pdu.loss is not None:
            of = [known for (liid, cin, _), known in orders.items() if (liid, cin) == (pdu.liid, pdu.stream)]
            if not pdu.loss.within and not any(numbering.passed(pdu.loss) for numbering in of):
                yield pdu.loss
            for numbering in of:
                numbering.told(pdu.loss)
        if pdu.kind not in ("cc", "iri") or pdu.sequence is None:
            continue
        numbering = orders.setdefault((pdu.liid, pdu.stream, pdu.kind), _Numbering())
        lost = numbering.step(pdu.sequence)
        if pdu.record is None:
            numbering.carried += lost
            continue
        if not numbering.opened:
            numbering.opened = True
            yield Opening("content" if pdu.kind == "cc" else "headers", pdu.liid, {"cin": pdu.stream})
        yield _with(pdu.record, lost + numbering.carried)
        numbering.carried = 0


def _read(stream: BinaryIO) -> Iterator[Pdu]:
    offset = 0
    for raw in pdus(PS_PDUS, stream):
        try:
            yield PS_PDUS.decode(raw)
        except DecodeError as error:
            raise DecodeError(f"offset {offset}: {error}") from None
        offset += len(raw)


class _Numbering:
    """One numbering as received.

    Attributes:
        opened: its opening was given.
        carried: losses seen at a PDU that is no record.
    """

    def __init__(self) -> None:
        self.opened = False
        self.carried = 0
        self._next = 0

    def step(self, number: int) -> int:
        """Numbers jumped over; 0 for one that comes again."""
        ahead = (number - self._next) % _MODULUS
        if ahead >= _MODULUS // 2:
            return 0
        self._next = number + 1
        return ahead

    def passed(self, loss: Loss) -> bool:
        """A record behind it has told of it as a jump."""
        return bool(loss.lost) and 0 < (self._next - loss.first_sequence) % _MODULUS < _MODULUS // 2

    def told(self, loss: Loss) -> None:
        """A loss that was declared is no jump."""
        if loss.lost and not loss.within and loss.first_sequence == self._next:
            self._next = loss.first_sequence + loss.lost


def _with(record: Record, lost: int) -> Record:
    return replace(record, lost_before=lost) if lost else record
