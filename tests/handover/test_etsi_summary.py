# SPDX-License-Identifier: Apache-2.0
"""Packet data summary reports of ETSI: every packet in one summary, none twice, and told when it is lost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from etsi_schema import FORM, KEYS, ONLY_ID, READER, REPORT_ID, pdus, read, reference, schema
from etsi_schema import header as ps_header
from handover_records import T0, TCP, UDP, header, info, packet, select
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.errors import RefusedError
from lictl.handover.base import Event
from lictl.handover.etsi_integrity import MAX_COVERED
from lictl.handover.etsi_seal import unseal
from lictl.handover.etsi_summary import COUNT, END, TIMER
from lictl.handover.flows import FLOW
from lictl.handover.pdu import split
from lictl.handover.registry import encoder
from lictl.probe import abi
from lictl.probe.batch import Batch, Position

S = 1_000_000_000
MOST = 2**64 - 1
DIRECTIONS = ("indeterminate", "fromTarget", "toTarget", "combined")
TRIGGERS = {
    TIMER: ("flowTimerExpiration", "timerExpiry"),
    COUNT: ("sessionPacketCount", "packetCount"),
    END: ("reportEnd", "endOfFlow"),
}

# asn1tools drops seconds that are 00 from a GeneralizedTime, and zeros at the end of its fraction.
WHEN = st.builds(
    lambda minute, second, tens, micro, nano: ((minute * 60 + second) * 10**6 + tens * 10 + micro) * 1000 + nano,
    st.integers(0, MOST // (60 * S) - 1), st.integers(1, 59), st.integers(0, 99_999), st.integers(1, 9),
    st.integers(0, 999),
)  # fmt: skip
COUNTS = st.one_of(
    st.integers(1, 300), st.integers(1, MOST), st.sampled_from([127, 128, 2**31, 2**63 - 1, 2**63, MOST])
)
FLOWS = st.fixed_dictionaries(
    {
        "ip_version": st.sampled_from([4, 6]),
        "proto": st.one_of(st.sampled_from([6, 17]), st.integers(0, 255)),
        "has_ports": st.booleans(),
        "dir": st.integers(0, 3),
        "src_port": st.integers(0, 65535),
        "dst_port": st.integers(0, 65535),
        "src": st.binary(min_size=16, max_size=16),
        "dst": st.binary(min_size=16, max_size=16),
        "packets": COUNTS,
        "bytes": COUNTS,
        "unsized": st.sampled_from([0, 0, 1, MOST]),
        "first_ns": WHEN,
        "last_ns": WHEN,
    }
)


def rows(flows: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    """FLOW[n] with these values."""
    made = np.zeros(len(flows), FLOW)
    for row, flow in zip(made, flows, strict=True):
        for name, value in flow.items():
            at = row if name in FLOW.names else row["key"]  # type: ignore[operator]
            at[name] = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
    return made


def moment(ns: int) -> dt.datetime:
    """To the microsecond."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=ns // 1000)


