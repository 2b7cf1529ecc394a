# SPDX-License-Identifier: Apache-2.0
"""What the C encoder writes equals what asn1tools makes of the standard's schema, octet for octet, and reads back."""

from __future__ import annotations

import ipaddress
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from etsi_schema import (
    FORM,
    IPCC_ID,
    IRI_ID,
    KEYS,
    ONLY_ID,
    READER,
    REPORT_ID,
    encoded,
    header,
    pdus,
    read,
    reference,
    schema,
)
from handover_records import T0, TCP, UDP, encode_all, info, numbered, packet
from handover_records import header as header_record
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.handover.base import Event, Gap
from lictl.handover.etsi_iri import event_payload
from lictl.handover.etsi_pdu import (
    ACK_REQUEST,
    ACK_RESPONSE,
    CIN_RESET,
    FIRST_SEGMENT,
    LAST_SEGMENT,
    OPTION_COMPLETE,
    TEST,
    Names,
    operator_message,
    option_request,
    option_response,
    tri,
)
from lictl.handover.pdu import split
from lictl.handover.registry import encoder
from lictl.probe import abi
from lictl.probe.batch import Batch, Position

if TYPE_CHECKING:
    from pathlib import Path

DIRECTIONS = {
    abi.DIR_FROM: "fromTarget",
    abi.DIR_TO: "toTarget",
    abi.DIR_BOTH: "combined",
    abi.DIR_UNKNOWN: "indeterminate",
}
NAMES = Names("LIID0001", "US", "OPER1", "probe01")
NULLS = {
    "testPDU": TEST, "firstSegmentFlag": FIRST_SEGMENT, "lastSegmentFlag": LAST_SEGMENT, "cINReset": CIN_RESET,
    "optionComplete": OPTION_COMPLETE, "pDUAcknowledgementRequest": ACK_REQUEST,
    "pDUAcknowledgementResponse": ACK_RESPONSE,
}  # fmt: skip
TIMES = st.integers(1, 2**32 * 10**9)
SIZES = st.one_of(st.integers(1, 300), st.integers(1, 9000), st.sampled_from([1, 106, 107, 127, 128, 255, 256, 9000]))
NAMES_OF = st.fixed_dictionaries(
    {
        "liid": st.text("ABCxyz019-_", min_size=1, max_size=25),
        "operator": st.text("OPERop0", min_size=1, max_size=16),
        "element": st.text("probe-1", min_size=1, max_size=16),
        "country": st.sampled_from(["US", "DE", "NZ"]),
    }
)


def started(sequence: int) -> Position:
    """A position behind which the next record has this sequence."""
    position = Position()
    position.next_sequence = sequence - 1
    return position


def one(mode: Any, rec: Any, frames: list[bytes] | None, sequence: int, names: dict[str, str], **options: str) -> bytes:
    """One record's PDU, with this number in the stream."""
    from handover_records import select

    made = encoder(FORM, info(mode, options, **names))
    batch = Batch.of(rec, frames or [b""])
    (chunk,) = made.encode(batch, select(batch, made.kind, started(sequence)))
    assert (chunk.records, chunk.lost) == (1, 0)
    return bytes(chunk.payload)


