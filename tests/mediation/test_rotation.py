# SPDX-License-Identifier: Apache-2.0
"""Where a stream lets its file end: every file is whole for itself, and together they are the stream."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from handover_records import CLAIM, T0, info, numbered, packet
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.delivery.blocks import HEADER_BYTES, BlockKind
from lictl.delivery.filing import Filing
from lictl.delivery.reader import SpoolReader, Stored
from lictl.delivery.spool import Spool
from lictl.handover.base import Event, Gap
from lictl.handover.decode import Record, decode
from lictl.handover.registry import encoder
from lictl.mediation.mediator import Mediator
from lictl.mediation.rotation import Rotation
from lictl.mediation.stream import Stream
from lictl.probe.batch import Batch, Position

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from lictl.delivery.blocks import Header

QUOTA = 1 << 24
FRAME = bytes(12) + b"\x08\x00" + bytes([0x45]) + bytes(45)


class Order:
    mode = "content"
    starts_ns = 0
    ends_ns = 2**63


def batches(counts: list[int]) -> list[Batch]:
    recs = numbered([packet(FRAME, ifindex=3 + i % 2) for i in range(sum(counts))])
    cuts = np.cumsum([0, *counts])
    return [Batch.of(recs[a:b], [FRAME] * (b - a)) for a, b in itertools.pairwise(cuts)]


def blocks(spool: Spool) -> list[tuple[Header, bytes]]:
    reader, out = SpoolReader(spool.folder), []
    while found := reader.read():
        for item in found:
            assert isinstance(item, Stored)
            out.append((item.header, bytes(item.data[HEADER_BYTES:])))
    reader.close()
    return out


def files(spool: Spool) -> list[bytes]:
    """The content of the files that the blocks lead to; an opening with nothing behind it is none."""
    out: list[list[bytes]] = []
    for header, payload in blocks(spool):
        if header.kind == BlockKind.OPEN:
            out.append([payload])
        elif header.kind not in (BlockKind.NOTE, BlockKind.END):
            out[-1].append(payload)
    return [b"".join(parts) for parts in out if len(parts) > 1]


def notes(spool: Spool) -> list[dict[str, Any]]:
    return [json.loads(payload) for header, payload in blocks(spool) if header.kind == BlockKind.NOTE]


def stream_of(spool: Spool, form: str, filing: Filing, clock: Any = lambda: 0.0) -> Stream:
    return Stream(CLAIM, "fbi", encoder(form, info("content")), spool, 1, Rotation(filing, QUOTA, clock))


@pytest.mark.parametrize("form", ["pcapng", "text", "msgpack", "etsi-102232"])
@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=6), packets=st.integers(1, 30))
@settings(max_examples=15)
def test_each_file_is_whole_and_together_they_are_the_stream(
    form: str, counts: list[int], packets: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the batches, each file but the last has exactly the packets asked for and is decoded alone."""
    with Spool.open(tmp_path_factory.mktemp("spool"), QUOTA, fsync="never") as spool:
        mediator = Mediator([stream_of(spool, form, Filing(packets=packets, bytes=0))])
        for batch in batches(counts):
            mediator.take(batch, {CLAIM: Order()})  # type: ignore[dict-item]
        found = [
            [item.sequence for item in decode(form, io.BytesIO(data)) if isinstance(item, Record)]
            for data in files(spool)
        ]
        first = 0 if form == "etsi-102232" else 1  # as TS 102 232-1 counts
        assert [number for each in found for number in each] == [*range(first, first + sum(counts))]
        assert {len(each) for each in found[:-1]} <= {packets}


def test_standard_tools_read_each_pcapng_file(tmp_path: Path) -> None:
    """capinfos counts the packets of every file, and tshark dissects it, without the files before it."""
    with Spool.open(tmp_path / "spool", QUOTA, fsync="never") as spool:
        mediator = Mediator([stream_of(spool, "pcapng", Filing(packets=4))])
        mediator.take(batches([10])[0], {CLAIM: Order()})  # type: ignore[dict-item]
        for data, packets in zip(files(spool), [4, 4, 2], strict=True):
            path = tmp_path / "file.pcapng"
            path.write_bytes(data)
            run = {"capture_output": True, "text": True, "check": True}
            counted = subprocess.run(["capinfos", "-TrcM", str(path)], **run).stdout  # type: ignore[call-overload]
            assert counted.split()[-1] == str(packets)
            seen = subprocess.run(["tshark", "-r", str(path), "-T", "fields", "-e", "ip.version"], **run)  # type: ignore[call-overload]
            assert seen.stdout.split() == ["4"] * packets


