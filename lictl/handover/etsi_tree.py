# SPDX-License-Identifier: Apache-2.0
"""The fields of a PS-PDU by the tables of `etsi_fields`: as values for programs and as a tree for people."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from lictl.handover.ber_reader import Element, elements
from lictl.handover.decoded import DecodeError
from lictl.handover.pdu import Node

_SHOWN: Final = 64
"""Octets of a run that people are shown."""
_MAX_INTEGER: Final = 9
Value = Any
"""bytes, int, str, or a dict of fields, or a list of such."""


def fields(data: bytes, where: Element, name: str, kind: Any) -> tuple[Value, Node]:
    """Reads an element's content as a field of a kind.

    Raises:
        DecodeError: it is none.
    """
    if isinstance(kind, dict):
        return _table(data, where, name, kind)
    if isinstance(kind, list):
        return _each(data, where, name, kind[0])
    content = data[where.begin : where.end]
    if isinstance(kind, tuple):
        number = _integer(content)
        known = kind[number] if 0 <= number < len(kind) and kind[number] else "unknown"
        return number, Node(name, f"{known} ({number})")
    return _leaf(content, name, kind)


def _table(data: bytes, where: Element, name: str, table: dict[int, Any]) -> tuple[dict[str, Value], Node]:
    values: dict[str, Value] = {}
    parts = []
    for child in elements(data, where.begin, where.end):
        value, node = _member(data, child, table)
        if value is not None:
            values.setdefault(node.name, value)
        parts.append(node)
    return values, Node(name, "", tuple(parts))


def _member(data: bytes, child: Element, table: dict[int, Any]) -> tuple[Value, Node]:
    """A child by its context tag; what is not known to the table is shown and otherwise passed over."""
    known = table.get(child.number) if child.context else None
    if known is None:
        return None, Node(f"[{child.number}]", _octets(data[child.begin : child.end]))
    return fields(data, child, known[0], known[1])


def _each(data: bytes, where: Element, name: str, kind: Any) -> tuple[list[Value], Node]:
    values: list[Any] = []
    parts = []
    for child in elements(data, where.begin, where.end):
        if isinstance(kind, dict) and child.context:  # a CHOICE stands there by itself
            value, node = _member(data, child, kind)
            values.append({node.name: value})
        else:
            value, node = fields(data, child, "", kind)
            values.append(value)
        parts.append(node)
    if kind == "int":
        return values, Node(name, _runs(values))
    return values, Node(name, "", tuple(parts))


def _leaf(content: bytes, name: str, kind: str) -> tuple[Value, Node]:
    if kind == "int":
        number = _integer(content)
        return number, Node(name, str(number))
    if kind in ("text", "time"):
        text = content.decode("utf-8", "backslashreplace")
        return (content if kind == "text" else text), Node(name, text[: _SHOWN * 4])
    if kind == "address":
        if len(content) not in (4, 16):
            raise DecodeError(f"{name}: an address of {len(content)} octets")
        address = str(ipaddress.ip_address(content))
        return address, Node(name, address)
    return content, Node(name, _octets(content))


def _integer(content: bytes) -> int:
    if not 1 <= len(content.lstrip(b"\0") or b"\0") <= _MAX_INTEGER or not content:
        raise DecodeError(f"an integer of {len(content)} octets")
    return int.from_bytes(content, signed=True)


def _octets(content: bytes) -> str:
    if len(content) <= _SHOWN:
        return content.hex()
    return f"{content[:_SHOWN].hex()}… ({len(content)} octets)"


def _runs(numbers: list[int]) -> str:
    """Numbers as runs: 0-999, 1002."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
