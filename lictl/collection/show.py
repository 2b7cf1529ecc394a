# SPDX-License-Identifier: Apache-2.0
"""PDUs and records for people and for programs: a line, a tree, a plain value."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lictl.handover.decoded import Interface, Loss, Opening, Record
from lictl.printable import printable
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.handover.decoded import Item
    from lictl.handover.pdu import Node, Pdu

_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "ICMPv6", 132: "SCTP"}
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_SHOWN = 64


def when(ns: int | None) -> str:
    """RFC 3339, "-" for none; an impossible time as its number."""
    if ns is None:
        return "-"
    with contextlib.suppress(OverflowError):
        return format_rfc3339(ns)
    return f"{ns} ns"


def line(pdu: Pdu) -> str:
    """One PDU in one line."""
    parts = [when(pdu.utc_ns), pdu.message or pdu.kind]
    if pdu.liid:
        parts.append(f"liid={_clean(pdu.liid)}")
    if pdu.stream:
        parts.append(f"stream={_clean(pdu.stream)}")
    if pdu.sequence is not None:
        parts.append(f"seq={pdu.sequence}")
    if pdu.event:
        parts.append(f"event={_clean(pdu.event)}")
    if pdu.record is not None:
        parts.append(record_text(pdu.record))
    if pdu.loss is not None:
        parts.append(f"lost={pdu.loss.lost} from {pdu.loss.first_sequence}: {_clean(pdu.loss.reason)}")
    if pdu.check is not None:
        what = "signature" if pdu.check.signature else "digest"
        parts.append(f"{pdu.check.algorithm or 'unknown'} {what} over {len(pdu.check.numbers)} {pdu.check.of}")
    return "  ".join(parts)


def item_line(item: Item) -> str:
    """One item of a stream that is not made of PDUs."""
    if isinstance(item, Opening):
        return f"opening  liid={_clean(item.liid)}  mode={_clean(item.mode)}"
    if isinstance(item, Interface):
        return f"interface {item.number}  {_clean(item.name)}  {_clean(item.hook)}"
    if isinstance(item, Loss):
        numbers = f"from {item.first_sequence}" if item.lost else "unknown"
        return f"{when(item.from_ns)}  lost={item.lost} {numbers}: {_clean(item.reason)}  until {when(item.to_ns)}"
    lost = f"lost before={item.lost_before}  " if item.lost_before else ""
    return f"{when(item.utc_ns)}  seq={item.sequence}  {lost}{record_text(item)}"


def record_text(record: Record) -> str:
    """Direction, ends and length of a packet."""
    found = ends(record)
    arrow = {"from": "from target", "to": "to target", "both": "between targets"}.get(record.direction, "direction ?")
    protocol = found.protocol
    name = "" if protocol is None else _PROTOCOLS.get(protocol, f"protocol {protocol}")
    flags = "" if found.tcp_flags is None else ",".join(n for i, n in enumerate(_FLAGS) if found.tcp_flags >> i & 1)
    size = f"{len(record.data)} octets" if record.data is not None else ""
    size = size or (f"length {record.ip_length}" if record.ip_length is not None else "")
    way = ""
    if found.source is not None:
        way = f"{_end(found.source, found.source_port)} > {_end(found.destination, found.destination_port)}"
    icmp = f"type {found.icmp_type}" if found.icmp_type is not None else ""
    return " ".join(part for part in (arrow, name, way, flags, icmp, size) if part)


def _end(address: str | None, port: int | None) -> str:
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def ends(record: Record) -> Record:
    """The record with what the headers of its packet say, where the format itself does not."""
    if record.data is None or record.source is not None:
        return record
    from lictl.collection.packets import headers

    return headers(record)


def tree(pdu: Pdu) -> Iterator[str]:
    """All fields, indented."""
    for node in pdu.tree:
        yield from _branch(node, 1)


def _branch(node: Node, depth: int) -> Iterator[str]:
    value = f": {_clean(node.value, 4 * _SHOWN)}" if node.value else ""
    yield f"{'  ' * depth}{node.name}{value}"
    for part in node.parts:
        yield from _branch(part, depth + 1)


def item_tree(item: Item) -> Iterator[str]:
    """All fields of an item, indented."""
    for name, value in item_plain(item).items():
        if name != "type":
            yield f"  {name}: {_clean(str(value), 4 * _SHOWN)}"


def plain(pdu: Pdu) -> dict[str, Any]:
    """A value for JSON; octets as hex, fields that are not there left out."""
    value: dict[str, Any] = {
        "format": pdu.format, "kind": pdu.kind, "message": pdu.message, "liid": pdu.liid, "stream": pdu.stream,
        "sequence": pdu.sequence, "time": None if pdu.utc_ns is None else when(pdu.utc_ns), "event": pdu.event,
    }  # fmt: skip
    value = {name: part for name, part in value.items() if part not in (None, "")}
    if pdu.record is not None:
        value["packet"] = _present(ends(pdu.record))
    if pdu.loss is not None:
        value["loss"] = asdict(pdu.loss)
    if pdu.check is not None:
        value["check"] = _hexed(asdict(pdu.check))
    return value


def plain_tree(nodes: tuple[Node, ...]) -> list[Any]:
    """Fields as [name, value or fields] pairs: names may come twice, their order means something."""
    return [[node.name, plain_tree(node.parts) if node.parts else node.value] for node in nodes]


def item_plain(item: Item) -> dict[str, Any]:
    """An item as a value for JSON."""
    if isinstance(item, Record):
        return {"type": "packet", "time": when(item.utc_ns), **_present(ends(item))}
    if isinstance(item, Loss):
        return {
            "type": "loss", "lost": item.lost, "first_sequence": item.first_sequence, "reason": item.reason,
            "from": when(item.from_ns), "to": when(item.to_ns),
        }  # fmt: skip
    return {"type": type(item).__name__.lower(), **asdict(item)}


def _present(record: Record) -> dict[str, Any]:
    return {name: value for name, value in _hexed(asdict(record)).items() if value is not None}


def _hexed(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part.hex() if isinstance(part, bytes) else part for name, part in value.items()}


def _clean(text: str, limit: int = _SHOWN) -> str:
    """Nothing that a sender wrote may steer a terminal or flood it."""
    shown = printable(text[:limit])
    return shown + "..." if len(text) > limit else shown
