# SPDX-License-Identifier: Apache-2.0
"""ATIS-1000013: octets as asn1tools writes them, fields that do not fit, events, summaries that no crash loses."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest
from atis_schema import CMII_OID, FORM, MESSAGES, OPTIONAL_OID, STATES, STATUS, module
from handover_records import T0, UDP, encode_all, header, info, numbered, packet, select
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.errors import RefusedError, UsageError
from lictl.handover.atis import MAX_FLOWS, time_text
from lictl.handover.atis_messages import message
from lictl.handover.base import MAX_STATE, Event
from lictl.handover.decoded import DecodeError
from lictl.handover.flows import FLOW
from lictl.handover.pdu import Pdu, split
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.native import ffi

READER = PDU_FORMATS[FORM]
PACKET = bytes.fromhex("4500001c000100004011b6c9cb007107c63364019c4001bb00080000")
CMC = bytes.fromhex(
    "305ca03ca01e8009434153452d30303031810770726f62653031a2088006434f52522d31811432303235303330313132303030352e3132333"
    "45a820100830101811c"
)
PDHR = bytes.fromhex(
    "3072060b2a864886f8490201010000aa638009434153452d30303031810770726f62653031821432303235303330313132303030352e31323"
    "3345aa3088006434f52522d31a42da003820101a10ca0068104cb007107a1028200a20ca0068104c6336401a1028300830534303030308403"
    "343433"
)
WHEN = 1_740_830_405_123_400_000
NAMES = {"case_id": "CASE-0001", "liid": "CORR-1"}
VISIBLE = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\")
ENDS = st.fixed_dictionaries(
    {
        "ip_version": st.sampled_from([4, 6]),
        "src": st.binary(min_size=16, max_size=16),
        "dst": st.binary(min_size=16, max_size=16),
        "src_port": st.integers(0, 65535),
        "dst_port": st.integers(0, 65535),
        "dir": st.integers(0, 3),
        "present": st.integers(0, 31),
        "utc_ns": st.integers(0, 2**63 - 1),
        "slot_seq": st.one_of(st.integers(1, 2**31), st.just(1)),
        "frag": st.integers(0, 2),
    }
)
IDENTIFIERS = {
    "case_id": st.text(VISIBLE, min_size=1, max_size=25),
    "element": st.text(VISIBLE, min_size=1, max_size=15),
    "liid": st.text(VISIBLE, min_size=1, max_size=255),
}


def pdus(data: bytes) -> list[Pdu]:
    return [READER.decode(raw) for raw in split(READER, data)]


def protocol(name: str, value: dict[str, Any]) -> bytes:
    optional = name in STATES
    whole = {"protocolIdentifier": OPTIONAL_OID if optional else CMII_OID, "iasMessage": (name, value)}
    return bytes(module("CmII-Optional" if optional else "CmII").encode("IasProtocol", whole))


def address(octets: bytes, version: int, *, target: bool) -> dict[str, Any]:
    value = ("ipV6", octets) if version == 6 else ("ipV4", octets[:4])
    return {"address": value, "allocationMethod": ("unknown" if target else "notApplicable", None)}


def test_samples() -> None:
    """Octet for octet what two independent encoders agreed on."""
    frame = b"\2" * 12 + b"\x08\0" + PACKET + b"padding"
    content, _ = encode_all(
        encoder(FORM, info("content", {"fraction": "4"}, **NAMES)), packet(frame, utc_ns=WHEN, l3_len=28), [frame]
    )
    assert content == CMC + PACKET
    headers, _ = encode_all(
        encoder(FORM, info("headers", {"fraction": "4"}, **NAMES)), header(utc_ns=WHEN, src_port=40000)
    )
    assert headers == PDHR


@given(
    row=ENDS,
    size=st.one_of(st.integers(0, 300), st.integers(0, 9000)),
    names=st.fixed_dictionaries(IDENTIFIERS),
    digits=st.sampled_from("3469"),
)
@settings(max_examples=150, deadline=None)
def test_content_is_what_the_schema_says(row: dict[str, Any], size: int, names: dict[str, str], digits: str) -> None:
    """Any lengths, directions, numbers and names; and it is read back."""
    frame = bytes(14) + bytes((7 * k) % 256 for k in range(size)) + b"trailer"
    row = {**row, "present": abi.HAS_IP | abi.HAS_LENGTH}
    data, _ = encode_all(
        encoder(FORM, info("content", {"fraction": digits}, **names)), packet(frame, **row, l3_len=size), [frame]
    )
    directed: dict[str, Any] = {1: {"packetDirection": "fromSubject"}, 2: {"packetDirection": "toSubject"}}
    about = {
        "correlationInfo": {
            "caseId": names["case_id"],
            "iapId": names["element"],
            "contentIdentifier": ("correlationID", names["liid"].encode()),
        },
        "timeStamp": time_text(row["utc_ns"], int(digits)),
        "sequenceNumber": row["slot_seq"],
        **directed.get(row["dir"], {}),
    }
    payload = frame[14 : 14 + size]
    assert data == module("CmCC").encode("IAS-CC-APDU", {"ccDeliveryHeader": about, "payload": payload})
    (pdu,) = pdus(data)
    assert (pdu.kind, pdu.message, pdu.liid, pdu.stream) == ("cc", "CmC", names["case_id"], names["liid"])
    assert pdu.sequence == row["slot_seq"]
    assert pdu.utc_ns == row["utc_ns"] // 10 ** (9 - int(digits)) * 10 ** (9 - int(digits))
    assert pdu.record is not None
    assert pdu.record.data == payload


@given(row=ENDS, names=st.fixed_dictionaries(IDENTIFIERS), packets=st.integers(1, 2**40))
@settings(max_examples=150, deadline=None)
def test_reports_are_what_the_schema_says(row: dict[str, Any], names: dict[str, str], packets: int) -> None:
    """PDHR and PDSR of any flow; absent ports stay absent, and a record that proves no address names none."""
    proven, ports = bool(row["present"] & abi.HAS_IP), bool(row["present"] & abi.HAS_PORTS)
    version, src, dst = (row["ip_version"], row["src"], row["dst"]) if proven else (4, bytes(16), bytes(16))
    value: dict[str, Any] = {
        "caseId": names["case_id"],
        "iAPSystemId": names["element"],
        "timestamp": time_text(row["utc_ns"], 6),
        "contentIdentifier": ("correlationID", names["liid"].encode()),
    }
    sets: dict[str, Any] = {
        "streamID": ("integer", row["slot_seq"]),
        "sourceIPaddress": address(src, version, target=bool(row["dir"] & 1)),
        "destinationIPaddress": address(dst, version, target=bool(row["dir"] & 2)),
    }
    numbers = {"sourcePortNumber": str(row["src_port"]), "destinationPortNumber": str(row["dst_port"])}
    data, _ = encode_all(encoder(FORM, info("headers", **names)), header(**row))
    shown = {**sets, **numbers} if ports and row["frag"] != abi.FRAG_LATER else sets
    assert data == protocol("data-Header-Report", {**value, "headerSet": shown})
    (pdu,) = pdus(data)
    assert pdu.record is not None
    assert pdu.record.direction == ("unknown", "from", "to", "both")[row["dir"]]
    assert (pdu.message, pdu.sequence, pdu.record.data) == ("PDHR", row["slot_seq"], None)

    summary: Any = encoder(FORM, info("headers", {"reports": "summary"}, **names))
    flow = np.zeros(1, FLOW)
    flow["packets"], flow["last_ns"] = packets, row["utc_ns"]
    for name, values in (("src", src), ("dst", dst)):
        flow["key"][name] = np.frombuffer(values, np.uint8)
    flow["key"]["ip_version"], flow["key"]["dir"], flow["key"]["has_ports"] = version, row["dir"], ports
    flow["key"]["src_port"], flow["key"]["dst_port"] = row["src_port"], row["dst_port"]
    streams = {**sets, "streamID": ("integer", 1), "packetCount": packets, **(numbers if ports else {})}
    assert summary._reported(flow) == protocol("data-Summary-Report", {**value, "streamSet": streams})


@pytest.mark.parametrize("name", [*MESSAGES, *STATES])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_message_is_what_the_schema_says(name: str, data: st.DataObject) -> None:
    """Octets equal asn1tools'; the reader names the message, its case and its time."""
    value = data.draw(MESSAGES.get(name, STATUS))
    found = message(name, value)
    assert found == protocol(name, value)
    if name not in ("data-Header-Report", "data-Summary-Report"):
        (pdu,) = pdus(found)
        assert (pdu.event, pdu.liid, pdu.utc_ns) == (name, value["caseId"], 1_740_830_400_123_400_000)


