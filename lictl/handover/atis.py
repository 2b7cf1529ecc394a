# SPDX-License-Identifier: Apache-2.0
"""ATIS-1000013 (T1.IAS), United States: CmC for content, CmII for header reports, summaries and events.

What stands where, and why: docs/formats/atis-1000013.md.
"""

from __future__ import annotations

import errno
import re
import struct
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from lictl.errors import UsageError
from lictl.handover.atis_codec import Field, element
from lictl.handover.atis_messages import (
    CORRELATION,
    OPTIONAL_OID,
    TEXT,
    address_value,
    content_identifier,
    message,
)
from lictl.handover.base import MAX_STATE, ContentEncoder, Encoded, HeadersEncoder
from lictl.handover.flows import FLOW, KEY, FlowSummary
from lictl.handover.native import BUFFER_BYTES, PduEncoder, encoder_failure, thread_buffer
from lictl.handover.options import Choice, Free, check_options
from lictl.probe.native import ffi, lib
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lictl.handover.base import Event, Framing, StreamInfo
    from lictl.handover.options import Option
    from lictl.probe.batch import Batch, Selection

# An agency's options hold for its orders of both modes; those of the other mode change nothing.
OPTIONS: Final[dict[str, Option]] = {
    "fraction": Choice(("6", "3", "4", "9"), "Digits of a second's fraction, cut, not rounded."),
    "reports": Choice(
        ("packet", "summary"), "Of an order for headers: a PDHR for each packet, or a PDSR for each flow."
    ),
    "interval": Choice(
        ("60", "10", "300", "900"), "Seconds after which a flow's summary is sent.", ("reports", "summary")
    ),
    "optional-oid": Free(
        OPTIONAL_OID,
        r"[012](\.(0|[1-9]\d{0,9})){2,15}",
        f"an object identifier, such as {OPTIONAL_OID}",
        "Protocol identifier of the optional module; no source that we have confirms it: ask the agency.",
    ),
}
MESSAGES: Final = {
    "begin": ("surveillanceActivation", "active"),
    "resume": ("surveillanceContinuation", "active again"),
    "continue": ("surveillanceContinuation", "active, the system was restarted"),
    "change": ("surveillanceChange", "changed"),
    "suspend": ("surveillanceChange", "suspended"),
    "end": ("surveillanceDeActivation", "ended"),
}
_CASE = re.compile(r"[ -~]{1,25}")
_SYSTEM = re.compile(r"[ -~]{1,15}")
_STATE = struct.Struct("<QQ")
_STORED = np.dtype([("key", KEY), ("packets", "<u8"), ("last_ns", "<u8")])
MAX_FLOWS: Final = (MAX_STATE - _STATE.size) // _STORED.itemsize
"""Flows that a summary keeps open: they lie beside each block, so that a crash loses none."""
_SLICE = 8192
"""Records that a summary takes at once."""


class _Atis(PduEncoder):
    name = "atis-1000013"
    suffix = "ber"
    framing: ClassVar[Framing] = "ber"

    def __init__(self, info: StreamInfo) -> None:
        """Raises UsageError: a name that the standard's fields have no room for, or a wrong option."""
        super().__init__(info)
        if not _CASE.fullmatch(info.case_id):
            raise UsageError(
                "the case number does not fit ATIS-1000013's caseId.", "It takes 1 to 25 visible ASCII characters."
            )
        if not _SYSTEM.fullmatch(info.element):
            raise UsageError(
                f"the network element {info.element!r} does not fit ATIS-1000013's iAPSystemId.",
                "It takes 1 to 15 visible ASCII characters.",
            )
        self._options = check_options(info.options, OPTIONS)
        self._digits = int(self._options["fraction"])
        self._names = {"caseId": info.case_id, "iAPSystemId": info.element}
        names, content = self._constants()
        self._kept = (ffi.from_buffer(names), ffi.from_buffer(content))
        most = int(lib.LN_DATAGRAM_MAX) if info.datagrams else 0
        self._c = ffi.new("struct ln_atis *", (*self._kept, len(names), len(content), self._digits, most))

    def _constants(self) -> tuple[bytes, bytes]:
        """`names` and `content` of struct ln_atis; here those of the reports."""
        case, system = Field(0, TEXT), Field(1, TEXT)
        names = element(case, self._info.case_id) + element(system, self._info.element)
        return names, content_identifier(self._info.liid)

    def event(self, event: Event) -> bytes:
        """The state of the surveillance, and for each address whether its traffic is intercepted from now on."""
        begun, ended = _sessions(event)
        name, status = MESSAGES[event.kind]
        if event.suspended and event.kind == "change":
            status = "changed, suspended"
        window = f"{format_rfc3339(event.starts_ns)} to {format_rfc3339(event.ends_ns)}"
        counts = f"packets delivered {event.records}, lost {event.lost}"
        text = f"{status}; window {window}; {counts}; content identifier {self._info.liid}"
        told = self._message(name, event.ns, surveillanceStatus=text)
        closed = b"".join(self._session("session-End", event.ns, each, status) for each in ended)
        opened = b"".join(self._session("session-Already-Established", event.ns, each, "") for each in begun)
        return closed + told + opened

    def _session(self, name: str, ns: int, address: str, reason: str) -> bytes:
        """Subscriber and session are known by the address alone here; the content identifier leads to the packets."""
        why = {"reasonForTermination": ("stringUTF8", f"interception {reason}")} if reason else {}
        session = ("stringVS", self._info.liid)
        return self._message(
            name, ns, subscriberIdentity=("stringVS", address), packetDataSessionID=session,
            iPAddress=address_value(address), **why,
        )  # fmt: skip

    def _message(self, name: str, ns: int, **fields: Any) -> bytes:
        return message(
            name, {**self._names, "timestamp": time_text(ns, self._digits), **fields}, self._options["optional-oid"]
        )


