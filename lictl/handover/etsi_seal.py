# SPDX-License-Identifier: Apache-2.0
"""Sealed payloads: the EncryptionContainer of ETSI TS 102 232-1, clause 7 (aES-256-CBC).

The header stays readable. In place of the payload stands the cipher text of an EncryptedPayload {byteCounter, payload},
filled up with zero octets to whole blocks of 16; BER tells where it ends. The initialisation vector is not sent: it is
the PDU's sequence number, four octets, four times over. It can be foreseen, so byteCounter leads the plain text: the
second in which the stream's first payload was sealed (four octets), then the octets of all PDUs sealed before in the
stream (four octets, modulo 2^32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from lictl.handover.etsi_pdu import octet, tlv

if TYPE_CHECKING:
    from lictl.handover.etsi_state import State

AES_256_CBC: Final = 4
PART_3: Final = 3
"""encryptedPayloadType: TS 102 232-3."""
_TYPE: Final = octet(0x80, AES_256_CBC)
_PART: Final = octet(0x82, PART_3)
_U32: Final = 0xFFFFFFFF


def initial_vector(number: int) -> bytes:
    """Of the PDU with this sequence number."""
    return number.to_bytes(4) * 4


class Sealer:
    """Seals PS-PDUs of one stream.

    Args:
        key: AES-256.
    """

    def __init__(self, key: bytes) -> None:
        self._key = AES(key)

    def seal(self, state: State, pdu: bytes, number: int, ns: int) -> bytes:
        """The PDU with a sealed payload. `number`: its sequence number; `ns`: its time."""
        header = _behind_head(pdu, 0)
        payload = _end(pdu, header)
        if not state.sealed_since:
            state.sealed_since = ns // 1_000_000_000
        counter = tlv(0x80, state.sealed_since.to_bytes(4) + state.sealed.to_bytes(4))
        state.sealed = (state.sealed + len(pdu)) & _U32
        plain = tlv(0x30, counter + b"\xa1" + pdu[payload + 1 :])
        encryptor = Cipher(self._key, CBC(initial_vector(number))).encryptor()
        sealed = encryptor.update(plain + bytes(-len(plain) % 16))
        container = tlv(0xA2, tlv(0xA4, _TYPE + tlv(0x81, sealed) + _PART))
        return tlv(0x30, pdu[header:payload] + container)


def unseal(payload: bytes, key: bytes, number: int) -> bytes:
    """What the receiver does: the EncryptedPayload's octets, zero octets behind it.

    Args:
        payload: encryptedPayload of the container.
        key: AES-256.
        number: the PDU's sequence number.

    Raises:
        ValueError: not whole blocks.
    """
    decryptor = Cipher(AES(key), CBC(initial_vector(number))).decryptor()
    return decryptor.update(payload) + decryptor.finalize()


def _behind_head(data: bytes, at: int) -> int:
    """Where the content of the element at `at` begins; only for what this format wrote."""
    first = data[at + 1]
    return at + 2 + (first & 0x7F if first & 0x80 else 0)


def _end(data: bytes, at: int) -> int:
    """Where the element at `at` ends."""
    begin = _behind_head(data, at)
    size = data[at + 1] if begin == at + 2 else int.from_bytes(data[at + 2 : begin])
    return begin + size
