# SPDX-License-Identifier: Apache-2.0
"""Names and kinds of the fields of a PS-PDU (ETSI TS 102 232-1 v40, TS 102 232-3 v20), by context tag.

A kind is a table (SEQUENCE or CHOICE), a list of one kind (SEQUENCE OF), a tuple of names (ENUMERATED, by value) or the
name of a leaf: "int", "octets", "text", "address", "time", "oid", "null", "bits".
"""

from __future__ import annotations

from typing import Final

Table = dict[int, tuple[str, object]]

DIRECTIONS: Final = ("fromTarget", "toTarget", "indeterminate", "combined", "notApplicable")
QUALIFIERS: Final = ("unknown", "timeOfInterception", "timeOfMediation", "timeOfAggregation")
IRI_TYPES: Final = ("", "iRI-Begin", "iRI-End", "iRI-Continue", "iRI-Report")
ACCESS_EVENTS: Final = (
    "accessAttempt", "accessAccept", "accessReject", "accessFailed", "sessionStart", "sessionEnd", "interimUpdate",
    "startOfInterceptionWithSessionActive", "accessEnd", "endOfInterceptionWithSessionActive", "unknown",
    "startOfInterceptionWithoutNetworkSession", "endOfInterceptionWithoutNetworkSession", "sessionExpired",
)  # fmt: skip
HASHES: Final = ("", "sHA-1", "sHA-256", "sHA-384", "sHA-512")
SIGNATURES: Final = ("", "dSA", "eCDSA", "edDSA")

