# SPDX-License-Identifier: Apache-2.0
"""Reads X2 and X3 PDUs (ETSI TS 103 221-2): any version and length of timestamp, unknown attributes passed over."""

from __future__ import annotations

import ipaddress
import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from lictl.handover.decoded import FRAGMENTS, DecodeError, Item, Loss, Opening, Record
from lictl.handover.numbering import Numbering
from lictl.handover.pdu import MAX_PDU, Node, Pdu, Totals
from lictl.handover.pdu_stream import pdus
from lictl.handover.x2x3_elements import (
    ATTRIBUTE,
    FORMAT_PROPRIETARY,
    HEAD,
    KEEPALIVE,
    KEEPALIVE_ACK,
    OWN,
    TIMES,
    X2,
    X3,
    session_pdu,
)
from lictl.times import format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.handover.pdu import PduKind

_MAX_HEADER = 1 << 14
_TYPES = {X2: "X2", X3: "X3", KEEPALIVE: "Keepalive", KEEPALIVE_ACK: "Keepalive acknowledgement"}
_FORMATS = {
    0: "none", 1: "TS 102 232-1", 2: "TS 33.128", 3: "TS 33.108", 4: "proprietary", 5: "IPv4", 6: "IPv6",
    7: "Ethernet", 8: "RTP", 9: "SIP", 10: "DHCP", 11: "RADIUS", 12: "GTP-U", 13: "MSRP", 14: "EPS IRI", 15: "MIME",
    16: "unstructured",
}  # fmt: skip
_DIRECTIONS = {0: "none", 1: "unknown", 2: "to", 3: "from", 4: "both", 5: "not applicable"}
_ATTRIBUTES = {
    1: "TS 102 232-1", 2: "TS 33.128", 3: "TS 33.108", 4: "proprietary", 5: "domain id", 6: "network function id",
    7: "interception point id", 8: "sequence number", 9: "timestamp", 10: "source IPv4", 11: "destination IPv4",
    12: "source IPv6", 13: "destination IPv6", 14: "source port", 15: "destination port", 16: "protocol",
    17: "matched target", 18: "other target", 19: "MIME type", 20: "MIME encoding", 21: "further XID", 22: "SDP",
}  # fmt: skip
_SIZES = {8: (4,), 9: (8, 12, 16), 10: (4,), 11: (4,), 12: (16,), 13: (16,), 14: (2,), 15: (2,), 16: (1,)}
_HAS_TCP_FLAGS, _HAS_ICMP, _HAS_LENGTH = 4, 8, 16


@dataclass(frozen=True, slots=True)
class _Parts:
    """A PDU taken apart; attributes by type, the first one where a type comes twice."""

    type: int
    format: int
    direction: int
    xid: str
    correlation: int
    attributes: dict[int, bytes]
    payload: bytes
    version: int


class X2X3Format:
    """`lictl.handover.pdu.PduFormat` of X2 and X3."""

    name: ClassVar[str] = "etsi-103221-2"

    def length(self, data: memoryview) -> int:
        """Header and payload; known from 12 octets on, refused from the type on."""
        if len(data) >= 4 and int.from_bytes(data[2:4]) not in _TYPES:
            raise DecodeError("no PDU of X2 or X3: its type is none of 1 to 4")
        if len(data) < 12:
            return 0
        header, payload = int.from_bytes(data[4:8]), int.from_bytes(data[8:12])
        if not HEAD.size <= header <= _MAX_HEADER or header + payload > MAX_PDU:
            raise DecodeError(f"no PDU of X2 or X3 has {header} octets of header and {payload} of payload")
        return header + payload

    def decode(self, pdu: bytes) -> Pdu:
        """Everything in one PDU; `sequence` as it stands there, from 0, the record's from 1."""
        parts = _parts(pdu)
        number = parts.attributes.get(8)
        sequence = int.from_bytes(number) if number is not None else None
        utc_ns = _time(parts.attributes.get(9))
        kind, message, event, record = _meaning(parts, sequence, utc_ns)
        return Pdu(
            format=self.name, kind=kind, raw=pdu, message=message, liid=parts.xid if any(pdu[16:32]) else "",
            stream=str(parts.correlation), sequence=sequence, utc_ns=utc_ns, record=record, event=event,
            loss=_loss(parts) if event == "gap" else None, totals=_totals(parts) if event else None, tree=_tree(parts),
        )  # fmt: skip


