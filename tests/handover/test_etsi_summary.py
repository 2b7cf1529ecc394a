# SPDX-License-Identifier: Apache-2.0
"""Packet data summary reports of ETSI: every packet in one summary, none twice, and told when it is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from etsi_schema import FORM, KEYS, READER, pdus, read, reference, schema
from handover_records import T0, TCP, UDP, header, info, packet, select

from lictl.errors import RefusedError
from lictl.handover.base import Event
from lictl.handover.pdu import split
from lictl.handover.registry import encoder
from lictl.probe import abi
from lictl.probe.batch import Batch, Position

S = 1_000_000_000


class Flow:
    """One stream of summaries, fed batch by batch."""

    def __init__(self, **options: str) -> None:
        self.encoder = self.again(**options)
        self.position = Position()
        self.options = options
        self.slot_seq = 0

    def again(self, **options: str) -> Any:
        """An encoder as a new process makes it."""
        return encoder(FORM, info("headers", {"reports": "summary", **options}, keys=KEYS))

    def take(self, *recs: Any, at: int = T0) -> tuple[bytes, int]:
        """A batch; its octets and how many records it counts."""
        batch = np.concatenate(recs)
        for rec in batch:
            self.slot_seq += 1
            rec["slot_seq"], rec["utc_ns"] = self.slot_seq, at
        of = Batch.of(batch, [b""] * len(batch))
        (part,) = self.encoder.encode(of, select(of, abi.REC_HEADER, self.position))
        assert part.records + part.lost == part.last_sequence - part.first_sequence + 1
        return bytes(part.payload), part.records


def summaries(data: bytes) -> list[dict[str, Any]]:
    """The PacketReportSummary of each IRI that has one."""
    found = []
    for value in read(data):
        choice, content = value["payload"]
        if choice == "iRIPayloadSequence" and content[0]["iRIContents"][0] == "iPIRIPacketReport":
            found.append(content[0]["iRIContents"][1]["report"][1])
    return found


def test_a_flow_is_told_when_its_interval_is_over() -> None:
    """Records count when they are taken; counts, octets and times are those of all of them."""
    flow = Flow(interval="10")
    assert flow.take(header(l3_len=60), header(l3_len=100)) == (b"", 2)
    assert flow.take(header(**UDP, l3_len=71), at=T0 + 5 * S) == (b"", 1)
    assert flow.encoder.due(T0 + 9 * S) == b""
    out = flow.encoder.due(T0 + 10 * S)
    first, second = sorted(summaries(out), key=lambda each: -each["packetCount"])
    assert (first["packetCount"], first["byteCount"], first["trigger"]) == (2, 160, "flowTimerExpiration")
    assert (second["packetCount"], second["byteCount"]) == (1, 71)
    assert first["header"][:1] + first["header"][9:10] + first["header"][12:24] == (
        b"\x45\x06" + bytes.fromhex("cb007107c6336401") + (40001).to_bytes(2) + (443).to_bytes(2)
    )
    assert first["indications"] == (b"\xf3\xe0", 13)
    assert flow.encoder.due(T0 + 90 * S) == b""


def test_the_end_tells_everything() -> None:
    """Before the end of the interception; events and summaries have one numbering, and digests."""
    flow = Flow(integrity="sha256", signature="eddsa")
    out = flow.encoder.event(Event("begin", T0))
    out += flow.take(*[header(dst_port=port) for port in range(30)])[0]
    out += flow.encoder.event(Event("end", T0 + S))
    assert [each["trigger"] for each in summaries(out)] == ["reportEnd"] * 30
    iri = [pdu for pdu in pdus(out) if pdu.kind == "iri"]
    assert [pdu.sequence for pdu in iri] == list(range(32))
    assert (iri[0].event, iri[-1].event) == ("begin", "end")
    assert sum(len(pdu.check.numbers) for pdu in pdus(out) if pdu.check and not pdu.check.signature) == 32


def test_what_the_kernel_lost_is_told() -> None:
    """Packets have no number of their own here, so without a message nobody would see that some are missing."""
    flow = Flow()
    assert flow.take(header(), header())[0] == b""
    flow.slot_seq += 3
    (value,) = read(flow.take(header())[0])
    assert value["payload"][1][1]["message"].startswith(b"lictl gap of=packets lost=3 seq=2-4 reason=kernel ")


@pytest.mark.parametrize("form", ["packet-report", "iri-only"])
def test_summaries_equal_the_schema(form: str) -> None:
    """IPv4 and IPv6, TCP, UDP, protocols without ports, packets without a length."""
    flow = Flow(headers=form)
    v6 = {"ip_version": 6, "src": "2001:db8::1", "dst": "2001:db8::2"}
    other = (header(**{**UDP, "proto": 132}), header(proto=47, present=abi.HAS_IP))
    # asn1tools drops seconds that are 00 from a GeneralizedTime
    flow.take(header(), header(**UDP), header(**TCP, **v6), *other, at=T0 + 7 * S)
    out = flow.encoder.event(Event("end", T0))
    raws = split(READER, out)
    assert len(raws) == 7
    for raw in raws:
        assert reference(schema().decode("PS-PDU", raw)) == raw
        assert READER.decode(raw).record is None


def test_many_flows_do_not_wait() -> None:
    """Memory stays bounded: a report comes before its time."""
    flow = Flow()
    out, records = flow.take(*[header(dst_port=port) for port in range(4096)])
    assert records == 4096
    raws = split(READER, out)
    assert len(raws) == 4096
    assert {each["trigger"] for each in summaries(b"".join(raws[::100]))} == {"sessionPacketCount"}


def test_a_dead_process_is_told_of() -> None:
    """What it had gathered cannot be told any more: the next one says how many packets that is."""
    flow = Flow()
    flow.take(header(), header(), header())
    other = flow.again()
    other.resume(flow.encoder.state())
    (value,) = read(other.opening())
    assert value["payload"][1][1]["message"].startswith(b"lictl gap of=packets lost=3 seq=0-2 reason=restart")
    other.resume(other.state())
    assert other.opening() == b""


def test_what_was_not_written_is_not_told() -> None:
    """After a rollback the summary has what stands in the spool, no more and no less."""
    flow = Flow()
    flow.take(header(l3_len=60))
    state = flow.encoder.state()
    flow.take(header(l3_len=100))  # lost
    flow.encoder.resume(state)
    assert flow.encoder.opening() == b""
    (summary,) = summaries(flow.encoder.event(Event("end", T0)))
    assert (summary["packetCount"], summary["byteCount"]) == (1, 60)


def test_a_packet_record_is_refused() -> None:
    """Nothing of it gets into a summary."""
    frame = bytes(60)
    batch = Batch.of(packet(frame), [frame])
    with pytest.raises(RefusedError):
        list(Flow().encoder.encode(batch, select(batch, abi.REC_PACKET)))