def test_size_time_and_events_end_a_file(tmp_path: Path) -> None:
    """The first limit that is reached ends the file, and a note says which; an event does, so nobody waits for it."""
    now = [0.0]
    with Spool.open(tmp_path / "spool", QUOTA, fsync="never") as spool:
        stream = stream_of(spool, "text", Filing(seconds=10, bytes=4096), lambda: now[0])
        mediator = Mediator([stream])
        one, many = batches([1, 60])
        live: Any = {CLAIM: Order()}
        mediator.take(one, live)
        now[0] = 9.9
        stream.tick(T0)
        assert len(files(spool)) == 1
        now[0] = 10.1
        stream.tick(T0)
        now[0] = 50.0
        stream.tick(T0)  # nothing in it: it goes on
        mediator.take(many, live)
        stream.event(Event("suspend", T0, ("192.0.2.1",), T0, T0 + 1, 61, 0))
        stream.tick(T0)
        stream.end()
        assert [note.get("cause", note["event"]) for note in notes(spool)] == ["seconds", "bytes", "suspend", "event"]


def test_gaps_and_events_are_told_whatever_the_format(tmp_path: Path) -> None:
    """A format that says nothing of an event still leaves a note of it, which holds names and numbers only."""
    with Spool.open(tmp_path / "spool", QUOTA, fsync="never") as spool:
        stream = stream_of(spool, "text", Filing())
        stream.event(Event("begin", T0, ("192.0.2.1",), T0, T0 + 1_000_000_000))
        stream.position.next_sequence += 7
        stream.lose(Gap(7, 1, "ring", T0, T0 + 1), 7, None)
        stream.end()
        begin, lost = notes(spool)
        assert begin == {
            "event": "begin", "time": "2026-03-01T12:00:00.123456789Z", "addresses": ["192.0.2.1"],
            "window": {"starts": "2026-03-01T12:00:00.123456789Z", "ends": "2026-03-01T12:00:01.123456789Z"},
            "records": 0, "lost": 0,
        }  # fmt: skip
        assert (lost["event"], lost["lost"], lost["last_sequence"], lost["reason"]) == ("gap", 7, 7, "ring")


def test_other_agencies_get_no_notes(tmp_path: Path) -> None:
    """A stream without files never ends one, and writes nothing beside its format."""
    with Spool.open(tmp_path / "spool", QUOTA, fsync="never") as spool:
        stream = Stream(CLAIM, "fbi", encoder("text", info("content")), spool, 1)
        stream.event(Event("begin", T0))
        Mediator([stream]).take(batches([3000])[0], {CLAIM: Order()})  # type: ignore[dict-item]
        stream.end()
        assert {header.kind for header, _ in blocks(spool)} == {BlockKind.OPEN, BlockKind.DATA, BlockKind.END}


def test_a_part_of_a_selection_accounts_for_its_own_losses() -> None:
    """Parts of a selection add up to it: numbers, and losses between them."""
    from lictl.probe.batch import groups, sequence

    recs = np.concatenate([packet(FRAME, slot_seq=s, utc_ns=T0 + s) for s in (1, 2, 5, 6, 10)])
    batch = Batch.of(recs, [FRAME] * 5)
    (group,) = groups(batch)
    whole = sequence(batch, group, (0, 2**63), int(recs["kind"][0]), Position())
    parts = [whole.part(0, 2), whole.part(2, 4), whole.part(4, 5)]
    assert [part.lost for part in parts] == [0, 2, 3]
    assert [list(part.sequence) for part in parts] == [[1, 2], [5, 6], [10]]
    assert sum(part.n for part in parts) == whole.n
