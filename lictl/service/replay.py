# SPDX-License-Identifier: Apache-2.0
"""`lictl replay`: the same matching and mediation on a capture file, straight into files instead of a delivery."""

from __future__ import annotations

import os
import tomllib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from lictl.collection.store import clean_name
from lictl.delivery.state import Totals
from lictl.errors import LictlError, MachineError, RefusedError
from lictl.handover.base import StreamInfo
from lictl.handover.registry import encoder
from lictl.inputs import read_text
from lictl.mediation.mediator import Mediator
from lictl.mediation.stream import Stream
from lictl.probe.batch import Batch
from lictl.service.capture_file import CaptureFile, Matcher
from lictl.targets.compile import compile as compile_tables
from lictl.targets.orders import ArmedOrder
from lictl.times import now_ns
from lictl.warrants.fields import read_moment
from lictl.warrants.model import WarrantFile, load
from lictl.warrants.records import MODE_NUMBERS
from lictl.warrants.rows import slot_flags

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.delivery.blocks import BlockKind
    from lictl.delivery.crc import Buffer

# Batches end at the first packet that might not fit: room for one packet under very many orders is enough.
CAPACITY = 8192


@dataclass(frozen=True, slots=True)
class _Order:
    """What the mediator asks of an order."""

    mode: str
    starts_ns: int
    ends_ns: int


class _File:
    """In place of a spool: payloads go straight into the agency's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = self.lost = 0
        self.position = b""
        self.next_sequence = 1
        try:
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        except FileExistsError:
            raise RefusedError(f"{path} exists already.", "Name an empty folder with --into.") from None
        except OSError as error:
            raise MachineError(f"{path} cannot be written: {error.strerror}.", "Check the folder.") from None

    @property
    def totals(self) -> Totals:
        """What was written."""
        return Totals(self.records, self.lost)

    def append(
        self,
        kind: BlockKind,
        payload: Buffer,
        *,
        records: int,
        first_sequence: int,
        last_sequence: int,
        lost: int,
        first_ns: int,
        last_ns: int,
        position: bytes,
    ) -> None:
        """Writes a block's payload."""
        self._file.write(payload)
        self.records += records
        self.lost += lost
        self.position = position
        if records or lost:
            self.next_sequence = last_sequence + 1

    def close(self) -> None:
        """Flushes and closes."""
        self._file.close()


def replay(capture: Path, warrants: list[Path], into: Path, format_: str) -> dict[str, Any]:
    """Applies orders to a capture file.

    Args:
        capture: pcap or pcapng.
        warrants: warrant files; each is applied by itself, as on a wire.
        into: folder for the files.
        format_: handover format.

    Returns:
        `{"packets": int, "orders": [{"liid", "mode", "file", "seen", "matched", "delivered", "lost", "withheld",
        "unproven"}]}`; matched = delivered + lost + withheld; unproven packets have no provable header field.

    Raises:
        LictlError: a file cannot be used. Files that were begun are removed.
    """
    orders = [_load(path) for path in warrants]
    armed = [
        ArmedOrder(slot, 1, MODE_NUMBERS[o.mode], o.starts, o.ends, slot_flags(o), o.targets, str(warrants[slot]))
        for slot, o in enumerate(order.intercept for order in orders)
    ]
    tables = compile_tables(armed)
    source = CaptureFile(capture)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    files: list[_File] = []
    try:
        streams = []
        for order, kernel_order in zip(orders, armed, strict=True):
            made = encoder(format_, _info(order, capture.name))
            name = clean_name(f"{order.intercept.liid}-{kernel_order.slot + 1}")
            files.append(_File(into / f"{name}.{made.suffix}"))
            streams.append(Stream(kernel_order.claim, "replay", made, files[-1], 0))
        packets, counts = _run(source, Matcher(tables), streams, orders, armed)
    except BaseException:
        for file in files:
            file.close()
            file.path.unlink(missing_ok=True)
        raise
    for file in files:
        file.close()
    return {
        "packets": packets,
        "orders": [
            {
                "liid": order.intercept.liid,
                "mode": str(order.intercept.mode),
                "file": str(file.path),
                "seen": counts[slot].seen,
                "matched": counts[slot].matched,
                "delivered": file.records,
                "lost": counts[slot].lost,
                "withheld": streams[slot].counts.refused,
                "unproven": counts[slot].withheld,
            }
            for slot, (order, file) in enumerate(zip(orders, files, strict=True))
        ],
    }


def _run(
    source: CaptureFile, matcher: Matcher, streams: list[Stream], orders: list[WarrantFile], armed: list[ArmedOrder]
) -> tuple[int, list[Any]]:
    mediator = Mediator(streams)
    live = {
        kernel_order.claim: _Order(o.mode, o.starts, o.ends)
        for kernel_order, o in zip(armed, (order.intercept for order in orders), strict=True)
    }
    batch = Batch(CAPACITY)
    while source.read(matcher, batch):
        mediator.take(batch, live)
    packets, counts = matcher.counts()
    for stream, kernel_order in zip(streams, armed, strict=True):
        mediator.trailing_gap(kernel_order.claim, [counts[kernel_order.slot].matched], now_ns(), "frame")
        if not stream.writable:
            raise MachineError(f"an output file cannot be written: {stream.failure}", "Check the disk.")
        stream.end()
    return packets, counts


def _info(order: WarrantFile, capture: str) -> StreamInfo:
    return StreamInfo(
        liid=order.intercept.liid,
        case_id=order.intercept.case_id,
        mode="content" if order.intercept.mode == "content" else "headers",
        operator="replay",
        element="replay",
        country="ZZ",  # ISO 3166-1: for the user's own use, no country
        agency="replay",
        interfaces=lambda _ifindex: capture,
        uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, f"lictl replay {order.intercept.liid}")),
    )


def _load(path: Path) -> WarrantFile:
    """A warrant file, judged as of its own end at the latest: an order that is over may be replayed."""
    now, text = now_ns(), read_text(path, "a warrant file")
    try:
        ends = tomllib.loads(text).get("intercept", {}).get("ends")
        now = min(now, read_moment(ends) - 1)
    except (ValueError, AttributeError, RecursionError, PydanticCustomError, LictlError):
        pass  # `load` says what is wrong
    return load(text, now, str(path))
