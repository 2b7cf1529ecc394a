# SPDX-License-Identifier: Apache-2.0
"""Reads CmC and CmII messages (ATIS-1000013, T1.IAS), those of other systems too: docs/formats/atis-1000013.md."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Final

from lictl.handover.atis_codec import CONTEXT, OBJECT_IDENTIFIER, SEQUENCE, extent, read
from lictl.handover.atis_messages import CMII_OID, CONTENT_APDU, IAS_MESSAGE, OID, OPTIONAL_MESSAGE
from lictl.handover.decoded import DecodeError, Item, Opening, Record
from lictl.handover.pdu import MAX_PDU, Node, Pdu, Totals
from lictl.handover.pdu_stream import pdus

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_REPORT, SUMMARY_REPORT = "data-Header-Report", "data-Summary-Report"
_SHORT: Final = {HEADER_REPORT: "PDHR", SUMMARY_REPORT: "PDSR"}
_TIME: Final = re.compile(r"(\d{8})(\d\d)(\d\d)?(\d\d)?(?:[.,](\d+))?(Z|[+-]\d\d(?:\d\d)?)?", re.ASCII)
_STATUS: Final = re.compile(
    r"packets delivered (\d{1,20}), lost (\d{1,20}); content identifier ([!-~]{1,255})", re.ASCII
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_TAGS: Final = frozenset((OBJECT_IDENTIFIER, CONTEXT | 0x20, CONTEXT | 1))
_DIRECTIONS: Final = {"fromSubject": "from", "toSubject": "to"}
_TARGET: Final = ("static", "dynamic", "unknown")
"""How an address was allocated is a question of the target's only: the other party's is "notApplicable"."""


class AtisFormat:
    """`lictl.handover.pdu.PduFormat` of CmC and CmII."""

    name: ClassVar[str] = "atis-1000013"

    def length(self, data: memoryview) -> int:
        """A SEQUENCE that begins with an object identifier (CmII), a delivery header or a payload (CmC)."""
        if len(data) and data[0] != SEQUENCE:
            raise DecodeError(f"no message of CmC or CmII begins with {data[0]:02x}")
        start, size = extent(data, 0)
        if start < 0 or start >= len(data):
            return 0
        if data[start] not in _FIRST_TAGS or not 2 <= size <= MAX_PDU - start:
            raise DecodeError(f"no message of CmC or CmII has {data[start]:02x} first and {size} octets")
        return start + size

    def decode(self, pdu: bytes) -> Pdu:
        """Everything in one message; the record's number is that of the message."""
        tag, body, end = read(pdu, 0)
        if tag != SEQUENCE or end != len(pdu) or not body:
            raise DecodeError("not one whole message")
        return _cmii(pdu, body) if body[0] == OBJECT_IDENTIFIER else _cmc(pdu, body)


def decode_atis(stream: BinaryIO) -> Iterator[Item]:
    """An opening wherever another case or mode begins, and records; summaries and events hold none.

    Raises:
        DecodeError: not CmC or CmII, or damaged.
    """
    format_, current = AtisFormat(), ("", "")
    last: dict[tuple[str, str], int] = {}
    for raw in pdus(format_, stream):
        pdu = format_.decode(raw)
        if pdu.record is None:
            continue
        name = ("content" if pdu.kind == "cc" else "headers", pdu.stream)
        if name != current:
            current = name
            yield Opening(*name, {"case": pdu.liid})
        before = last.get(name, 0)  # numbers begin at 1
        last[name] = max(before, pdu.record.sequence)
        yield replace(pdu.record, lost_before=max(pdu.record.sequence - before - 1, 0))


def _cmc(pdu: bytes, body: bytes) -> Pdu:
    value = CONTENT_APDU.decode(body)
    header = value.get("ccDeliveryHeader", {})
    about, payload = header.get("correlationInfo", {}), value.get("payload")
    if payload is None:
        raise DecodeError("a content message without payload")
    utc_ns, sequence = _time(header.get("timeStamp")), header.get("sequenceNumber")
    record = Record(
        sequence=max(sequence or 0, 0), utc_ns=utc_ns or 0, lost_before=0, interface=0,
        direction=_DIRECTIONS.get(header.get("packetDirection", ""), "unknown"), wire_length=len(payload),
        ip_version=payload[0] >> 4 if payload and payload[0] >> 4 in (4, 6) else None, ip_offset=0, data=payload,
    )  # fmt: skip
    return Pdu(
        format=AtisFormat.name, kind="cc", raw=pdu, message="CmC", liid=about.get("caseId", ""),
        stream=_identifier(about.get("contentIdentifier")), sequence=sequence, utc_ns=utc_ns, record=record,
        tree=_parts(value),
    )  # fmt: skip


