# SPDX-License-Identifier: Apache-2.0
"""Reads the msgpack stream; its elements: docs/formats/msgpack.md."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, BinaryIO

import msgpack

from lictl.handover.decoded import CLOCKS, DIRECTIONS, FRAGMENTS, MAX_ITEM, DecodeError, Interface, Item, Loss, Opening
from lictl.handover.decoded import Record as DecodedRecord
from lictl.handover.msgpack_elements import (
    GAP,
    HEADER_ELEMENTS,
    HEADERS,
    INTERFACE,
    OPENING,
    PACKET,
    PACKET_ELEMENTS,
    VERSION,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 16


def decode_msgpack(stream: BinaryIO) -> Iterator[Item]:
    """Openings, interfaces, records and losses.

    Raises:
        DecodeError: not msgpack of lictl, or damaged; names the object.
    """
    unpacker = msgpack.Unpacker(
        max_buffer_size=MAX_ITEM, max_array_len=64, max_map_len=64, max_str_len=4096, max_bin_len=1 << 17,
        max_ext_len=0, strict_map_key=True,
    )  # fmt: skip
    number = 0
    opened = False
    while chunk := stream.read(_CHUNK):
        try:
            unpacker.feed(chunk)
            for value in unpacker:
                number += 1
                item = _item(value)
                if not opened and not isinstance(item, Opening):
                    raise ValueError("there is no opening before it")
                opened = True
                yield item
        except DecodeError:
            raise
        except (ValueError, TypeError, msgpack.UnpackException, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(f"object {number}: {error or type(error).__name__}") from None
    if _unfinished(unpacker):
        raise DecodeError(f"ends inside object {number + 1}")


def _unfinished(unpacker: msgpack.Unpacker) -> bool:
    try:
        return bool(unpacker.read_bytes(1))
    except ValueError:  # it refuses in the middle of an object
        return True


def _item(value: object) -> Item:
    if not isinstance(value, list) or not value or type(value[0]) is not int:
        raise ValueError("not an array that begins with its type")
    kind, rest = value[0], value[1:]
    if kind == OPENING:
        return _opening(*_exactly(rest, 1))
    if kind == HEADERS:
        return _record(_exactly(rest, len(HEADER_ELEMENTS) - 1), None, None, None)
    if kind == PACKET:
        *fields, wire, offset, frame = _exactly(rest, len(PACKET_ELEMENTS) - 1)
        if not isinstance(frame, bytes):
            raise ValueError("the frame is not binary")
        return _record(fields, _number(wire), _number(offset), frame)
    if kind == INTERFACE:
        number, name, hook = _exactly(rest, 3)
        return Interface(_number(number), _text(name), _text(hook))
    if kind == GAP:
        lost, first, reason, from_ns, to_ns = _exactly(rest, 5)
        return Loss(_number(lost), _number(first), _text(reason), _number(from_ns), _number(to_ns))
    raise ValueError(f"type {kind} is not known")


def _opening(about: object) -> Opening:
    if not isinstance(about, dict) or about.get("format") != "lictl-msgpack" or about.get("version") != VERSION:
        raise ValueError("the opening is not of this format and version")
    texts = {name: value for name, value in about.items() if isinstance(value, str)}
    return Opening(_text(about.get("mode")), _text(about.get("liid")), texts)


def _record(values: list[Any], wire: int | None, offset: int | None, frame: bytes | None) -> DecodedRecord:
    sequence, utc_ns, lost, interface, direction, clock = (_number(value) for value in values[:6])
    source, destination = (_address(value) for value in values[8:10])
    version, protocol, sport, dport, length, flags, icmp_type, icmp_code = (
        None if value is None else _number(value) for value in (*values[6:8], *values[10:16])
    )
    return DecodedRecord(
        sequence=sequence,
        utc_ns=utc_ns,
        lost_before=lost,
        interface=interface,
        direction=_named(DIRECTIONS, direction),
        clock=CLOCKS.get(clock),
        ip_version=version,
        protocol=protocol,
        source=source,
        destination=destination,
        source_port=sport,
        destination_port=dport,
        ip_length=length,
        tcp_flags=flags,
        icmp_type=icmp_type,
        icmp_code=icmp_code,
        fragment=_named(FRAGMENTS, _number(values[16])),
        wire_length=wire,
        ip_offset=offset,
        data=frame,
    )


def _exactly(values: list[Any], n: int) -> list[Any]:
    if len(values) != n:
        raise ValueError(f"{len(values)} elements in place of {n}")
    return values


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("an element is not a number from 0")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("an element is not text")
    return value


def _named(names: tuple[str, ...], number: int) -> str:
    if number >= len(names):
        raise ValueError(f"{number} is none of {', '.join(names)}")
    return names[number]


def _address(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, bytes):
        raise ValueError("an address is not binary")
    return str(ipaddress.ip_address(value))
