# SPDX-License-Identifier: Apache-2.0
"""What the books of hostile LIIDs may take: of memory, and of the slot that a commit writes them to."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from delivery_kit import wait_for
from pdu_kit import ETSI, PACKET, Line, ipcc, names

from lictl.collection.books import MAX_NUMBERINGS, Books
from lictl.collection.evidence import Evidence
from lictl.collection.evidence_store import EvidenceStore, NoRoomError
from lictl.collection.numbers import MAX_RANGES, SEEN, Numbering, Seen
from lictl.collection.receiver import Limits, Receiver
from lictl.delivery.folder import Folder
from lictl.handover.etsi_pdu import KEEPALIVE, SESSION, tri

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = ("127.0.0.1", 0)
FAR = 1 << 40
"""A number that CPython keeps as an object of its own."""
WIDE = "\U0001f600" * 64
"""The longest name of a stream, each character of four octets."""


def crowded() -> Books:
    """As many numberings, holes and losses told in advance as books ever remember."""
    books = Books("L", "etsi-102232")
    for stream in range(MAX_NUMBERINGS):
        numbering = Numbering()
        numbering.ranges = [[FAR + 2 * place, FAR + 2 * place] for place in range(MAX_RANGES)]
        books.numberings["cc", f"{stream}{WIDE}"[:64]] = numbering
        books.told.append((f"{stream}{WIDE}"[:64], FAR + stream, FAR + 2 * stream))
    return books


def test_books_larger_than_their_slot(tmp_path: Path) -> None:
    """They are not committed and nothing behind the last commit is acknowledged or stays in the file; whoever sent it
    is hung up on with a reason that is not the disk, and what is sent then is taken again.
    """
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        with Line(receiver.address) as line:
            line.send(ipcc(0))
            wait_for(lambda: any(file.durable for file in receiver.evidence.files.values()))
            (evidence,) = receiver.evidence.files.values()
            with receiver.lock:
                evidence.books.numberings |= crowded().numberings
                evidence.books.told = crowded().told
            line.send(ipcc(1))
            assert line.hung_up()
        assert receiver.refused == {"books are full": 1}
        assert (evidence.durable, evidence.books.pdus) == (len(ipcc(0)), 1)
        assert (tmp_path / "r" / evidence.name).read_bytes() == ipcc(0)
        with Line(receiver.address) as line:
            line.send(ipcc(0) + ipcc(1))
            wait_for(lambda: evidence.durable == len(ipcc(0) + ipcc(1)))
        (verdict,) = receiver.verdict().evidence
    assert (verdict.ok, verdict.pdus, verdict.duplicates) == (True, 2, 1)


def test_no_books_take_more_memory_than_they_weigh(tmp_path: Path) -> None:
    """The bound of them all is one of octets, whichever part of them a sender fills."""
    folder = Folder(tmp_path)
    Evidence(folder, "first", Books("L", "etsi-102232")).close()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept: list[Evidence | Books | Seen] = [Evidence(folder, str(n), Books(str(n), "etsi-102232")) for n in range(8)]
    taken = [tracemalloc.get_traced_memory()[0]]
    kept.append(crowded())
    taken.append(tracemalloc.get_traced_memory()[0])
    kept.append(seen := Seen())
    for number in range(2 * SEEN):
        seen.again(b"%d" % number)
    taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    weights = [sum(each.memory for each in part) for part in (kept[:8], kept[8:9], kept[9:])]
    for weight, end, begin in zip(weights, taken, [before, *taken], strict=False):
        assert end - begin < weight < 8 * (end - begin)  # what classes and files share is there already, or is not
    for each in kept[:8]:
        each.close()  # type: ignore[union-attr]
    folder.close()


def test_books_of_all_are_bounded_and_each_has_its_share(tmp_path: Path) -> None:
    """Senders that fill them are refused, however many LIIDs they make up; who was there and who comes go on."""
    store = EvidenceStore(tmp_path, 8, books=512 << 10)
    share = 32 << 10

    def fill(liid: str) -> None:
        for cin in range(1, 2 * MAX_NUMBERINGS):
            for number in (1, 3, 5):
                _, evidence = store.take(ETSI, ipcc(number, liid, cin=cin), 1)
                assert evidence is not None
                store.flush(evidence)

    store.take(ETSI, ipcc(0), 1)
    for liid in ("HOSTILE", *(f"MADE-UP-{n}" for n in range(5))):
        with pytest.raises(NoRoomError, match="more than 32768 octets") as refused:
            fill(liid)
        assert refused.value.reason == "books are full"
    assert 256 << 10 < store.memory < (256 << 10) + 7 * (share + 2048)
    for number in range(1, 50):
        store.take(ETSI, ipcc(number), 1)
    _, late = store.take(ETSI, ipcc(0, "LATE"), 1)
    assert late is not None
    with pytest.raises(NoRoomError, match="8 streams") as refused:
        store.take(ETSI, ipcc(0, "ONE-TOO-MANY"), 1)
    assert refused.value.reason == "too many streams"
    assert store.files["LIID0001.etsi-102232"].books.pdus == 50
    weight = store.memory
    store.close()
    again = EvidenceStore(tmp_path, 8, books=512 << 10)
    assert again.memory < weight
    again.close()


def test_full_books_hang_up_on_who_fills_them(tmp_path: Path) -> None:
    """The receiver counts why, in words of its own; an honest connection goes on."""
    limits = Limits(streams=4, books=128 << 10)
    with Receiver(LOCAL, tmp_path / "r", limits=limits).start() as receiver:
        with Line(receiver.address) as honest, Line(receiver.address) as line:
            honest.send(ipcc(0))
            line.send(b"".join(ipcc(1, "HOSTILE", PACKET, cin) for cin in range(1, MAX_NUMBERINGS)))
            wait_for(lambda: receiver.evidence.memory > limits.books // 2)
            line.send(ipcc(2, "HOSTILE", PACKET, 1))
            assert line.hung_up()
            honest.send(ipcc(1) + names().pdu(0, 0, tri(KEEPALIVE), SESSION))
            honest.answer()
        assert receiver.refused == {"books are full": 1}
        verdicts = {verdict.liid: verdict for verdict in receiver.verdict().evidence}
        assert (verdicts["LIID0001"].pdus, verdicts["LIID0001"].ok) == (2, True)