def ends(flow: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    """Source, destination, and both ports."""
    size = 4 if flow["ip_version"] == 4 else 16
    return flow["src"][:size], flow["dst"][:size], flow["src_port"].to_bytes(2) + flow["dst_port"].to_bytes(2)


def counted(flow: dict[str, Any]) -> dict[str, int]:
    """Octets only where each packet's length is known."""
    return {"packetCount": flow["packets"], **({} if flow["unsized"] else {"byteCount": flow["bytes"]})}


def report_of(flow: dict[str, Any], trigger: str) -> tuple[str, Any]:
    """iPIRIPacketReport: a header without lengths and flags, and the bits that say so."""
    source, destination, ports = ends(flow)
    proto = bytes([flow["proto"]])
    if flow["ip_version"] == 4:
        octets, zeroed = b"\x45" + bytes(8) + proto + bytes(2) + source + destination, {0, 1, 2, 3}
    else:
        octets, zeroed = b"\x60" + bytes(5) + proto + bytes(1) + source + destination, {4, 5}
    transport, zeroed_too = {
        6: (ports + bytes(8) + b"\x50" + bytes(7), {6, 7, 8, 9, 10}),
        17: (ports + bytes(4), {11, 12}),
    }.get(flow["proto"], (ports, set()))
    if flow["has_ports"]:
        octets, zeroed = octets + transport, zeroed | zeroed_too
    summary = {
        "header": octets, "indications": (sum(0x8000 >> bit for bit in zeroed).to_bytes(2), 13), "trigger": trigger,
        **counted(flow), "firstTimestamp": moment(flow["first_ns"]), "lastTimestamp": moment(flow["last_ns"]),
    }  # fmt: skip
    return "iPIRIPacketReport", {"iPIRIPacketReportObjId": REPORT_ID, "report": ("summary", summary)}


def only_of(flow: dict[str, Any], trigger: str) -> tuple[str, Any]:
    """iPIRIOnly, in which octets that are not known are 0."""
    source, destination, ports = ends(flow)
    v4, proto = flow["ip_version"] == 4, bytes([flow["proto"]])
    ip = {"protocol" if v4 else "nextHeader": proto, "source": source, "destination": destination}
    transport: tuple[str, Any] = ("none", None)
    if flow["has_ports"] and flow["proto"] in (6, 17):
        name = "tCPInformation" if flow["proto"] == 6 else "uDPInformation"
        transport = (name, {"sourcePort": ports[:2], "destinationPort": ports[2:]})
    counts = counted(flow)
    aggregated = {f"iPAggregatedNbrOf{name[:-5].capitalize()}s": value for name, value in counts.items()}
    only = {
        "iPIRIOnlyObjId": ONLY_ID,
        "iPInformation": ("iPv4Information" if v4 else "iPv6Information", ip),
        "protocolInformation": transport,
        **aggregated,
        "pDSRInformation": {
            "summaryTrigger": trigger, "firstPacketTimestamp": moment(flow["first_ns"]),
            "lastPacketTimestamp": moment(flow["last_ns"]), "byteCount": 0, **counts,
        },
    }  # fmt: skip
    return "iPIRIOnly", only


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


@settings(max_examples=150, deadline=None)
@given(
    flows=st.lists(FLOWS, min_size=1, max_size=3), trigger=st.sampled_from([TIMER, COUNT, END]), ns=WHEN,
    first=st.sampled_from([0, 127, 2**31, 2**32 - 1, 2**40]), form=st.sampled_from(["packet-report", "iri-only"]),
)  # fmt: skip
def test_any_flow_is_what_the_schema_says(
    flows: list[dict[str, Any]], trigger: tuple[int, int], ns: int, first: int, form: str
) -> None:
    """Any addresses, ports, protocols, times and counters, up to the highest; numbered on, from 0 again behind 2^32."""
    made = Flow(headers=form).encoder
    made._state.iri = first
    raws = split(READER, made._told(rows(flows), ns, trigger))
    assert len(raws) == len(flows)
    for number, (raw, flow) in enumerate(zip(raws, flows, strict=True), first):
        of, word = (only_of, TRIGGERS[trigger][1]) if form == "iri-only" else (report_of, TRIGGERS[trigger][0])
        iri = {
            "iRIType": "iRI-Report", "iRIContents": of(flow, word), "payloadDirection": DIRECTIONS[flow["dir"]],
        }  # fmt: skip
        value = {"pSHeader": ps_header(number % 2**32, ns), "payload": ("iRIPayloadSequence", [iri])}
        assert raw == reference(value)
    assert made._state.iri == first + len(flows)


def test_many_flows_are_covered_and_sealed() -> None:
    """A digest for each thousand; sealed or not, the reports are the same."""
    flows = np.zeros(2 * MAX_COVERED + 1, FLOW)
    flows["key"]["ip_version"], flows["packets"] = 4, np.arange(1, len(flows) + 1)
    plain = split(READER, Flow().encoder._told(flows, T0, COUNT))
    made = Flow(integrity="sha256", encryption="aes-256-cbc").encoder
    sealed = pdus(made._told(flows, T0, COUNT))
    checks = [pdu.check.numbers for pdu in sealed if pdu.check]
    assert [len(numbers) for numbers in checks] == [MAX_COVERED, MAX_COVERED, 1]
    assert [number for numbers in checks for number in numbers] == list(range(len(flows)))
    values = (schema().decode("PS-PDU", pdu.raw) for pdu in sealed if not pdu.check)
    for number, (value, open_) in enumerate(zip(values, plain, strict=True)):
        octets = unseal(value["payload"][1]["encryptedPayload"], KEYS.payload_key, number)
        content = schema().decode("EncryptedPayload", octets)
        assert (value["pSHeader"], content["payload"]) == tuple(schema().decode("PS-PDU", open_).values())


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


def test_a_report_that_was_not_written_is_told_again() -> None:
    """Whether the end brought it, or the packet with which the interval was over: it is in the spool or still due."""
    flow = Flow()
    flow.take(header(l3_len=60))
    state = flow.encoder.state()
    for step in (
        lambda: flow.encoder.event(Event("end", T0)),
        lambda: flow.take(header(l3_len=100), at=T0 + 90 * S)[0],
    ):
        assert summaries(step())
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
