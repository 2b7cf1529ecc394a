# SPDX-License-Identifier: Apache-2.0
"""A connection whose protocol is not known yet: told from its first octets, or from the port that it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.collection.detect import ENOUGH, LICTL, detect
from lictl.collection.framed import stream_reader
from lictl.collection.pdu_peer import PduPeer
from lictl.collection.peer import Peer

if TYPE_CHECKING:
    from lictl.collection.connection import Connection, Speaker
    from lictl.collection.evidence import Evidence
    from lictl.collection.store import StreamFile


def speaker_for(connection: Connection, format_: str, port: int) -> Speaker:
    """Who speaks on a connection to a port; `format_` "": it has to be found out."""
    if not format_:
        return Stranger(connection, port)
    if format_ == LICTL:
        return Peer(connection)
    return PduPeer(connection, stream_reader(format_, connection.receiver.payload_keys), port)


class Stranger:
    """Reads until the protocol is plain, then hands over."""

    known = False
    idle = False

    def __init__(self, connection: Connection, port: int) -> None:
        self._connection = connection
        self._port = port
        self._buffer = bytearray(ENOUGH)
        self._held = 0

    @property
    def capacity(self) -> int:
        """A few octets."""
        return ENOUGH

    def space(self) -> memoryview:
        """The rest of them."""
        return memoryview(self._buffer)[self._held :]

    def received(self, n: int) -> None:
        """Looks again at what is there; DecodeError where no format begins like that."""
        self._held += n
        data = bytes(self._buffer[: self._held])
        format_ = detect(data)
        if format_ is None:
            return
        speaker = speaker_for(self._connection, format_, self._port)
        self._connection.speaker = speaker
        while data:
            room = speaker.space()
            n = min(len(room), len(data))
            room[:n] = data[:n]
            data = data[n:]
            speaker.received(n)

    def refusal(self, why: str) -> bytes:
        """Nobody knows in which language."""
        del why
        return b""

    def turned(self, size: int) -> None:
        """Nothing was taken."""

    def committed(self, file: StreamFile | Evidence) -> None:
        """Nothing was taken."""