def _cmii(pdu: bytes, body: bytes) -> Pdu:
    _, oid, at = read(body, 0)
    protocol = OID.decode(oid)
    module = IAS_MESSAGE if protocol == CMII_OID else OPTIONAL_MESSAGE
    name, value = module.decode(body[at:])
    if not isinstance(value, dict):  # one that we have no table of
        value = {"contents": value}
    utc_ns = _time(value.get("timestamp"))
    record = _header_report(value, utc_ns) if name == HEADER_REPORT else None
    stream, totals = _totals(value.get("surveillanceStatus"))
    return Pdu(
        format=AtisFormat.name, kind="iri", raw=pdu, message=_SHORT.get(name, name), liid=value.get("caseId", ""),
        stream=_identifier(value.get("contentIdentifier")) or stream, sequence=record.sequence if record else None,
        utc_ns=utc_ns, record=record, event="" if name in _SHORT else name, totals=totals,
        tree=(Node("protocolIdentifier", protocol), Node(name, parts=_parts(value))),
    )  # fmt: skip


def _totals(status: Any) -> tuple[str, Totals | None]:
    """The stream that a status of lictl's names and what it says of it; other systems write what they like."""
    found = _STATUS.search(status) if isinstance(status, str) else None
    if found is None:
        return "", None
    delivered, lost = int(found[1]), int(found[2])
    return found[3], Totals(delivered, lost, delivered + lost)


def _header_report(value: dict[str, Any], utc_ns: int | None) -> Record:
    header = value.get("headerSet", {})
    source, source_is_target = _address(header.get("sourceIPaddress"))
    destination, destination_is_target = _address(header.get("destinationIPaddress"))
    stream = header.get("streamID", ("", None))
    number = stream[1] if stream[0] == "integer" else 0
    known = source is not None and destination is not None and bool(int(source) | int(destination))
    return Record(
        sequence=max(number, 0), utc_ns=utc_ns or 0, lost_before=0, interface=0,
        direction=("unknown", "from", "to", "both")[source_is_target + 2 * destination_is_target],
        ip_version=source.version if source is not None and known else None, source=str(source) if known else None,
        destination=str(destination) if known else None,
        source_port=_port(header.get("sourcePortNumber")), destination_port=_port(header.get("destinationPortNumber")),
    )  # fmt: skip


def _address(value: Any) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address | None, bool]:
    """An IPAddress, and whether it is the target's; OpenCALEA writes IPv4 as ASCII."""
    if not isinstance(value, dict):
        return None, False
    octets = value.get("address", ("", b""))[1]
    try:
        address = ipaddress.ip_address(octets if len(octets) in (4, 16) else octets.decode("ascii"))
    except ValueError:  # UnicodeDecodeError is one
        raise DecodeError(f"an IP address of {len(octets)} octets") from None
    return address, _is_target(value)


def _is_target(value: dict[str, Any]) -> bool:
    return value.get("allocationMethod", ("",))[0] in _TARGET


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 0xFFFF:
        raise DecodeError("a port that is no number up to 65535")
    return int(text)


def _identifier(value: Any) -> str:
    """A content identifier as text."""
    if not value:
        return ""
    inner = value[1]
    if isinstance(inner, dict):
        return ":".join(str(inner[name]) for name in ("main", "leg") if name in inner)
    return str(inner.decode("utf-8", "backslashreplace"))


def _time(text: str | None) -> int | None:
    """UTC ns of a GeneralizedTime, whose fraction may be one of a minute or of an hour; without a zone it is UTC."""
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise DecodeError("a time that is no GeneralizedTime")
    day, hour, minute, second, fraction, zone = match.groups()
    unit = 1 if second else 60 if minute else 3600
    try:
        moment = dt.datetime.strptime(day, "%Y%m%d").replace(hour=int(hour), minute=int(minute or 0), tzinfo=dt.UTC)
        since = moment - _EPOCH
    except ValueError:
        raise DecodeError("a time that no calendar has") from None
    seconds = since.days * 86400 + since.seconds + int(second or 0)
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[3:5] or 0) * 60
        seconds += offset if zone[0] == "-" else -offset
    if seconds < 0:
        raise DecodeError("a time before 1970")
    part = (fraction or "0")[:18]
    return int(seconds * 10**9 + int(part) * unit * 10**9 // 10 ** len(part))


def _parts(value: dict[str, Any]) -> tuple[Node, ...]:
    return tuple(_node(name, inner) for name, inner in value.items())


def _node(name: str, value: Any) -> Node:
    """Fields for people: alternatives of a CHOICE and lists become parts."""
    if isinstance(value, dict):
        return Node(name, parts=_parts(value))
    if isinstance(value, list):
        return Node(name, parts=tuple(_node(str(number), each) for number, each in enumerate(value)))
    if isinstance(value, tuple):
        return Node(name, parts=(_node(*value),))
    if isinstance(value, bytes):
        return Node(name, _shown(name, value))
    return Node(name, "" if value is None else str(value))


def _shown(name: str, octets: bytes) -> str:
    if name in ("ipV4", "ipV6") and len(octets) in (4, 16):
        return str(ipaddress.ip_address(octets))
    if octets.isascii() and octets.decode("ascii").isprintable() and name != "payload":
        return octets.decode("ascii")
    return octets.hex()
