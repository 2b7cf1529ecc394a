# SPDX-License-Identifier: Apache-2.0
"""What the tests of delivery and collection share: spools filled with numbered records, agencies, waiting."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.delivery.blocks import BlockKind
from lictl.delivery.config import StreamConfig
from lictl.delivery.segments import list_segments
from lictl.delivery.spool import Appended, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 1 << 20
KEY = bytes(range(100, 132))


@dataclass(frozen=True)
class Agency:
    """What a worker needs to know."""

    name: str
    host: str
    port: int


def stream_config(name: str = "W-1", key: bytes = b"") -> StreamConfig:
    """A text stream of one order."""
    return StreamConfig(name, f"LIID-{name}", "text", "txt", mode="content", operator="op", key=key)


def sealed_stream(name: str = "W-1") -> StreamConfig:
    """The same for a sealed spool."""
    return stream_config(name, KEY)


def record(sequence: int, size: int = 16) -> bytes:
    """A record whose content follows from its number."""
    return f"{sequence:015d}\n".encode() * (size // 16)


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs of its own in a new folder; `options` as of mount(8), such as size=2m."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "lictl-test", str(disk)], check=True, timeout=60)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True, timeout=60)


def open_spool(folder: Path, quota: int = 64 * MIB, **options: object) -> Spool:
    """A spool that does not wait for the disk."""
    return Spool.open(folder, quota, **{"fsync": "never", **options})  # type: ignore[arg-type]


def open_sealed(folder: Path, quota: int = 64 * MIB, **options: object) -> Spool:
    """The same, sealed as in service."""
    return open_spool(folder, quota, **{"key": KEY, **options})


def append(spool: Spool, records: int = 1, *, lost: int = 0, size: int = 16, position: bytes = b"") -> Appended:
    """One DATA block with the next numbers, `lost` of them lost before the first record."""
    first = spool.next_sequence + lost
    last = first + records - 1
    payload = b"".join(record(number, size) for number in range(first, last + 1))
    return spool.append(
        BlockKind.DATA,
        payload,
        records=records,
        first_sequence=first,
        last_sequence=last,
        lost=lost,
        first_ns=time.time_ns(),
        last_ns=time.time_ns(),
        position=position or last.to_bytes(8, "little"),
    )


def mark(spool: Spool, kind: BlockKind, payload: bytes = b"") -> Appended:
    """An OPEN or END block."""
    return spool.append(
        kind, payload, records=0, first_sequence=0, last_sequence=0, lost=0, first_ns=0, last_ns=0,
        position=spool.position,
    )  # fmt: skip


def gap(spool: Spool, lost: int) -> Appended:
    """A GAP block."""
    first = spool.next_sequence
    return spool.append(
        BlockKind.GAP, b"", records=0, first_sequence=first, last_sequence=first + lost - 1, lost=lost,
        first_ns=0, last_ns=0, position=spool.position,
    )  # fmt: skip


def segments_of(folder: Path) -> list[int]:
    """First block numbers of a spool's segments."""
    return list_segments(path.name for path in folder.iterdir())


def fill(spool: Spool, records: int) -> None:
    """Appends until the spool refuses."""
    for _ in range(100_000):
        append(spool, records)


def wait_for(condition: Callable[[], object], seconds: float = 30.0, what: str = "") -> None:
    """Returns as soon as the condition holds; fails the test when it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain {what}"
        time.sleep(0.005)
