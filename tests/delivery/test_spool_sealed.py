# SPDX-License-Identifier: Apache-2.0
"""Spools sealed at rest: nothing readable without the key, nothing wrong delivered with another one."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from delivery_kit import append, gap, mark, open_spool, record, segments_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lictl.delivery import seal as seal_module
from lictl.delivery.blocks import (
    FLAG_SEALED,
    HEADER_BYTES,
    MAX_PAYLOAD,
    MAX_POSITION,
    SEAL_BYTES,
    BlockKind,
    Header,
    check_payload,
    header_key,
    pack_header,
    parse_header,
)
from lictl.delivery.crc import crc32c
from lictl.delivery.reader import Damaged, SpoolReader, Stored
from lictl.delivery.seal import BlockSeal, SealError
from lictl.delivery.segments import segment_name
from lictl.errors import IntegrityError
from lictl.keys.sealer import derive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
SECRET = b"203.0.113.77 said this"


def read_all(folder: Path, key: bytes | None = KEY) -> list[Stored | Damaged]:
    """Everything that a reader gives out."""
    reader = SpoolReader(folder, key=key)
    found: list[Stored | Damaged] = []
    while items := reader.read():
        found += items
    reader.close()
    return found


def payloads(items: list[Stored | Damaged]) -> list[bytes]:
    """What an agency would get; fails where a block is damaged."""
    assert all(isinstance(item, Stored) for item in items)
    return [bytes(item.data[HEADER_BYTES:]) for item in items if isinstance(item, Stored)]


def raw(folder: Path) -> bytes:
    """Every byte of every file of a spool."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def stored_headers(folder: Path) -> list[tuple[Header, bytes]]:
    """Headers of all blocks and the 12 bytes behind each, the nonce."""
    key = header_key((folder / "id").read_text())
    found = []
    for first in segments_of(folder):
        data, at = (folder / segment_name(first)).read_bytes(), 0
        while at < len(data):
            header = parse_header(key, data, at)
            found.append((header, data[at + HEADER_BYTES : at + HEADER_BYTES + 12]))
            at += header.stored_bytes
    return found


def rewrite(folder: Path, change: Callable[[bytearray], None], first: int = 1) -> None:
    """Changes a segment file as somebody with the disk in hand could."""
    path = folder / segment_name(first)
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def forge_payload(folder: Path, block: int) -> None:
    """Flips a bit of a block's ciphertext and mends both checksums: only the seal can tell."""
    key = header_key((folder / "id").read_text())

    def change(data: bytearray) -> None:
        at = 0
        while (header := parse_header(key, data, at)).block != block:
            at += header.stored_bytes
        body = at + HEADER_BYTES
        data[body + 20] ^= 1
        crc = crc32c(data[body : body + header.payload_len])
        data[at + 16 : at + 20] = crc.to_bytes(4, "little")
        data[at + 88 : at + 92] = crc32c(data[at : at + 88], key).to_bytes(4, "little")

    rewrite(folder, change)


def test_reader_gets_what_was_written_and_the_disk_does_not(tmp_path: Path) -> None:
    """OPEN, DATA, GAP and END come back as written; no payload and no position lies on the disk."""
    with open_spool(tmp_path / "s", key=KEY) as spool:
        mark(spool, BlockKind.OPEN, b"opening " + SECRET)
        append(spool, 3, position=b"position " + SECRET)
        spool.append(BlockKind.GAP, b"gap " + SECRET, records=0, first_sequence=4, last_sequence=5, lost=2, first_ns=1,
                     last_ns=2, position=b"position " + SECRET)  # fmt: skip
        mark(spool, BlockKind.END)
        items = read_all(tmp_path / "s")
    assert payloads(items) == [b"opening " + SECRET, record(1) + record(2) + record(3), b"gap " + SECRET, b""]
    assert SECRET not in raw(tmp_path / "s")
    assert record(2) not in raw(tmp_path / "s")
    assert all(header.flags & FLAG_SEALED for header, _ in stored_headers(tmp_path / "s"))


