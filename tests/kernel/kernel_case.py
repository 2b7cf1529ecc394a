# SPDX-License-Identifier: Apache-2.0
"""What a kernel fixture is: a frame, the orders and the hook it meets, and exactly what must come of it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lictl.probe import abi
from lictl.probe.interfaces import HookConfig
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder

if TYPE_CHECKING:
    from collections.abc import Mapping

IFINDEX = 1  # loopback: it is there in every network namespace, and nothing is attached to it
FOREVER = 1 << 63
XDP_DROP, XDP_PASS = 1, 2
TC_ACT_UNSPEC = -1

T4, T6 = "203.0.113.7", "2001:db8:7::7"  # the target
P4, P6 = "198.51.100.1", "2001:db8:1::1"  # a peer
O4, O6 = "192.0.2.99", "2001:db8:99::1"  # somebody else

HEADERS, CONTENT = abi.MODE_HEADERS, abi.MODE_CONTENT
FROM, TO, BOTH = abi.DIR_FROM, abi.DIR_TO, abi.DIR_BOTH
FIRST, LATER = abi.FRAG_FIRST, abi.FRAG_LATER

NOT_COMPARED = ("utc_ns", "ktime_ns", "cpu_seq", "cpu", "clock", "slot_seq")
COMPARED = tuple(name for name in abi.REC.names or () if name not in NOT_COMPARED)


def hook(sides: int = 3, access_sides: int = 3, vlan_dir: int = FROM, drop: bool = False) -> HookConfig:
    """An active hook; by default it takes whatever an order names."""
    return HookConfig(abi.HOOK_ACTIVE | (abi.HOOK_DROP if drop else 0), sides, access_sides, vlan_dir)


@dataclass(frozen=True, slots=True)
class Order:
    """An armed order as a fixture writes it; targets are texts of the target grammar."""

    slot: int
    mode: int
    targets: tuple[str, ...]
    flags: int = 0
    generation: int = 1
    starts: int = 0
    ends: int = FOREVER

    def armed(self) -> ArmedOrder:
        """The same for the compiler."""
        targets = tuple(parse(text) for text in self.targets)
        return ArmedOrder(self.slot, self.generation, self.mode, self.starts, self.ends, self.flags, targets)

    @property
    def kind(self) -> int:
        """The kind of record that the order gets."""
        return abi.REC_HEADER if self.mode == HEADERS else abi.REC_PACKET


def headers(slot: int, *targets: str, **more: Any) -> Order:
    """A headers order."""
    return Order(slot, HEADERS, targets, **more)


def content(slot: int, *targets: str, **more: Any) -> Order:
    """A content order."""
    return Order(slot, CONTENT, targets, **more)


STANDARD = (headers(1, f"ip:{T4}", f"ip:{T6}"), content(2, f"ip:{T4}", f"ip:{T6}"))
"""Both kinds of order on the target's two addresses."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The fields of a record; what is None must be absent (its bit clear, its bytes zero)."""

    src: str | None = None
    dst: str | None = None
    proto: int = 0
    length: int | None = None
    ports: tuple[int, int] | None = None
    tcp_flags: int | None = None
    icmp: tuple[int, int] | None = None
    frag: int = 0
    off: int = 14
    dir: int = FROM

    @property
    def present(self) -> int:
        """LI_HAS_* bits."""
        bits = (
            (abi.HAS_IP, self.src),
            (abi.HAS_PORTS, self.ports),
            (abi.HAS_TCP_FLAGS, self.tcp_flags),
            (abi.HAS_ICMP, self.icmp),
            (abi.HAS_LENGTH, self.length),
        )
        return sum(bit for bit, value in bits if value is not None)


@dataclass(frozen=True, slots=True)
class Want:
    """One record that must come: for the order in `slot`, with these fields."""

    slot: int
    seen: Seen


@dataclass(frozen=True, slots=True)
class Case:
    """One fixture.

    Attributes:
        name: what it shows, unique.
        frame: bytes on the wire.
        wants: the records that must come, one an order, in any order.
        parse: LI_PARSE_* name in lower case.
        l4: LI_L4_* name in lower case; None where the parse is not ok.
        orders: armed while the frame passes.
        hook: settings of the hook that it passes.
        totals: counters of li_totals that move besides packets, bytes, records, parse and l4.
        counts: slot -> counters of li_slot_count that are not those of a record simply made (or of none).
        builds: which of xdp, tc and native can be given the frame.
    """

    name: str
    frame: bytes
    wants: tuple[Want, ...]
    parse: str = "ok"
    l4: str | None = "ok"
    orders: tuple[Order, ...] = STANDARD
    hook: HookConfig = field(default_factory=hook)
    totals: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    builds: tuple[str, ...] = ("xdp", "tc", "native")

    def order(self, slot: int) -> Order:
        """The order in a slot."""
        return next(order for order in self.orders if order.slot == slot)


def taken(name: str, frame: bytes, seen: Seen, **more: Any) -> Case:
    """Every order of the case gets a record with these fields."""
    orders = more.get("orders", STANDARD)
    return Case(name, frame, tuple(Want(order.slot, seen) for order in orders), **more)


def untouched(name: str, frame: bytes, **more: Any) -> Case:
    """No order gets anything."""
    return Case(name, frame, (), **more)


def malformed(name: str, frame: bytes, parse: str, **more: Any) -> Case:
    """No order gets anything and the frame counts under its class."""
    return Case(name, frame, (), parse=parse, l4=None, **more)


def expected_fields(case: Case, want: Want, at_egress: bool) -> dict[str, Any]:
    """Every compared field of the record that `want` describes."""
    order, seen = case.order(want.slot), want.seen
    header = order.mode == HEADERS
    end = len(case.frame) if seen.length is None else seen.off + seen.length
    return {
        "claim": order.armed().claim,
        "ifindex": IFINDEX,
        "wire_len": 0 if header else len(case.frame),
        "cap_len": 0 if header else end,
        "l3_len": seen.length or 0,
        "l3_off": 0 if header else seen.off,
        "kind": order.kind,
        "hook": int(at_egress),
        "dir": seen.dir,
        "ip_version": 0 if seen.src is None else ipaddress.ip_address(seen.src).version,
        "proto": seen.proto,
        "tcp_flags": seen.tcp_flags or 0,
        "present": seen.present,
        "icmp_type": seen.icmp[0] if seen.icmp else 0,
        "icmp_code": seen.icmp[1] if seen.icmp else 0,
        "frag": seen.frag,
        "parse": abi.PARSE_NAMES.index(case.parse),
        "src_port": seen.ports[0] if seen.ports else 0,
        "dst_port": seen.ports[1] if seen.ports else 0,
        "src": _packed(seen.src),
        "dst": _packed(seen.dst),
    }


def _packed(address: str | None) -> bytes:
    return (b"" if address is None else ipaddress.ip_address(address).packed).ljust(16, b"\0")


def fields_of(record: np.void) -> dict[str, Any]:
    """The compared fields of a record as plain values."""
    values = {name: record[name] for name in COMPARED}
    return {name: value.tobytes() if isinstance(value, np.ndarray) else int(value) for name, value in values.items()}
