# SPDX-License-Identifier: Apache-2.0
"""Searching for what must not be there, in everything that a headers order leaves."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lictl import handover
from lictl.handover.registry import formats
from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kernel_builds import Record

WINDOW = (0, 1 << 63)
UUID = "29f28e1c-f230-486a-a860-f5a784ab9177"
PIECE = 5  # bytes of a marker that already give it away


def info(mode: handover.base.Mode) -> handover.StreamInfo:
    """The names of a stream."""
    return handover.StreamInfo(
        "LIID0001", "CASE 1", mode, "OPER1", "probe01", "US", "agency", lambda _: "eth1", uuid=UUID
    )


def spellings(marker: bytes) -> Iterator[bytes]:
    """The marker's pieces raw and as hex, and the whole in base64 at each of its three alignments."""
    for at in range(len(marker) - PIECE + 1):
        piece = marker[at : at + PIECE]
        yield piece
        yield piece.hex().encode()
        yield piece.hex().upper().encode()
    for shift in range(3):
        yield base64.b64encode(bytes(shift) + marker)[4:-4]


def found(marker: bytes, outputs: Iterable[bytes]) -> list[bytes]:
    """Spellings of the marker that stand in an output."""
    return [spelling for output in outputs for spelling in spellings(marker) if spelling in output]


def encoded(heads: list[np.void]) -> dict[str, bytes]:
    """The header records in every format that a headers order can have: name -> all bytes of the stream."""
    streams = {}
    for name in formats("headers"):
        encoder = handover.headers_encoder(name, info("headers"))
        chunks = [encoder.opening()]
        if heads:
            batch = Batch.of(np.array(heads, abi.REC), [b""] * len(heads))
            for group in groups(batch):
                selection = sequence(batch, group, WINDOW, abi.REC_HEADER, Position())
                assert selection.n == len(group.order)
                chunks += [bytes(part.payload) for part in encoder.encode(batch, selection)]
        streams[name] = b"".join(chunks)
    return streams


def everything(records: Iterable[Record]) -> list[bytes]:
    """Each record as it stood in the ring, with what came behind it, and each format's stream."""
    records = list(records)
    outputs = [record.head.tobytes() + record.data for record in records]
    return [*outputs, *encoded([record.head for record in records]).values()]


def timeless(record: Record) -> np.void:
    """A copy of the record head without what differs from one packet to the next anyway."""
    head = record.head.copy()
    for name in ("utc_ns", "ktime_ns", "cpu_seq", "slot_seq"):
        head[name] = 1
    return head


def mapped_kernel_memory() -> Iterator[bytes]:
    """Every BPF map that this process has mapped: rings, slots, settings."""
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for line in Path("/proc/self/maps").read_text().splitlines():
            if "bpf-map" in line or "bpf_map" in line:
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                memory.seek(start)
                yield memory.read(end - start)
