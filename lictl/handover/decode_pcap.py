# SPDX-License-Identifier: Apache-2.0
"""Reads classic pcap (draft-ietf-opsawg-pcap) in either byte order, micro- or nanoseconds."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

from lictl.handover.decoded import MAX_ITEM, DecodeError, Interface, Item, Opening, Record
from lictl.handover.pdu_stream import read

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = {0xA1B23C4D: 1, 0xA1B2C3D4: 1000}
_ETHERNET, _RAW = 1, 101


def decode_pcap(stream: BinaryIO) -> Iterator[Item]:
    """An opening and the packets, numbered from 1: there are no numbers, losses or directions in the format.

    A stream that began anew has a second file header behind the last packet; it is taken for that.

    Raises:
        DecodeError: not pcap, or damaged; names the offset.
    """
    order, unit, offset, number, link = "", 0, 0, 0, 0
    while head := read(stream, 16, offset, at_start=True):
        if (begun := _magic(head)) is not None:
            order, unit = begun
            link = _link_type(read(stream, 8, offset + 16), order, offset)
            yield Opening("", "", {"link": str(link)})
            yield Interface(0, "", "")
            offset += 24
            continue
        if not order:
            raise DecodeError(f"offset {offset}: not the beginning of a pcap file")
        seconds, fraction, captured, original = struct.unpack(order + "IIII", head)
        if captured > MAX_ITEM or fraction * unit >= 10**9:
            raise DecodeError(f"offset {offset}: a packet's header is damaged")
        number += 1
        yield Record(
            sequence=number, utc_ns=seconds * 10**9 + fraction * unit, lost_before=0, interface=0, direction="unknown",
            wire_length=original, ip_offset=0 if link == _RAW else None, data=read(stream, captured, offset + 16),
        )  # fmt: skip
        offset += 16 + captured


def _magic(head: bytes) -> tuple[str, int] | None:
    """Byte order and nanoseconds a unit; None where it is no file header."""
    for order in "<>":
        magic, major, minor = struct.unpack_from(order + "IHH", head)
        if magic in _MAGIC and (major, minor) == (2, 4):
            return order, _MAGIC[magic]
    return None


def _link_type(rest: bytes, order: str, offset: int) -> int:
    link = int(struct.unpack(order + "II", rest)[1]) & 0xFFFF
    if link not in (_ETHERNET, _RAW):
        raise DecodeError(f"offset {offset}: link type {link} is neither Ethernet nor bare IP")
    return link
