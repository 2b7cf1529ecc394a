# SPDX-License-Identifier: Apache-2.0
"""Known orders, known tables; limits; speed at full size; differences."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.targets import layout
from lictl.targets.compile import ArmedOrder, Tables, TargetLimitError, compile
from lictl.targets.describe import describe
from lictl.targets.diff import diff
from lictl.targets.grammar import parse
from lictl.targets.kinds import PppoeTarget
from lictl.targets.prefixes import range_prefixes


def order(slot: int, *targets: str, generation: int = 1, **more: Any) -> ArmedOrder:
    """An armed order with the fields that a test does not care about filled in."""
    fields: dict[str, Any] = {"mode": layout.MODE_CONTENT, "starts_ns": 5, "ends_ns": 9, "flags": 0} | more
    return ArmedOrder(slot, generation, targets=tuple(parse(text) for text in targets), **fields)


def entries(tables: Tables) -> dict[str, tuple[set[int], int]]:
    """Every entry as target text -> (slots, flags)."""
    return {
        str(describe(name, key)): ({claim & layout.CLAIM_SLOT_MASK for claim in claims}, flags)
        for name, table in tables.maps.items()
        for key, (claims, flags) in ((key, layout.unpack_target(value)) for key, value in table.items())
    }


def test_no_orders_are_empty_tables() -> None:
    """Without orders the kernel looks into no map at all."""
    assert compile([]) == Tables()


def test_the_slot_holds_mode_window_and_flags() -> None:
    """Generation, mode, flags and window stand where the kernel reads them."""
    tables = compile([order(7, "ip:203.0.113.7", generation=3, mode=1, flags=layout.SLOT_NO_PORTS)])
    assert layout.SLOT.unpack(tables.slots[7]) == (3, 1, layout.SLOT_NO_PORTS, 5, 9)


def test_a_link_layer_target_sets_access_only() -> None:
    """The flag follows from the targets, whatever the caller passed."""
    tables = compile([order(0, "ip:203.0.113.7", "mac:02:00:00:00:00:07", flags=layout.SLOT_NO_LENGTH)])
    assert layout.SLOT.unpack(tables.slots[0])[2] == layout.SLOT_NO_LENGTH | layout.SLOT_ACCESS_ONLY


def test_keys_are_packed_as_the_kernel_reads_them() -> None:
    """Addresses in network order, numbers in host order, padding zero."""
    tables = compile(
        [
            order(
                1,
                "ip:203.0.113.0/24",
                "ip:2001:db8::/32",
                "ip:198.51.100.9 ports:10240-11263",
                "flow:udp 192.0.2.1:53-198.51.100.1:1024",
                "mac:02:00:00:00:00:07",
                "vlan:100",
                "vlan:100.200",
                "pppoe:02:00:00:00:00:07/0x1234",
                generation=2,
            )
        ]
    )
    u16, u32 = (lambda n: struct.pack("=H", n)), (lambda n: struct.pack("=I", n))
    mapped = bytes(10) + b"\xff\xff"
    assert set(tables.maps["li_v4"]) == {bytes([203, 0, 113, 0]) + u32(24), bytes([198, 51, 100, 9]) + u32(32)}
    assert set(tables.maps["li_v6"]) == {bytes.fromhex("20010db8") + bytes(12) + u32(32)}
    assert set(tables.maps["li_port"]) == {mapped + bytes([198, 51, 100, 9]) + u16(10240) + bytes([6, 0])}
    flow = (
        mapped + bytes([192, 0, 2, 1]) + mapped + bytes([198, 51, 100, 1]) + u16(53) + u16(1024) + bytes([17, 0, 0, 0])
    )
    assert set(tables.maps["li_flow"]) == {flow}
    assert set(tables.maps["li_mac"]) == {bytes.fromhex("0200000000070000")}
    assert set(tables.maps["li_vlan"]) == {u16(100) + u16(65535), u16(100) + u16(200)}
    assert set(tables.maps["li_pppoe"]) == {bytes.fromhex("020000000007") + u16(0x1234)}
    assert tables.kinds == 127
    assert (tables.v4_lens, tables.v6_lens, tables.port_lens) == ((32, 24), (32,), (6,))
    value = tables.maps["li_mac"][bytes.fromhex("0200000000070000")]
    assert value == u32(1) + u32(0) + u32(1 | 2 << 12) + bytes(60)


def test_closure_carries_covering_prefixes() -> None:
    """A longer prefix names the orders of all that cover it, and nobody else's."""
    tables = compile(
        [order(1, "ip:10.0.0.0/8"), order(2, "ip:10.1.0.0/16"), order(3, "ip:10.1.2.3"), order(4, "ip:10.2.0.0/16")]
    )
    assert entries(tables) == {
        "ip:10.0.0.0/8": ({1}, 0),
        "ip:10.1.0.0/16": ({1, 2}, 0),
        "ip:10.1.2.3": ({1, 2, 3}, 0),
        "ip:10.2.0.0/16": ({1, 4}, 0),
    }


