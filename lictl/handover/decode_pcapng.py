# SPDX-License-Identifier: Apache-2.0
"""Reads the pcapng that `pcapng.py` writes (draft-ietf-opsawg-pcapng, little-endian sections)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, BinaryIO

from lictl.handover.decoded import MAX_ITEM, DecodeError, Interface, Item, Loss, Opening, Record
from lictl.times import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_DIRECTIONS = {0: "unknown", 1: "to", 2: "from"}
_ABOUT = re.compile(r"LIID=(\S+) case=(.*) operator=(\S+) element=(\S+) country=(\S+) mode=(headers|content)")
_COMMENT = re.compile(r"LIID=(\S+) seq=(\d{1,20})")
_GAP = re.compile(r"LIID=(\S+) gap lost=(\d{1,20}) seq=(\d{1,20})-(\d{1,20}) reason=(\w+) from=(\S+) to=(\S+)")


def decode_pcapng(stream: BinaryIO) -> Iterator[Item]:
    """Openings (sections), interfaces, records and losses; blocks of other kinds are passed over.

    Raises:
        DecodeError: not pcapng of lictl, or damaged; names the offset.
    """
    offset = 0
    state = _Section()
    while head := _read(stream, 8, offset, at_start=True):
        kind, size = struct.unpack("<II", head)
        if size < 12 or size % 4 or size > MAX_ITEM:
            raise DecodeError(f"offset {offset}: a block cannot be {size} octets long")
        rest = _read(stream, size - 8, offset)
        if struct.unpack("<I", rest[-4:])[0] != size:
            raise DecodeError(f"offset {offset}: the two lengths of a block differ")
        try:
            item = state.block(kind, rest[:-4])
        except (struct.error, UnicodeDecodeError, ValueError) as error:
            raise DecodeError(f"offset {offset}: block of kind {kind}: {error}") from None
        if item is not None:
            yield item
        offset += size


class _Section:
    def __init__(self) -> None:
        self._begun = False
        self._interfaces = 0

    def block(self, kind: int, body: bytes) -> Item | None:
        if kind == _SECTION:
            return self._section(body)
        if not self._begun:
            raise ValueError("no section header before it")
        if kind == _INTERFACE:
            return self._interface(body)
        if kind == _PACKET:
            return self._packet(body)
        if kind == _STATISTICS:
            return _loss(body)
        return None

    def _section(self, body: bytes) -> Opening:
        if struct.unpack_from("<I", body)[0] != _BYTE_ORDER:
            raise ValueError("not a little-endian section")
        match = _ABOUT.fullmatch(_options(body[16:]).get(1, b"").decode())
        if match is None:
            raise ValueError("its comment does not name an LIID")
        self._begun, self._interfaces = True, 0
        names = ("liid", "case", "operator", "element", "country", "mode")
        return Opening(match[6], match[1], dict(zip(names, match.groups(), strict=True)))

    def _interface(self, body: bytes) -> Interface:
        options = _options(body[8:])
        if options.get(9) != b"\x09":
            raise ValueError("times are not in nanoseconds")
        self._interfaces += 1
        hook = options.get(3, b"").decode().partition(",")[0]
        return Interface(self._interfaces - 1, options.get(2, b"").decode(), hook)

    def _packet(self, body: bytes) -> Record:
        interface, high, low, captured, original = struct.unpack_from("<IIIII", body)
        if interface >= self._interfaces:
            raise ValueError(f"interface {interface} was not declared")
        if captured > len(body) - 20:
            raise ValueError(f"{captured} octets captured in a block of {len(body)}")
        options = _options(body[20 + captured + -captured % 4 :])
        match = _COMMENT.fullmatch(options.get(1, b"").decode())
        if match is None:
            raise ValueError("its comment does not number it")
        (flags,) = struct.unpack("<I", options.get(2, b""))
        (lost,) = struct.unpack("<Q", options.get(4, b""))
        return Record(
            sequence=int(match[2]),
            utc_ns=high << 32 | low,
            lost_before=lost,
            interface=interface,
            direction=_DIRECTIONS.get(flags & 3, "unknown"),
            wire_length=original,
            data=body[20 : 20 + captured],
        )


def _loss(body: bytes) -> Loss | None:
    match = _GAP.fullmatch(_options(body[12:]).get(1, b"").decode())
    if match is None:
        return None
    return Loss(int(match[2]), int(match[3]), match[5], parse_rfc3339(match[6]), parse_rfc3339(match[7]))


def _options(data: bytes) -> dict[int, bytes]:
    """Each option's first value."""
    options: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            return options
        if at + 4 + size > len(data):
            raise ValueError("an option is longer than its block")
        options.setdefault(code, data[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return options


def _read(stream: BinaryIO, size: int, offset: int, *, at_start: bool = False) -> bytes:
    data = b""
    while len(data) < size and (part := stream.read(size - len(data))):
        data += part
    if len(data) < size and not (at_start and not data):
        raise DecodeError(f"offset {offset}: ends inside a block")
    return data
