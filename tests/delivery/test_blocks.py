# SPDX-License-Identifier: Apache-2.0
"""The block header and its checksums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictl.delivery.blocks import (
    FLAG_RESTART,
    HEADER_BYTES,
    BlockError,
    check_payload,
    header_key,
    pack_header,
    pack_trailer,
    parse_header,
    parse_trailer,
)
from lictl.delivery.crc import crc32c
from lictl.delivery.segments import scan_segment

KEY = header_key("0" * 32)
U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)


def test_crc_is_castagnoli() -> None:
    """The check value of RFC 3720 and of every catalogue: 123456789 gives e3069283."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(memoryview(b"6789"), crc32c(bytearray(b"12345"))) == 0xE3069283
    assert crc32c(b"") == 0


@given(U32, st.lists(U64, min_size=8, max_size=8), st.binary(max_size=300), st.integers(1, 4))
def test_header_round_trip(records: int, numbers: list[int], payload: bytes, kind: int) -> None:
    """Every field comes back as it was written, in 96 bytes."""
    head = pack_header(KEY, kind, 0, payload, 12, (records, *numbers))
    assert len(head) == HEADER_BYTES
    header = parse_header(KEY, b"xx" + head, 2)
    assert (header.records, *header[8:]) == (records, *numbers)
    assert (header.kind, header.payload_len, header.trailer_len) == (kind, len(payload), 12)
    check_payload(header, payload)


@given(st.integers(0, HEADER_BYTES - 1), st.integers(1, 255))
def test_any_changed_header_byte_is_noticed(place: int, change: int) -> None:
    """No single byte of a header can change without an error."""
    head = bytearray(pack_header(KEY, 2, 0, b"abc", 4, (1, 1, 1, 1, 0, 5, 5, 1, 0)))
    head[place] ^= change
    with pytest.raises(BlockError):
        parse_header(KEY, head)


@given(st.binary(min_size=1, max_size=64), st.data())
def test_changed_payload_is_noticed(payload: bytes, data: st.DataObject) -> None:
    """A changed or shortened payload does not pass."""
    header = parse_header(KEY, pack_header(KEY, 2, 0, payload, 4, (1, 1, 1, 1, 0, 5, 5, 1, 0)))
    place = data.draw(st.integers(0, len(payload) - 1))
    changed = bytearray(payload)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BlockError):
        check_payload(header, changed)
    with pytest.raises(BlockError):
        check_payload(header, payload[:-1])


@given(st.binary(max_size=100))
def test_arbitrary_bytes_never_crash_the_parsers(data: bytes) -> None:
    """Garbage is an error of ours, never another one."""
    with pytest.raises(BlockError):
        parse_header(KEY, data)
    with pytest.raises(BlockError):
        parse_trailer(data)
    assert scan_segment(KEY, data, 1).last is None


@given(st.binary(max_size=200))
def test_trailer_round_trip(position: bytes) -> None:
    """The position comes back; a cut trailer does not pass."""
    trailer = pack_trailer(position)
    assert parse_trailer(trailer) == position
    with pytest.raises(BlockError):
        parse_trailer(trailer[:-1] + bytes([trailer[-1] ^ 1]))


@pytest.mark.parametrize(("kind", "trailer_len"), [(0, 4), (7, 4), (2, 8193)])
def test_impossible_values_are_refused(kind: int, trailer_len: int) -> None:
    """A header with a good checksum and impossible values is refused too."""
    with pytest.raises(BlockError):
        parse_header(KEY, pack_header(KEY, kind, 0, b"", trailer_len, (0, 1, 0, 0, 0, 0, 0, 0, 0)))


def test_sequence_before() -> None:
    """The number that a block continues from, also for a restart block."""
    data = parse_header(KEY, pack_header(KEY, 2, 0, b"", 4, (3, 9, 12, 14, 2, 0, 0, 3, 2)))
    assert data.sequence_before == 9
    restart = parse_header(KEY, pack_header(KEY, 3, FLAG_RESTART, b"", 4, (0, 9, 50, 99, 0, 0, 0, 3, 2)))
    assert restart.sequence_before == 49


def test_header_of_another_spool_is_refused() -> None:
    """Checksums are bound to the spool's identity: bytes in content cannot be made to pass."""
    head = pack_header(KEY, 2, 0, b"", 4, (1, 1, 1, 1, 0, 5, 5, 1, 0))
    with pytest.raises(BlockError):
        parse_header(header_key("1" * 32), head)
