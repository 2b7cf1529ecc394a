# SPDX-License-Identifier: Apache-2.0
"""The modules of ATIS-1000013 through asn1tools, and values of their messages."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import asn1tools
from hypothesis import strategies as st

FORM = "atis-1000013"
SCHEMAS = Path(__file__).parent / "schemas"
CMII_OID, OPTIONAL_OID = "1.2.840.113737.2.1.1.0.0", "1.2.840.113737.2.1.1.2.0"


@functools.cache
def module(name: str) -> Any:
    """A compiled module: "CmCC", "CmII" or "CmII-Optional"."""
    return asn1tools.compile_files(str(SCHEMAS / f"IAS-LAES-{name}.asn"), "ber")


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150)
UTF8 = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NUMBER = st.integers(-(2**63), 2**63 - 1)
VALUE = st.one_of(
    st.tuples(st.just("stringVS"), TEXT),
    st.tuples(st.just("stringUTF8"), UTF8),
    st.tuples(st.just("integer"), NUMBER),
    st.tuples(st.just("octets"), st.binary(max_size=300)),
    st.tuples(st.just("numeric"), st.from_regex("[0-9 ]{0,9}", fullmatch=True)),
)
NULL = st.none()
CONTENT = st.one_of(
    st.tuples(st.just("correlationID"), st.binary(max_size=255)),
    st.tuples(st.just("callID"), st.fixed_dictionaries({"main": UTF8}, optional={"leg": UTF8})),
)
IP = st.one_of(
    st.tuples(st.just("ipV4"), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just("ipV6"), st.binary(min_size=16, max_size=16)),
)
ADDRESS = st.fixed_dictionaries(
    {
        "address": IP,
        "allocationMethod": st.tuples(st.sampled_from(["static", "dynamic", "unknown", "notApplicable"]), NULL),
    },
    optional={"iPv6FlowLabel": UTF8, "prefixLen": st.integers(0, 128)},
)
METHOD = st.fixed_dictionaries(
    {},
    optional={
        "accessType": st.one_of(
            st.tuples(st.sampled_from(["dialUp", "dsl", "lan", "cable", "wiFi", "wiMax"]), NULL),
            st.tuples(st.just("other"), UTF8),
        ),
        "accessEquipmentID": UTF8,
        "partOfMultipleLogin": NULL,
    },
)
LOCATION = st.fixed_dictionaries({"locationType": UTF8, "location": UTF8})
SIGNAL = st.fixed_dictionaries(
    {
        "protocol": st.one_of(st.tuples(st.just("radius"), NULL), st.tuples(st.just("other"), UTF8)),
        "signal": st.lists(VALUE, max_size=3),
    }
)
SIGNALING = st.lists(
    st.fixed_dictionaries(
        {"messageType": st.sampled_from(["radius", "diameter", "xml", "asndot1", "other"]), "message": UTF8}
    ),
    max_size=3,
)
DELIVERY = st.fixed_dictionaries(
    {
        "contentIdentifier": CONTENT,
        "deliveryIdentifier": st.one_of(
            st.tuples(
                st.just("cccId"),
                st.one_of(
                    st.tuples(st.sampled_from(["combCCC", "indXmitCCC", "indRecvCCC", "indCCC"]), TEXT),
                    st.tuples(st.just("sepCCCpair"), st.fixed_dictionaries({"sepXmitCCC": TEXT, "sepRecvCCC": TEXT})),
                ),
            ),
            st.tuples(st.just("ccAddress"), st.fixed_dictionaries({"leaIPAddress": IP, "leaPortNumber": UTF8})),
        ),
        "ccDeliveryFormat": st.one_of(
            st.tuples(st.sampled_from(["scteDatagram", "iasDatagram"]), NULL),
            st.tuples(st.just("atis-678-ASN1"), st.just("1.2.840.113737.2.1.1.1.0")),
        ),
    }
)


def message(fields: dict[str, Any], optional: dict[str, Any] | None = None) -> Any:
    """Values of a message with the three components that each begins with."""
    common = {
        "caseId": st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=25),
        "iAPSystemId": st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=15),
        "timestamp": st.just("20250301120000.1234Z"),
    }
    return st.fixed_dictionaries({**common, **fields}, optional=optional or {})


_REFUSED = message(
    {"subscriberIdentity": VALUE}, {"iPAddress": ADDRESS, "reasonForTermination": VALUE, "protocolSignal": SIGNAL}
)
_SESSION = message(
    {"subscriberIdentity": VALUE, "packetDataSessionID": VALUE, "iPAddress": ADDRESS},
    {
        "accessSessionID": VALUE,
        "accessSessionCharacteristics": VALUE,
        "location": LOCATION,
        "deliveryInformation": DELIVERY,
    },
)
_SET = {"streamID": VALUE, "sourceIPaddress": ADDRESS, "destinationIPaddress": ADDRESS}
_PORTS = {"sourcePortNumber": UTF8, "destinationPortNumber": UTF8}

MESSAGES: dict[str, Any] = {
    "access-Attempt": message(
        {"subscriberIdentity": VALUE},
        {"accessMethod": METHOD, "networkAccessNodeIdentity": VALUE, "protocolSignal": SIGNAL},
    ),
    "access-Accepted": message(
        {"subscriberIdentity": VALUE, "accessSessionID": VALUE},
        {
            "accessMethod": METHOD,
            "networkAccessNodeIdentity": VALUE,
            "iPAddress": ADDRESS,
            "accessSessionCharacteristics": VALUE,
            "location": LOCATION,
            "protocolSignal": SIGNAL,
        },
    ),
    "access-Failed": _REFUSED,
    "access-Rejected": _REFUSED,
    "access-Session-End": message(
        {"subscriberIdentity": VALUE, "accessSessionID": VALUE},
        {"iPAddress": ADDRESS, "reasonForTermination": VALUE, "protocolSignal": SIGNAL},
    ),
    "access-Signaling-Message-Report": message({"signalingMsg": SIGNALING}, {"accessSessionID": VALUE}),
    "session-Start": _SESSION,
    "session-Already-Established": _SESSION,
    "session-Failed": message({"subscriberIdentity": VALUE}, {"accessSessionID": VALUE, "reasonForTermination": VALUE}),
    "session-End": message(
        {"subscriberIdentity": VALUE, "packetDataSessionID": VALUE, "iPAddress": ADDRESS},
        {"accessSessionID": VALUE, "reasonForTermination": VALUE},
    ),
    "data-Header-Report": message(
        {"contentIdentifier": CONTENT, "headerSet": st.fixed_dictionaries(_SET, optional=_PORTS)}
    ),
    "data-Summary-Report": message(
        {
            "contentIdentifier": CONTENT,
            "streamSet": st.fixed_dictionaries({**_SET, "packetCount": NUMBER}, optional=_PORTS),
        }
    ),
}
STATUS = message({"surveillanceStatus": UTF8})
STATES = ("surveillanceActivation", "surveillanceContinuation", "surveillanceChange", "surveillanceDeActivation")