def test_a_message_without_its_fields_is_refused() -> None:
    """A missing component, one that is not known."""
    with pytest.raises(ValueError, match="timestamp is missing"):
        message("surveillanceChange", {"caseId": "1", "iAPSystemId": "1", "surveillanceStatus": ""})
    with pytest.raises(ValueError, match="no such component: colour"):
        message("surveillanceChange", {"colour": "red"})


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"case_id": "x" * 26}, {}, "case number"),
        ({"case_id": "Fall Ä"}, {}, "case number"),
        ({"case_id": ""}, {}, "case number"),
        ({"element": "x" * 16}, {}, "network element"),
        ({}, {"fraction": "5"}, "fraction"),
        ({}, {"optional-oid": "1.2.x"}, "optional-oid"),
        ({}, {"colour": "red"}, "colour"),
    ],
)
@pytest.mark.parametrize("mode", ["headers", "content"])
def test_what_does_not_fit_is_refused_at_once(
    mode: Any, change: dict[str, str], options: dict[str, str], words: str
) -> None:
    """Names that the fields have no room for, wrong options: before the first packet, with what to do."""
    with pytest.raises(UsageError, match=words):
        encoder(FORM, info(mode, options, **change))


@pytest.mark.parametrize(("mode", "kind"), [("headers", abi.REC_PACKET), ("content", abi.REC_HEADER)])
@pytest.mark.parametrize("reports", ["packet", "summary"])
def test_records_of_the_other_kind_are_refused(mode: Any, kind: int, reports: str) -> None:
    """Nothing of the chunk leaves."""
    made = encoder(FORM, info(mode, {"reports": reports}))
    made.opening()
    batch = Batch.of(packet(bytes(60)) if kind == abi.REC_PACKET else header(), [bytes(60)])
    with pytest.raises(RefusedError):
        list(made.encode(batch, select(batch, kind)))


