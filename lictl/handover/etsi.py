# SPDX-License-Identifier: Apache-2.0
"""ETSI TS 102 232-1 and -3: PS-PDUs in BER. IPCC for content; header reports and IPIRI as IRI.

Layout, clauses and what lictl does where the standard leaves a choice: docs/formats/etsi-102232.md.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lictl.errors import LictlError
from lictl.handover.base import ContentEncoder, Encoded, Encoder, HeadersEncoder
from lictl.handover.etsi_integrity import MAX_COVERED, Integrity
from lictl.handover.etsi_iri import event_payload
from lictl.handover.etsi_options import EtsiOptions
from lictl.handover.etsi_pdu import (
    ACK_REQUEST,
    CIN_RESET,
    FIRST_SEGMENT,
    FLOWING,
    LAST_SEGMENT,
    MODULUS,
    Names,
    integer,
    operator_message,
    tri,
)
from lictl.handover.etsi_sealer import ChunkSealer
from lictl.handover.etsi_state import State
from lictl.handover.native import BUFFER_BYTES, encoder_failure, thread_buffer
from lictl.probe.native import ffi, lib
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.handover.base import Event, Gap, StreamInfo
    from lictl.probe.batch import Batch, Selection

_RESERVE = 16_384
"""Room that records leave for the digest, the signature and the messages behind them."""


class _Etsi(Encoder):
    name = "etsi-102232"
    suffix = "etsi"
    framing = "ber"
    _records: ClassVar[str]
    """Kind of PDU that a record becomes: "cc" or "iri"."""
    _losses: ClassVar[str]
    """Whose numbers a loss is told in."""

    def __init__(self, info: StreamInfo) -> None:
        self._options = EtsiOptions.of(info)
        generalized = self._options.time == "generalized"
        self._names = Names(info.liid, info.country, info.operator, info.element, generalized)
        self._state = State()
        self._integrity = Integrity(self._options, info.keys, self._check)
        sealed = self._options.encryption != "none" and info.keys is not None
        self._sealer = ChunkSealer(info.keys.payload_key) if sealed and info.keys is not None else None
        head = self._names.head(FLOWING)
        self._head = ffi.new("uint8_t[]", head.ljust(-(-len(head) // 32) * 32, b"\0"))
        self._numbers = ffi.new("uint32_t[]", MAX_COVERED)
        self._integers = ffi.new("uint8_t[]", 7 * MAX_COVERED + 8)
        listed = self._integrity.on or self._sealer is not None
        self._c = ffi.new("struct ln_etsi *")
        self._c.head, self._c.head_len = self._head, len(head)
        self._c.generalized = int(generalized)
        self._c.iri_only = int(self._options.headers == "iri-only")
        self._c.limit = MAX_COVERED if listed else 2**32 - 1
        self._c.numbers = self._numbers if listed else ffi.NULL

    @abstractmethod
    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        """Calls the C function; returns what it returns."""

    # ---- numberings

    def resume(self, state: bytes) -> None:
        self._state = State.from_bytes(state)

    def state(self) -> bytes:
        return self._state.to_bytes()

    def _before(self) -> int:
        """PDUs in the numbering of records that are not records."""
        return self._state.iri if self._records == "iri" else 0

    def _number(self, sequence: int) -> int:
        """A record's sequenceNumber; they begin at 0."""
        return (sequence - 1 + self._before()) % MODULUS

    def _tri(self, payload: bytes, ns: int) -> bytes:
        self._state.tri += 1
        return self._names.pdu(self._state.tri - 1, ns, payload)

    def _check(self, payload: bytes, ns: int) -> tuple[int, bytes]:
        number = self._state.checks % MODULUS
        self._state.checks += 1
        return number, self._names.pdu(number, ns, payload)

    def _counted(self) -> int:
        """Records in the numbering of IRI so far, lost ones included."""
        return self._state.last if self._records == "iri" else 0

    def _iri(self, payload: bytes, ns: int) -> bytes:
        """An IRI PDU that is not a record, with its digest."""
        number = (self._counted() + self._state.iri) % MODULUS
        self._state.iri += 1
        pdu = self._names.pdu(number, ns, payload)
        if self._sealer is not None:
            pdu = self._sealer.seal(self._state, pdu, number, ns)
        return pdu + self._integrity.cover(self._state, "iri", integer(0x02, number), pdu, ns)

    # ---- what is not a record

    def opening(self) -> bytes:
        """Nothing: every PDU names its order."""
        return b""

    def event(self, event: Event) -> bytes:
        """IPIRI; a begin behind cINReset and firstSegmentFlag, an end before all signatures and lastSegmentFlag."""
        out = b""
        if event.kind == "begin":
            out = self._tri(tri(CIN_RESET), event.ns) + self._tri(tri(FIRST_SEGMENT), event.ns)
        out += self._flush(event.ns, ended=True) if event.kind in ("end", "suspend") else b""
        out += self._iri(event_payload(event), event.ns)
        if event.kind == "end":
            out += self._integrity.end(self._state, event.ns) + self._tri(tri(LAST_SEGMENT), event.ns)
        return out

    def due(self, now_ns: int) -> bytes:
        return self._flush(now_ns, ended=False) + self._integrity.due(self._state, now_ns)

    def _flush(self, now_ns: int, *, ended: bool) -> bytes:
        """What was gathered from records and has to be told now; here nothing is ever gathered."""
        del now_ns, ended
        return b""

    def gap(self, gap: Gap) -> bytes:
        """operatorLeaMessage; a loss within the records shows as a jump of the sequence number."""
        if gap.reason == "restart" and gap.first_sequence > self._state.last + 1:
            self._state.skip()
        self._state.last = max(self._state.last, gap.last_sequence)
        return self._loss(gap.lost, gap.first_sequence, gap.last_sequence, gap.reason, (gap.from_ns, gap.to_ns))

    def _loss(self, lost: int, first_sequence: int, last_sequence: int, reason: str, times: tuple[int, int]) -> bytes:
        """Tells of so many losses from the first to the last one, between which there may be records."""
        first, last = self._number(first_sequence), self._number(max(last_sequence, first_sequence))
        how = "within" if lost < last_sequence - first_sequence + 1 else "seq"
        text = (
            f"lictl gap of={self._losses} lost={lost} {how}={first}-{last} "
            f"reason={reason} from={format_rfc3339(times[0])} to={format_rfc3339(times[1])}"
        )
        return self._tri(operator_message(text), times[1])

    # ---- records

    def encode(self, batch: Batch, selection: Selection) -> Iterator[Encoded]:
        n = selection.n
        if not n:
            return
        before = int(selection.sequence[n - 1]) - n - selection.lost
        start = 0
        while start < n:
            used, end, unfit = self._fill(batch, selection, start)
            last = int(selection.sequence[end - 1])
            first_ns, last_ns = (int(ns) for ns in batch.recs["utc_ns"][selection.order[[start, end - 1]]])
            if lost := last - before - (end - start):
                used = _put(used, self._between(selection, start, end, lost, (first_ns, last_ns)))
            if self._options.acknowledgement == "request":
                used = _put(used, self._tri(tri(ACK_REQUEST), last_ns))
            yield Encoded(
                payload=thread_buffer.view[:used],
                records=end - start - unfit,
                first_sequence=before + 1,
                last_sequence=last,
                lost=lost + unfit,
                first_ns=first_ns,
                last_ns=last_ns,
                unfit=unfit,
            )
            before, start = last, end

    def _between(self, selection: Selection, start: int, end: int, lost: int, times: tuple[int, int]) -> bytes:
        """The message on what the kernel lost before or between records [start, end)."""
        places = start + np.flatnonzero(selection.lost_before[start:end])
        last = int(selection.sequence[places[-1]]) - 1
        first = last - lost + 1
        if len(places) > 1:
            first = int(selection.sequence[places[0]]) - int(selection.lost_before[places[0]])
        return self._loss(lost, first, last, "kernel", times)

    def _fill(self, batch: Batch, selection: Selection, start: int) -> tuple[int, int, int]:
        """Fills the buffer with records from `start`: bytes used, index behind the last record, records left out."""
        used, at, n = 0, start, selection.n
        unfit, first, last = 0, n, 0
        self._c.before = self._before()
        while at < n and used < BUFFER_BYTES - 2 * _RESERVE:
            room = BUFFER_BYTES - used - _RESERVE
            # Sealing makes a PDU longer, though never twice as long.
            size = self._write(
                batch, selection, at, thread_buffer.c + used, room // 2 if self._sealer else room, thread_buffer.done
            )
            if size < 0:
                raise encoder_failure(-size)
            done, left_out = int(thread_buffer.done[0]), int(self._c.unfit)
            if not done:
                break
            if left_out:
                unfit, first, last = unfit + left_out, min(first, self._c.unfit_first), int(self._c.unfit_last)
            at += done
            self._state.last = int(selection.sequence[at - 1])
            if done > left_out:
                ns = int(batch.recs[selection.order[at - 1]]["utc_ns"])
                used += self._finish(used, size, done - left_out, ns)
        if at == start:
            raise LictlError("a record is too long for an output buffer.", "Please report this: it cannot happen.")
        if unfit:
            used = _put(used, self._left_out(batch, selection, unfit, first, last))
        return used, at, unfit

    def _left_out(self, batch: Batch, selection: Selection, count: int, first: int, last: int) -> bytes:
        """The message on records that the format cannot carry, from index `first` to `last`."""
        times = batch.recs["utc_ns"][selection.order[[first, last]]]
        numbers = selection.sequence
        return self._loss(count, int(numbers[first]), int(numbers[last]), "not-ip", (int(times[0]), int(times[1])))

    def _finish(self, at: int, size: int, count: int, ns: int) -> int:
        """Seals `count` PDUs in the buffer and puts their digest behind them; returns the octets of all."""
        view = thread_buffer.view
        if self._sealer is not None:
            room = BUFFER_BYTES - at - _RESERVE
            pdus = bytes(view[at : at + size])
            size = self._sealer.seal_all(self._state, pdus, self._numbers, count, ns, thread_buffer.c + at, room)
        if not self._integrity.on:
            return size
        length = lib.ln_etsi_numbers(self._numbers, count, self._integers)
        integers = bytes(ffi.buffer(self._integers, length))
        check = self._integrity.cover(self._state, self._records, integers, view[at : at + size], ns)
        return _put(at + size, check) - at


class EtsiContent(_Etsi, ContentEncoder):
    """IPCC: the IP packet, cut at its own length."""

    _records = _losses = "cc"

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(lib.ln_etsi_packets(batch.c.recs, batch.c.data, selection.c, start, self._c, out, room, done))


class EtsiHeaders(_Etsi, HeadersEncoder):
    """Header reports, one a packet."""

    _records = _losses = "iri"

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(lib.ln_etsi_headers(batch.c.recs, selection.c, start, self._c, out, room, done))


def _put(at: int, octets: bytes) -> int:
    """Puts octets into the thread's buffer; returns the index behind them."""
    thread_buffer.view[at : at + len(octets)] = octets
    return at + len(octets)
