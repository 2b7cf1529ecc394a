# SPDX-License-Identifier: Apache-2.0
"""A spool filled by a real encoder, and the worker that delivers it."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from delivery_kit import Agency, open_spool, wait_for
from handover_records import WINDOW, header, info, numbered, packet

from lictl.delivery.blocks import BlockKind
from lictl.delivery.config import LinkState, StreamConfig, Transport, WorkerOptions
from lictl.delivery.supervisor import AgencyWorker
from lictl.handover.base import Event
from lictl.handover.pdu import split
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder
from lictl.probe.batch import Batch, Position, groups, sequence

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from lictl.handover.base import Mode

FAST = WorkerOptions(settle_s=0.2, backoff_min_s=0.02, backoff_max_s=0.1)
T0 = 1_772_366_400_123_456_789


class Feed:
    """One stream of the agency "lea": its spool, its encoder, and the worker that was started last.

    Args:
        folder: where the spool goes.
        form: name of the format.
        options: of the format.
    """

    def __init__(
        self, folder: Path, form: str, mode: Mode = "content", options: Mapping[str, str] | None = None
    ) -> None:
        self._root = folder / "spool" / "lea"
        self._root.mkdir(parents=True)
        self.spool = open_spool(self._root / "W-1", segment_bytes=1 << 22)
        names = info(mode, options)
        self.encoder = encoder(form, names)
        self.form = form
        self.stream = StreamConfig(
            "W-1", names.liid, form, form, mode, names.operator, names.element, country=names.country,
            framing=self.encoder.framing, options=dict(options or {}),
        )  # fmt: skip
        self.sent = bytearray()
        self.told = bytearray()
        self._position = Position()
        self._count = 0
        self._worker: AgencyWorker | None = None
        self._mark(BlockKind.OPEN, self.encoder.opening())

    def packets(self, count: int = 1, octets: int = 40) -> None:
        """Records of the next packets, each with its number in the last octets."""
        head = struct.pack(
            ">BBHIBBH4s4s", 0x45, 0, octets, 0, 64, 6, 0, bytes((203, 0, 113, 7)), bytes((198, 51, 100, 1))
        )
        numbers = range(self._count + 1, self._count + count + 1)
        frames = [bytes(14) + head + bytes(octets - 28) + number.to_bytes(8) for number in numbers]
        content = self.stream.mode == "content"
        records = numbered([packet(frame) if content else header() for frame in frames])
        records["slot_seq"] += self._count
        records["utc_ns"] += self._count * 1000
        self._count += count
        batch = Batch.of(records, frames if content else [b""] * count)
        (group,) = groups(batch)
        selection = sequence(batch, group, WINDOW, self.encoder.kind, self._position)
        for part in self.encoder.encode(batch, selection):
            payload = bytes(part.payload)
            self.sent += payload
            self.spool.append(
                BlockKind.DATA, payload, records=part.records, first_sequence=part.first_sequence,
                last_sequence=part.last_sequence, lost=part.lost, first_ns=part.first_ns, last_ns=part.last_ns,
                position=b"",
            )  # fmt: skip
        self.wake()

    def event(self, kind: Any = "begin") -> None:
        """An event."""
        payload = self.encoder.event(Event(kind, T0, ("203.0.113.7",)))
        self.told += payload
        self._mark(BlockKind.EVENT, payload)

    def note(self, payload: bytes) -> None:
        """What is for files alone."""
        self._mark(BlockKind.NOTE, payload)

    def end(self) -> None:
        """The stream is over."""
        self._mark(BlockKind.END, b"")

    def _mark(self, kind: BlockKind, payload: bytes) -> None:
        self.spool.append(
            kind, payload, records=0, first_sequence=0, last_sequence=0, lost=0, first_ns=0, last_ns=0, position=b""
        )
        self.wake()

    # ---- the worker

    def deliver(self, port: int, kind: Any, options: WorkerOptions = FAST, **transport: Any) -> None:
        """Starts a worker that delivers to a local port."""
        agency = Agency("lea", transport.pop("host", "127.0.0.1"), port)
        way = Transport(kind, **transport)
        self._worker = AgencyWorker(agency, self._root, [self.stream], options=options, transport=way)
        self._worker.start()

    def wake(self) -> None:
        """Tells the worker of new blocks."""
        if self._worker is not None:
            self._worker.wake("W-1")

    @property
    def link(self) -> LinkState:
        """As of its last report."""
        assert self._worker is not None
        return self._worker.state().streams.get("W-1", LinkState("W-1"))

    @property
    def pid(self) -> int:
        """Of the worker."""
        assert self._worker is not None
        return self._worker.state().pid

    @property
    def delivered(self) -> bool:
        """Everything counts as delivered."""
        return self.spool.acknowledged == self.spool.last_block

    def drain(self) -> None:
        """Until everything counts as delivered."""
        wait_for(lambda: self.delivered, what=f"for delivery; {self.link if self._worker else ''}")

    def stop(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def pdus(self, data: bytes | None = None) -> list[bytes]:
        """The PDUs in `data`, or of all packets until now."""
        return split(PDU_FORMATS[self.form], bytes(self.sent if data is None else data))

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.spool.close()


def fast(**changes: Any) -> WorkerOptions:
    """Short times, and what a test wants otherwise."""
    return replace(FAST, **changes)


def silent(sock: socket.socket, seconds: float = 0.2) -> bool:
    """Nothing comes for a while."""
    sock.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        return not sock.recv(1)
    return True
