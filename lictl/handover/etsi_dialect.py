# SPDX-License-Identifier: Apache-2.0
"""A connection in ETSI TS 102 232-1, clause 6.3: keep-alives, test PDU, the option of acknowledgements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.handover.decode_etsi import PS_PDUS
from lictl.handover.decoded import DecodeError
from lictl.handover.etsi_pdu import ACK_REQUEST, KEEPALIVE, SESSION, TEST, Names, option_request, tlv, tri
from lictl.handover.pdu import Answer
from lictl.times import now_ns

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig


_REQUEST = tri(ACK_REQUEST)
_ACCEPTED = tlv(0xA0, tlv(0x80, b""))
"""acceptedOptions with pDUAcknowledgement alone: there is no other option (TS 102 232-1, clause 6.3.5)."""


class EtsiDialect:
    """What lictl says and hears beside the PDUs of the spool. CIN 0, with sequence numbers that begin at 0 with it.

    Attributes:
        keepalive_s: TIME1: idle seconds before a keep-alive.
        response_s: TIME3: seconds in which its response has to come, else the connection is made anew.
        agreed: the agency has accepted the option of acknowledgements.
    """

    keepalive_s = 60.0
    response_s = 30.0

    def __init__(self, stream: StreamConfig) -> None:
        generalized = stream.options.get("time") == "generalized"
        self._names = Names(stream.liid, stream.country, stream.operator, stream.element, generalized)
        self._asking = stream.options.get("acknowledgement") == "request"
        self._number = 0
        self._acknowledged = 0
        self.agreed = False
        self._buffer = bytearray()

    def _say(self, payload: bytes) -> bytes:
        self._number += 1
        return self._names.pdu(self._number - 1, now_ns(), payload, SESSION)

    def connected(self) -> bytes:
        """optionRequest, where the agency's options ask for acknowledgements; else nothing."""
        return self._say(option_request()) if self._asking else b""

    def asks(self, payload: memoryview) -> int:
        """1 where the payload ends with pDUAcknowledgementRequest, which the encoder puts behind its records."""
        return int(self._asking and payload[-len(_REQUEST) :] == _REQUEST)

    def keepalive(self) -> bytes:
        """keep-alive."""
        return self._say(tri(KEEPALIVE))

    def test(self) -> bytes:
        """testPDU."""
        return self._say(tri(TEST))

    def received(self, data: bytes) -> list[Answer]:
        """Whatever is a PS-PDU is taken; only keep-alive and acknowledgement responses mean something."""
        self._buffer += data
        answers: list[Answer] = []
        used = 0
        while used < len(self._buffer):
            size = PS_PDUS.length(memoryview(bytes(self._buffer[used : used + 32])))
            if not size or size > len(self._buffer) - used:
                break
            answers += self._hear(bytes(self._buffer[used : used + size]))
            used += size
        del self._buffer[:used]
        return answers

    def _hear(self, octets: bytes) -> list[Answer]:
        try:
            message = PS_PDUS.decode(octets).message
        except DecodeError:  # framed well, so what follows can still be read
            return []
        if message == "keep-aliveResponse":
            return [Answer(alive=True)]
        if message == "pDUAcknowledgementResponse":
            self._acknowledged += 1
            return [Answer(acknowledged=self._acknowledged)]
        if message == "optionResponse":
            self.agreed = self._asking and _ACCEPTED in octets
        return []
