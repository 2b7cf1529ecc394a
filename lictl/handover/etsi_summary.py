# SPDX-License-Identifier: Apache-2.0
"""Packet data summary reports: one IRI a flow and interval, in place of one a packet (ETSI TS 102 232-3).

A packet counts as delivered to the spool when it is taken into a summary; the summary itself follows as an IRI of its
own, at the latest when the order ends. How many packets wait for that stands in the state beside each block, so if the
process dies in between, the agency is told how many packets' summary it will not get.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lictl.errors import RefusedError
from lictl.handover.base import Encoded
from lictl.handover.etsi import EtsiHeaders
from lictl.handover.etsi_pdu import MODULUS, generalized_time, integer, octet, tlv
from lictl.handover.flows import FlowSummary
from lictl.probe import abi
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lictl.handover.base import StreamInfo
    from lictl.probe.batch import Batch, Selection

FULL: Final = 4096
"""Flows that bring a report before its time."""
TIMER, COUNT, END = (4, 1), (8, 2), (10, 4)
"""Triggers of PacketReport and of pDSRInformation: the interval is over, many flows, the order is over."""
_REPORT_ID, _ONLY_ID = bytes.fromhex("05031404"), bytes.fromhex("05031403")
_DIRECTIONS: Final = (2, 0, 1, 3)
_ZEROED_V4, _ZEROED_V6, _ZEROED_TCP, _ZEROED_UDP = 0xF000, 0x0C00, 0x03E0, 0x0018
_TCP, _UDP = 6, 17
_MARKS: Final = 8
"""Snapshots kept: as many chunks as can fail together, and some."""


class EtsiSummaries(EtsiHeaders):
    """Summaries of flows. Options as those of EtsiHeaders; `interval` in seconds."""

    _losses = "packets"

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._flows = FlowSummary()
        self._marks: deque[tuple[tuple[int, int], NDArray[np.void]]] = deque(maxlen=_MARKS)

    def _counted(self) -> int:
        return 0

    def _number(self, sequence: int) -> int:
        """Packets have no number among the IRI; losses are told in numbers of packets, from 0."""
        return (sequence - 1) % MODULUS

    def resume(self, state: bytes) -> None:
        """Goes back to what was gathered behind the newest block; another process's is gone."""
        super().resume(state)
        wanted = (self._state.untold, self._state.untold_first)
        kept = next((flows for mark, flows in reversed(self._marks) if mark == wanted), None)
        self._flows = FlowSummary()
        if kept is not None:
            self._flows.flows = kept

    def opening(self) -> bytes:
        """Nothing, or the message that a summary is lost with the process that gathered it."""
        state = self._state
        if not state.untold or len(self._flows.flows):
            return b""
        last = state.untold_first + state.untold - 1
        message = self._loss(state.untold, state.untold_first, last, "restart", (state.untold_ns, now_ns()))
        state.untold = state.untold_first = 0
        return message

    def encode(self, batch: Batch, selection: Selection) -> Iterator[Encoded]:
        n = selection.n
        if not n:
            return
        recs = batch.recs.take(selection.order)  # indexing a structured array costs fifty times as much
        if np.any(recs["kind"] != abi.REC_HEADER):
            raise RefusedError("a record is not of the kind that the order's mode allows; nothing of it was encoded.")
        fit = (recs["present"] & abi.HAS_IP != 0) & ((recs["ip_version"] == 4) | (recs["ip_version"] == 6))
        self._take(recs if fit.all() else recs.take(np.flatnonzero(fit)), int(selection.sequence[0]))
        last, unfit = int(selection.sequence[n - 1]), int(n - fit.sum())
        self._state.last = last
        first_ns, last_ns = int(recs["utc_ns"][0]), int(recs["utc_ns"][-1])
        out = b""
        if selection.lost:
            out = self._between(selection, 0, n, selection.lost, (first_ns, last_ns))
        if unfit:
            first, behind = selection.sequence[[int(np.argmin(fit)), n - 1 - int(np.argmin(fit[::-1]))]]
            out += self._loss(unfit, int(first), int(behind), "not-ip", (first_ns, last_ns))
        if len(self._flows.flows) >= FULL:
            out += self._report(last_ns, COUNT)
        out += self._flush(last_ns, ended=False)
        yield Encoded(
            out, n - unfit, last - n - selection.lost + 1, last, selection.lost + unfit, first_ns, last_ns, unfit
        )

    def _take(self, recs: NDArray[np.void], first_sequence: int) -> None:
        state = self._state
        if not len(recs):
            return
        if not state.untold:
            state.untold_first, state.untold_ns = first_sequence, int(recs["utc_ns"][0])
        state.untold += len(recs)
        self._flows.add(recs)
        self._mark()

    def _mark(self) -> None:
        self._marks.append(((self._state.untold, self._state.untold_first), self._flows.flows))

    def _flush(self, now_ns: int, *, ended: bool) -> bytes:
        state = self._state
        if not state.untold or not (ended or now_ns - state.untold_ns >= self._options.interval * 1_000_000_000):
            return b""
        return self._report(now_ns, END if ended else TIMER)

    def _report(self, ns: int, trigger: tuple[int, int]) -> bytes:
        """Every flow as one IRI; begins anew."""
        state, flows = self._state, self._flows
        form = _iri_only if self._options.headers == "iri-only" else _packet_report
        payloads = [_payload(row, form(row, trigger)) for row in flows.flows]
        out = self._iris(payloads, ns)
        if flows.overflow:
            behind = state.untold_first + flows.overflow - 1
            out += self._loss(flows.overflow, state.untold_first, behind, "flows", (state.untold_ns, ns))
        self._flows = FlowSummary()
        state.untold = state.untold_first = 0
        self._mark()
        return out