MOMENT: Final[Table] = {0: ("seconds", "int"), 1: ("microSeconds", "int")}
IP_ADDRESS: Final[Table] = {
    1: ("iP-type", ("iPV4", "iPV6")),
    2: ("iP-value", {1: ("iPBinaryAddress", "address"), 2: ("iPTextAddress", "text")}),
    3: ("iP-assignment", ("", "static", "dynamic", "notKnown")),
    4: ("iPv6PrefixLength", "int"),
    5: ("iPv4SubnetMask", "address"),
    6: ("iP-NAT-translated", "octets"),
}
HEADER: Final[Table] = {
    0: ("li-psDomainId", "oid"),
    1: ("lawfulInterceptionIdentifier", "text"),
    2: ("authorizationCountryCode", "text"),
    3: (
        "communicationIdentifier",
        {
            0: ("networkIdentifier", {0: ("operatorIdentifier", "text"), 1: ("networkElementIdentifier", "text")}),
            1: ("communicationIdentityNumber", "int"),
            2: ("deliveryCountryCode", "text"),
        },
    ),
    4: ("sequenceNumber", "int"),
    5: ("timeStamp", "time"),
    6: ("interceptionPointID", "text"),
    7: ("microSecondTimeStamp", MOMENT),
    8: ("timeStampQualifier", QUALIFIERS),
    9: ("extendedInterceptionPointID", "text"),
    10: ("networkFunctionIdentifier", "text"),
}
CC_PAYLOAD: Final[Table] = {
    0: ("payloadDirection", DIRECTIONS),
    1: ("timeStamp", "time"),
    2: (
        "cCContents",
        {
            2: (
                "iPCC",
                {
                    0: ("iPCCObjId", "oid"),
                    1: (
                        "iPCCContents",
                        {
                            0: ("iPPackets", "octets"),
                            1: (
                                "iPTruncatedPacket",
                                {0: ("truncatedPacket", "octets"), 1: ("originalLength", "int")},
                            ),
                        },
                    ),
                },
            )
        },
    ),
    3: ("microSecondTimeStamp", MOMENT),
    4: ("timeStampQualifier", QUALIFIERS),
}
IP_IRI: Final[Table] = {
    0: ("accessEventType", ACCESS_EVENTS),
    1: ("targetUsername", "text"),
    2: (
        "internetAccessType",
        ("undefined", "dialUp", "xDSL", "cableModem", "lAN", "wirelessLAN", "fTTx", "wIMAX-HIPERMAN", "satellite",
         "wireless-other"),
    ),
    3: ("iPVersion", ("", "iPV4", "iPV6", "iPV4andV6")),
    4: ("targetIPAddress", IP_ADDRESS),
    5: ("targetNetworkID", "text"),
    6: ("targetCPEID", "text"),
    7: ("targetLocation", "text"),
    8: ("pOPPortNumber", "int"),
    9: ("callBackNumber", "text"),
    10: ("startTime", "time"),
    11: ("endTime", "time"),
    12: ("endReason", ("undefined", "regularLogoff", "connectionLoss", "connectionTimeout", "leaseExpired")),
    13: ("octetsReceived", "int"),
    14: ("octetsTransmitted", "int"),
    15: ("rawAAAData", "octets"),
    16: ("expectedEndTime", "time"),
    17: ("pOPPhoneNumber", "text"),
    19: ("pOPIPAddress", IP_ADDRESS),
    21: ("additionalIPAddress", IP_ADDRESS),
    22: ("authenticationType", ("unknown", "static", "radiusAAA", "dhcpAAA", "diameterAAA")),
    23: ("otherTargetIdentifiers", [{0: ("iPAddress", IP_ADDRESS)}]),
    25: ("pOPPortID", "octets"),
}  # fmt: skip
IPV4: Final[Table] = {
    0: ("headerLength", "octets"), 1: ("typeOfService", "octets"), 2: ("totalLength", "octets"),
    3: ("identification", "octets"), 4: ("fragment", "octets"), 5: ("ttl", "octets"), 6: ("protocol", "octets"),
    7: ("headerChecksum", "octets"), 8: ("source", "address"), 9: ("destination", "address"), 10: ("options", "octets"),
}  # fmt: skip
IPV6: Final[Table] = {
    0: ("trafficClass", "octets"), 1: ("flowLabel", "octets"), 2: ("payloadLength", "octets"),
    3: ("nextHeader", "octets"), 4: ("hopLimit", "octets"), 5: ("source", "address"), 6: ("destination", "address"),
}  # fmt: skip
TCP: Final[Table] = {
    0: ("sourcePort", "octets"), 1: ("destinationPort", "octets"), 2: ("sequenceNumber", "octets"),
    3: ("ackNumber", "octets"), 4: ("dataOffset", "bits"), 5: ("controlBits", "bits"), 6: ("windowSize", "octets"),
    7: ("checkSum", "octets"), 8: ("urgentPointer", "octets"), 9: ("options", "octets"),
}  # fmt: skip
UDP: Final[Table] = {
    0: ("sourcePort", "octets"), 1: ("destinationPort", "octets"), 2: ("length", "octets"), 3: ("checkSum", "octets"),
}  # fmt: skip
PDSR_TRIGGERS: Final = ("startOfFlow", "timerExpiry", "packetCount", "byteCount", "endOfFlow")
IRI_ONLY: Final[Table] = {
    0: ("iPIRIOnlyObjId", "oid"),
    1: ("iPInformation", {0: ("iPv4Information", IPV4), 1: ("iPv6Information", IPV6)}),
    2: ("protocolInformation", {0: ("none", "null"), 1: ("tCPInformation", TCP), 2: ("uDPInformation", UDP)}),
    3: ("iPAggregatedNbrOfPackets", "int"),
    4: ("iPAggregatedNbrOfBytes", "int"),
    5: (
        "pDSRInformation",
        {
            0: ("summaryTrigger", PDSR_TRIGGERS), 1: ("firstPacketTimestamp", "time"),
            2: ("lastPacketTimestamp", "time"), 3: ("packetCount", "int"), 4: ("byteCount", "int"),
        },
    ),
}  # fmt: skip
TRIGGERS: Final = (
    "", "flowStart", "flowEnd", "flowTimeout", "flowTimerExpiration", "flowPacketCount", "flowByteCount",
    "sessionTimerExpiration", "sessionPacketCount", "sessionByteCount", "reportEnd",
)  # fmt: skip
PACKET_REPORT: Final[Table] = {
    0: ("iPIRIPacketReportObjId", "oid"),
    1: (
        "report",
        {
            1: ("header", {1: ("header", "octets")}),
            2: (
                "summary",
                {
                    1: ("header", "octets"), 2: ("indications", "bits"), 3: ("trigger", TRIGGERS),
                    4: ("packetCount", "int"), 5: ("byteCount", "int"), 6: ("firstTimestamp", "time"),
                    7: ("lastTimestamp", "time"),
                },
            ),
        },
    ),
}  # fmt: skip
IRI_PAYLOAD: Final[Table] = {
    0: ("iRIType", IRI_TYPES),
    1: ("timeStamp", "time"),
    2: (
        "iRIContents",
        {
            2: ("iPIRI", {0: ("iPIRIObjId", "oid"), 1: ("iPIRIContents", IP_IRI)}),
            3: ("iPIRIOnly", IRI_ONLY),
            20: ("iPIRIPacketReport", PACKET_REPORT),
        },
    ),
    3: ("microSecondTimeStamp", MOMENT),
    4: ("timeStampQualifier", QUALIFIERS),
    5: ("sessionDirection", DIRECTIONS),
    6: ("payloadDirection", DIRECTIONS),
}
OPTIONS: Final[list[object]] = [{0: ("pDUAcknowledgement", "null")}]
TRI: Final[Table] = {
    0: (
        "integrityCheck",
        {
            0: ("includedSequenceNumbers", ["int"]), 1: ("checkType", ("", "hash", "signature")),
            2: ("dataType", ("", "iRI", "cC", "iLHI")), 3: ("checkValue", "octets"), 4: ("hashAlgorithm", HASHES),
            5: ("signatureAlgorithm", SIGNATURES),
        },
    ),
    1: ("testPDU", "null"),
    2: ("paddingPDU", "octets"),
    3: ("keep-alive", "null"),
    4: ("keep-aliveResponse", "null"),
    5: ("firstSegmentFlag", "null"),
    6: ("lastSegmentFlag", "null"),
    7: ("cINReset", "null"),
    8: ("operatorLeaMessage", {0: ("messagePriority", ("", "error", "informational")), 1: ("message", "text")}),
    9: ("optionRequest", {0: ("requestedOptions", OPTIONS)}),
    10: ("optionResponse", {0: ("acceptedOptions", OPTIONS), 1: ("declinedOptions", OPTIONS)}),
    11: ("optionComplete", "null"),
    12: ("pDUAcknowledgementRequest", "null"),
    13: ("pDUAcknowledgementResponse", "null"),
}  # fmt: skip
PAYLOAD: Final[Table] = {
    0: ("iRIPayloadSequence", [IRI_PAYLOAD]),
    1: ("cCPayloadSequence", [CC_PAYLOAD]),
    2: ("tRIPayload", TRI),
    4: (
        "encryptionContainer",
        {
            0: (
                "encryptionType",
                ("", "none", "national-option", "aES-192-CBC", "aES-256-CBC", "blowfish-192-CBC", "blowfish-256-CBC",
                 "threedes-cbc"),
            ),
            1: ("encryptedPayload", "octets"),
            2: (
                "encryptedPayloadType",
                ("", "unknown", "part2", "part3", "part4", "part5", "part6", "part7", "part1"),
            ),
        },
    ),
}  # fmt: skip
PS_PDU: Final[Table] = {1: ("pSHeader", HEADER), 2: ("payload", PAYLOAD)}