@settings(max_examples=150, deadline=None)
@given(
    size=SIZES, ns=TIMES, sequence=st.integers(1, 2**33), direction=st.sampled_from(sorted(DIRECTIONS)), names=NAMES_OF,
    version=st.sampled_from([4, 6]), fill=st.binary(min_size=1, max_size=8),
)  # fmt: skip
def test_content_equals_the_schema(
    size: int, ns: int, sequence: int, direction: int, names: dict[str, str], version: int, fill: bytes
) -> None:
    """IPCC of any length up to 9,000 octets, either IP version, any identifiers, numbers beyond 2^32."""
    body = (bytes([version << 4]) + fill * (size // len(fill) + 1))[:size]
    frame = bytes(14) + body + b"trailer"
    fields = {**TCP, "utc_ns": ns, "dir": direction, "l3_len": size, "ip_version": version}
    raw = one("content", packet(frame, **fields), [frame], sequence, names)
    number = (sequence - 1) % 2**32
    contents = ("iPCC", {"iPCCObjId": IPCC_ID, "iPCCContents": ("iPPackets", body)})
    payload = {"payloadDirection": DIRECTIONS[direction], "cCContents": contents}
    assert raw == reference({"pSHeader": header(number, ns, **names), "payload": ("cCPayloadSequence", [payload])})
    pdu = READER.decode(raw)
    assert (pdu.kind, pdu.message, pdu.liid, pdu.stream, pdu.sequence) == ("cc", "IPCC", names["liid"], "1", number)
    assert pdu.record is not None
    assert (pdu.record.data, pdu.record.utc_ns) == (body, ns // 1000 * 1000)


HEADER_FIELDS = st.fixed_dictionaries(
    {
        "ip_version": st.sampled_from([4, 6]), "proto": st.sampled_from([6, 17, 1, 58, 132, 47]),
        "present": st.integers(0, 31).map(lambda bits: bits | abi.HAS_IP), "src_port": st.integers(0, 65535),
        "dst_port": st.integers(0, 65535), "tcp_flags": st.integers(0, 255), "l3_len": st.integers(68, 65535),
        "dir": st.sampled_from(sorted(DIRECTIONS)), "utc_ns": TIMES, "frag": st.integers(0, 2),
        "icmp_type": st.integers(0, 255), "icmp_code": st.integers(0, 255),
    }
)  # fmt: skip


def addressed(fields: dict[str, Any]) -> dict[str, Any]:
    """With addresses of the fields' IP version."""
    pair = ("203.0.113.7", "198.51.100.1") if fields["ip_version"] == 4 else ("2001:db8:7::1", "2001:db8::53")
    return {**fields, "src": pair[0], "dst": pair[1]}


@settings(max_examples=100, deadline=None)
@given(fields=HEADER_FIELDS.map(addressed), sequence=st.integers(1, 2**33), names=NAMES_OF)
def test_packet_reports_equal_the_schema(fields: dict[str, Any], sequence: int, names: dict[str, str]) -> None:
    """iPIRIPacketReport around the header that pcapng has for the same record."""
    raw = one("headers", header_record(**fields), None, sequence, names)
    report = READER.decode(raw).record
    assert report is not None
    assert report.data is not None
    contents = (
        "iPIRIPacketReport",
        {"iPIRIPacketReportObjId": REPORT_ID, "report": ("header", {"header": report.data})},
    )
    assert raw == iri_reference(fields, sequence, names, contents)
    data, _ = encode_all(encoder("pcapng", info("headers")), header_record(**fields))
    assert report.data in data


@settings(max_examples=100, deadline=None)
@given(fields=HEADER_FIELDS.map(addressed), sequence=st.integers(1, 2**33), names=NAMES_OF)
def test_iri_only_equals_the_schema(fields: dict[str, Any], sequence: int, names: dict[str, str]) -> None:
    """iPIRIOnly with exactly the fields that the record proves."""
    raw = one("headers", header_record(**fields), None, sequence, names, headers="iri-only")
    present, v4 = fields["present"], fields["ip_version"] == 4
    addresses = {name: ipaddress.ip_address(fields[name[:3]]).packed for name in ("src", "dst")}
    ip: dict[str, Any] = {"source": addresses["src"], "destination": addresses["dst"]}
    ip["protocol" if v4 else "nextHeader"] = bytes([fields["proto"]])
    if present & abi.HAS_LENGTH:
        length = fields["l3_len"]
        ip["totalLength" if v4 else "payloadLength"] = length.to_bytes(2) if v4 else (length - 40).to_bytes(4)
    transport: tuple[str, Any] = ("none", None)
    if present & abi.HAS_PORTS and fields["proto"] in (6, 17):
        ports = {"sourcePort": fields["src_port"].to_bytes(2), "destinationPort": fields["dst_port"].to_bytes(2)}
        transport = ("uDPInformation", ports)
        if fields["proto"] == 6:
            bits = (bytes([fields["tcp_flags"] << 2 & 0xFF]), 6)
            transport = ("tCPInformation", {**ports, "controlBits": bits} if present & abi.HAS_TCP_FLAGS else ports)
    only = {
        "iPIRIOnlyObjId": ONLY_ID, "iPInformation": ("iPv4Information" if v4 else "iPv6Information", ip),
        "protocolInformation": transport,
    }  # fmt: skip
    assert raw == iri_reference(fields, sequence, names, ("iPIRIOnly", only))
    record = READER.decode(raw).record
    assert record is not None
    assert (record.source, record.destination, record.protocol) == (fields["src"], fields["dst"], fields["proto"])
    assert record.ip_length == (fields["l3_len"] if present & abi.HAS_LENGTH else None)


def iri_reference(fields: dict[str, Any], sequence: int, names: dict[str, str], contents: Any) -> bytes:
    """asn1tools' encoding of a report."""
    payload = {"iRIType": "iRI-Report", "iRIContents": contents, "payloadDirection": DIRECTIONS[fields["dir"]]}
    number = (sequence - 1) % 2**32
    head = header(number, fields["utc_ns"], **names)
    return reference({"pSHeader": head, "payload": ("iRIPayloadSequence", [payload])})


def network(address: int, length: int) -> str:
    """A prefix as text."""
    return str(ipaddress.ip_network((address, length), strict=False))


ADDRESSES = st.lists(
    st.one_of(
        st.ip_addresses().map(str), st.integers(1, 31).map(lambda n: network(2**31, n)),
        st.integers(1, 127).map(lambda n: network(2**127, n)),
    ), max_size=6,
)  # fmt: skip
KINDS: dict[Any, tuple[str, str]] = {
    "begin": ("iRI-Begin", "startOfInterceptionWithSessionActive"),
    "resume": ("iRI-Begin", "startOfInterceptionWithSessionActive"),
    "continue": ("iRI-Continue", "interimUpdate"),
    "change": ("iRI-Continue", "interimUpdate"),
    "suspend": ("iRI-End", "endOfInterceptionWithSessionActive"),
    "end": ("iRI-End", "endOfInterceptionWithSessionActive"),
}


def address_value(text: str) -> dict[str, Any]:
    """An IPAddress of the schema."""
    network = ipaddress.ip_network(text)
    value: dict[str, Any] = {
        "iP-type": f"iPV{network.version}", "iP-value": ("iPBinaryAddress", network.network_address.packed),
        "iP-assignment": "notKnown",
    }  # fmt: skip
    if network.prefixlen < network.max_prefixlen:
        key, mask = ("iPv4SubnetMask", network.netmask.packed) if network.version == 4 else ("iPv6PrefixLength", None)
        value[key] = mask or network.prefixlen
    return value


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), addresses=ADDRESSES, ns=TIMES, number=st.integers(0, 2**32 - 1))
def test_events_equal_the_schema(kind: Any, addresses: list[str], ns: int, number: int) -> None:
    """IPIRI of every kind of event, with every address of the target."""
    iri_type, access = KINDS[kind]
    values = [address_value(text) for text in addresses]
    versions = {value["iP-type"] for value in values}
    contents: dict[str, Any] = {
        "accessEventType": access, "targetUsername": b"", "internetAccessType": "undefined",
        "iPVersion": versions.pop() if len(versions) == 1 else "iPV4andV6",
    }  # fmt: skip
    contents |= dict(zip(["targetIPAddress", "additionalIPAddress"], values, strict=False))
    if values[2:]:
        contents["otherTargetIdentifiers"] = [("iPAddress", value) for value in values[2:]]
    iri = ("iPIRI", {"iPIRIObjId": IRI_ID, "iPIRIContents": contents})
    payload = ("iRIPayloadSequence", [{"iRIType": iri_type, "iRIContents": iri}])
    raw = NAMES.pdu(number, ns, event_payload(Event(kind, ns, tuple(addresses))))
    assert raw == reference({"pSHeader": header(number, ns), "payload": payload})
    assert READER.decode(raw).event == iri_type[4:].lower()


@pytest.mark.parametrize("name", sorted(NULLS))
def test_messages_without_content_equal_the_schema(name: str) -> None:
    """Every TRI that is a NULL."""
    raw = NAMES.pdu(3, T0, tri(NULLS[name]))
    assert raw == reference({"pSHeader": header(3, T0), "payload": ("tRIPayload", (name, None))})
    assert READER.decode(raw).message == name


def test_options_and_messages_equal_the_schema() -> None:
    """optionRequest, optionResponse both ways, operatorLeaMessage at its longest."""
    option = ("pDUAcknowledgement", None)
    text = "x" * 300
    for payload, value in (
        (option_request(), ("optionRequest", {"requestedOptions": [option]})),
        (option_response(True), ("optionResponse", {"acceptedOptions": [option], "declinedOptions": []})),
        (option_response(False), ("optionResponse", {"acceptedOptions": [], "declinedOptions": [option]})),
        (operator_message(text), ("operatorLeaMessage", {"messagePriority": "error", "message": b"x" * 255})),
    ):
        assert NAMES.pdu(0, T0, payload) == reference({"pSHeader": header(0, T0), "payload": ("tRIPayload", value)})


def test_generalized_time_is_the_packets_own() -> None:
    """With `time=generalized` the header has timeStamp, to the microsecond, and nothing else changes."""
    for ns, text in ((T0, "20260301120000.123456Z"), (951_782_399_999_999_000, "20000228235959.999999Z"),
                     (951_825_600_000_000_000, "20000229120000.000000Z"), (1_000, "19700101000000.000001Z"),
                     (4_107_542_399_000_001_000, "21000228235959.000001Z")):  # fmt: skip
        data, _ = encoded("content", packet(bytes(64), **UDP, utc_ns=ns), [bytes(64)], time="generalized")
        assert b"\x85\x16" + text.encode() in data
        (pdu,) = pdus(data)
        assert pdu.utc_ns == ns // 1000 * 1000
        assert "microSecondTimeStamp" not in str(pdu.tree)


def test_openssl_reads_every_pdu(tmp_path: Path) -> None:
    """`openssl asn1parse` accepts the whole of a stream, element by element."""
    data, _ = encoded("content", packet(bytes(1514), **UDP), [bytes(1514)], integrity="sha256", signature="ecdsa")
    file = tmp_path / "pdus.ber"
    for raw in (pdu.raw for pdu in pdus(data)):
        file.write_bytes(raw)
        run = subprocess.run(
            ["openssl", "asn1parse", "-inform", "DER", "-in", str(file)], capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.count("cons") >= 5
    assert [value["payload"][0] for value in read(data)] == ["cCPayloadSequence", "tRIPayload"]


@pytest.mark.parametrize("options", [{}, {"encryption": "aes-256-cbc"}, {"signature": "eddsa"}])
def test_whole_streams_are_written_as_asn1tools_writes_them(options: dict[str, str]) -> None:
    """Whatever stands in a stream with checks, what asn1tools reads it encodes to the same octets."""
    options = {"integrity": "sha512", "signature": "ecdsa", "acknowledgement": "request", **options}
    one = encoder(FORM, info("content", options, keys=KEYS))
    frames = [bytes(14) + b"E" * (1 + 37 * i) for i in range(120)]
    out = one.event(Event("begin", T0, ("203.0.113.7", "2001:db8::/32", "192.0.2.0/24")))
    out += encode_all(one, numbered([packet(frame) for frame in frames]), frames)[0]
    out += one.gap(Gap(3, 121, "quota", T0, T0)) + one.event(Event("end", T0))
    found = split(READER, out)
    assert len(found) > 120
    for raw in found:
        assert reference(schema().decode("PS-PDU", raw)) == raw
