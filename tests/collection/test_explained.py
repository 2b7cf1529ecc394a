# SPDX-License-Identifier: Apache-2.0
"""What a verdict explains: losses that a format only counts, and checks over PDUs from before a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from handover_records import header, info, numbered, packet, select
from hypothesis import given
from hypothesis import strategies as st
from pdu_kit import ETSI, KEYS, PACKET, Operator, ipcc, names
from pdu_kit import T0 as TIME

from lictl.collection.books import MARK_OCTETS, MARK_PDUS
from lictl.collection.evidence_store import EvidenceStore
from lictl.collection.framed import stream_reader
from lictl.collection.integrity import Verifier
from lictl.collection.numbers import Numbering
from lictl.handover.base import Event
from lictl.handover.etsi_pdu import operator_message, tlv
from lictl.handover.pdu import Totals, split
from lictl.handover.registry import encoder
from lictl.probe.batch import Batch

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.handover.base import Mode

FORMS_THAT_COUNT = ["atis-1000013", "etsi-102232", "etsi-103221-2"]


@pytest.mark.parametrize("mode", ["content", "headers"])
@pytest.mark.parametrize("form", FORMS_THAT_COUNT)
def test_losses_that_are_counted_only_are_no_hole(tmp_path: Path, form: str, mode: Mode) -> None:
    """Where a format has no place for a loss, a count behind it explains so many, and no other packet."""
    one = encoder(form, info(mode, uuid="29f28e1c-f230-486a-a860-f5a784ab9177"))
    made = packet(bytes(14) + PACKET) if mode == "content" else header()
    records = numbered([made for _ in range(20)])
    records["slot_seq"] += np.arange(20, dtype=np.uint64) // 4 * 3  # four jumps of three
    batch = Batch.of(records, [bytes(14) + PACKET if mode == "content" else b""] * 20)
    opening = one.opening() + one.event(Event("begin", TIME, ("203.0.113.7",)))
    data = b"".join(bytes(part.payload) for part in one.encode(batch, select(batch, one.kind)))
    end = one.event(Event("end", TIME, ("203.0.113.7",), records=20, lost=12))
    for turn, left_out in enumerate(([], [6], [2, 3, 17])):
        pdus = split(stream_reader(form), opening + data + end)
        first = len(split(stream_reader(form), opening))
        (tmp_path / f"{turn}").mkdir()
        store = EvidenceStore(tmp_path / f"{turn}", 4)
        for raw in [raw for at, raw in enumerate(pdus) if at - first not in left_out]:
            store.take(stream_reader(form), raw, 1)
        (evidence,) = store.files.values()
        books = type(evidence.books).from_plain(evidence.books.to_plain())
        assert (books.lost, books.missing, books.ok) == (12, len(left_out), not left_out)
        assert (books.gaps > 0) == bool(left_out)
        store.close()


def test_counts_of_packets_do_not_explain_summaries(tmp_path: Path) -> None:
    """Reports of flows have a numbering of their own: one that is missing stays so, however many packets were lost."""
    one = encoder("atis-1000013", info("headers", {"reports": "summary"}))
    records = numbered([header(dst=f"198.51.100.{n}") for n in range(10)])
    batch = Batch.of(records, [b""] * 10)
    one.opening()
    data = b"".join(bytes(part.payload) for part in one.encode(batch, select(batch, one.kind)))
    data += one.event(Event("end", TIME, ("203.0.113.7",), records=10, lost=5))
    store = EvidenceStore(tmp_path, 4)
    for raw in split(stream_reader("atis-1000013"), data):
        store.take(stream_reader("atis-1000013"), raw, 1)
    (evidence,) = store.files.values()
    assert all(not numbering.accounted for numbering in evidence.books.numberings.values())
    store.close()


@given(
    lost=st.sets(st.integers(1, 60)),
    untaken=st.sets(st.integers(1, 60)),
    cut=st.integers(1, 60),
    chunk=st.integers(1, 9),
)
def test_what_the_line_lost_stays_missing(lost: set[int], untaken: set[int], cut: int, chunk: int) -> None:
    """Whatever the sender lost and whatever the line: never fewer are missing than the line lost, and none where it
    lost nothing; of what it lost at the very end nobody can know."""
    numbering, delivered = Numbering(), [n for n in range(1, cut + 1) if n not in lost]
    kept = [n for n in delivered if n not in untaken]
    for at, number in enumerate(kept):
        numbering.add(number, number)
        if at % chunk == 0:  # an event with the counts until then
            before = sum(n <= number for n in delivered)
            numbering.settle(Totals(before, number - before, number))
    numbering.settle(Totals(len(delivered), cut - len(delivered), cut))
    gone = [n for n in delivered if n in untaken]
    assert sum(n < max(kept, default=0) for n in gone) <= numbering.missing <= len(gone)


@pytest.mark.parametrize("how", ["seq", "within"])
def test_losses_out_of_all_proportion_can_be_kept(tmp_path: Path, how: str) -> None:
    """Whatever sum a sender tells, the books can be written down, and explain no more than the range that it names."""
    store = EvidenceStore(tmp_path, 4)
    store.take(ETSI, ipcc(0), 1)
    store.take(ETSI, ipcc(9), 1)
    when_ = "from=2026-03-01T12:00:00.000000000Z to=2026-03-01T12:00:00.000000000Z"
    for number, where in enumerate(("20-21", "5-5", "7-20")):
        text = f"lictl gap of=cc lost={2**63 - 1} {how}={where} reason=kernel {when_}"
        store.take(ETSI, names().pdu(number, TIME, operator_message(text)), 1)
    (evidence,) = store.files.values()
    evidence.commit(evidence.snapshot(), durable=False)
    assert evidence.books.lost == 2**63 - 1
    assert evidence.books.missing >= (8 - 1 - 2 if how == "within" else 8)
    store.close()


@pytest.mark.parametrize("before", [1, 2, 4])
def test_checks_are_recomputed_over_a_restart(tmp_path: Path, before: int) -> None:
    """What a digest or a signature covers is found in the evidence again, though another receiver took it."""
    key = tmp_path / "key.pem"
    key.write_bytes(KEYS.eddsa_pem)
    operator = Operator()
    data = operator.checked([ipcc(0), ipcc(1)], 0) + operator.checked([ipcc(2)], 2) + operator.signed()
    pdus = split(ETSI, data)
    for part in (pdus[:before], pdus[before:]):
        store = EvidenceStore(tmp_path, 4, Verifier((key,)))
        for raw in part:
            store.take(ETSI, raw, 1)
        (evidence,) = store.files.values()
        evidence.flush()
        evidence.commit(evidence.snapshot(), durable=False)
        store.close()
    assert (evidence.books.digests, evidence.books.signatures) == ({"good": 2}, {"good": 1})


def test_after_a_restart_the_newest_pdus_are_read_and_no_more(tmp_path: Path) -> None:
    """However much evidence there is: a check over old PDUs stays open, one over the newest does not."""
    operator, store = Operator(), EvidenceStore(tmp_path, 4)
    for number in range(3 * MARK_PDUS):
        store.take(ETSI, ipcc(number), 1)
    (evidence,) = store.files.values()
    evidence.flush()
    evidence.commit(evidence.snapshot(), durable=False)
    store.close()
    store = EvidenceStore(tmp_path, 4)
    (evidence,) = store.files.values()
    read, sizes = evidence.read, []
    evidence.read = lambda offset, length: (sizes.append(length), read(offset, length))[1]  # type: ignore[method-assign]
    newest = 3 * MARK_PDUS - 1
    for check in (operator.checked([ipcc(0)], 0), operator.checked([ipcc(newest)], newest)):
        store.take(ETSI, split(ETSI, check)[-1], 1)
    assert evidence.books.digests == {"open": 1, "good": 1}
    assert max(sizes) <= 2 * MARK_PDUS * len(ipcc(newest)) + 1000
    store.close()


def test_what_cannot_be_decoded_is_not_read_again_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that fills the evidence with PDUs that nobody can decode makes a check behind them read no more."""
    octets = MARK_OCTETS // 16  # Python reads such PDUs slowly
    monkeypatch.setattr("lictl.collection.books.MARK_OCTETS", octets)
    junk, store = tlv(0x30, tlv(0xA1, b"") + bytes(1 << 16)), EvidenceStore(tmp_path, 4)
    for _ in range(3 * octets // len(junk)):
        store.take(ETSI, junk, 1)
    (evidence,) = store.files.values()
    assert evidence.books.unreadable == 3 * octets // len(junk)
    read, sizes = evidence.read, []
    evidence.read = lambda offset, length: (sizes.append(length), read(offset, length))[1]  # type: ignore[method-assign]
    evidence.recall(ETSI)
    assert max(sizes) <= 2 * octets + len(junk)
    store.close()


def test_what_was_refused_a_number_gets_none_when_it_is_read_again(tmp_path: Path) -> None:
    """A negative number makes a PDU unreadable, and it stays so for a check that goes back over the evidence."""
    minus = ipcc(0).replace(bytes.fromhex("840100"), bytes.fromhex("8401ff"))
    store = EvidenceStore(tmp_path, 4)
    for raw in (ipcc(1, "unnamed-port-1"), minus):
        store.take(ETSI, raw, 1)
    (evidence,) = store.files.values()
    assert evidence.books.unreadable == 1
    assert evidence.recall(ETSI)
    store.close()
