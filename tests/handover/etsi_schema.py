# SPDX-License-Identifier: Apache-2.0
"""The standard's own schema through asn1tools, and streams of ETSI PS-PDUs for tests."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asn1tools
from handover_records import encode_all, info

from lictl.handover.pdu import split
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder
from lictl.keys.agency import AgencyKeys

if TYPE_CHECKING:
    import numpy as np

    from lictl.handover.base import Encoded, Mode
    from lictl.handover.pdu import Pdu

FORM = "etsi-102232"
READER = PDU_FORMATS[FORM]
KEYS = AgencyKeys(bytes(range(32)))
SCHEMA = Path(__file__).parent / "schemas" / "LI-PS-PDU-IP-subset.asn"
IPCC_ID, IRI_ID, ONLY_ID, REPORT_ID = (bytes.fromhex(f"050314{n:02x}") for n in (2, 1, 3, 4))


@functools.cache
def schema() -> Any:
    """The compiled schema."""
    return asn1tools.compile_files(str(SCHEMA), "ber")


def reference(pdu: dict[str, Any]) -> bytes:
    """asn1tools' encoding."""
    return bytes(schema().encode("PS-PDU", pdu))


def read(data: bytes) -> list[dict[str, Any]]:
    """Every PDU of a stream as asn1tools reads it."""
    return [schema().decode("PS-PDU", raw) for raw in split(READER, data)]


def pdus(data: bytes) -> list[Pdu]:
    """Every PDU of a stream as lictl reads it."""
    return [READER.decode(raw) for raw in split(READER, data)]


def header(number: int, ns: int, *, cin: int = 1, **names: str) -> dict[str, Any]:
    """A PSHeader's value; names as in `handover_records.info`."""
    used = {"liid": "LIID0001", "country": "US", "operator": "OPER1", "element": "probe01", **names}
    seconds, rest = divmod(ns, 1_000_000_000)
    return {
        "li-psDomainId": "0.4.0.2.2.5.1.40",
        "lawfulInterceptionIdentifier": used["liid"].encode(),
        "authorizationCountryCode": used["country"],
        "communicationIdentifier": {
            "networkIdentifier": {
                "operatorIdentifier": used["operator"].encode(),
                "networkElementIdentifier": used["element"].encode(),
            },
            "communicationIdentityNumber": cin,
            "deliveryCountryCode": used["country"],
        },
        "sequenceNumber": number,
        "microSecondTimeStamp": {"seconds": seconds, "microSeconds": rest // 1000},
        "timeStampQualifier": "timeOfInterception",
    }


def encoded(
    mode: Mode, recs: np.ndarray[Any, Any], frames: list[bytes] | None = None, **options: str
) -> tuple[bytes, list[Encoded]]:
    """A stream of records with an agency's options."""
    return encode_all(encoder(FORM, info(mode, options, keys=KEYS)), recs, frames)
