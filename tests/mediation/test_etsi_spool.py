# SPDX-License-Identifier: Apache-2.0
"""ETSI streams through mediator and spool: what a receiver of the blocks' payloads gets, over faults and restarts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from etsi_agency import Agency
from etsi_schema import FORM, KEYS, pdus, read
from handover_records import CLAIM, T0, TCP, header, info, packet

from lictl.delivery.blocks import HEADER_BYTES, BlockKind
from lictl.delivery.reader import SpoolReader, Stored
from lictl.delivery.spool import Spool, SpoolFull
from lictl.handover.base import Event
from lictl.handover.registry import encoder
from lictl.mediation import stream as stream_module
from lictl.mediation.mediator import Mediator
from lictl.mediation.stream import Stream
from lictl.probe.batch import Batch

if TYPE_CHECKING:
    from pathlib import Path

FRAME = bytes(14) + b"E" + bytes(60)
ARP = bytes(42)
CHECKED = {"integrity": "sha256", "signature": "eddsa"}


@dataclass(frozen=True)
class Order:
    """A live order."""

    mode: str
    starts_ns: int = 0
    ends_ns: int = 2**63


class Site:
    """One order's stream over a spool; `again` is a new process on the same disk."""

    def __init__(self, folder: Path, mode: Any, **options: str) -> None:
        self.folder, self.mode, self.options = folder, mode, options
        self.slot_seq = 0
        self.spool = Spool.open(folder, 1 << 26, fsync="never")
        self.start()

    def start(self) -> None:
        """The data path begins."""
        made = encoder(FORM, info(self.mode, self.options, keys=KEYS))
        self.stream = Stream(CLAIM, "fbi", made, self.spool, 1)
        self.mediator = Mediator([self.stream])

    def again(self) -> None:
        """Killed and started."""
        self.spool.close()
        self.spool = Spool.open(self.folder, 1 << 26, fsync="never")
        self.start()

    def take(self, *frames: bytes) -> None:
        """A batch of packets, or of as many header records."""
        recs = []
        for i, frame in enumerate(frames):
            self.slot_seq += 1
            fields: dict[str, Any] = {"slot_seq": self.slot_seq, "utc_ns": T0 + self.slot_seq * 1000 + i}
            if self.mode == "headers":
                recs.append(header(**fields))
                continue
            fields |= {**TCP, "l3_len": 61} if frame is FRAME else {"present": 0, "ip_version": 0, "l3_len": 0}
            recs.append(packet(frame, **fields))
        batch = Batch.of(np.concatenate(recs), list(frames) if self.mode == "content" else [b""] * len(frames))
        self.mediator.take(batch, {CLAIM: Order(self.mode)})

    def delivered(self) -> bytes:
        """The payloads of all blocks, whose numbers have to add up."""
        out, at = b"", 0
        with contextlib.closing(SpoolReader(self.spool.folder)) as reader:
            while found := reader.read():
                for item in found:
                    assert isinstance(item, Stored)
                    head = item.header
                    assert head.sequence_before == at
                    at = head.last_sequence
                    out += bytes(item.data[HEADER_BYTES:])
        self.spool.close()
        return out


def test_content_over_losses_faults_and_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number is a packet or a loss that is told, every PDU is under a digest, every digest under a signature."""
    monkeypatch.setattr(stream_module, "RETRY_S", 0.0)
    site = Site(tmp_path / "a", "content", **CHECKED)
    site.stream.event(Event("begin", T0, ("203.0.113.7",)))
    site.take(FRAME, FRAME, ARP, FRAME)
    site.slot_seq += 3  # lost in the kernel
    site.take(*[FRAME] * 1200)
    append = site.spool.append

    def full(*_: Any, **__: Any) -> Any:
        raise SpoolFull("quota", "The spool is full.", "Wait.")

    monkeypatch.setattr(site.spool, "append", full)
    site.take(FRAME, FRAME)
    monkeypatch.setattr(site.spool, "append", append)
    site.take(FRAME)
    assert site.stream.counts.lost_format == 1
    assert site.stream.counts.lost_quota == 2
    assert site.stream.counts.lost_kernel == 3
    for _ in range(20):
        site.again()
        site.stream.event(Event("continue", T0 + 10**9))
        site.take(FRAME)
    site.stream.event(Event("end", T0 + 2 * 10**9))
    out = site.delivered()
    agency = Agency(out, KEYS.eddsa_pem)
    assert agency.covered == set(agency.pdus)
    assert agency.signed == set(agency.digests) == set(range(max(agency.digests) + 1)) - agency.signature_numbers
    numbers = sorted(number for kind, number in agency.pdus if kind == "cC")
    missing = set(range(numbers[-1] + 1)) - set(numbers)
    assert missing == {2, 4, 5, 6, 1207, 1208}
    told = [(loss.first_sequence, loss.lost, loss.reason) for loss in (pdu.loss for pdu in pdus(out)) if loss]
    assert told == [(2, 1, "not-ip"), (4, 3, "kernel"), (1207, 2, "quota")]
    assert sorted(number for kind, number in agency.pdus if kind == "iRI") == list(range(22))


def test_an_end_that_finds_no_room_gives_no_number_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again and again, the end's messages are numbered as if it had been written at once."""
    site = Site(tmp_path / "a", "headers")
    site.stream.event(Event("begin", T0))
    site.take(FRAME)
    append = site.spool.append

    def nearly_full(kind: BlockKind, *rest: Any, **about: Any) -> Any:
        if kind is BlockKind.EVENT:  # an opening, which is empty here, still has room
            raise SpoolFull("quota", "The spool is full.", "Wait.")
        return append(kind, *rest, **about)

    monkeypatch.setattr(site.spool, "append", nearly_full)
    site.stream.event(Event("end", T0 + 1))
    for _ in range(3):
        with pytest.raises(SpoolFull):
            site.stream.end()
    monkeypatch.setattr(site.spool, "append", append)
    site.stream.end()
    found = pdus(site.delivered())
    assert [pdu.sequence for pdu in found if pdu.kind == "iri"] == [0, 1, 2]
    assert [pdu.sequence for pdu in found if pdu.kind == "other"] == [0, 1, 2]


def test_summaries_through_the_spool(tmp_path: Path) -> None:
    """Chunks without octets keep the account; the report follows as an event of its own."""
    site = Site(tmp_path / "a", "headers", reports="summary", interval="10")
    site.stream.event(Event("begin", T0))
    site.take(*[FRAME] * 5)
    site.take(*[FRAME] * 4)
    site.mediator.tick(T0 + 11 * 10**9)
    site.take(*[FRAME] * 2)
    site.again()
    site.stream.event(Event("end", T0 + 12 * 10**9))
    totals = site.spool.totals
    assert (totals.records, totals.lost) == (11, 0)
    out = site.delivered()
    counts = [
        content[0]["iRIContents"][1]["report"][1]["packetCount"]
        for choice, content in (value["payload"] for value in read(out))
        if choice == "iRIPayloadSequence" and content[0]["iRIContents"][0] == "iPIRIPacketReport"
    ]
    assert counts == [9]
    assert b"of=packets lost=2 seq=9-10 reason=restart" in out