def test_block_is_sent_as_if_it_had_never_been_sealed(tmp_path: Path) -> None:
    """Header and payload that go to the agency are those of a spool without a key, but for what differs by time."""
    sent = []
    for name, key in (("plain", None), ("sealed", KEY)):
        with open_spool(tmp_path / name, key=key) as spool:
            append(spool, 5, lost=2)
            gap(spool, 3)
            sent.append([item for item in read_all(tmp_path / name, key) if isinstance(item, Stored)])
            spool_key = header_key(spool.spool_id)
        for item in sent[-1]:
            header = parse_header(spool_key, item.data)
            assert header == item.header
            check_payload(header, item.data[HEADER_BYTES:])
    for plain, sealed in zip(*sent, strict=True):
        assert sealed.header._replace(first_ns=0, last_ns=0, trailer_len=0) == plain.header._replace(
            first_ns=0, last_ns=0, trailer_len=0
        )
        assert plain.data[HEADER_BYTES:] == sealed.data[HEADER_BYTES:]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.binary(max_size=3000), st.binary(max_size=200)), min_size=1, max_size=12), st.data())
def test_any_payload_and_position_survive_reopening(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    """Whatever is in it, in whatever sizes, over segments and restarts: read back equal, the position too."""
    folder = tmp_path_factory.mktemp("sealed") / "s"
    restarts = data.draw(st.sets(st.integers(0, len(blocks))))
    spool = open_spool(folder, key=KEY, segment_bytes=4096)
    for number, (payload, position) in enumerate(blocks):
        if number in restarts:
            spool.close()
            spool = open_spool(folder, key=KEY, segment_bytes=4096)
            assert spool.position == (blocks[number - 1][1] if number else b"")
        spool.append(BlockKind.DATA, payload, records=1, first_sequence=number + 1, last_sequence=number + 1, lost=0,
                     first_ns=1, last_ns=1, position=position)  # fmt: skip
    assert payloads(read_all(folder)) == [payload for payload, _ in blocks]
    spool.close()


def test_wrong_key_is_an_error_that_says_what_to_do_and_changes_nothing(tmp_path: Path) -> None:
    """Another key, or none: neither side gives out or writes anything, and the right key still opens all of it."""
    folder = tmp_path / "s"
    with open_spool(folder, key=KEY) as spool:
        append(spool, 3)
    before = raw(folder)
    for key in (OTHER_KEY, None):
        with pytest.raises(SealError, match="keys"):
            open_spool(folder, key=key)
        with pytest.raises(IntegrityError, match="keys"):
            read_all(folder, key)
    assert raw(folder) == before
    with open_spool(folder, key=KEY) as spool:
        assert spool.next_sequence == 4
        assert len(payloads(read_all(folder))) == 1


def test_destroyed_key_leaves_nothing_readable(tmp_path: Path) -> None:
    """Once a warrant's key is gone, what is derived from its random bytes is gone, and the spool with it."""
    folder, warrant_key = tmp_path / "s", os.urandom(32)
    with open_spool(folder, key=derive(warrant_key, b"spool:lea/W-1")) as spool:
        append(spool, 2, position=SECRET)
        mark(spool, BlockKind.OPEN, SECRET)
    del warrant_key
    assert SECRET not in raw(folder)
    assert record(1) not in raw(folder)
    for attempt in (None, bytes(32), derive(os.urandom(32), b"spool:lea/W-1")):
        with pytest.raises(SealError):
            read_all(folder, attempt)


def test_spool_of_an_upgraded_home_goes_on(tmp_path: Path) -> None:
    """What an earlier version left unsealed is delivered; what comes after it is sealed."""
    folder = tmp_path / "s"
    with open_spool(folder) as spool:
        append(spool, 2)
    with open_spool(folder, key=KEY) as spool:
        assert spool.position == (2).to_bytes(8, "little")
        append(spool, 1)
    assert payloads(read_all(folder)) == [record(1) + record(2), record(3)]
    assert record(3) not in raw(folder)
    assert [header.flags for header, _ in stored_headers(folder)] == [0, FLAG_SEALED]


def test_what_an_upgraded_home_left_is_given_out_before_a_wrong_key_stops(tmp_path: Path) -> None:
    """The blocks before the first sealed one are not lost by the error that follows them."""
    folder = tmp_path / "s"
    with open_spool(folder) as spool:
        append(spool, 2)
    with open_spool(folder, key=KEY) as spool:
        append(spool, 1)
    reader = SpoolReader(folder, key=OTHER_KEY)
    assert payloads(reader.read()) == [record(1) + record(2)]
    for _ in range(2):
        with pytest.raises(SealError):
            reader.read()
    reader.close()


def test_sealed_spool_takes_no_unsealed_block(tmp_path: Path) -> None:
    """Somebody with the disk in hand cannot slip in a block without a seal: it counts as damaged."""
    folder = tmp_path / "s"
    with open_spool(folder, key=KEY) as spool:
        append(spool, 1)
        append(spool, 1)
        spool_key = header_key(spool.spool_id)
    (first, _), (second, _) = stored_headers(folder)

    def change(data: bytearray) -> None:
        at, body = first.stored_bytes, record(2) + bytes(SEAL_BYTES)
        head = pack_header(spool_key, second.kind, 0, body, second.trailer_len, second.numbers)
        data[at : at + HEADER_BYTES + len(body)] = head + body

    rewrite(folder, change)
    items = read_all(folder)
    assert isinstance(items[0], Stored)
    assert isinstance(items[1], Damaged)


def test_changed_ciphertext_is_reported_as_damage(tmp_path: Path) -> None:
    """A block whose checksums were mended is told to the agency as lost, never delivered; the others arrive."""
    folder = tmp_path / "s"
    with open_spool(folder, key=KEY) as spool:
        for _ in range(3):
            append(spool, 1)
    for block in (1, 2):
        forge_payload(folder, block)
    items = read_all(folder)
    assert [type(item) for item in items] == [Damaged, Damaged, Stored]
    assert payloads(items[2:]) == [record(3)]


@pytest.mark.parametrize(("field", "bit"), [(5, 1), (24, 2), (32, 1), (40, 1), (48, 1), (56, 1), (72, 1)])
def test_header_is_bound_to_the_seal(tmp_path: Path, field: int, bit: int) -> None:
    """A number of the header changed on the disk, checksum mended: the block does not open."""
    folder = tmp_path / "s"
    with open_spool(folder, key=KEY) as spool:
        append(spool, 1)
        append(spool, 1)
        key = header_key(spool.spool_id)

    def change(data: bytearray) -> None:
        data[field] ^= bit
        data[88:92] = crc32c(data[:88], key).to_bytes(4, "little")

    rewrite(folder, change)
    with pytest.raises(SealError):
        read_all(folder)


def test_blocks_do_not_move_between_spools(tmp_path: Path) -> None:
    """The same stream's key, the same number, another spool: its block does not open there."""
    for name in ("a", "b"):
        with open_spool(tmp_path / name, key=KEY) as spool:
            append(spool, 1)
    for file in ("id", segment_name(1)):
        data = (tmp_path / "a" / file).read_bytes()
        if file != "id":
            key = header_key((tmp_path / "b" / "id").read_text())
            data = data[:88] + crc32c(data[:88], key).to_bytes(4, "little") + data[92:]
            (tmp_path / "b" / file).write_bytes(data)
    with pytest.raises(SealError):
        read_all(tmp_path / "b")


def test_torn_block_written_again_uses_another_nonce(tmp_path: Path) -> None:
    """The same block number under the same key, cut and written again and again: all nonces differ."""
    folder, nonces = tmp_path / "s", []
    for _ in range(20):
        spool = open_spool(folder, key=KEY)
        append(spool, 1)
        assert spool.last_block == 1
        (_, nonce), *_ = stored_headers(folder)
        nonces.append(nonce)
        spool._close_files()  # as a kill would leave it
        rewrite(folder, lambda data: data.__delitem__(slice(len(data) - 3, None)))
    assert len(set(nonces)) == len(nonces)


def test_no_nonce_serves_twice(tmp_path: Path) -> None:
    """Payload and position of every block have nonces of their own."""
    seen = set()
    folder = tmp_path / "s"
    with open_spool(folder, key=KEY) as spool:
        for _ in range(300):
            append(spool, 1)
    data = (folder / segment_name(1)).read_bytes()
    at = 0
    for header, nonce in stored_headers(folder):
        seen |= {nonce, data[at + header.sent_bytes : at + header.sent_bytes + 12]}
        at += header.stored_bytes
    assert len(seen) == 600


def test_key_changes_long_before_random_nonces_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """2^20 blocks, two nonces each, under one key: SP 800-38D 8.3 allows 2^32."""
    keys = []
    monkeypatch.setattr(seal_module, "AESGCM", lambda key: keys.append(key) or AESGCM(key))
    seal = BlockSeal(KEY, "0" * 32)
    for block in (1, 2, (1 << 20) - 1, 1 << 20, 5 << 20):
        seal.seal(block, b"", b"", b"")
    assert len(set(keys[1:])) == len(keys[1:]) == 3
    assert KEY not in keys[1:]


def test_damage_in_the_middle_is_reported_as_before(tmp_path: Path) -> None:
    """Bit rot in a sealed block: its numbers are declared lost, everything else arrives."""
    folder = tmp_path / "s"
    with open_spool(folder, key=KEY) as spool:
        for _ in range(5):
            append(spool, 2)
    headers = stored_headers(folder)
    start = sum(header.stored_bytes for header, _ in headers[:2])
    rewrite(folder, lambda data: data.__setitem__(start + HEADER_BYTES + 15, data[start + HEADER_BYTES + 15] ^ 0xFF))
    items = read_all(folder)
    assert [type(item) for item in items] == [Stored, Stored, Damaged, Stored, Stored]
    assert [item.last_sequence for item in items if isinstance(item, Damaged)] == [6]


def test_every_cut_of_a_sealed_tail_is_survived(tmp_path: Path) -> None:
    """Wherever a crash tore the last block, the ones before it are there and numbers go on."""
    folder = tmp_path / "s"
    with open_spool(folder, key=KEY) as spool:
        append(spool, 1)
    whole = (folder / segment_name(1)).read_bytes()
    with open_spool(folder, key=KEY) as spool:
        append(spool, 1)
    longer = (folder / segment_name(1)).read_bytes()
    for end in itertools.chain(range(len(whole) + 1, len(whole) + 30), range(len(whole) + 30, len(longer), 17)):
        (folder / segment_name(1)).write_bytes(longer[:end])
        spool = open_spool(folder, key=KEY)
        assert payloads(read_all(folder))[0] == record(1)
        assert spool.position == (1).to_bytes(8, "little")
        spool._close_files()


def test_largest_block_can_be_sealed(tmp_path: Path) -> None:
    """64 MiB of payload, as without a seal, and the longest position."""
    with open_spool(tmp_path / "s", 1 << 29, key=KEY) as spool:
        spool.append(BlockKind.DATA, bytes(MAX_PAYLOAD), records=1, first_sequence=1, last_sequence=1, lost=0,
                     first_ns=1, last_ns=1, position=bytes(MAX_POSITION))  # fmt: skip
        (item,) = read_all(tmp_path / "s")
        assert isinstance(item, Stored)
        assert len(item.data) == HEADER_BYTES + MAX_PAYLOAD
        assert spool.position == bytes(MAX_POSITION)
