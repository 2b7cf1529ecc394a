# SPDX-License-Identifier: Apache-2.0
"""Integrity checks of ETSI TS 102 232-1, clause 7.2: digests over PDUs, signatures over digests.

A digest is over the octets of whole PS-PDUs exactly as they are delivered (sealed ones sealed), one after the other,
all of one kind (IRI or CC). It stands in the same block of the spool as what it covers. What is signed: the values of
the digests that `includedSequenceNumbers` names, one after the other in that order; nothing before, between or after.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from lictl.errors import LictlError
from lictl.handover.etsi_pdu import octet, tlv
from lictl.handover.etsi_state import SIGN_AFTER, SIGN_NS, Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.handover.etsi_options import EtsiOptions
    from lictl.handover.etsi_state import State
    from lictl.keys.agency import AgencyKeys

MAX_COVERED: Final = 1000
"""PDUs under one digest."""
DATA_TYPES: Final = {"iri": 1, "cc": 2}
HASHES: Final = {"sha1": 1, "sha256": 2, "sha384": 3, "sha512": 4}
SIGNATURES: Final = {"dsa": 1, "ecdsa": 2, "eddsa": 3}
_DIGEST, _SIGNATURE = 1, 2


class Integrity:
    """One stream's digests and signatures.

    Args:
        options: `integrity` and `signature`.
        keys: the agency's; needed where something is signed.
        pdu: makes a PS-PDU of a payload and a time; gives its number and its octets.
    """

    def __init__(
        self, options: EtsiOptions, keys: AgencyKeys | None, pdu: Callable[[bytes, int], tuple[int, bytes]]
    ) -> None:
        self._hash = options.integrity
        self._signature = options.signature
        self._keys = keys
        self._pdu = pdu

    @property
    def on(self) -> bool:
        """Whether there are digests at all."""
        return self._hash != "none"

    def cover(self, state: State, kind: str, numbers: bytes, octets: memoryview | bytes, ns: int) -> bytes:
        """The digest over PDUs that are final, and the signature where it is due.

        Args:
            state: of the stream; the digest becomes pending in it.
            kind: "iri" or "cc".
            numbers: their sequence numbers, as encoded INTEGERs.
            octets: of the PDUs.
            ns: UTC time of the last.
        """
        if not self.on:
            return b""
        value = hashlib.new(self._hash, octets).digest()
        number, out = self._pdu(self._check(_DIGEST, kind, numbers, value), ns)
        if self._signature == "none":
            return out
        pending = state.pending[kind]
        if not pending.digests:
            pending.since_ns = ns
        pending.digests.append((number, value))
        return out + (self.sign(state, kind, ns) if len(pending.digests) >= SIGN_AFTER else b"")

    def sign(self, state: State, kind: str, ns: int) -> bytes:
        """The signature over all pending digests of a kind; b"" where there are none."""
        digests = state.pending[kind].digests
        if not digests:
            return b""
        numbers = b"".join(tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1)) for n, _ in digests)
        value = self._signed(b"".join(value for _, value in digests))
        _, out = self._pdu(self._check(_SIGNATURE, kind, numbers, value), ns)
        state.pending[kind] = Pending()
        return out

    def due(self, state: State, now_ns: int) -> bytes:
        """Signatures over digests that have waited long enough."""
        return b"".join(
            self.sign(state, kind, now_ns)
            for kind, pending in list(state.pending.items())
            if pending.digests and now_ns - pending.since_ns >= SIGN_NS
        )

    def end(self, state: State, ns: int) -> bytes:
        """Signatures over everything that is open."""
        return b"".join(self.sign(state, kind, ns) for kind in list(state.pending))

    def _signed(self, message: bytes) -> bytes:
        if self._keys is None:
            raise LictlError("a signature is due and there is no key.", "Give the agency keys.")
        if self._signature == "eddsa":
            return self._keys.sign_eddsa(message)
        if self._signature == "ecdsa":
            return self._keys.sign_ecdsa(message, self._hash)
        raise LictlError(f"there is no way to sign with {self._signature}.", "Choose signature=eddsa or ecdsa.")

    def _check(self, what: int, kind: str, numbers: bytes, value: bytes) -> bytes:
        """A Payload with an IntegrityCheck. EdDSA hashes by itself (RFC 8032): it names no hash."""
        check = tlv(0xA0, numbers) + octet(0x81, what) + octet(0x82, DATA_TYPES[kind]) + tlv(0x83, value)
        if what == _DIGEST or self._signature == "ecdsa":
            check += octet(0x84, HASHES[self._hash])
        if what == _SIGNATURE:
            check += octet(0x85, SIGNATURES[self._signature])
        return tlv(0xA2, tlv(0xA0, check))
