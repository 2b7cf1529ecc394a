# SPDX-License-Identifier: Apache-2.0
"""Which format a connection, a datagram or a file is in, told from its first octets."""

from __future__ import annotations

from lictl.handover.decoded import DecodeError
from lictl.handover.pdu import MAX_PDU

LICTL = "lictl-delivery"
ENOUGH = 64
"""Octets after which every format can be told."""
_MAGICS = {
    b"\x0a\x0d\x0d\x0a": "pcapng", b"\xd4\xc3\xb2\xa1": "pcap", b"\xa1\xb2\xc3\xd4": "pcap",
    b"\x4d\x3c\xb2\xa1": "pcap", b"\xa1\xb2\x3c\x4d": "pcap", b"LICTL-TEXT": "text", b"\x92\x00": "msgpack",
}  # fmt: skip
_FRAME_LIMIT = 65_536
_CCC_HEADERS = (4, 12, 20)


def detect(data: bytes, *, whole: bool = False) -> str | None:
    """The format's name.

    Args:
        data: the first octets, up to ENOUGH of them.
        whole: nothing follows.

    Returns:
        None where more octets are needed.

    Raises:
        DecodeError: no format begins like this.
    """
    for magic, name in _MAGICS.items():
        if data.startswith(magic):
            return name
        if magic.startswith(data) and not whole:
            return None
    found = _ber(data) if data[:1] == b"\x30" else _binary(data, whole or len(data) >= ENOUGH)
    if found is None and (whole or len(data) >= ENOUGH):
        raise DecodeError(f"no format begins with {data[:8].hex() or 'nothing'}")
    return found


def datagram(data: bytes) -> str:
    """The format of a datagram; one of PacketCable CCC has no mark, so it has to be named.

    Raises:
        DecodeError: it cannot be told.
    """
    if data[:1] == b"\x30":
        found = _ber(data)
    elif data[:1] == b"\x01" and len(data) > 4 and data[1] <= 5:
        found = "tzsp"
    else:
        found = _x2x3(data)
    if found is None:
        raise DecodeError(f"no format of datagrams begins with {data[:8].hex() or 'nothing'}")
    return found


def _ber(data: bytes) -> str | None:
    """A SEQUENCE: of ETSI TS 102 232-1 with its header [1] first, else of ATIS-1000013."""
    if len(data) < 2:
        return None
    at = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    if at > 10 or data[1] == 0x80:
        raise DecodeError("a BER element of indefinite or impossible length")
    if len(data) <= at:
        return None
    return "etsi-102232" if data[at] == 0xA1 else "atis-1000013"


def _binary(data: bytes, enough: bool) -> str | None:
    if len(data) < 8:
        return None
    if data[:4] == b"\x01\x00\x00\x00" and int.from_bytes(data[4:8], "little") <= _FRAME_LIMIT:
        return LICTL
    if data[:1] == b"\x01" and data[1] <= 5 and data[4:5] == b"\x01":
        return "tzsp"
    return _x2x3(data) or _framed(data, enough)


def _x2x3(data: bytes) -> str | None:
    if len(data) < 12:
        return None
    kind, header = int.from_bytes(data[2:4]), int.from_bytes(data[4:8])
    payload = int.from_bytes(data[8:12])
    return "etsi-103221-2" if 1 <= kind <= 4 and header >= 40 and header + payload <= MAX_PDU else None


def _framed(data: bytes, enough: bool) -> str | None:
    """Datagrams behind their lengths (docs/formats): TZSP by its head, CCC where IP follows one of its headers."""
    if not enough or not 8 <= int.from_bytes(data[:4]) <= MAX_PDU:
        return None
    if data[4] == 1 and data[5] <= 5 and data[8:9] == b"\x01":
        return "tzsp"
    for size in _CCC_HEADERS:
        if len(data) > 4 + size and data[4 + size] >> 4 in (4, 6):
            return "ccc"
    return None
