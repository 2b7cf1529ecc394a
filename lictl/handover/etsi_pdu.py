# SPDX-License-Identifier: Apache-2.0
"""PS-PDUs of ETSI TS 102 232-1 that are not hot: BER, headers and the messages of the delivery itself (TRI).

Plain Python, so that the agency's side answers with it too. Layout and clauses: docs/formats/etsi-102232.md.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from lictl.errors import UsageError

DOMAIN: Final = bytes.fromhex("04000202050128")
"""li-psDomainId: {itu-t etsi securityDomain lawfulIntercept li-ps genHeader version40}."""
IP_IRI: Final = bytes.fromhex("05031401")
"""iPIRIObjId, relative: li-ps(5) iPAccess(3) version20(20) iRI(1)."""
MODULUS: Final = 1 << 32
"""Sequence numbers begin at 0 again behind it."""
FLOWING: Final = 1
"""The CIN of everything that an order gets: lictl delivers an interception as one communication session."""
SESSION: Final = 0
"""The CIN of keep-alives and of what else belongs to the connection."""
TEST, PADDING, KEEPALIVE, KEEPALIVE_RESPONSE, FIRST_SEGMENT, LAST_SEGMENT, CIN_RESET = range(1, 8)
OPERATOR_MESSAGE, OPTION_REQUEST, OPTION_RESPONSE, OPTION_COMPLETE, ACK_REQUEST, ACK_RESPONSE = range(8, 14)
"""Tags of TRIPayload (TS 102 232-1, clause 5.5)."""
ERROR, INFORMATIONAL = 1, 2
MAX_MESSAGE: Final = 255


def tlv(tag: int, content: bytes) -> bytes:
    """An element with a one-octet tag and the shortest definite length."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


def integer(tag: int, value: int) -> bytes:
    """An unsigned INTEGER."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1))


def octet(tag: int, value: int) -> bytes:
    """An ENUMERATED below 128."""
    return bytes((tag, 1, value))


def generalized_time(ns: int) -> bytes:
    """UTC nanoseconds as the octets of a GeneralizedTime, to the microsecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    return f"{moment:%Y%m%d%H%M%S}.{rest // 1000:06}Z".encode()


def microseconds(tag: int, ns: int) -> bytes:
    """A MicroSecondTimeStamp."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return tlv(tag, integer(0x80, seconds) + integer(0x81, rest // 1000))


@dataclass(frozen=True, slots=True)
class Names:
    """What the PSHeader of every PDU of one order names (TS 102 232-1, clause 5.2).

    Attributes:
        liid: at most 25 octets.
        country: ISO 3166-1 alpha-2: authorisation and delivery.
        operator: at most 16 octets.
        element: at most 16 octets, "": none.
        generalized: times as GeneralizedTime, not as MicroSecondTimeStamp.
    """

    liid: str
    country: str
    operator: str
    element: str
    generalized: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for a name that the header cannot hold."""
        _check("The LIID", self.liid, 1, 25, "Give the order an LIID of at most 25 characters.")
        _check("The operator identifier", self.operator, 1, 16, "Shorten `operator` in the site's configuration.")
        _check("The network element identifier", self.element, 0, 16, "Shorten `element` in the site's configuration.")
        if len(self.country) != 2 or not (self.country.isascii() and self.country.isalpha()):
            raise UsageError(
                "ETSI TS 102 232-1 needs a country of two letters.", "Set `country` to ISO 3166-1 alpha-2."
            )

    def head(self, cin: int) -> bytes:
        """Elements [0] to [3] of a PSHeader."""
        network = tlv(0x80, self.operator.encode()) + (tlv(0x81, self.element.encode()) if self.element else b"")
        country = self.country.encode()
        communication = tlv(0xA0, network) + integer(0x81, cin) + tlv(0x82, country)
        return tlv(0x80, DOMAIN) + tlv(0x81, self.liid.encode()) + tlv(0x82, country) + tlv(0xA3, communication)

    def pdu(self, number: int, ns: int, payload: bytes, cin: int = FLOWING) -> bytes:
        """A whole PS-PDU; `payload` is a whole Payload (a CHOICE), `ns` its UTC time."""
        when = tlv(0x85, generalized_time(ns)) if self.generalized else microseconds(0xA7, ns)
        header = self.head(cin) + integer(0x84, number % MODULUS) + when + octet(0x88, 1)
        return tlv(0x30, tlv(0xA1, header) + tlv(0xA2, payload))


def _check(what: str, value: str, least: int, most: int, fix: str) -> None:
    if not least <= len(value.encode()) <= most:
        raise UsageError(f"{what} must have {least} to {most} octets in ETSI TS 102 232-1.", fix)


def tri(tag: int, content: bytes = b"") -> bytes:
    """A TRIPayload: an empty one of the NULL kinds."""
    return tlv(0xA2, tlv(0x80 | tag, content))


def operator_message(text: str, priority: int = ERROR) -> bytes:
    """operatorLeaMessage: at most 255 octets of text for the agency."""
    message = text.encode("ascii", "replace")[:MAX_MESSAGE]
    return tlv(0xA2, tlv(0xA0 | OPERATOR_MESSAGE, octet(0x80, priority) + tlv(0x81, message)))


def option_request() -> bytes:
    """Asks for the option of PDU acknowledgement (TS 102 232-1, clause 6.3.5)."""
    return tlv(0xA2, tlv(0xA0 | OPTION_REQUEST, tlv(0xA0, tlv(0x80, b""))))


def option_response(accepted: bool) -> bytes:
    """The answer to `option_request`."""
    chosen, none = tlv(0x80, b""), b""
    parts = (chosen, none) if accepted else (none, chosen)
    return tlv(0xA2, tlv(0xA0 | OPTION_RESPONSE, tlv(0xA0, parts[0]) + tlv(0xA1, parts[1])))
