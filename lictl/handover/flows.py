# SPDX-License-Identifier: Apache-2.0
"""Per-flow summaries of header records: who talked to whom, how many packets and octets, from when to when.

The counts of ATIS-1000013's packet data summary report (PDSR) and of TS 102 232-3's; `native/flows.c` counts.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lictl.handover.decoded import DIRECTIONS
from lictl.probe import abi
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lictl.handover.decoded import Record

KEY_HEAD: Final = np.dtype(
    [
        ("ip_version", "u1"),
        ("proto", "u1"),
        ("has_ports", "u1"),
        ("dir", "u1"),
        ("src_port", "<u2"),
        ("dst_port", "<u2"),
    ]
)
KEY: Final = np.dtype([*KEY_HEAD.descr, ("src", "u1", (16,)), ("dst", "u1", (16,))])
"""What tells flows apart; whatever a record does not prove is zero."""

FLOW: Final = np.dtype(
    [("key", KEY), ("packets", "<u8"), ("bytes", "<u8"), ("unsized", "<u8"), ("first_ns", "<u8"), ("last_ns", "<u8")]
)
"""One flow: octets are the IP packets' own lengths; `unsized` packets came without one."""

_FEW: Final = 64
_FACTORS: Final = [int.from_bytes(os.urandom(8)) | 1 for _ in range(lib.LN_FLOW_WORDS)]
"""Another process mixes otherwise: nobody can send packets whose flows all have the same bits."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of a conversation, as people read it.

    Attributes:
        source: address as text, "" where no IP header was proven; `destination` likewise.
        source_port: None where not proven or not allowed; `destination_port` likewise.
        direction: "from" or "to" the target, "both", "unknown".
        octets: of the IP packets whose length is known.
    """

    source: str
    destination: str
    protocol: int
    source_port: int | None
    destination_port: int | None
    direction: str
    packets: int
    octets: int
    first_ns: int
    last_ns: int


class FlowSummary:
    """Flows of one order, kept up to date batch by batch: an addition costs what is added, not what is open."""

    def __init__(self, max_flows: int = 65_536) -> None:
        """Args: max_flows: how many flows are told apart."""
        self._c: Any = ffi.new("struct ln_flows *", {"most": max_flows, "factors": _FACTORS})
        self._rows: NDArray[np.void] = np.zeros(0, FLOW)
        self._beside: list[NDArray[np.uint8]] = []
        self._make_room(_FEW)

    @property
    def flows(self) -> NDArray[np.void]:
        """FLOW[n], in order of their first packets; the next addition changes it in place."""
        return self._rows[: self._c.n]

    @flows.setter
    def flows(self, rows: NDArray[np.void]) -> None:
        self._c.n = 0
        self._make_room(len(rows))
        self._rows[: len(rows)] = rows
        self._c.n = len(rows)
        lib.ln_flows_index(self._c)

    @property
    def overflow(self) -> int:
        """Packets of flows for which there was no room."""
        return int(self._c.overflow)

    def add(self, recs: NDArray[np.void]) -> None:
        """Adds records: REC[n], of either kind; only proven fields count."""
        recs = np.ascontiguousarray(recs)
        self._make_room(min(self._c.n + len(recs), self._c.most))
        lib.ln_flows_add(self._c, ffi.cast("const struct li_rec *", recs.ctypes.data), len(recs))

    def undo(self) -> None:
        """Takes the newest addition back; once, and not where flows were taken or set since."""
        lib.ln_flows_undo(self._c)

    def take(self, keep: int) -> NDArray[np.void]:
        """Removes all flows but the `keep` that were seen last, and gives them: FLOW[m], by their last packet."""
        flows = self.flows
        if len(flows) <= keep:
            return flows[:0]
        order = np.argsort(flows["last_ns"], kind="stable")
        cut = len(order) - keep
        taken = flows[order[:cut]]
        self.flows = flows[np.sort(order[cut:])]
        return taken

    def top(self, n: int = 20) -> list[Flow]:
        """The n flows with most packets."""
        order = np.argsort(self.flows["packets"], kind="stable")[::-1][:n]
        return [_flow(row) for row in self.flows[order]]

    def _make_room(self, n: int) -> None:
        """For n flows; at least twice as much as before, so that each flow is moved a few times at most."""
        if n <= len(self._rows):
            return
        n = max(n, 2 * len(self._rows))
        rows, self._rows = self.flows, np.zeros(n, FLOW)
        self._rows[: len(rows)] = rows
        places, c = 1 << (2 * n).bit_length(), self._c
        c.flows = ffi.cast("struct ln_flow *", self._rows.ctypes.data)
        beside = (("noted", "uint32_t", n), ("notes", "struct ln_flow_note", n), ("places", "uint32_t", places))
        self._beside = [np.zeros(count * ffi.sizeof(kind), np.uint8) for _, kind, count in beside]
        for (name, kind, _), array in zip(beside, self._beside, strict=True):
            setattr(c, name, ffi.cast(f"{kind} *", array.ctypes.data))
        c.mask = places - 1
        lib.ln_flows_index(c)


def records_of(items: Iterable[Record]) -> NDArray[np.void]:
    """REC[n] of decoded records (the agency's side): the fields that a summary needs."""
    return np.concatenate([np.zeros(0, abi.REC), *(_record(item) for item in items)])


def _flow(row: Any) -> Flow:
    key = row["key"]
    ports = bool(key["has_ports"])
    direction = int(key["dir"])
    return Flow(
        source=_address(key, "src"),
        destination=_address(key, "dst"),
        protocol=int(key["proto"]),
        source_port=int(key["src_port"]) if ports else None,
        destination_port=int(key["dst_port"]) if ports else None,
        direction=DIRECTIONS[direction] if direction < len(DIRECTIONS) else DIRECTIONS[0],
        packets=int(row["packets"]),
        octets=int(row["bytes"]),
        first_ns=int(row["first_ns"]),
        last_ns=int(row["last_ns"]),
    )


def _address(key: Any, name: str) -> str:
    size = {4: 4, 6: 16}.get(int(key["ip_version"]), 0)
    return str(ipaddress.ip_address(key[name].tobytes()[:size])) if size else ""


def _record(item: Record) -> NDArray[np.void]:
    rec = np.zeros(1, abi.REC)
    rec["utc_ns"], rec["dir"] = item.utc_ns, DIRECTIONS.index(item.direction)
    present = 0
    if item.ip_version is not None and item.source is not None and item.destination is not None:
        present |= abi.HAS_IP
        rec["ip_version"], rec["proto"] = item.ip_version, item.protocol or 0
        for name, text in (("src", item.source), ("dst", item.destination)):
            rec[name] = np.frombuffer(ipaddress.ip_address(text).packed.ljust(16, b"\0"), np.uint8)
    if item.source_port is not None and item.destination_port is not None:
        present |= abi.HAS_PORTS
        rec["src_port"], rec["dst_port"] = item.source_port, item.destination_port
    if item.ip_length is not None:
        present |= abi.HAS_LENGTH
        rec["l3_len"] = item.ip_length
    rec["present"] = present
    return rec
