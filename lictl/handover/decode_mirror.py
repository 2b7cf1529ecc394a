# SPDX-License-Identifier: Apache-2.0
"""Reads TZSP and PacketCable CCC: one datagram, or a file of datagrams each behind its length (big-endian u32)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from lictl.handover.decoded import DecodeError, Item, Opening, Record
from lictl.handover.numbering import Numbering
from lictl.handover.pdu import MAX_PDU, Node, Pdu
from lictl.handover.pdu_stream import read
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.handover.pdu import PduFormat

_NTP_EPOCH = 2_208_988_800
_ENCAPSULATIONS = {1: "Ethernet", 7: "IP"}
_TAG_END, _TAG_PAD, _TAG_NUMBER, _TAG_TIME = 1, 0, 0x28, 0x52
_TAGS = {
    0x0A: "signal", 0x0B: "noise", 0x0C: "rate", 0x0D: "radio time", 0x28: "packet id", 0x29: "original length",
    0x3C: "sensor", 0x50: "device", 0x51: "location", 0x52: "timestamp", 0x53: "information", 0x54: "capture id",
}  # fmt: skip
_CCC_HEADERS = (4, 12, 20)


class _Datagram:
    """What both have in common: a datagram is one PDU, and only its own end says where that ends."""

    def length(self, data: memoryview) -> int:
        """All of it: these formats cannot be taken apart where datagrams have been run together."""
        if len(data) > MAX_PDU:
            raise DecodeError("longer than any datagram")
        return len(data)


class TzspFormat(_Datagram):
    """`lictl.handover.pdu.PduFormat` of TZSP; a datagram is a PDU."""

    name: ClassVar[str] = "tzsp"

    def decode(self, pdu: bytes) -> Pdu:
        """Head, tags and frame of one datagram."""
        if len(pdu) < 5 or pdu[0] != 1 or pdu[1] not in (0, 1):
            raise DecodeError("not a packet in TZSP version 1")
        encapsulation = int.from_bytes(pdu[2:4])
        tags, at = _tags(pdu)
        number = int.from_bytes(tags[_TAG_NUMBER]) if len(tags.get(_TAG_NUMBER, b"")) == 4 else None
        stamp = tags.get(_TAG_TIME, b"")
        utc_ns = int.from_bytes(stamp[:4]) * 10**9 + int.from_bytes(stamp[4:]) if len(stamp) == 8 else None
        record = Record(
            sequence=number or 0, utc_ns=utc_ns or 0, lost_before=0, interface=0, direction="unknown",
            wire_length=len(pdu) - at, ip_offset=0 if encapsulation == 7 else None, data=pdu[at:],
        )  # fmt: skip
        tree = (
            Node("encapsulation", _ENCAPSULATIONS.get(encapsulation, str(encapsulation))),
            *(Node(_TAGS.get(tag, f"tag {tag}"), value.hex()) for tag, value in tags.items()),
            Node("frame", pdu[at:].hex()),
        )
        return Pdu(self.name, "cc", pdu, "TZSP", sequence=number, utc_ns=utc_ns, record=record, tree=tree)


class CccFormat(_Datagram):
    """`lictl.handover.pdu.PduFormat` of CCC; the length of the header follows from where an IP packet fits.

    Args:
        header: 4, 12 or 20 octets; 0: found out for each datagram.
    """

    name: ClassVar[str] = "ccc"

    def __init__(self, header: int = 0) -> None:
        self._header = header

    def decode(self, pdu: bytes) -> Pdu:
        """CCCID, time, case id and packet of one datagram."""
        at = self._header or _header_of(pdu)
        if len(pdu) <= at or pdu[at] >> 4 not in (4, 6):
            raise DecodeError("no IP packet behind a CCC header")
        cccid = int.from_bytes(pdu[:4])
        utc_ns = _ntp(pdu[4:12]) if at > 4 else None
        record = Record(
            sequence=0, utc_ns=utc_ns or 0, lost_before=0, interface=0, direction="unknown", ip_version=pdu[at] >> 4,
            wire_length=len(pdu) - at, ip_offset=0, data=pdu[at:],
        )  # fmt: skip
        tree = (
            Node("CCCID", str(cccid)),
            *((Node("time", format_rfc3339(utc_ns)),) if utc_ns is not None else ()),
            *((Node("case id", str(int.from_bytes(pdu[12:20]))),) if at > 12 else ()),
            Node("packet", pdu[at:].hex()),
        )
        return Pdu(self.name, "cc", pdu, "CCC", liid=str(cccid), utc_ns=utc_ns, record=record, tree=tree)


def decode_tzsp(stream: BinaryIO) -> Iterator[Item]:
    """Frames of a file of datagrams; numbered as their tags say, else from 1.

    Raises:
        DecodeError: not such a file, or damaged.
    """
    return _decode(TzspFormat(), stream)


def decode_ccc(stream: BinaryIO) -> Iterator[Item]:
    """Packets of a file of datagrams, numbered from 1; same errors."""
    return _decode(CccFormat(), stream)


def datagrams(stream: BinaryIO) -> Iterator[bytes]:
    """The datagrams of a file in which each stands behind its length.

    Raises:
        DecodeError: a length is impossible, or the file ends inside one.
    """
    offset = 0
    while head := read(stream, 4, offset, at_start=True):
        size = int.from_bytes(head)
        if not 0 < size <= MAX_PDU:
            raise DecodeError(f"offset {offset}: no datagram has {size} octets")
        yield read(stream, size, offset + 4)
        offset += 4 + size


def _decode(format_: PduFormat, stream: BinaryIO) -> Iterator[Item]:
    numbering, known = Numbering(32, 1), ""
    for count, raw in enumerate(datagrams(stream), 1):
        pdu = format_.decode(raw)
        if pdu.record is None:
            continue
        if count == 1 or pdu.liid != known:
            known = pdu.liid
            yield Opening("content", known)
        sequence, lost = (count, 0) if pdu.sequence is None else numbering.take(pdu.sequence)
        yield replace(pdu.record, sequence=sequence, lost_before=lost)


def _tags(pdu: bytes) -> tuple[dict[int, bytes], int]:
    """The tags and where the frame begins."""
    tags: dict[int, bytes] = {}
    at = 4
    while at < len(pdu):
        tag = pdu[at]
        if tag == _TAG_END:
            return tags, at + 1
        if tag == _TAG_PAD:
            at += 1
            continue
        size = pdu[at + 1] if at + 1 < len(pdu) else len(pdu)
        tags.setdefault(tag, pdu[at + 2 : at + 2 + size])
        at += 2 + size
    raise DecodeError("the tags have no end")


def _header_of(pdu: bytes) -> int:
    """Where an IP packet of just the rest's length begins, else where one could."""
    for at in _CCC_HEADERS:
        if _ip_length(pdu[at : at + 40]) == len(pdu) - at:
            return at
    for at in _CCC_HEADERS:
        if len(pdu) > at and pdu[at] in (0x45, 0x60):
            return at
    raise DecodeError("no IP packet behind a CCC header")


def _ip_length(head: bytes) -> int:
    """What the header says of its packet's length, 0 where it is none."""
    if len(head) >= 20 and head[0] >> 4 == 4:
        return int.from_bytes(head[2:4])
    if len(head) >= 40 and head[0] >> 4 == 6:
        return 40 + int.from_bytes(head[4:6])
    return 0


def _ntp(stamp: bytes) -> int:
    """UTC ns of an NTP time stamp of the era that began in 1900, or of the next one (RFC 5905, 6)."""
    seconds = int.from_bytes(stamp[:4])
    if seconds < 1 << 31:
        seconds += 1 << 32
    return max(seconds - _NTP_EPOCH, 0) * 10**9 + (int.from_bytes(stamp[4:]) * 10**9 + (1 << 31) >> 32)