def decode_x2x3(stream: BinaryIO) -> Iterator[Item]:
    """An opening wherever another XID or mode begins, records, and losses (told ones, and jumps of the number).

    Raises:
        DecodeError: not X2 or X3, or damaged.
    """
    format_, current = X2X3Format(), ("", "")
    numberings: dict[str, Numbering] = {}
    for raw in pdus(format_, stream):
        pdu = format_.decode(raw)
        if pdu.loss is not None:
            loss = replace(pdu.loss, first_sequence=pdu.loss.first_sequence + 1)
            numberings.setdefault(pdu.liid, Numbering(32, 0)).skip(loss.first_sequence + loss.lost - 1)
            yield loss
        if pdu.record is None or pdu.sequence is None:
            continue
        name = ("content" if pdu.kind == "cc" else "headers", pdu.liid)
        if name != current:
            current = name
            yield Opening(*name, {"xid": pdu.liid, "correlation": pdu.stream})
        sequence, lost = numberings.setdefault(pdu.liid, Numbering(32, 0)).take(pdu.sequence)
        yield replace(pdu.record, sequence=sequence, lost_before=lost)


def acknowledgement(keepalive: Pdu) -> bytes:
    """What a mediation function answers: version and number of the keep-alive."""
    return session_pdu(int.from_bytes(keepalive.raw[:2]), KEEPALIVE_ACK, keepalive.sequence)


def _parts(pdu: bytes) -> _Parts:
    if len(pdu) < HEAD.size:
        raise DecodeError("shorter than the header of X2 and X3")
    version, type_, header, payload, format_, direction, xid, correlation = HEAD.unpack_from(pdu)
    if type_ not in _TYPES or not HEAD.size <= header <= _MAX_HEADER or header + payload != len(pdu):
        raise DecodeError("type or lengths are not those of one X2 or X3 PDU")
    attributes: dict[int, bytes] = {}
    at = HEAD.size
    while at < header:
        if at + ATTRIBUTE.size > header:
            raise DecodeError("an attribute is cut short")
        kind, size = ATTRIBUTE.unpack_from(pdu, at)
        at += ATTRIBUTE.size
        if at + size > header or size not in _SIZES.get(kind, (size,)):
            raise DecodeError(f"attribute {kind} cannot be {size} octets long")
        attributes.setdefault(kind, pdu[at : at + size])
        at += size
    return _Parts(type_, format_, direction, str(uuid.UUID(bytes=xid)), correlation, attributes, pdu[header:], version)


def _time(value: bytes | None) -> int | None:
    if value is None:
        return None
    seconds, ns = TIMES[len(value)].unpack(value)
    if ns >= 10**9 or seconds >= 1 << 34:
        raise DecodeError("a timestamp is impossible")
    return int(seconds) * 10**9 + int(ns)


def _meaning(parts: _Parts, sequence: int | None, utc_ns: int | None) -> tuple[PduKind, str, str, Record | None]:
    """Kind, name of the message, event, record."""
    if parts.type == KEEPALIVE:
        return "keepalive", "Keepalive", "", None
    if parts.type == KEEPALIVE_ACK:
        return "keepalive-response", "Keepalive acknowledgement", "", None
    record = _record(parts, (sequence or 0) + 1, utc_ns or 0)
    if parts.type == X3:
        return "cc", f"X3 {_FORMATS.get(parts.format, parts.format)}", "", record
    told = _told(parts)
    if told is not None:
        return "iri", "X2 event", str(told["event"]), None
    return "iri", f"X2 {_FORMATS.get(parts.format, parts.format)}" if parts.payload else "X2 report", "", record