def test_a_frame_that_is_not_ip_is_told_without_content() -> None:
    """CmC has no place for it: its number, time and direction arrive, its payload is empty."""
    frame = b"\xff" * 12 + b"\x08\x06" + bytes(28)
    data, chunks = encode_all(encoder(FORM, info("content")), packet(frame, present=0, l3_off=0, l3_len=0), [frame])
    (pdu,) = pdus(data)
    assert (pdu.sequence, pdu.record and pdu.record.data, chunks[0].records) == (1, b"", 1)


def event(kind: Any, *addresses: str, before: tuple[str, ...] = ()) -> Event:
    return Event(kind, T0, addresses, T0, T0 + 10**9, 5, 2, before=before)


@pytest.mark.parametrize("mode", ["headers", "content"])
def test_events_tell_of_surveillance_and_addresses(mode: Any) -> None:
    """What begins and ends, for each address; an event that comes again after a full spool tells the same."""
    made = encoder(FORM, info(mode))
    told = [[pdu.event for pdu in pdus(made.event(event("begin", "203.0.113.7", "2001:db8::/56")))]]
    change = event("change", "2001:db8::/56", "203.0.113.9", before=("203.0.113.7", "2001:db8::/56"))
    first = made.event(change)
    assert made.event(change) == first
    told += [
        [pdu.event for pdu in pdus(data)]
        for data in (
            first,
            *(made.event(event(kind, "203.0.113.9")) for kind in ("suspend", "resume", "continue", "end")),
        )
    ]
    begun, ended = "session-Already-Established", "session-End"
    assert told == [
        ["surveillanceActivation", begun, begun],
        [ended, "surveillanceChange", begun],
        [ended, "surveillanceChange"],
        ["surveillanceContinuation", begun],
        ["surveillanceContinuation"],
        [ended, "surveillanceDeActivation"],
    ]
    assert b"packets delivered 5, lost 2" in first


def summaries(n: int, **options: str) -> tuple[Any, np.ndarray[Any, Any]]:
    made = encoder(FORM, info("headers", {"reports": "summary", **options}))
    recs = numbered([header(**UDP, dst=f"198.51.{k % 250}.{k // 250}") for k in range(n)])
    return made, recs


def counted(data: bytes) -> int:
    """Packets that the summary reports in it tell of."""
    return sum(
        module("CmII").decode("IasProtocol", pdu.raw)["iasMessage"][1]["streamSet"]["packetCount"]
        for pdu in pdus(data)
        if pdu.message == "PDSR"
    )


