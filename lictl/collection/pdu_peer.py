# SPDX-License-Identifier: Apache-2.0
"""A connection that carries the PDUs of one format, back to back."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from lictl.collection.connection import Connection, disk
from lictl.collection.evidence import Evidence
from lictl.collection.replies import reply
from lictl.handover.decoded import DecodeError
from lictl.handover.pdu import MAX_PDU

if TYPE_CHECKING:
    from lictl.collection.store import StreamFile
    from lictl.handover.pdu import PduFormat

_SMALL = 1 << 16
_MAX_WAITING = 1024


class PduPeer:
    """Cuts a stream of octets into PDUs, books them, answers.

    Args:
        connection: of the sender.
        format_: of its PDUs.
        port: that it came to; names what names nothing itself.
    """

    known = True
    idle = True

    def __init__(self, connection: Connection, format_: PduFormat, port: int) -> None:
        self._connection = connection
        self._receiver = connection.receiver
        self._format = format_
        self._port = port
        self._buffer = bytearray(_SMALL)
        self._begin = 0
        self._end = 0
        self._waiting: deque[tuple[bytes, dict[Evidence, int]]] = deque()
        self._dirty: set[Evidence] = set()

    @property
    def capacity(self) -> int:
        """Of the buffer: at most one PDU of the largest size, and one read."""
        return len(self._buffer)

    def space(self) -> memoryview:
        """Room behind the PDU that has begun."""
        held = self._end - self._begin
        wanted = _SMALL if held <= _SMALL // 2 else MAX_PDU + _SMALL
        if self._begin or wanted != len(self._buffer):
            fresh = bytearray(max(wanted, _SMALL)) if wanted != len(self._buffer) else self._buffer
            fresh[:held] = self._buffer[self._begin : self._end]
            self._buffer, self._begin, self._end = fresh, 0, held
        return memoryview(self._buffer)[self._end :]

    def received(self, n: int) -> None:
        """Takes the PDUs that are whole now.

        Raises:
            DecodeError: what follows is no PDU of the format.
        """
        self._end += n
        view = memoryview(self._buffer)
        try:
            with self._receiver.lock, disk():
                while self._begin < self._end:
                    size = self._format.length(view[self._begin : self._end])
                    if not size or size > self._end - self._begin:
                        break
                    if size > MAX_PDU:
                        raise DecodeError(f"a PDU of {size} octets")
                    raw = bytes(view[self._begin : self._begin + size])
                    self._begin += size
                    self._take(raw)
        finally:
            with self._receiver.lock, disk():
                for evidence in self._dirty:
                    self._receiver.evidence.flush(evidence)
        if not self._dirty:
            self._answer_committed()

    def _take(self, raw: bytes) -> None:
        pdu, evidence = self._receiver.evidence.take(self._format, raw, self._port)
        if evidence is not None:
            self._dirty.add(evidence)
            self._receiver.feed(self._connection, evidence)
        answer = reply(pdu) if pdu is not None else None
        if answer is None:
            return
        if not answer.durable:
            self._connection.send(answer.data)
            return
        if len(self._waiting) >= _MAX_WAITING:
            raise DecodeError("too many acknowledgements are asked for at once")
        fed = {file: file.size for file in self._connection.files if isinstance(file, Evidence)}
        self._waiting.append((answer.data, fed))

    def refusal(self, why: str) -> bytes:
        """The formats have no way to say it."""
        del why
        return b""

    def turned(self, size: int) -> None:
        """Hands what was fed to the committer."""
        for evidence in self._dirty:
            self._receiver.committer.add(evidence, size)
        self._dirty.clear()

    def committed(self, file: StreamFile | Evidence) -> None:
        """Answers what waited for it."""
        del file
        self._answer_committed()

    def _answer_committed(self) -> None:
        while self._waiting:
            answer, fed = self._waiting[0]
            if any(evidence.durable < size for evidence, size in fed.items()):
                return
            self._waiting.popleft()
            self._connection.send(answer)
