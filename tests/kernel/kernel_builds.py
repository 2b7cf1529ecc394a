# SPDX-License-Identifier: Apache-2.0
"""The two builds of the capture program behind one face: the kernel's, by BPF_PROG_TEST_RUN, and the native one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from kernel_case import IFINDEX, fields_of

from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.native import ffi, lib
from lictl.probe.tables import KernelTables
from lictl.targets.compile import compile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernel_case import Order

    from lictl.probe.interfaces import HookConfig
    from lictl.probe.probe import Probe
    from lictl.targets.orders import Tables

RING_BYTES = 1 << 20
LINK_ETHERNET, LINK_RAW = 1, 101
SLOT_FIELDS = ("seen", "matched", "emitted", "lost_ring", "lost_matches", "lost_frame", "withheld", "bytes")
SCALARS = tuple(name for name in abi.TOTALS.names or () if name not in ("parse", "l4"))
EMPTY = compile([])


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        head: a copy of the li_rec.
        data: the frame bytes that came with it.
        fields: the head's compared fields.
        sequence: which matched packet of its order it is, counted from the last `load` or run.
    """

    head: np.void
    data: bytes
    fields: dict[str, Any]
    sequence: int


@dataclass(frozen=True)
class Outcome:
    """What one frame made of itself.

    Attributes:
        verdict: XDP_* or TC_ACT_*; None for the native build.
        frame: the frame after the program; None for the native build.
        records: in the order of emission.
        totals: every counter of li_totals that moved; the classes as "parse ok", "l4 short" ...
        counts: slot -> every counter of li_slot_count that moved.
    """

    verdict: int | None
    frame: bytes | None
    records: list[Record]
    totals: dict[str, int]
    counts: dict[int, dict[str, int]]

    @property
    def comparable(self) -> tuple[Any, ...]:
        """What both builds must agree on; the hook of a record is the caller's business."""
        made = [({**record.fields, "hook": 0}, record.data, record.sequence) for record in self.records]
        return made, self.totals, self.counts


def tables_of(orders: Sequence[Order]) -> Tables:
    """The compiled tables of a fixture's orders."""
    return compile([order.armed() for order in orders])


def _port(ingress: HookConfig, egress: HookConfig) -> np.ndarray[Any, Any]:
    port = np.zeros(1, abi.PORT)
    for name, settings in (("ingress", ingress), ("egress", egress)):
        for attribute in ("flags", "sides", "access_sides", "vlan_dir"):
            port[name][attribute] = getattr(settings, attribute)
    return port