def _told(parts: _Parts) -> dict[str, Any] | None:
    """The event in lictl's own payload, None for any other PDU."""
    if parts.type != X2 or parts.format != FORMAT_PROPRIETARY or not parts.payload.startswith(b'{"event": "'):
        return None
    try:
        told = json.loads(parts.payload)
    except (ValueError, RecursionError):
        raise DecodeError("the text of an event is damaged") from None
    if not isinstance(told, dict) or not isinstance(told.get("event"), str):
        raise DecodeError("the text of an event does not name one")
    return told


def _loss(parts: _Parts) -> Loss:
    told = _told(parts) or {}
    try:
        lost, first = int(told["lost"]), int(told["first"])
        return Loss(lost, first, str(told["reason"]), parse_rfc3339(told["from"]), parse_rfc3339(told["to"]))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise DecodeError("the text of a loss is damaged") from None


def _totals(parts: _Parts) -> Totals | None:
    """What an event says of its stream; a gap says nothing of the whole."""
    told = _told(parts) or {}
    delivered, lost = told.get("records"), told.get("lost")
    if not isinstance(delivered, int) or not isinstance(lost, int) or delivered < 0 or lost < 0:
        return None
    return Totals(delivered, lost, delivered + lost - 1)


def _record(parts: _Parts, sequence: int, utc_ns: int) -> Record:
    direction = _DIRECTIONS.get(parts.direction, "unknown")
    record = Record(sequence, utc_ns, 0, 0, direction if direction in ("to", "from", "both") else "unknown")
    if parts.type == X3:
        is_ip = parts.format in (5, 6)
        return replace(
            record, data=parts.payload, wire_length=len(parts.payload), ip_offset=0 if is_ip else None,
            ip_version={5: 4, 6: 6}.get(parts.format),
        )  # fmt: skip
    has = parts.attributes
    source, destination = has.get(10) or has.get(12), has.get(11) or has.get(13)
    return _with_own(
        replace(
            record, ip_version={4: 4, 16: 6}.get(len(source or b"")), protocol=_number(has.get(16)),
            source=_address(source), destination=_address(destination), source_port=_number(has.get(14)),
            destination_port=_number(has.get(15)),
        ),
        has.get(4, b""),
    )  # fmt: skip


def _with_own(record: Record, own: bytes) -> Record:
    if len(own) != 14 or not own.startswith(OWN):
        return record
    present = own[5]

    def when(flag: int, value: int) -> int | None:
        return value if present & flag else None

    return replace(
        record, ip_length=when(_HAS_LENGTH, int.from_bytes(own[6:10])), tcp_flags=when(_HAS_TCP_FLAGS, own[10]),
        icmp_type=when(_HAS_ICMP, own[11]), icmp_code=when(_HAS_ICMP, own[12]),
        fragment=FRAGMENTS[own[13]] if own[13] < len(FRAGMENTS) else None,
    )  # fmt: skip


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value)


def _address(value: bytes | None) -> str | None:
    return None if value is None else str(ipaddress.ip_address(value))


def _tree(parts: _Parts) -> tuple[Node, ...]:
    return (
        Node("version", f"{parts.version >> 8}.{parts.version & 0xFF}"),
        Node("type", _TYPES[parts.type]),
        Node("payload format", _FORMATS.get(parts.format, str(parts.format))),
        Node("direction", _DIRECTIONS.get(parts.direction, str(parts.direction))),
        Node("XID", parts.xid),
        Node("correlation", str(parts.correlation)),
        *(Node(_ATTRIBUTES.get(kind, f"attribute {kind}"), _shown(kind, v)) for kind, v in parts.attributes.items()),
        Node("payload", _payload(parts)),
    )


def _shown(kind: int, value: bytes) -> str:
    if kind == 9:
        return format_rfc3339(_time(value) or 0)
    if kind in (8, 14, 15, 16):
        return str(int.from_bytes(value))
    if kind in (10, 11, 12, 13):
        return str(_address(value))
    return value.hex()


def _payload(parts: _Parts) -> str:
    told = _told(parts)
    return json.dumps(told) if told is not None else parts.payload.hex()
