# SPDX-License-Identifier: Apache-2.0
"""Per-flow summaries of header records: who talked to whom, how many packets and octets, from when to when.

The counts of ATIS-1000013's packet data summary report (PDSR), made with numpy from whole batches.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lictl.handover.decoded import DIRECTIONS
from lictl.probe import abi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lictl.handover.decoded import Record

KEY: Final = np.dtype(
    [
        ("ip_version", "u1"),
        ("proto", "u1"),
        ("has_ports", "u1"),
        ("dir", "u1"),
        ("src_port", "<u2"),
        ("dst_port", "<u2"),
        ("src", "u1", (16,)),
        ("dst", "u1", (16,)),
    ]
)
"""What tells flows apart; whatever a record does not prove is zero."""

FLOW: Final = np.dtype(
    [("key", KEY), ("packets", "<u8"), ("bytes", "<u8"), ("unsized", "<u8"), ("first_ns", "<u8"), ("last_ns", "<u8")]
)
"""One flow: octets are the IP packets' own lengths; `unsized` packets came without one."""

_OPAQUE: Final = np.dtype((np.void, KEY.itemsize))


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
    """Flows of one order, kept up to date batch by batch.

    Attributes:
        flows: FLOW[n], in order of their keys.
        overflow: packets of flows for which there was no room.
    """

    def __init__(self, max_flows: int = 65_536) -> None:
        """Args: max_flows: how many flows are told apart."""
        self.flows: NDArray[np.void] = np.zeros(0, FLOW)
        self.overflow = 0
        self._max_flows = max_flows

    def add(self, recs: NDArray[np.void]) -> None:
        """Adds records: REC[n], of either kind; only proven fields count."""
        merged = _merged(np.concatenate([self.flows, summarise(recs)]))
        if len(merged) > self._max_flows:
            known = np.isin(_opaque(merged["key"]), _opaque(self.flows["key"]))
            keep = known | (np.cumsum(~known) <= self._max_flows - np.count_nonzero(known))
            self.overflow += int(merged["packets"][~keep].sum())
            merged = merged[keep]
        self.flows = merged

    def take(self, keep: int) -> NDArray[np.void]:
        """Removes all flows but the `keep` that were seen last, and gives them: FLOW[m], by their last packet."""
        order = np.argsort(self.flows["last_ns"], kind="stable")
        cut = max(len(order) - keep, 0)
        taken = self.flows[order[:cut]]
        self.flows = self.flows[np.sort(order[cut:])]
        return taken

    def top(self, n: int = 20) -> list[Flow]:
        """The n flows with most packets."""
        order = np.argsort(self.flows["packets"], kind="stable")[::-1][:n]
        return [_flow(row) for row in self.flows[order]]


def summarise(recs: NDArray[np.void]) -> NDArray[np.void]:
    """FLOW[m], one for each flow in REC[n]."""
    rows = np.zeros(len(recs), FLOW)
    key, present = rows["key"], recs["present"]
    ip = (present & abi.HAS_IP != 0) & np.isin(recs["ip_version"], (4, 6))
    ports, length = present & abi.HAS_PORTS != 0, present & abi.HAS_LENGTH != 0
    for name in ("ip_version", "proto"):
        key[name] = np.where(ip, recs[name], 0)
    for name in ("src_port", "dst_port"):
        key[name] = np.where(ports, recs[name], 0)
    for name in ("src", "dst"):
        key[name] = np.where(ip[:, np.newaxis], recs[name], 0)
    key["has_ports"], key["dir"] = ports, recs["dir"]
    rows["packets"] = 1
    rows["bytes"] = np.where(length, recs["l3_len"], 0)
    rows["unsized"] = ~length
    rows["first_ns"] = rows["last_ns"] = recs["utc_ns"]
    return _merged(rows)


def records_of(items: Iterable[Record]) -> NDArray[np.void]:
    """REC[n] of decoded records (the agency's side): the fields that a summary needs."""
    return np.concatenate([np.zeros(0, abi.REC), *(_record(item) for item in items)])


def _merged(rows: NDArray[np.void]) -> NDArray[np.void]:
    if not len(rows):
        return rows
    opaque = _opaque(rows["key"])
    order = np.argsort(opaque, kind="stable")
    opaque = opaque[order]
    starts = np.flatnonzero(np.concatenate([[True], opaque[1:] != opaque[:-1]]))
    merged = np.empty(len(starts), FLOW)
    merged["key"] = rows["key"][order[starts]]
    for name, function in (
        ("packets", np.add), ("bytes", np.add), ("unsized", np.add), ("first_ns", np.minimum), ("last_ns", np.maximum),
    ):  # fmt: skip
        merged[name] = function.reduceat(rows[name][order], starts)
    return merged


def _opaque(keys: NDArray[Any]) -> NDArray[np.void]:
    """The keys as octets, which numpy compares and sorts as a whole."""
    return np.ascontiguousarray(keys).view(_OPAQUE).reshape(-1)


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
