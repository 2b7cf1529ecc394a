# SPDX-License-Identifier: Apache-2.0
"""A port for datagrams, each of which is one PDU."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lictl.collection.detect import datagram
from lictl.collection.evidence_store import NoRoomError
from lictl.collection.framed import reader
from lictl.collection.replies import reply
from lictl.handover.decoded import DecodeError
from lictl.handover.readers import PDU_FORMATS

if TYPE_CHECKING:
    import socket

    from lictl.collection.evidence import Evidence
    from lictl.collection.receiver import Receiver

DEFECT = "defect of lictl: "
"""Begins the class of reasons that stands in the verdict where lictl itself is wrong."""
_MAX_DATAGRAM = 1 << 16
_TURN = 512


class DatagramPort:
    """Takes what comes to one UDP port; `format_` "": each datagram is told by itself."""

    def __init__(self, sock: socket.socket, receiver: Receiver, format_: str) -> None:
        self.sock = sock
        self._receiver = receiver
        self._format = format_
        self._port = int(sock.getsockname()[1])

    def ready(self) -> None:
        """Takes what is there, up to a bound."""
        dirty: dict[Evidence, int] = {}
        receiver = self._receiver
        for _ in range(_TURN):
            try:
                data, sender = self.sock.recvfrom(_MAX_DATAGRAM)
            except OSError:  # nothing left, or an ICMP error that answers an answer
                break
            try:
                self._take(data, sender, dirty)
            except NoRoomError as error:
                receiver.refused[error.reason] += 1
            except DecodeError:
                receiver.refused["bad datagram"] += 1
            except OSError:
                receiver.refused["disk error"] += 1
            except Exception as error:  # a defect that one datagram has found is no other one's
                receiver.refused[f"{DEFECT}{type(error).__name__}"] += 1
        with receiver.lock:
            for evidence, size in dirty.items():
                try:
                    receiver.evidence.flush(evidence)
                except OSError:
                    receiver.refused["disk error"] += 1
                receiver.committer.add(evidence, size)

    def _take(self, data: bytes, sender: tuple[str, int], dirty: dict[Evidence, int]) -> None:
        name = self._format or datagram(data)
        format_ = reader(name, self._receiver.payload_keys) if name in PDU_FORMATS else None
        if format_ is None or not data or format_.length(memoryview(data)) != len(data):
            raise DecodeError("a datagram that is not one PDU")
        with self._receiver.lock:
            pdu, evidence = self._receiver.evidence.take(format_, data, self._port)
        if evidence is not None:
            dirty[evidence] = dirty.get(evidence, 0) + len(data)
        answer = reply(pdu) if pdu is not None else None
        if answer is not None and not answer.durable:
            with contextlib.suppress(OSError):
                self.sock.sendto(answer.data, sender)
