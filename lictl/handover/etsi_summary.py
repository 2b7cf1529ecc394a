# SPDX-License-Identifier: Apache-2.0
"""Packet data summary reports: one IRI a flow and interval, in place of one a packet (ETSI TS 102 232-3).

A packet counts as delivered to the spool when it is taken into a summary; the summary itself follows as an IRI of its
own, at the latest when the order ends. How many packets wait for that stands in the state beside each block, so if the
process dies in between, the agency is told how many packets' summary it will not get.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from lictl.errors import RefusedError
from lictl.handover.base import Encoded
from lictl.handover.etsi import EtsiHeaders
from lictl.handover.etsi_pdu import MODULUS
from lictl.handover.flows import FlowSummary
from lictl.handover.native import BUFFER_BYTES, thread_buffer
from lictl.probe import abi
from lictl.probe.native import ffi, lib
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
Mark = tuple[int, int]
"""How many packets were gathered, and the number of the first one."""


class EtsiSummaries(EtsiHeaders):
    """Summaries of flows. Options as those of EtsiHeaders; `interval` in seconds."""

    _losses = "packets"

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._flows = FlowSummary()
        self._gathered: Mark = (0, 0)
        self._steps: list[
            tuple[Mark, FlowSummary, bool]
        ] = []  # behind the newest block, at least: what was before each

    def _counted(self) -> int:
        return 0

    def _number(self, sequence: int) -> int:
        """Packets have no number among the IRI; losses are told in numbers of packets, from 0."""
        return (sequence - 1) % MODULUS

    def resume(self, state: bytes) -> None:
        """Goes back to what was gathered behind the newest block; another process's is gone."""
        super().resume(state)
        wanted = self._mark()
        while self._gathered != wanted and self._steps:
            self._gathered, self._flows, added = self._steps.pop()
            if added:
                self._flows.undo()
        if self._gathered != wanted:
            self._flows, self._gathered, self._steps = FlowSummary(), wanted, []

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
        # What comes now follows on a block: whatever failed, `resume` came before.
        self._steps = [(self._gathered, self._flows, True)]
        self._flows.add(recs)
        self._gathered = self._mark()

    def _mark(self) -> Mark:
        return self._state.untold, self._state.untold_first

    def _flush(self, now_ns: int, *, ended: bool) -> bytes:
        state = self._state
        if not state.untold or not (ended or now_ns - state.untold_ns >= self._options.interval * 1_000_000_000):
            return b""
        return self._report(now_ns, END if ended else TIMER)

    def _report(self, ns: int, trigger: tuple[int, int]) -> bytes:
        """Every flow as one IRI; begins anew."""
        state, flows = self._state, self._flows
        out = self._told(flows.flows, ns, trigger)
        if flows.overflow:
            behind = state.untold_first + flows.overflow - 1
            out += self._loss(flows.overflow, state.untold_first, behind, "flows", (state.untold_ns, ns))
        self._steps.append((self._gathered, flows, False))
        self._flows = FlowSummary()
        state.untold = state.untold_first = 0
        self._gathered = self._mark()
        return out

    def _told(self, flows: NDArray[np.void], ns: int, trigger: tuple[int, int]) -> bytes:
        """An IRI of each flow of FLOW[n], with their digests."""
        first = (self._counted() + self._state.iri) % MODULUS
        summary = ffi.new("struct ln_etsi_summary *", (ns, first, trigger[self._c.iri_only]))
        rows, room, done = ffi.cast("const struct ln_flow *", flows.ctypes.data), BUFFER_BYTES // 2, thread_buffer.done
        told, at = bytearray(), 0
        while at < len(flows):
            size = int(lib.ln_etsi_summaries(rows, len(flows), at, summary, self._c, thread_buffer.c, room, done))
            told += thread_buffer.view[: self._finish(0, size, int(done[0]), ns)]
            at += int(done[0])
        self._state.iri += len(flows)
        return bytes(told)


def etsi_headers(info: StreamInfo) -> EtsiHeaders:
    """The encoder for a headers order: reports of packets, or summaries, as the agency's option `reports` says."""
    return EtsiSummaries(info) if info.options.get("reports") == "summary" else EtsiHeaders(info)
