# SPDX-License-Identifier: Apache-2.0
"""The messages of ATIS-1000013 (T1.IAS): CmII, its optional module, and the content APDU of CmC, as tables.

`message` writes any message of the two CmII modules; docs/formats/atis-1000013.md says which of them lictl sends when.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from lictl.handover.atis_codec import (
    OBJECT_IDENTIFIER,
    SEQUENCE,
    Choice,
    Enumerated,
    Field,
    Integer,
    Kind,
    Null,
    Octets,
    Oid,
    Sequence,
    SetOf,
    Text,
    element,
    tlv,
)

CMII_OID: Final = "1.2.840.113737.2.1.1.0.0"
OPTIONAL_OID: Final = "1.2.840.113737.2.1.1.2.0"
"""Of the optional module. Not confirmed by a source that we have: the option `optional-oid` sets another one."""

TEXT, INTEGER, OCTETS, NULL, OID = Text(), Integer(), Octets(), Null(), Oid()


def _one(tag: int, kind: Kind) -> Field:
    return Field(tag, kind)


def _maybe(tag: int, kind: Kind) -> Field:
    return Field(tag, kind, optional=True)


VALUE = Choice(stringVS=_one(0, TEXT), stringUTF8=_one(1, TEXT), integer=_one(2, INTEGER), octets=_one(3, OCTETS),
               numeric=_one(4, TEXT))  # fmt: skip
CALL = Sequence({"main": _one(0, TEXT), "leg": _maybe(1, TEXT)})
CONTENT_IDENTIFIER = Choice(correlationID=_one(0, OCTETS), callID=_one(1, CALL))
IP_VALUE = Choice(ipV4=_one(1, OCTETS), ipV6=_one(2, OCTETS))
ALLOCATION = Choice(static=_one(0, NULL), dynamic=_one(1, NULL), unknown=_one(2, NULL), notApplicable=_one(3, NULL))
IP_ADDRESS = Sequence({"address": _one(0, IP_VALUE), "allocationMethod": _one(1, ALLOCATION),
                       "iPv6FlowLabel": _maybe(2, TEXT), "prefixLen": _maybe(3, INTEGER)})  # fmt: skip
ACCESS_TYPE = Choice(dialUp=_one(0, NULL), dsl=_one(1, NULL), lan=_one(2, NULL), cable=_one(3, NULL),
                     wiFi=_one(4, NULL), wiMax=_one(5, NULL), other=_one(6, TEXT))  # fmt: skip
ACCESS_METHOD = Sequence({"accessType": _maybe(0, ACCESS_TYPE), "accessEquipmentID": _maybe(1, TEXT),
                          "partOfMultipleLogin": _maybe(2, NULL)})  # fmt: skip
LOCATION = Sequence({"locationType": _one(0, TEXT), "location": _one(1, TEXT)})
SIGNAL = Sequence({"protocol": _one(0, Choice(radius=_one(0, NULL), other=_one(1, TEXT))),
                   "signal": _one(1, SetOf(VALUE))})  # fmt: skip
SIGNALING = SetOf(
    Sequence({"messageType": _one(0, Enumerated(("radius", "diameter", "xml", "asndot1", "other"))),
              "message": _one(1, TEXT)})
)  # fmt: skip
CHANNEL = Choice(
    combCCC=_one(0, TEXT), sepCCCpair=_one(1, Sequence({"sepXmitCCC": _one(0, TEXT), "sepRecvCCC": _one(1, TEXT)})),
    indXmitCCC=_one(2, TEXT), indRecvCCC=_one(3, TEXT), indCCC=_one(4, TEXT),
)  # fmt: skip
DELIVERY = Sequence(
    {
        "contentIdentifier": _one(0, CONTENT_IDENTIFIER),
        "deliveryIdentifier": _one(1, Choice(
            cccId=_one(0, CHANNEL),
            ccAddress=_one(1, Sequence({"leaIPAddress": _one(0, IP_VALUE), "leaPortNumber": _one(1, TEXT)})))),
        "ccDeliveryFormat": _one(2, Choice(**{
            "scteDatagram": _one(0, NULL), "atis-678-ASN1": _one(1, OID), "iasDatagram": _one(2, NULL)})),
    }
)  # fmt: skip


def _message(**fields: Field) -> Sequence:
    common = {"caseId": _one(0, TEXT), "iAPSystemId": _one(1, TEXT), "timestamp": _one(2, TEXT)}
    return Sequence({**common, **fields})


_REFUSED = _message(subscriberIdentity=_one(3, VALUE), iPAddress=_maybe(4, IP_ADDRESS),
                    reasonForTermination=_maybe(5, VALUE), protocolSignal=_maybe(6, SIGNAL))  # fmt: skip
_SESSION = _message(
    subscriberIdentity=_one(3, VALUE), accessSessionID=_maybe(4, VALUE), packetDataSessionID=_one(5, VALUE),
    iPAddress=_one(6, IP_ADDRESS), accessSessionCharacteristics=_maybe(7, VALUE), location=_maybe(8, LOCATION),
    deliveryInformation=_maybe(9, DELIVERY),
)  # fmt: skip
_SET = {"streamID": _one(0, VALUE), "sourceIPaddress": _one(1, IP_ADDRESS), "destinationIPaddress": _one(2, IP_ADDRESS)}

IAS_MESSAGE = Choice(**{
    "access-Attempt": _one(0, _message(
        subscriberIdentity=_one(3, VALUE), accessMethod=_maybe(4, ACCESS_METHOD),
        networkAccessNodeIdentity=_maybe(5, VALUE), protocolSignal=_maybe(6, SIGNAL))),
    "access-Accepted": _one(1, _message(
        subscriberIdentity=_one(3, VALUE), accessMethod=_maybe(4, ACCESS_METHOD),
        networkAccessNodeIdentity=_maybe(5, VALUE), iPAddress=_maybe(6, IP_ADDRESS), accessSessionID=_one(7, VALUE),
        accessSessionCharacteristics=_maybe(8, VALUE), location=_maybe(9, LOCATION),
        protocolSignal=_maybe(10, SIGNAL))),
    "access-Failed": _one(2, _REFUSED),
    "access-Session-End": _one(3, _message(
        subscriberIdentity=_one(3, VALUE), iPAddress=_maybe(4, IP_ADDRESS), accessSessionID=_one(5, VALUE),
        reasonForTermination=_maybe(6, VALUE), protocolSignal=_maybe(7, SIGNAL))),
    "access-Rejected": _one(4, _REFUSED),
    "access-Signaling-Message-Report": _one(5, _message(
        accessSessionID=_maybe(3, VALUE), signalingMsg=_one(4, SIGNALING))),
    "session-Start": _one(6, _SESSION),
    "session-Failed": _one(7, _message(
        subscriberIdentity=_one(3, VALUE), accessSessionID=_maybe(4, VALUE), reasonForTermination=_maybe(5, VALUE))),
    "session-End": _one(8, _message(
        subscriberIdentity=_one(3, VALUE), accessSessionID=_maybe(4, VALUE), packetDataSessionID=_one(5, VALUE),
        iPAddress=_one(6, IP_ADDRESS), reasonForTermination=_maybe(7, VALUE))),
    "session-Already-Established": _one(9, _SESSION),
    "data-Header-Report": _one(10, _message(
        contentIdentifier=_one(3, CONTENT_IDENTIFIER), headerSet=_one(4, Sequence(
            {**_SET, "sourcePortNumber": _maybe(3, TEXT), "destinationPortNumber": _maybe(4, TEXT)})))),
    "data-Summary-Report": _one(11, _message(
        contentIdentifier=_one(3, CONTENT_IDENTIFIER), streamSet=_one(4, Sequence(
            {**_SET, "packetCount": _one(3, INTEGER), "sourcePortNumber": _maybe(4, TEXT),
             "destinationPortNumber": _maybe(5, TEXT)})))),
})  # fmt: skip

_STATUS = _message(surveillanceStatus=_one(3, TEXT))
OPTIONAL_MESSAGE = Choice(
    surveillanceActivation=_one(3, _STATUS), surveillanceContinuation=_one(4, _STATUS),
    surveillanceChange=_one(5, _STATUS), surveillanceDeActivation=_one(6, _STATUS),
)  # fmt: skip

CORRELATION = Sequence({"caseId": _maybe(0, TEXT), "iapId": _maybe(1, TEXT),
                        "contentIdentifier": _one(2, CONTENT_IDENTIFIER)})  # fmt: skip
CONTENT_APDU = Sequence(
    {
        "ccDeliveryHeader": _maybe(0, Sequence({
            "correlationInfo": _one(0, CORRELATION), "timeStamp": _maybe(1, TEXT),
            "packetDirection": _maybe(2, Enumerated(("fromSubject", "toSubject"))),
            "sequenceNumber": _maybe(3, INTEGER)})),
        "payload": _one(1, OCTETS),
    }
)  # fmt: skip


def message(name: str, fields: dict[str, Any], optional_oid: str = OPTIONAL_OID) -> bytes:
    """An IasProtocol with one message.

    Args:
        name: of the alternative in IasMessage or IasOptionalMessage, such as "session-Start".
        fields: of the message, in asn1tools' notation.
        optional_oid: protocol identifier of the optional module.

    Raises:
        ValueError: a field is missing or not known; KeyError: no such message.
    """
    optional = name in OPTIONAL_MESSAGE
    body = (OPTIONAL_MESSAGE if optional else IAS_MESSAGE).encode((name, fields))
    return tlv(SEQUENCE, tlv(OBJECT_IDENTIFIER, OID.encode(optional_oid if optional else CMII_OID)) + body)


def address_value(address: str) -> dict[str, Any]:
    """IPAddress of an address or a prefix as text; how a target's address was allocated is not known here."""
    network = ipaddress.ip_network(address, strict=False)
    value = ("ipV4" if network.version == 4 else "ipV6", network.network_address.packed)
    found: dict[str, Any] = {"address": value, "allocationMethod": ("unknown", None)}
    if network.prefixlen < network.max_prefixlen:
        found["prefixLen"] = network.prefixlen
    return found


def content_identifier(identifier: str) -> bytes:
    """The component [3] of the reports."""
    return element(Field(3, CONTENT_IDENTIFIER), ("correlationID", identifier.encode()))
