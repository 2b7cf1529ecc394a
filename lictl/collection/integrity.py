# SPDX-License-Identifier: Apache-2.0
"""Integrity checks recomputed over the octets that lie in the evidence (TS 102 232-1, clause 7.2).

A digest is over whole PDUs, one behind the other; a signature over the values of the digests that it names.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, Literal

from lictl.collection.numbers import RECENT
from lictl.errors import UsageError
from lictl.handover.decoded import DecodeError
from lictl.inputs import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.collection.evidence import Evidence
    from lictl.handover.pdu import Check, Pdu, PduFormat

Outcome = Literal["good", "bad", "open"]
_HASHES = frozenset({"sha1", "sha256", "sha384", "sha512"})


class Verifier:
    """Checks what integrity PDUs say.

    Args:
        keys: PEM files with the public keys of the operator, Ed25519 or ECDSA; without one no signature can be judged.

    Raises:
        UsageError: a file does not hold such a key, or the package that reads it is not installed.
    """

    def __init__(self, keys: tuple[Path, ...] = ()) -> None:
        self._keys = [_load(path) for path in keys]

    def verify(self, evidence: Evidence, pdu: Pdu, format_: PduFormat) -> None:
        """Judges the check in a PDU that was just taken, and books the outcome."""
        check = pdu.check
        if check is None:
            return
        books = evidence.books
        outcomes = books.signatures if check.signature else books.digests
        kind = "integrity" if check.signature else check.of
        pieces = self._pieces(evidence, kind, pdu.stream, check)
        if pieces is None and evidence.recall(format_):
            pieces = self._pieces(evidence, kind, pdu.stream, check)
        outcome: Outcome
        if pieces is None:
            outcome = "open"
        elif check.signature:
            outcome = self._signature(check, pieces, format_)
        else:
            outcome = _digest(check, pieces)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    @staticmethod
    def _pieces(evidence: Evidence, kind: str, stream: str, check: Check) -> list[bytes] | None:
        """The PDUs that a check covers; None where one is not here, or too long ago to find, or they are too many.

        A sender decides what a check names: one PDU named a thousand times, or a few far apart, may not cost more
        memory or reading than an honest check does.
        """
        numbering = evidence.books.numbering((kind, stream))
        recent = evidence.recent((kind, stream))
        places = [recent.place(numbering.place(number)) for number in check.numbers[: RECENT + 1]]
        found = [place for place in places if place is not None]
        if not found or len(found) < len(places) or len(set(found)) < len(found):
            return None
        octets = sum(place.length for place in found)
        if octets > _MOST_READ:
            return None
        begin, end = min(p.offset for p in found), max(p.offset + p.length for p in found)
        if end - begin > 2 * octets:
            return [evidence.read(place.offset, place.length) for place in found]
        data = evidence.read(begin, end - begin)
        return [data[place.offset - begin : place.offset - begin + place.length] for place in found]

    def _signature(self, check: Check, pieces: list[bytes], format_: PduFormat) -> Outcome:
        if not self._keys or check.algorithm not in ("ecdsa", "eddsa"):
            return "open"
        message = b""
        for raw in pieces:
            with contextlib.suppress(DecodeError):
                inner = format_.decode(raw).check
                message += inner.value if inner is not None and not inner.signature else b""
        return "good" if any(_verifies(key, check, message) for key in self._keys) else "bad"


_MOST_READ = 1 << 24
"""Octets under one check; an operator's own covers a chunk of at most 1 MiB."""


def _digest(check: Check, pieces: list[bytes]) -> Outcome:
    if check.algorithm not in _HASHES:
        return "open"
    digest = hashlib.new(check.algorithm, usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return "good" if digest.digest() == check.value else "bad"


def _verifies(key: Any, check: Check, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    with contextlib.suppress(InvalidSignature, ValueError):
        if check.algorithm == "eddsa" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(check.value, message)
            return True
        if check.algorithm == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(check.value, message, ec.ECDSA(_hash(check.hash)))
            return True
    return False


def _hash(name: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    kinds: dict[str, Any] = {
        "sha1": hashes.SHA1,
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    return kinds.get(name, hashes.SHA256)()


def _load(path: Path) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise UsageError("signatures need the package cryptography.", "pip install cryptography") from None
    try:
        key: Any = load_pem_public_key(read_bytes(path, "the operator's key"))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        raise UsageError(f"{path} is no public key of Ed25519 or ECDSA in PEM.", "Ask the operator for it.")
    return key