def _moved(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> dict[str, int]:
    """Counters of li_totals, summed over CPUs, that moved."""
    moved = {name: int(after[name].sum()) - int(before[name].sum()) for name in SCALARS}
    for name, labels in (("parse", abi.PARSE_NAMES), ("l4", abi.L4_NAMES)):
        change = after[name].sum(axis=0).astype(np.int64) - before[name].sum(axis=0).astype(np.int64)
        moved |= {f"{name} {label}": int(value) for label, value in zip(labels, change, strict=True)}
    return {name: value for name, value in moved.items() if value}


def _counted(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> dict[str, int]:
    moved = {name: int(after[name].sum()) - int(before[name].sum()) for name in SLOT_FIELDS}
    return {name: value for name, value in moved.items() if value}


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """All test runs inside happen on one CPU, so that sequences of one CPU can be compared."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


class KernelBuild:
    """The loaded program. One for many cases; its tables are swapped."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.batch = Batch(4096)
        self._tables = KernelTables(probe)
        self._now: Tables = EMPTY
        self._hooks: tuple[HookConfig, HookConfig] | None = None
        probe.config_words().utc_offset_ns = lib_offset()

    def load(self, tables: Tables, ingress: HookConfig, egress: HookConfig | None = None) -> None:
        """Arms exactly these orders and sets the hooks of IFINDEX."""
        hooks = (ingress, egress or ingress)
        if hooks != self._hooks:
            self.probe.update(abi.MAP_PORTS, np.array([IFINDEX], np.uint32), _port(*hooks))
            self._hooks = hooks
        if tables != self._now:
            self._tables.apply(self._now, tables)
            self._now = tables

    def run(self, frame: bytes, egress: bool = False, repeat: int = 1) -> Outcome:
        """Sends the frame through the XDP or the tc program."""
        slots = sorted(self._now.slots)
        with on_one_cpu():
            totals = self.probe.per_cpu(abi.MAP_TOTALS, 0, abi.TOTALS)
            counts = {slot: self.probe.slot_counts_by_cpu(slot) for slot in slots}
            verdict, after, _ = self.probe.test_run_out(frame, IFINDEX, egress, repeat)
            records = self._drain(counts)
            return Outcome(
                verdict,
                after,
                records,
                _moved(totals, self.probe.per_cpu(abi.MAP_TOTALS, 0, abi.TOTALS)),
                {
                    slot: moved
                    for slot in slots
                    if (moved := _counted(counts[slot], self.probe.slot_counts_by_cpu(slot)))
                },
            )

    def _drain(self, before: dict[int, np.ndarray[Any, Any]]) -> list[Record]:
        self.probe.drain(self.batch)
        records = []
        for index in range(self.batch.n):
            head = self.batch.recs[index].copy()
            base = before[abi.slot_of(int(head["claim"]))]["matched"][int(head["cpu"])]
            records.append(Record(head, self.batch.frame(index), fields_of(head), int(head["slot_seq"]) - int(base)))
        self.probe.release()
        return records


class NativeBuild:
    """The native matcher, made anew for each set of tables."""

    def __init__(self) -> None:
        self.matcher: Any = None
        self._recs = np.zeros(abi.MAX_MATCHES, abi.REC)
        self._slots: list[int] = []

    def load(self, tables: Tables, ingress: HookConfig, egress: HookConfig | None = None) -> None:
        """A matcher with these tables and hooks."""
        self.matcher = ffi.gc(lib.ln_matcher_new(), lib.ln_matcher_free)
        self._slots = sorted(tables.slots)
        config = np.zeros(1, abi.CONFIG)
        config["abi_version"] = abi.ABI_VERSION
        config["kinds"] = tables.kinds
        for name in ("v4_lens", "v6_lens", "port_lens"):
            lengths = getattr(tables, name)
            config[f"n_{name}"] = len(lengths)
            config[name][0, : len(lengths)] = lengths
        self._put(abi.MAP_CONFIG, bytes(4), config.tobytes(), 4, abi.CONFIG.itemsize)
        port = _port(ingress, egress or ingress)
        self._put(abi.MAP_PORTS, IFINDEX.to_bytes(4, "little"), port.tobytes(), 4, abi.PORT.itemsize)
        slots = np.array(self._slots, np.uint32).tobytes()
        self._put(abi.MAP_SLOTS, slots, b"".join(tables.slots[slot] for slot in self._slots), 4, abi.SLOT.itemsize)
        for name, entries in tables.maps.items():
            size = abi.KEY_DTYPES[name].itemsize
            self._put(name, b"".join(entries), b"".join(entries.values()), size, abi.TARGET.itemsize)

    def _put(self, name: str, keys: bytes, values: bytes, key_size: int, value_size: int) -> None:
        result = lib.ln_matcher_load(
            self.matcher, name.encode(), ffi.from_buffer(keys), key_size, ffi.from_buffer(values), value_size,
            len(keys) // key_size,
        )  # fmt: skip
        assert result == 0, f"{name}: {result}"

    def counters(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """TOTALS[1] and SLOT_COUNT[MAX_SLOTS]."""
        totals, counts = np.zeros(1, abi.TOTALS), np.zeros(abi.MAX_SLOTS, abi.SLOT_COUNT)
        lib.ln_matcher_counts(
            self.matcher,
            ffi.cast("struct li_totals *", totals.ctypes.data),
            ffi.cast("struct li_slot_count *", counts.ctypes.data),
        )
        return totals, counts

    def give(
        self,
        kept: bytes,
        wire_len: int | None = None,
        *,
        link: int = LINK_ETHERNET,
        utc_ns: int = 1,
        egress: bool = False,
    ) -> int:
        """One frame to the matcher; returns what ln_match_frame does."""
        recs = ffi.cast("struct li_rec *", self._recs.ctypes.data)
        length = len(kept) if wire_len is None else wire_len
        return int(
            lib.ln_match_frame(
                self.matcher, ffi.from_buffer(kept), len(kept), length, link, utc_ns, IFINDEX, int(egress), recs
            )
        )

    def run(
        self,
        frame: bytes,
        egress: bool = False,
        *,
        utc_ns: int = 1,
        captured: int | None = None,
        link: int = LINK_ETHERNET,
    ) -> Outcome:
        """Gives the matcher the frame, or its first `captured` bytes."""
        kept = frame if captured is None else frame[:captured]
        totals, counts = self.counters()
        count = self.give(kept, len(frame), link=link, utc_ns=utc_ns, egress=egress)
        after, later = self.counters()
        records = []
        for index in range(max(count, 0)):
            head = self._recs[index].copy()
            base = counts[abi.slot_of(int(head["claim"]))]["matched"]
            records.append(
                Record(head, kept[: int(head["cap_len"])], fields_of(head), int(head["slot_seq"]) - int(base))
            )
        moved = {slot: _counted(counts[slot : slot + 1], later[slot : slot + 1]) for slot in self._slots}
        return Outcome(
            None, None, records, _moved(totals, after), {slot: change for slot, change in moved.items() if change}
        )


def lib_offset() -> int:
    """UTC minus CLOCK_MONOTONIC, in ns."""
    clock = ffi.new("struct ln_clock *")
    lib.ln_clock_read(clock)
    return int(clock.utc_offset_ns)
