# SPDX-License-Identifier: Apache-2.0
"""The books of a stream: what is delivered, explained, missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sender_kit import Stream, hello

from lictl.collection.account import Account
from lictl.delivery.blocks import FLAG_RESTART, parse_header
from lictl.delivery.wire import DamagedRange, ProtocolError


def take(account: Account, stream: Stream, block: bytes, first: int = 1) -> bool:
    """Books a block as the receiver would; whether it was new."""
    header = parse_header(stream.key, block)
    if not account.is_new(header, first):
        return False
    account.add(header)
    return True


def test_books_add_up() -> None:
    """Records, losses, bytes and times of blocks that follow one another."""
    account, stream = Account.begin(hello()), Stream()
    take(account, stream, stream.data(b"", 0, kind=1, first_sequence=0))
    take(account, stream, stream.data(b"abc", 3))
    take(account, stream, stream.data(b"", 0, 5, kind=3))
    take(account, stream, stream.data(b"de", 2, 1, last_ns=5_000_000_000))
    assert (account.records, account.lost, account.sequence, account.size, account.block) == (5, 6, 11, 5, 4)
    assert (account.first_ns, account.last_ns) == (1_000_000_000, 5_000_000_000)
    assert account.ok
    assert not account.ended
    take(account, stream, stream.data(b"", 0, kind=4))
    assert account.ended


def test_duplicates_are_not_taken() -> None:
    """A block that is here already changes nothing."""
    account, stream = Account.begin(hello()), Stream()
    block = stream.data(b"a")
    assert take(account, stream, block)
    assert not take(account, stream, block)
    assert account.records == 1


def test_jump_of_blocks_is_refused_when_the_sender_has_them() -> None:
    """Over TCP a block cannot get lost: a sender that skips one is wrong."""
    account, stream = Account.begin(hello()), Stream()
    take(account, stream, stream.data(b"a"))
    stream.data(b"never sent")
    with pytest.raises(ProtocolError):
        take(account, stream, stream.data(b"c"))


def test_blocks_that_the_sender_no_longer_has_are_missing() -> None:
    """An agency that lost its own folder is told so: the numbers count as missing, the verdict is bad."""
    account, stream = Account.begin(hello(first=3)), Stream()
    stream.data(b"", 10)
    stream.data(b"", 10)
    assert take(account, stream, stream.data(b"c", 5), first=3)
    assert (account.missing, account.gaps, account.ok) == (20, 1, False)


def test_unexplained_jump_of_numbers() -> None:
    """Numbers that no loss explains make the verdict bad, at any size."""
    account, stream = Account.begin(hello()), Stream()
    take(account, stream, stream.data(b"a"))
    stream.sequence += 7
    take(account, stream, stream.data(b"b"))
    assert (account.missing, account.gaps, account.ok) == (7, 1, False)


def test_numbers_that_go_back() -> None:
    """Another packet under an old number makes the verdict bad."""
    account, stream = Account.begin(hello()), Stream()
    take(account, stream, stream.data(b"a", 5))
    stream.sequence = 2
    take(account, stream, stream.data(b"b"))
    assert account.backwards == 1
    assert not account.ok
    assert account.sequence == 5


def test_running_totals_must_agree() -> None:
    """A block that contradicts the sender's own sums is noticed."""
    account, stream = Account.begin(hello()), Stream()
    take(account, stream, stream.data(b"a"))
    take(account, stream, stream.data(b"b", total_records=7))
    assert account.inconsistent == 1
    assert not account.ok


def test_restart_explains_its_numbers() -> None:
    """Skipped numbers are counted once, also where the agency had seen some of them."""
    for seen_by_agency in (0, 4):
        account, stream = Account.begin(hello()), Stream()
        take(account, stream, stream.data(b"a", 10))
        if seen_by_agency:
            take(account, stream, stream.data(b"b", seen_by_agency))
        stream.block, stream.sequence, stream.records = 999, 10, 10
        block = stream.data(
            b"", 0, kind=3, flags=FLAG_RESTART, block=1000, first_sequence=11, last_sequence=5000, total_records=10
        )
        assert take(account, stream, block)
        assert (account.skipped, account.missing, account.sequence) == (4990 - seen_by_agency, 0, 5000)
        stream.block, stream.sequence = 1000, 5000
        take(account, stream, stream.data(b"c", 2))
        assert account.ok
        assert account.records == 12 + seen_by_agency


def test_restart_does_not_hide_a_gap() -> None:
    """Numbers before the skipped ones that never came are missing."""
    account, stream = Account.begin(hello()), Stream()
    take(account, stream, stream.data(b"a", 10))
    block = stream.data(b"", 0, kind=3, flags=FLAG_RESTART, block=1000, first_sequence=21, last_sequence=5000)
    take(account, stream, block)
    assert (account.missing, account.ok) == (10, False)


def test_damaged_range() -> None:
    """Blocks that the sender lost are explained; ones that are here already are not taken twice."""
    account, stream = Account.begin(hello()), Stream()
    take(account, stream, stream.data(b"a", 10))
    assert not account.add_damaged(DamagedRange(1, 1, 10), 1)
    assert account.add_damaged(DamagedRange(2, 3, 30), 1)
    assert (account.damaged, account.block, account.sequence) == (20, 3, 30)
    stream.block, stream.sequence, stream.records = 3, 30, 30
    take(account, stream, stream.data(b"d", 5))
    assert account.ok
    with pytest.raises(ProtocolError):
        account.add_damaged(DamagedRange(9, 9, 99), 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=30))
def test_every_number_is_accounted_for(blocks: list[tuple[int, int, bool]]) -> None:
    """Whatever blocks vanish together with their numbers: records + lost + missing = last number."""
    account, stream = Account.begin(hello()), Stream()
    for records, lost, vanishes in blocks:
        if vanishes:
            stream.sequence += records + lost
            continue
        take(account, stream, stream.data(b"x", records, lost))
    assert account.records + account.lost + account.missing == account.sequence
    assert account.ok == (account.missing == 0)
    assert Account.from_plain(account.to_plain()) == account