@given(flows=st.integers(1, 3 * MAX_FLOWS), cut=st.integers(0, 300))
@settings(max_examples=20, deadline=None)
def test_a_summary_counts_every_packet_once(flows: int, cut: int) -> None:
    """By time, by number of flows and at the end, also over a crash: what a state holds is told by its successor."""
    made, recs = summaries(flows)
    recs = numbered(np.concatenate([recs, recs[::-1], recs]))
    data, chunks = encode_all(made, recs[: min(cut, len(recs) - 1)] if cut else recs[:1])
    done = sum(chunk.records for chunk in chunks)
    state = made.state()
    assert len(state) <= MAX_STATE
    successor, _ = summaries(flows)
    successor.resume(state)
    rest, chunks = encode_all(successor, recs[done:])
    assert sum(chunk.records for chunk in chunks) == len(recs) - done
    end = successor.event(event("end"))
    assert counted(data + rest + end) == len(recs)
    numbers = [
        module("CmII").decode("IasProtocol", pdu.raw)["iasMessage"][1]["streamSet"]["streamID"][1]
        for pdu in pdus(data + rest + end)
        if pdu.message == "PDSR"
    ]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_summary_is_told_when_it_is_due() -> None:
    """Not before the interval is over, then once."""
    made, recs = summaries(3, interval="10")
    assert encode_all(made, recs)[0] == b""
    assert made.due(T0 + 9 * 10**9) == b""
    assert counted(made.due(T0 + 10 * 10**9)) == 3
    assert made.due(T0 + 30 * 10**9) == b""


def test_flows_are_the_same_in_c() -> None:
    """Offsets of struct ln_flow are those of the arrays."""
    assert ffi.sizeof("struct ln_flow") == FLOW.itemsize
    counts = ("packets", "bytes", "unsized", "first_ns", "last_ns")
    at = {name: FLOW.fields[name][1] for name in counts} if FLOW.fields else {}
    assert {name: ffi.offsetof("struct ln_flow", name) for name in at} == at
    assert ffi.offsetof("struct ln_flow", "dst") == 24


@given(octets=st.binary(max_size=60), at=st.integers(0, len(PDHR) - 1))
def test_damaged_messages_are_read_or_refused(octets: bytes, at: int) -> None:
    """No other exception, whatever stands in a message."""
    for whole in (PDHR, CMC + PACKET):
        damaged = (whole[:at] + octets + whole[at + len(octets) :])[: len(whole)]
        for data in (damaged, octets):
            try:
                READER.length(memoryview(data))
                READER.decode(data)
            except DecodeError:
                continue


def test_what_others_write_is_read() -> None:
    """Lengths that are longer than need be, addresses as ASCII, fractions of a minute, other zones."""
    value = {
        "caseId": "1",
        "iAPSystemId": "s",
        "timestamp": "202503011200.5Z",
        "contentIdentifier": ("correlationID", b"c"),
        "headerSet": {
            "streamID": ("stringVS", "any"),
            "sourceIPaddress": {"address": ("ipV4", b"111.111.111.111"), "allocationMethod": ("static", None)},
            "destinationIPaddress": {"address": ("ipV4", b"10.0.0.1"), "allocationMethod": ("notApplicable", None)},
        },
    }
    (pdu,) = pdus(message("data-Header-Report", value))
    assert pdu.record is not None
    assert (pdu.record.source, pdu.record.destination, pdu.record.direction) == ("111.111.111.111", "10.0.0.1", "from")
    assert pdu.utc_ns == 1_740_830_430 * 10**9
    long = b"\x30\x83\x00\x00" + CMC[1:] + PACKET
    assert pdus(long)[0].utc_ns == WHEN
    value["timestamp"] = "20250301140005+0200"
    assert pdus(message("data-Header-Report", value))[0].utc_ns == WHEN // 10**9 * 10**9


def test_openssl_reads_it() -> None:
    """`openssl asn1parse` accepts each kind of message."""
    made = encoder(FORM, info("headers"))
    for data in (CMC + PACKET, PDHR, *split(READER, made.event(event("begin", "203.0.113.7")))):
        run = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=data, capture_output=True, timeout=60)
        assert run.returncode == 0, run.stderr
        assert run.stdout.count(b"\n") >= 3


def test_what_no_datagram_holds_is_a_loss() -> None:
    """Of an agency that is reached by UDP: counted and left out, its number jumps; elsewhere it is delivered."""
    fits = 65_507 - len(CMC) - 6  # three octets more of length, in two places
    frames = [bytes(14) + b"E" + bytes(size - 1) for size in (28, fits, fits + 1, 28)]
    for datagrams in (True, False):
        made = encoder(FORM, info("content", **NAMES, datagrams=datagrams))
        out, (chunk,) = encode_all(made, numbered([packet(frame, **UDP) for frame in frames]), frames)
        lost = int(datagrams)
        assert (chunk.records, chunk.lost, chunk.unfit, made.too_long) == (4 - lost, lost, lost, lost)
        sent = pdus(out)
        assert [pdu.sequence for pdu in sent] == ([1, 2, 4] if datagrams else [1, 2, 3, 4])
        assert max(len(pdu.raw) for pdu in sent) == 65_507 + (not datagrams)