def test_a_shared_address_marks_its_own_entry() -> None:
    """The entry of full length says that ports follow and carries what covers it; other orders' ports are closed."""
    tables = compile(
        [order(1, "ip:10.0.0.0/8"), order(2, "ip:10.1.2.3 ports:1024-2047"), order(3, "ip:10.1.2.3 ports:1025-1025")]
    )
    assert entries(tables) == {
        "ip:10.0.0.0/8": ({1}, 0),
        "ip:10.1.2.3": ({1}, layout.TARGET_HAS_PORTS),
        "ip:10.1.2.3 ports:1024-2047": ({2}, 0),
        "ip:10.1.2.3 ports:1025": ({2, 3}, 0),
    }


def test_ports_of_one_address_are_not_those_of_another() -> None:
    """The marker and the port entries stay with their address."""
    found = entries(compile([order(1, "ip:10.1.2.3 ports:1-1"), order(2, "ip:10.1.2.4")]))
    assert found["ip:10.1.2.4"] == ({2}, 0)
    assert found["ip:10.1.2.3"] == (set(), layout.TARGET_HAS_PORTS)


def test_the_same_target_twice_in_one_order_counts_once() -> None:
    """A repeated target leaves one claim."""
    assert entries(compile([order(1, "mac:02:00:00:00:00:07", "mac:02:00:00:00:00:07")])) == {
        "mac:02:00:00:00:00:07": ({1}, 0)
    }


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_ranges_are_exactly_their_prefixes(a: int, b: int) -> None:
    """The prefixes of a range are disjoint, in order, and hold its numbers and no others."""
    lo, hi = sorted((a, b))
    at = lo
    prefixes = list(range_prefixes(lo, hi, 16))
    for length, bits in prefixes:
        assert bits << (16 - length) == at
        at += 1 << (16 - length)
    assert at == hi + 1
    assert len(prefixes) <= 30


def test_the_whole_port_range_needs_sixteen_lengths() -> None:
    """Ports 1-65535, the widest target, fit the kernel's port lengths exactly."""
    assert compile([order(1, "ip:10.1.2.3 ports:1-65535")]).port_lens == tuple(range(16, 0, -1))


def test_the_seventeenth_order_is_refused_by_name() -> None:
    """Covering prefixes count: the error names the narrow target and the orders, by their ids."""
    some = [order(n, "ip:10.0.0.0/8", name=f"W-{n:02}") for n in range(16)]
    compile(some)
    with pytest.raises(TargetLimitError) as caught:
        compile([*some, order(16, "ip:10.1.2.3", name="W-16")])
    names = ", ".join(f"W-{n:02}" for n in range(17))
    assert caught.value.what == (
        f"17 live orders name ip:10.1.2.3 or a prefix that covers it; a target holds 16: {names}."
    )
    assert caught.value.exit_code == 3
    assert caught.value.target == "ip:10.1.2.3"


def test_too_many_ipv6_lengths_are_refused() -> None:
    """32 different IPv6 prefix lengths compile, 33 do not."""
    texts = [f"ip:2001:db8::/{length}" for length in range(32, 65)]
    assert len(compile([order(0, *texts[:32])]).v6_lens) == 32
    with pytest.raises(TargetLimitError, match="use 33 different IPv6 prefix lengths; the kernel looks up 32"):
        compile([order(0, *texts)])


def test_too_many_entries_are_refused() -> None:
    """One entry above the kernel's table is refused and named by table."""
    targets = tuple(
        PppoeTarget(b"\x02\x00\x00\x00" + (n >> 8).to_bytes(2, "big"), n & 0xFF) for n in range(layout.MAX_TARGETS + 1)
    )
    fits = ArmedOrder(0, 1, 2, 0, 1, 0, targets[:-1])
    assert len(compile([fits]).maps["li_pppoe"]) == layout.MAX_TARGETS
    with pytest.raises(TargetLimitError, match="need 131073 entries in li_pppoe; the kernel's table holds 131072"):
        compile([ArmedOrder(0, 1, 2, 0, 1, 0, targets)])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"slot": 4096}, "slot 4096, generation 1 is not possible"),
        ({"generation": 0}, "slot 0, generation 0 is not possible"),
        ({"generation": 1 << 20}, "slot 0, generation 1048576 is not possible"),
        ({"mode": 0}, "slot 0: mode 0 is not possible"),
        ({"ends_ns": 5}, "slot 0: the window is empty or outside 64 bits"),
        ({"starts_ns": -1}, "slot 0: the window is empty or outside 64 bits"),
    ],
)
def test_an_order_that_cannot_be_armed_is_a_defect(wrong: dict[str, int], reason: str) -> None:
    """Impossible slots, generations, modes and windows never reach a table."""
    with pytest.raises(ValueError, match=reason):
        compile([_order_with(wrong)])