def _payload(row: Any, contents: bytes) -> bytes:
    """A Payload with one IRIPayload of type report."""
    direction = _DIRECTIONS[int(row["key"]["dir"]) & 3]
    return tlv(0xA0, tlv(0x30, octet(0x80, 4) + tlv(0xA2, contents) + octet(0x86, direction)))


def _counts(row: Any, first_tag: int) -> bytes:
    """packetCount, and byteCount where every packet's length is known."""
    sized = not int(row["unsized"])
    counts = integer(first_tag, int(row["packets"]))
    return counts + (integer(first_tag + 1, int(row["bytes"])) if sized else b"")


def _packet_report(row: Any, trigger: tuple[int, int]) -> bytes:
    """PacketReportSummary; the header is synthesised as that of a single report, without lengths and flags."""
    header, zeroed = _header(row["key"])
    summary = tlv(0x81, header) + tlv(0x82, b"\x03" + zeroed.to_bytes(2)) + octet(0x83, trigger[0]) + _counts(row, 0x84)
    times = tlv(0x86, generalized_time(int(row["first_ns"]))) + tlv(0x87, generalized_time(int(row["last_ns"])))
    return tlv(0xB4, tlv(0x80, _REPORT_ID) + tlv(0xA1, tlv(0xA2, summary + times)))


def _iri_only(row: Any, trigger: tuple[int, int]) -> bytes:
    """IPIRIOnly with pDSRInformation, whose byteCount is 0 where lengths are not known."""
    key, proto = row["key"], int(row["key"]["proto"])
    source, destination = _addresses(key)
    if int(key["ip_version"]) == 4:
        information = tlv(0xA0, octet(0x86, proto) + tlv(0x88, source) + tlv(0x89, destination))
    else:
        information = tlv(0xA1, octet(0x83, proto) + tlv(0x85, source) + tlv(0x86, destination))
    transport = tlv(0x80, b"")
    if key["has_ports"] and proto in (_TCP, _UDP):
        ports = tlv(0x80, _port(key, "src")) + tlv(0x81, _port(key, "dst"))
        transport = tlv(0xA1 if proto == _TCP else 0xA2, ports)
    times = tlv(0x81, generalized_time(int(row["first_ns"]))) + tlv(0x82, generalized_time(int(row["last_ns"])))
    octets = 0 if int(row["unsized"]) else int(row["bytes"])
    report = octet(0x80, trigger[1]) + times + integer(0x83, int(row["packets"])) + integer(0x84, octets)
    return tlv(
        0xA3,
        tlv(0x80, _ONLY_ID) + tlv(0xA1, information) + tlv(0xA2, transport) + _counts(row, 0x83) + tlv(0xA5, report),
    )


def _addresses(key: Any) -> tuple[bytes, bytes]:
    size = 4 if int(key["ip_version"]) == 4 else 16
    return key["src"].tobytes()[:size], key["dst"].tobytes()[:size]


def _port(key: Any, end: str) -> bytes:
    return int(key[f"{end}_port"]).to_bytes(2)


def _header(key: Any) -> tuple[bytes, int]:
    """A synthesised header and which of its fields are zero for want of a value (PacketReportIndications)."""
    source, destination = _addresses(key)
    proto = int(key["proto"])
    if int(key["ip_version"]) == 4:
        header, zeroed = b"\x45" + bytes(8) + bytes((proto, 0, 0)) + source + destination, _ZEROED_V4
    else:
        header, zeroed = b"\x60" + bytes(5) + bytes((proto, 0)) + source + destination, _ZEROED_V6
    if not key["has_ports"]:
        return header, zeroed
    ports = _port(key, "src") + _port(key, "dst")
    if proto == _TCP:
        return header + ports + bytes(8) + b"\x50" + bytes(7), zeroed | _ZEROED_TCP
    if proto == _UDP:
        return header + ports + bytes(4), zeroed | _ZEROED_UDP
    return header + ports, zeroed


def etsi_headers(info: StreamInfo) -> EtsiHeaders:
    """The encoder for a headers order: reports of packets, or summaries, as the agency's option `reports` says."""
    return EtsiSummaries(info) if info.options.get("reports") == "summary" else EtsiHeaders(info)