class AtisContent(_Atis, ContentEncoder):
    """CmC: one IAS-CC-APDU a packet, its payload the IP packet."""

    def _constants(self) -> tuple[bytes, bytes]:
        value = {
            "caseId": self._info.case_id, "iapId": self._info.element,
            "contentIdentifier": ("correlationID", self._info.liid.encode()),
        }  # fmt: skip
        return element(Field(0, CORRELATION), value), b""

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        c = batch.c
        size = int(lib.ln_atis_contents(c.recs, c.data, selection.c, start, self._c, out, room, done))
        self._unfit += self._c.too_long
        self.too_long += self._c.too_long
        return size


class AtisHeaders(_Atis, HeadersEncoder):
    """CmII: one packet data header report (PDHR) a packet, or summary reports (PDSR) of flows.

    Options: `reports`: "packet" or "summary"; `interval`: seconds after which a flow of a summary is reported.
    """

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._flows = FlowSummary() if self._options["reports"] == "summary" else None
        self._interval_ns = int(self._options["interval"]) * 10**9
        self._since_ns = 0
        self._reports = 0

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(lib.ln_atis_headers(batch.c.recs, selection.c, start, self._c, out, room, done))

    def encode(self, batch: Batch, selection: Selection) -> Iterator[Encoded]:
        """As of all encoders; in a summary most chunks are empty: their packets wait in `state`."""
        if self._flows is None:
            yield from super().encode(batch, selection)
        else:
            yield from self._summarise(batch, selection, self._flows)

    def _summarise(self, batch: Batch, selection: Selection, flows: FlowSummary) -> Iterator[Encoded]:
        recs = batch.recs.take(selection.order)  # indexing a structured array costs fifty times as much
        if np.any(recs["kind"] != self.kind):
            raise encoder_failure(errno.EPERM)
        before = int(selection.sequence[-1]) - selection.n - selection.lost if selection.n else 0
        for start in range(0, selection.n, _SLICE):
            part = recs[start : start + _SLICE]
            if not len(flows.flows):
                self._since_ns = int(part[0]["utc_ns"])
            flows.add(part)
            payload = self._reported(flows.take(MAX_FLOWS))
            last = int(selection.sequence[start + len(part) - 1])
            yield Encoded(
                payload, len(part), before + 1, last, last - before - len(part),
                int(part[0]["utc_ns"]), int(part[-1]["utc_ns"]),
            )  # fmt: skip
            before = last

    def _reported(self, flows: NDArray[np.void]) -> bytes:
        """A summary report of each flow, numbered on."""
        told = bytearray()
        at, first = 0, self._reports + 1
        c, buffer = ffi.cast("const struct ln_flow *", flows.ctypes.data), thread_buffer
        while at < len(flows):
            size = lib.ln_atis_summaries(
                c, len(flows), at, first, self._c, thread_buffer.c, BUFFER_BYTES, thread_buffer.done
            )
            if size < 0:
                raise encoder_failure(-size)
            told += buffer.view[:size]
            at += buffer.done[0]
        self._reports += len(flows)
        return bytes(told)

    def event(self, event: Event) -> bytes:
        """As of both encoders; what a summary holds comes first."""
        return self._rest() + super().event(event)

    def due(self, now_ns: int) -> bytes:
        """The summary, when it is old enough."""
        return self._rest() if now_ns - self._since_ns >= self._interval_ns else b""

    def _rest(self) -> bytes:
        return b"" if self._flows is None else self._reported(self._flows.take(0))

    def state(self) -> bytes:
        """Number of reports, the time since when flows are kept, and the flows."""
        if self._flows is None:
            return b""
        stored = np.empty(len(self._flows.flows), _STORED)
        for name in ("key", "packets", "last_ns"):
            stored[name] = self._flows.flows[name]
        return _STATE.pack(self._reports, self._since_ns) + stored.tobytes()

    def resume(self, state: bytes) -> None:
        if self._flows is None:
            return
        self._reports, self._since_ns = _STATE.unpack_from(state) if state else (0, 0)
        stored = np.frombuffer(state, _STORED, offset=_STATE.size) if state else np.zeros(0, _STORED)
        flows = np.zeros(len(stored), FLOW)
        for name in ("key", "packets", "last_ns"):
            flows[name] = stored[name]
        flows["first_ns"] = self._since_ns
        self._flows.flows = flows


def _sessions(event: Event) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Addresses whose interception begins and those whose interception ends with the event."""
    if event.kind in ("begin", "resume"):
        return event.addresses, ()
    if event.kind == "continue" or event.suspended:
        return (), ()
    if event.kind in ("suspend", "end"):
        return (), tuple(dict.fromkeys((*event.before, *event.addresses)))
    before, now = set(event.before), set(event.addresses)
    begun = tuple(each for each in event.addresses if each not in before)
    return begun, tuple(each for each in event.before if each not in now)


def time_text(utc_ns: int, digits: int) -> str:
    """GeneralizedTime (X.680 46) in UTC, its fraction cut to so many digits."""
    seconds, ns = divmod(utc_ns, 10**9)
    whole = re.sub(r"[-T:Z]", "", format_rfc3339(seconds * 10**9))
    return f"{whole}.{f'{ns:09d}'[:digits]}Z"
