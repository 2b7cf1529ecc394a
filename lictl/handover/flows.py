# SPDX-License-Identifier: Apache-2.0
"""Per-flow summaries of header records: who talked to whom, how many packets and octets, from when to when.

The counts of ATIS-1000013's packet data summary report (PDSR), made with numpy from whole batches.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lictl.handover.decoded import DIRECTIONS
from lictl.probe import abi

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
        flows: FLOW[n], in order of their first packets.
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
    """FLOW[m], one for each flow in REC[n], in order of their first records."""
    present = recs["present"]
    length = present & abi.HAS_LENGTH != 0
    octets = np.where(length, recs["l3_len"], 0).astype(np.uint64)
    groups = _Groups(_words(recs))
    flows = np.empty(groups.count, FLOW)
    flows["key"] = groups.keys
    flows["packets"] = groups.sizes
    flows["bytes"] = groups.reduce(np.add, octets)
    flows["unsized"] = 0 if length.all() else groups.reduce(np.add, (~length).astype(np.uint64))
    flows["first_ns"] = groups.reduce(np.minimum, recs["utc_ns"])
    flows["last_ns"] = groups.reduce(np.maximum, recs["utc_ns"])
    return flows


def _words(recs: NDArray[np.void]) -> NDArray[np.uint64]:
    """The KEYs of REC[n], word by word: uint64[5, n]."""
    head, present = np.zeros(len(recs), KEY_HEAD), recs["present"]
    ip = (present & abi.HAS_IP != 0) & ((recs["ip_version"] == 4) | (recs["ip_version"] == 6))
    ports = present & abi.HAS_PORTS != 0
    head["dir"], head["has_ports"] = recs["dir"], ports
    for name, proven in (("ip_version", ip), ("proto", ip), ("src_port", ports), ("dst_port", ports)):
        np.multiply(recs[name], proven, out=head[name])
    words = np.empty((_WORDS, len(recs)), np.uint64)
    words[0] = head.view(np.uint64)
    for column, at in enumerate(_ADDRESS_WORDS, 1):
        np.multiply(recs.getfield(np.uint64, at), ip, out=words[column])
    return words


def records_of(items: Iterable[Record]) -> NDArray[np.void]:
    """REC[n] of decoded records (the agency's side): the fields that a summary needs."""
    return np.concatenate([np.zeros(0, abi.REC), *(_record(item) for item in items)])


def _merged(rows: NDArray[np.void]) -> NDArray[np.void]:
    """FLOW[m]: those of FLOW[n] with one key as one, in order of their first ones."""
    words = np.ascontiguousarray(rows["key"]).view(np.uint64).reshape(len(rows), _WORDS)
    groups = _Groups(np.ascontiguousarray(words.T))
    merged = np.empty(groups.count, FLOW)
    merged["key"] = groups.keys
    for name, function in (
        ("packets", np.add), ("bytes", np.add), ("unsized", np.add), ("first_ns", np.minimum), ("last_ns", np.maximum),
    ):  # fmt: skip
        merged[name] = groups.reduce(function, rows[name])
    return merged


class _Groups:
    """Equal keys among n, given word by word. They are sorted by some bits made of each: whole they cost far more.

    Attributes:
        count: m, of different keys.
        keys: KEY[m], in order of their first places.
        sizes: how many there are of each.
    """

    def __init__(self, words: NDArray[np.uint64]) -> None:
        order, exact = _sorted(words)
        starts = np.flatnonzero(exact)
        first = order[starts]  # the sort is stable
        self._order, self._starts, self._place = order, starts, np.argsort(first)
        self.count = len(starts)
        self.keys: NDArray[np.void] = np.ascontiguousarray(words[:, first[self._place]].T).view(KEY).reshape(-1)
        self.sizes = np.diff(starts, append=len(order))[self._place]

    def reduce(self, function: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """One value of each group, from one of each key."""
        if not self.count:
            return values[:0]
        return np.asarray(function.reduceat(values[self._order], self._starts))[self._place]


def _sorted(words: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """An order in which equal keys follow on each other, earlier ones first, and where another key begins."""
    mixed = _mixed(words)
    parts = mixed.view(np.uint16).reshape(-1, 4)[:, : 2 if len(mixed) <= _FEW else 3]
    order = np.argsort(parts[:, 0], kind="stable")  # of 16 bits numpy makes a radix sort
    for column in range(1, parts.shape[1]):
        order = order[np.argsort(parts[order, column], kind="stable")]
    begins = np.zeros(len(order), np.bool_)
    for column in parts.T:
        _mark(begins, column[order])
    exact = np.zeros(len(order), np.bool_)
    for column in words:
        _mark(exact, column[order])
    if not np.array_equal(begins, exact):  # two keys have the same bits
        order = np.lexsort(words)
        exact[:] = False
        for column in words:
            _mark(exact, column[order])
    return order, exact


def _mark(begins: NDArray[np.bool_], column: NDArray[Any]) -> None:
    """Marks where a value is another one than the one before."""
    begins[:1] = True
    begins[1:] |= column[1:] != column[:-1]


_WORDS: Final = KEY.itemsize // 8
_FEW: Final = 16_384
_ADDRESS_WORDS: Final = tuple(abi.REC.fields[name][1] + at for name in ("src", "dst") for at in (0, 8))  # type: ignore[index]
_FACTORS: Final = np.frombuffer(os.urandom(8 * _WORDS), np.uint64) | np.uint64(1)
"""Another process mixes otherwise: nobody can send packets whose flows all have the same bits."""


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 bits of each key."""
    mixed = np.zeros(words.shape[1], np.uint64)
    for column, factor in zip(words, _FACTORS, strict=True):
        mixed ^= column
        mixed *= factor
        mixed ^= mixed >> np.uint64(32)
    return mixed


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
