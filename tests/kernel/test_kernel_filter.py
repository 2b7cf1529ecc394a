# SPDX-License-Identifier: Apache-2.0
"""The bitmap in front of the target maps: it never hides a target, and it spares most packets the lookup."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from kernel_case import hook

from lictl.lab import frames
from lictl.probe import abi
from lictl.probe.native import ffi, lib
from lictl.probe.words import FILTER_WORDS, filter_of
from lictl.targets import layout
from lictl.targets.orders import Tables

if TYPE_CHECKING:
    from kernel_builds import NativeBuild
    from numpy.typing import NDArray

KEYS = 100_000
FILTERED = (abi.MAP_V4, abi.MAP_V6, abi.MAP_MAC, abi.MAP_PPPOE, abi.MAP_FLOW)


def _random_keys(name: str, count: int, seed: int) -> NDArray[np.void]:
    """Random keys; the bytes that must be zero are."""
    random = np.random.default_rng(seed)
    keys = random.integers(0, 256, (count, abi.KEY_DTYPES[name].itemsize), np.uint8).view(abi.KEY_DTYPES[name]).ravel()
    for field in ("zero",):
        if field in (keys.dtype.names or ()):
            keys[field] = 0
    if "prefix_len" in (keys.dtype.names or ()):
        keys["prefix_len"] %= 33 if name == abi.MAP_V4 else 129
    return keys


def _filter(name: str, keys: NDArray[np.void]) -> NDArray[np.uint64]:
    words = np.zeros(FILTER_WORDS, np.uint64)
    memory = ffi.cast("struct li_filter *", words.ctypes.data)
    assert lib.ln_filter_add(memory, name.encode(), ffi.from_buffer(keys), keys.itemsize, len(keys)) == 0
    return words


def _count(words: NDArray[np.uint64]) -> int:
    return int(np.unpackbits(words.view("u1")).sum())


def _shared(words: NDArray[np.uint64], others: NDArray[np.uint64]) -> float:
    """Part of the other keys' bits that are set here too."""
    return _count(words & others) / _count(others)


@pytest.mark.parametrize("name", FILTERED)
def test_a_key_has_one_bit_and_always_the_same(name: str) -> None:
    """Adding keys again changes nothing; a single key sets a single bit; parts of a set have parts of its bits."""
    keys = _random_keys(name, KEYS, 1)
    words = _filter(name, keys)
    assert np.array_equal(words, _filter(name, np.concatenate([keys, keys[::-1]])))
    for key in keys[:200]:
        alone = _filter(name, np.array([key], keys.dtype))
        assert _count(alone) == 1
        assert np.array_equal(alone & words, alone)


@pytest.mark.parametrize("name", FILTERED)
def test_most_others_are_spared(name: str) -> None:
    """With 100,000 keys in it less than a quarter of other keys pass, for random keys."""
    words = _filter(name, _random_keys(name, KEYS, 1))
    assert _shared(words, _filter(name, _random_keys(name, KEYS, 2))) < 0.25


@pytest.mark.parametrize("first", ["10.0.0.0", "100.64.0.0", "203.0.112.0"])
def test_neighbouring_addresses_do_not_share_bits(first: str) -> None:
    """A whole access network as targets spreads over the bitmap: other networks' addresses are spared."""

    def block(start: int) -> NDArray[np.void]:
        keys = np.zeros(65536, abi.KEY_V4)
        keys["addr"] = (start + np.arange(65536, dtype=np.uint32)).astype(">u4").view("u1").reshape(-1, 4)
        keys["prefix_len"] = 32
        return keys

    base = int(ipaddress.ip_address(first))
    words = _filter(abi.MAP_V4, block(base))
    assert _count(words) > 50_000
    for other in (base + 65536, base + (1 << 24), base ^ (1 << 31)):
        assert _shared(words, _filter(abi.MAP_V4, block(other))) < 0.25


def test_unfiltered_maps_have_no_bits() -> None:
    """VLAN and port targets are looked up always: their keys set nothing."""
    for name in (abi.MAP_VLAN, abi.MAP_PORT):
        assert not _filter(name, _random_keys(name, 1000, 3)).any()


def test_a_key_of_the_wrong_size_is_refused() -> None:
    """A caller that mistakes the map changes nothing."""
    words = np.zeros(FILTER_WORDS, np.uint64)
    memory = ffi.cast("struct li_filter *", words.ctypes.data)
    assert lib.ln_filter_add(memory, b"li_v4", ffi.from_buffer(bytes(20)), 20, 1) < 0
    assert lib.ln_filter_add(memory, b"li_none", ffi.from_buffer(bytes(8)), 8, 1) < 0
    assert not words.any()


def _table(name: str, keys: NDArray[np.void], **lens: Any) -> Tables:
    """One order (slot 1) on every key."""
    entry = layout.pack_target((layout.claim_of(1, 1),), 0)
    maps: dict[str, dict[bytes, bytes]] = {other: {} for other in layout.KIND_OF_MAP}
    maps[name] = dict.fromkeys((key.tobytes() for key in keys), entry)
    return Tables(maps, {1: layout.SLOT.pack(1, abi.MODE_HEADERS, 0, 0, 1 << 63)}, layout.KIND_OF_MAP[name], **lens)


def _frame(name: str, key: np.void) -> bytes:
    """A frame that the key names as source."""
    if name == abi.MAP_V4:
        return b"\2" * 12 + b"\x08\0" + b"\x45\0\0\x14\0\0\0\0\x40\xfd\0\0" + key["addr"].tobytes() + b"\1\1\1\1"
    if name == abi.MAP_V6:
        return b"\2" * 12 + b"\x86\xdd" + b"\x60\0\0\0\0\0\x3b\x40" + key["addr"].tobytes() + bytes(16)
    if name == abi.MAP_MAC:
        return b"\2" * 6 + key["mac"].tobytes() + b"\x08\0" + b"\x45\0\0\x14\0\0\0\0\x40\xfd\0\0" + bytes(8)
    tag = frames.pppoe(int(key["session"]), frames.ipv4("1.1.1.1", "1.1.1.2"))
    return b"\2" * 6 + key["mac"].tobytes() + b"\x88\x64" + tag


@pytest.mark.parametrize(
    ("name", "lens"),
    [
        (abi.MAP_V4, {"v4_lens": (32,)}),
        (abi.MAP_V6, {"v6_lens": (128,)}),
        (abi.MAP_MAC, {}),
        (abi.MAP_PPPOE, {}),
    ],
)
def test_every_target_is_found_through_the_filter(native: NativeBuild, name: str, lens: dict[str, Any]) -> None:
    """With 25,000 targets a frame of each is matched: no bit that user space sets is another than the program asks."""
    keys = _random_keys(name, KEYS // 4, 4)
    if lens:
        keys["prefix_len"] = next(iter(lens.values()))[0]
    native.load(_table(name, keys, **lens), hook())
    totals_before = native.counters()[1][1]["matched"]
    for key in keys:
        native.give(_frame(name, key))
    assert native.counters()[1][1]["matched"] - totals_before == len(keys)


def test_the_tables_filter_is_that_of_their_keys() -> None:
    """What the kernel gets is exactly the bits of the keys that it holds: nothing of revoked ones stays."""
    keys = _random_keys(abi.MAP_V4, 1000, 5)
    words = filter_of({abi.MAP_V4: [key.tobytes() for key in keys]})
    assert np.array_equal(words, _filter(abi.MAP_V4, keys))
