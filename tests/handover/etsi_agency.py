# SPDX-License-Identifier: Apache-2.0
"""An agency that checks an ETSI stream with nothing of lictl's: asn1tools, hashlib, and the operator's public key."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from etsi_schema import READER, schema

from lictl.handover.pdu import split

HASHES = {"sHA-256": "sha256", "sHA-512": "sha512"}
DATA = {"iRIPayloadSequence": "iRI", "cCPayloadSequence": "cC"}


class Agency:
    """What an agency recomputes with asn1tools, hashlib and the public key alone."""

    def __init__(self, data: bytes, pem: bytes = b"") -> None:
        self.pdus: dict[tuple[str, int], bytes] = {}
        self.digests: dict[int, bytes] = {}
        self.good = self.signatures = 0
        self.covered: set[tuple[str, int]] = set()
        self.signed: set[int] = set()
        self.signature_numbers: set[int] = set()
        self.key: Any = load_pem_public_key(pem) if pem else None
        for raw in split(READER, data):
            value = schema().decode("PS-PDU", raw)
            number = value["pSHeader"]["sequenceNumber"]
            choice, content = value["payload"]
            if choice in DATA:
                self.pdus[DATA[choice], number] = raw
            elif choice == "tRIPayload" and content[0] == "integrityCheck":
                self.check(number, content[1])

    def check(self, number: int, check: dict[str, Any]) -> None:
        """One IntegrityCheck; raises where it does not hold."""
        numbers = check["includedSequenceNumbers"]
        if check["checkType"] == "hash":
            name = check["dataType"]
            octets = b"".join(self.pdus[name, n] for n in numbers)
            assert hashlib.new(HASHES[check["hashAlgorithm"]], octets).digest() == check["checkValue"]
            assert len(numbers) <= 1000
            self.covered |= {(name, n) for n in numbers}
            self.digests[number] = check["checkValue"]
            self.good += 1
            return
        message = b"".join(self.digests[n] for n in numbers)
        assert len(numbers) <= 15
        self.verify(check, message)
        for wrong in (message[::-1], message[:-1], bytes([message[0] ^ 1]) + message[1:]):
            with pytest.raises(InvalidSignature):
                self.verify(check, wrong)
        self.signed |= set(numbers)
        self.signatures += 1
        self.signature_numbers.add(number)

    def verify(self, check: dict[str, Any], message: bytes) -> None:
        """The signature over a message; raises InvalidSignature."""
        if isinstance(self.key, ed25519.Ed25519PublicKey):
            assert check["signatureAlgorithm"] == "edDSA"
            self.key.verify(check["checkValue"], message)
        else:
            assert isinstance(self.key, ec.EllipticCurvePublicKey)
            assert check["signatureAlgorithm"] == "eCDSA"
            kind = hashes.SHA256() if check["hashAlgorithm"] == "sHA-256" else hashes.SHA512()
            self.key.verify(check["checkValue"], message, ec.ECDSA(kind))