def _order_with(wrong: dict[str, int]) -> ArmedOrder:
    fields: dict[str, Any] = {"slot": 0, "generation": 1, "mode": 2, "starts_ns": 5, "ends_ns": 9, "flags": 0}
    return ArmedOrder(**(fields | wrong), targets=(parse("vlan:1"),))


def test_an_order_without_targets_is_a_defect() -> None:
    """An order that names nothing is not armed."""
    with pytest.raises(ValueError, match="slot 3: no target"):
        compile([order(3)])


def test_a_slot_has_one_owner() -> None:
    """Two orders in one slot are refused."""
    with pytest.raises(ValueError, match="two orders own slot 3"):
        compile([order(3, "vlan:1"), order(3, "vlan:2", generation=2)])


def test_a_hundred_thousand_targets_compile_in_seconds() -> None:
    """4,096 orders with 100,000 targets of many prefix lengths; generous bound, as machines are busy."""
    texts = [f"ip:10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(40_000)]
    texts += [f"ip:2001:db8:{n:x}::/{48 + n % 16}" for n in range(20_000)]
    texts += [f"ip:100.64.{n >> 8}.{n & 255} ports:1024-2047" for n in range(20_000)]
    texts += [f"pppoe:02:00:00:00:{n >> 8:02x}:{n & 255:02x}/0x0001" for n in range(20_000)]
    some = [order(slot, *texts[slot::4096]) for slot in range(4096)]
    before = time.process_time()
    tables = compile(some)
    assert time.process_time() - before < 20
    assert sum(map(len, tables.maps.values())) == 120_000


def test_diff_of_equal_tables_is_empty() -> None:
    """Nothing is written where nothing changed."""
    some = [order(1, "ip:10.0.0.0/8", "vlan:5"), order(2, "ip:10.1.2.3 ports:5-9")]
    assert diff(compile(some), compile(some)).empty


def test_diff_names_what_comes_changes_and_goes() -> None:
    """A new order rewrites the entries under its prefix; a revoked one clears its slot first and its entries last."""
    old = compile([order(1, "ip:10.1.2.3"), order(2, "vlan:5")])
    new = compile([order(1, "ip:10.1.2.3"), order(3, "ip:10.0.0.0/8")])
    change = diff(old, new)
    assert {str(describe("li_v4", key)) for key in change.put["li_v4"]} == {"ip:10.0.0.0/8", "ip:10.1.2.3"}
    assert [str(describe("li_vlan", key)) for key in change.gone["li_vlan"]] == ["vlan:5"]
    assert (change.revoked, change.changed, list(change.armed)) == ([2], {}, [3])


def test_diff_of_a_slot_that_changes_hands() -> None:
    """Another generation is another owner: cleared first, armed last; a changed window is neither."""
    old = compile([order(1, "vlan:5"), order(2, "vlan:6")])
    new = compile([order(1, "vlan:5", generation=2), order(2, "vlan:6", ends_ns=7)])
    change = diff(old, new)
    assert change.revoked == [1]
    assert change.armed == {1: new.slots[1]}
    assert change.changed == {2: new.slots[2]}


TEXTS = [
    "ip:10.0.0.0/8",
    "ip:10.1.2.3",
    "ip:10.1.2.3 ports:4-9",
    "ip:10.1.2.3 ports:5-6",
    "vlan:5",
    "mac:02:00:00:00:00:07",
]
books = st.dictionaries(st.integers(0, 4), st.tuples(st.integers(1, 2), st.lists(st.sampled_from(TEXTS), min_size=1)))


@given(books, books)
def test_writing_the_diff_gives_the_new_tables(old: dict[int, Any], new: dict[int, Any]) -> None:
    """Old entries and slots, minus what goes, plus what is put, are the new ones exactly."""
    before, after = (
        compile([order(slot, *texts, generation=generation) for slot, (generation, texts) in book.items()])
        for book in (old, new)
    )
    change = diff(before, after)
    for name, table in before.maps.items():
        kept = {key: value for key, value in table.items() if key not in change.gone[name]}
        assert kept | change.put[name] == after.maps[name]
    slots = {slot: value for slot, value in before.slots.items() if slot not in change.revoked}
    assert slots | change.changed | change.armed == after.slots
