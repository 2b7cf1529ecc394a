# SPDX-License-Identifier: Apache-2.0
"""General encoders as peers: one IPCC of TS 102 232-3 from the schema that the tests use."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asn1tools

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = next((Path(__file__).parent.parent / "tests" / "handover" / "schemas").rglob("LI-PS-PDU*.asn"))
DOMAIN = "0.4.0.2.2.5.1.40"
IPCC_OBJECT = bytes((0x05, 0x03, 0x14, 0x02))
SECONDS = 1_790_000_000


def _value(number: int, packet: bytes, contents: Callable[[bytes], Any]) -> dict[str, Any]:
    header = {
        "li-psDomainId": DOMAIN,
        "lawfulInterceptionIdentifier": b"LIID0001",
        "authorizationCountryCode": "US",
        "communicationIdentifier": {
            "networkIdentifier": {"operatorIdentifier": b"OPER1", "networkElementIdentifier": b"probe01"},
            "communicationIdentityNumber": 1,
            "deliveryCountryCode": "US",
        },
        "sequenceNumber": number,
        "microSecondTimeStamp": {"seconds": SECONDS, "microSeconds": number},
        "timeStampQualifier": "timeOfInterception",
    }
    return {"pSHeader": header, "payload": contents(packet)}


def _payload(packet: bytes) -> Any:
    ipcc = {"iPCCObjId": IPCC_OBJECT, "iPCCContents": ("iPPackets", packet)}
    return ("cCPayloadSequence", [{"payloadDirection": "fromTarget", "cCContents": ("iPCC", ipcc)}])


def _asn1tools() -> Callable[[int, bytes], bytes]:
    compiled = asn1tools.compile_files(str(SCHEMA), "ber")

    def encode(number: int, packet: bytes) -> bytes:
        encoded: bytes = compiled.encode("PS-PDU", _value(number, packet, _payload))
        return encoded

    return encode


def _pycrate() -> Callable[[int, bytes], bytes]:
    from pycrate_asn1c.asnproc import compile_text, generate_modules
    from pycrate_asn1c.generator import PycrateGenerator

    compile_text(SCHEMA.read_text())
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "lictl_bench_pycrate.py"
        generate_modules(PycrateGenerator, str(source))
        compiled = runpy.run_path(str(source))
    pdu = compiled["LI_PS_PDU_IP_Subset"].PS_PDU

    def encode(number: int, packet: bytes) -> bytes:
        value = _value(number, packet, _payload)
        value["pSHeader"]["li-psDomainId"] = tuple(map(int, DOMAIN.split(".")))
        pdu.set_val(value)
        encoded: bytes = pdu.to_ber()
        return encoded

    return encode


PEERS: dict[str, Callable[[], Callable[[int, bytes], bytes]]] = {"asn1tools": _asn1tools, "pycrate": _pycrate}
