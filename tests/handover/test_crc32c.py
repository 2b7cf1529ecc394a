# SPDX-License-Identifier: Apache-2.0
"""CRC-32C."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.probe.native import ffi, lib


def crc(data: bytes, start: int = 0) -> int:
    return int(lib.ln_crc32c(start, ffi.from_buffer(data), len(data)))


def software(data: bytes, start: int = 0) -> int:
    return int(lib.ln_crc32c_software(start, ffi.from_buffer(data), len(data)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_known_vectors(data: bytes, expected: int) -> None:
    """Both ways give the values of RFC 3720 B.4 and the check value of the polynomial."""
    assert crc(data) == expected
    assert software(data) == expected


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_both_ways_agree(data: bytes, start: int) -> None:
    """The processor's instruction and the tables give the same for any bytes and any start."""
    assert crc(data, start) == software(data, start)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_parts_give_the_whole(data: bytes, cut: int) -> None:
    """The result of one part is the start of the next."""
    assert crc(data[cut:], crc(data[:cut])) == crc(data)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_flipped_bit_shows(data: bytes, choose: st.DataObject) -> None:
    """No single-bit error goes unseen."""
    bit = choose.draw(st.integers(0, 8 * len(data) - 1))
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    assert crc(bytes(damaged)) != crc(data)
