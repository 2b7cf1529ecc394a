# SPDX-License-Identifier: Apache-2.0
"""What an agency answers (TS 102 232-1, clause 6; TS 103 221-2): keep-alives, offered options, acknowledgements.

An answer repeats the header of what it answers, number and identifiers included, so nothing has to be made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lictl.handover.decoded import DecodeError

if TYPE_CHECKING:
    from lictl.handover.pdu import Pdu

_KEEPALIVE, _OPTION_REQUEST, _ACK_REQUEST = 3, 9, 12
_RESPONSES = {_KEEPALIVE: 4, _OPTION_REQUEST: 10, _ACK_REQUEST: 13}
_ACKNOWLEDGEMENT = 0x80
"""Tag of the option pDUAcknowledgement."""
_X_KEEPALIVE, _X_ACK = b"\x00\x03", b"\x00\x04"


class Reply(NamedTuple):
    """An answer; `durable`: it says that everything before it is kept, so it waits until that is on disk."""

    data: bytes
    durable: bool = False


def reply(pdu: Pdu) -> Reply | None:
    """What a PDU has to be answered with, if anything."""
    if pdu.format == "etsi-102232" and pdu.kind not in ("cc", "iri"):
        return _etsi(pdu.raw)
    if pdu.format == "etsi-103221-2" and pdu.raw[2:4] == _X_KEEPALIVE:
        return Reply(pdu.raw[:2] + _X_ACK + pdu.raw[4:])
    return None


def _etsi(raw: bytes) -> Reply | None:
    try:
        return _answer(raw)
    except DecodeError:  # nothing that one could answer
        return None


def _answer(raw: bytes) -> Reply | None:
    _, body, _ = _element(raw, 0)
    header_tag, _, end = _element(body, 0)
    payload_tag, payload, _ = _element(body, end)
    tri_tag, tri, _ = _element(payload, 0)
    if (header_tag, payload_tag, tri_tag) != (0xA1, 0xA2, 0xA2):
        return None
    tag, content, _ = _element(tri, 0)
    number = tag & 0x1F
    if number not in _RESPONSES:
        return None
    said = _options(content) if number == _OPTION_REQUEST else b""
    answer = _tlv(tag & 0xE0 | _RESPONSES[number], said)
    return Reply(_tlv(0x30, body[:end] + _tlv(0xA2, _tlv(0xA2, answer))), durable=number == _ACK_REQUEST)


def _options(content: bytes) -> bytes:
    """Accepted and rejected options: acknowledgement is the one that is known here."""
    _, asked, _ = _element(content, 0)
    accepted, rejected, at = b"", b"", 0
    while at < len(asked):
        tag, _, end = _element(asked, at)
        if tag == _ACKNOWLEDGEMENT:
            accepted += asked[at:end]
        else:
            rejected += asked[at:end]
        at = end
    return _tlv(0xA0, accepted) + _tlv(0xA1, rejected)


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and end of the element at `at`; any valid definite length."""
    if at + 2 > len(data):
        raise DecodeError("an element is cut short")
    begin, size = at + 2, data[at + 1]
    if size & 0x80:
        begin, size = begin + (size & 0x7F), int.from_bytes(data[begin : begin + (size & 0x7F)])
    if data[at + 1] == 0x80 or begin + size > len(data):
        raise DecodeError("an element is longer than what holds it")
    return data[at], data[begin : begin + size], begin + size


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content
