# SPDX-License-Identifier: Apache-2.0
"""Keep-alives of TS 103 221-2 and what a mediation function says to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.handover.decode_x2x3 import X2X3Format
from lictl.handover.decoded import DecodeError
from lictl.handover.options import check_options
from lictl.handover.pdu import Answer
from lictl.handover.x2x3_elements import KEEPALIVE, OPTIONS, session_pdu

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig


class X2X3Dialect:
    """`lictl.handover.pdu.Dialect`: keep-alives when idle; only acknowledgements are expected."""

    keepalive_s = 60.0
    response_s = 30.0

    def __init__(self, stream: StreamConfig) -> None:
        options = check_options(stream.options, OPTIONS)
        self._version = int(options["version"], 16)
        self._numbered = options["keepalive"] == "numbered"
        self._number = 0
        self._format = X2X3Format()
        self._buffer = bytearray()

    def connected(self) -> bytes:
        """Nothing: a connection begins with PDUs."""
        return b""

    def keepalive(self) -> bytes:
        """The next one; with `keepalive=plain` without a number."""
        number, self._number = self._number, (self._number + 1) % (1 << 32)
        return session_pdu(self._version, KEEPALIVE, number if self._numbered else None)

    def test(self) -> bytes:
        """A keep-alive: there is no test PDU, and it delivers nothing."""
        return self.keepalive()

    def received(self, data: bytes) -> list[Answer]:
        """An answer for each acknowledgement; the peer's own keep-alives are passed over."""
        self._buffer += data
        answers, used = [], 0
        while used < len(self._buffer):
            with memoryview(self._buffer) as whole, whole[used:] as view:
                size = self._format.length(view)
            if not size or size > len(self._buffer) - used:
                break
            pdu = self._format.decode(bytes(self._buffer[used : used + size]))
            if pdu.kind == "keepalive-response":
                answers.append(Answer(alive=True))
            elif pdu.kind != "keepalive":
                raise DecodeError(f"a mediation function does not send {pdu.message}")
            used += size
        del self._buffer[:used]
        return answers
