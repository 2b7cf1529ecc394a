# SPDX-License-Identifier: Apache-2.0
"""PS-PDUs of TS 102 232 as an operator sends them, and a connection that sends them; nothing native."""

from __future__ import annotations

import hashlib
import socket

from lictl.handover.etsi_integrity import Integrity
from lictl.handover.etsi_options import EtsiOptions
from lictl.handover.etsi_pdu import Names, tlv
from lictl.handover.etsi_seal import Sealer
from lictl.handover.etsi_state import State
from lictl.handover.readers import PDU_FORMATS
from lictl.keys.agency import AgencyKeys

T0 = 1_772_366_400_123_456_000
ETSI = PDU_FORMATS["etsi-102232"]
KEYS = AgencyKeys(hashlib.sha256(b"an agency's secret").digest())
PACKET = bytes.fromhex("4500001c000100004011b6c9cb007107c63364019c4001bb00080000")


def names(liid: str = "LIID0001") -> Names:
    """Whose PDUs they are."""
    return Names(liid, "US", "OPER1", "probe01")


def ipcc(number: int, liid: str = "LIID0001", packet: bytes = PACKET, cin: int = 1) -> bytes:
    """Content: one IP packet from the target."""
    contents = tlv(0xA2, tlv(0x80, bytes.fromhex("05031402")) + tlv(0xA1, tlv(0x80, packet)))
    payload = tlv(0xA1, tlv(0x30, tlv(0x80, b"\0") + tlv(0xA2, contents)))
    return names(liid).pdu(number, T0 + number * 1000, payload, cin)


def event(number: int, liid: str = "LIID0001") -> bytes:
    """IRI: the interception begins."""
    begin = tlv(0xA2, tlv(0x80, bytes.fromhex("05031401")) + tlv(0xA1, b""))
    return names(liid).pdu(number, T0 + number * 1000, tlv(0xA0, tlv(0x30, tlv(0x80, b"\1") + tlv(0xA2, begin))))


def report(number: int, port: bytes = b"\x01\xbb") -> bytes:
    """IRI: an IPIRIOnly of one TCP packet, its source port as given."""
    ip = tlv(0xA0, tlv(0x82, b"\0\x28") + tlv(0x86, b"\6") + tlv(0x88, PACKET[12:16]) + tlv(0x89, PACKET[16:20]))
    transport = tlv(0xA1, tlv(0x80, port) + tlv(0x81, b"\0\x50"))
    only = tlv(0xA3, tlv(0x80, bytes.fromhex("05031403")) + tlv(0xA1, ip) + tlv(0xA2, transport))
    iri = tlv(0xA0, tlv(0x30, tlv(0x80, b"\4") + tlv(0xA2, only) + tlv(0x86, b"\0")))
    return names().pdu(number, T0, iri)


def sealed(pdus: list[tuple[int, bytes]], key: bytes = KEYS.payload_key) -> list[bytes]:
    """PDUs with their numbers, payloads sealed as one stream's are."""
    sealer, state = Sealer(key), State()
    return [sealer.seal(state, pdu, number, T0) for number, pdu in pdus]


def long_form(pdu: bytes) -> bytes:
    """The same PDU with a length of more octets than it needs, which BER allows."""
    begin = 2 if pdu[1] < 0x80 else 2 + (pdu[1] & 0x7F)
    return b"\x30\x83" + (len(pdu) - begin).to_bytes(3) + pdu[begin:]


class Operator:
    """Makes PDUs with digests and signatures over them."""

    def __init__(self, integrity: str = "sha256", signature: str = "eddsa") -> None:
        self.tri = 0
        self.state = State()
        options = EtsiOptions("packet-report", "packet", 60, integrity, signature, "none", "microseconds", "none")
        self.integrity = Integrity(options, KEYS, self._tri)

    def _tri(self, payload: bytes, ns: int) -> tuple[int, bytes]:
        self.tri += 1
        return self.tri - 1, names().pdu(self.tri - 1, ns, payload)

    def checked(self, pdus: list[bytes], first: int) -> bytes:
        """The PDUs and the digest over them."""
        numbers = b"".join(tlv(2, n.to_bytes(n.bit_length() // 8 + 1)) for n in range(first, first + len(pdus)))
        return b"".join(pdus) + self.integrity.cover(self.state, "cc", numbers, b"".join(pdus), T0)

    def signed(self) -> bytes:
        """The signature over all digests so far."""
        return self.integrity.end(self.state, T0)


class Line:
    """One connection to a receiver."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, 30)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Octets."""
        self.sock.sendall(data)

    def answer(self) -> bytes:
        """The next PDU that comes back."""
        while True:
            size = ETSI.length(memoryview(self._buffer)) if self._buffer else 0
            if size and size <= len(self._buffer):
                pdu, self._buffer = self._buffer[:size], self._buffer[size:]
                return pdu
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionResetError("the receiver closed the connection")
            self._buffer += data

    def hung_up(self) -> bool:
        """Waits until the receiver closes the connection."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            return True
        return True

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()
