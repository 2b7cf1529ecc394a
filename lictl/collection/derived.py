# SPDX-License-Identifier: Apache-2.0
"""What an investigator opens beside the stream as it came: pcapng of content, CSV of header reports, JSON lines."""

from __future__ import annotations

import csv
import io
import json
import struct
from typing import TYPE_CHECKING, Any

from lictl.collection.packets import link_type
from lictl.collection.show import ends, plain, plain_tree, when
from lictl.printable import printable
from lictl.times import now_ns

if TYPE_CHECKING:
    from lictl.handover.decoded import Record
    from lictl.handover.pdu import Pdu

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_INBOUND, _OUTBOUND = 1, 2
_FORMULAS = ("=", "+", "-", "@")
COLUMNS = (
    "time", "sequence", "stream", "direction", "ip_version", "protocol", "source", "source_port", "destination",
    "destination_port", "ip_length", "tcp_flags", "icmp_type", "icmp_code", "fragment", "message",
)  # fmt: skip


def pcapng_section(liid: str) -> bytes:
    """A section header (draft-ietf-opsawg-pcapng) whose comment names the LIID."""
    comment = f"LIID={liid} case=- operator=- element=- country=- mode=content"
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(1, comment.encode()) + _option(0, b"")
    return _block(_SECTION, body)


def pcapng_interface(link: int) -> bytes:
    """An interface of a link type; times in nanoseconds."""
    return _block(_INTERFACE, struct.pack("<HHI", link, 0, 0) + _option(9, b"\x09") + _option(0, b""))


def pcapng_packet(pdu: Pdu, record: Record, interface: int) -> bytes:
    """A packet; without a time of its own it has that of its receipt."""
    data = record.data or b""
    ns = pdu.utc_ns if pdu.utc_ns is not None else now_ns()
    ns = min(max(ns, 0), (1 << 64) - 1)
    flags = {"to": _INBOUND, "from": _OUTBOUND}.get(record.direction, 0)
    number = pdu.sequence if pdu.sequence is not None else record.sequence
    body = struct.pack("<IIIII", interface, ns >> 32, ns & 0xFFFFFFFF, len(data), max(len(data), _wire(record)))
    body += data + bytes(-len(data) % 4)
    body += _option(1, f"LIID={_word(pdu.liid)} seq={number}".encode()) + _option(2, struct.pack("<I", flags))
    return _block(_PACKET, body + _option(4, struct.pack("<Q", record.lost_before)) + _option(0, b""))


def link_of(record: Record) -> int:
    """LINKTYPE of a packet."""
    return link_type(record)


def csv_head() -> bytes:
    """The first line."""
    return _row(COLUMNS)


def csv_row(pdu: Pdu, record: Record) -> bytes:
    """One header report; an empty field is one that the report does not have."""
    record = ends(record)
    about: dict[str, Any] = {"time": when(pdu.utc_ns), "sequence": pdu.sequence, "stream": pdu.stream}
    about["message"] = pdu.message
    return _row([about.get(name, getattr(record, name, None)) for name in COLUMNS])


def json_line(pdu: Pdu) -> bytes:
    """One PDU that is not content, with all its fields where it is an event."""
    value = {"received": when(now_ns()), **plain(pdu)}
    if pdu.record is None:
        value["fields"] = plain_tree(pdu.tree)
    return json.dumps(value).encode() + b"\n"


def _row(values: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([_cell(value) for value in values])
    return out.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    """A spreadsheet takes text that begins so for a formula, and some of the fields are what the sender chose."""
    if isinstance(value, str):
        value = printable(value)
        return f"'{value}" if len(value) > 1 and value.startswith(_FORMULAS) else value
    return "" if value is None else value


def _wire(record: Record) -> int:
    return min(record.wire_length or 0, 0xFFFFFFFF)


def _word(text: str) -> str:
    return "".join(char if char.isprintable() and not char.isspace() else "?" for char in text) or "-"


def _option(code: int, value: bytes) -> bytes:
    value = value[:0xFFFF]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size
