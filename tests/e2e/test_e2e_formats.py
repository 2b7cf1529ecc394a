# SPDX-License-Identifier: Apache-2.0
"""One order delivered to three agencies, each in its own format: the same packets, and only what the mode allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e_wire import assert_same_frames

from lictl.handover.decode import Record, decode
from lictl.lab import topology, traffic, verify

if TYPE_CHECKING:
    from e2e_rig import Rig

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1 = topology.SUB["sub1"]
TARGETS = (f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
AGENCIES = {"in-pcapng": "pcapng", "in-text": "text", "in-msgpack": "msgpack"}


@pytest.fixture(scope="module")
def agencies(rig: Rig) -> Rig:
    """The module's site with one agency for each format."""
    for name, handover in AGENCIES.items():
        rig.add_agency(name, handover)
    return rig


def records(rig: Rig, liid: str) -> dict[str, list[Record]]:
    """What each format's file holds, decoded."""
    found: dict[str, list[Record]] = {}
    for stream in rig.receiver_streams():
        if stream["liid"] == liid:
            with (rig.evidence / stream["file"]).open("rb") as file:
                found[stream["format"]] = [item for item in decode(stream["format"], file) if isinstance(item, Record)]
    assert sorted(found) == sorted(AGENCIES.values())
    return found


@pytest.mark.parametrize("mode", ["content", "headers"])
def test_every_format_carries_the_same_packets(agencies: Rig, mode: str) -> None:
    """Sequence, time, addresses, ports and flags agree between the formats; content agrees with the wire."""
    rig, word = agencies, traffic.marker("sub1")
    liid = rig.order(mode, *TARGETS, agencies=tuple(AGENCIES))
    with rig.wires(mode) as wires:
        rig.lab.run("sub1", traffic.http(word, 40_000))
        rig.lab.run("sub1", traffic.ping(word, ipv6=True))
        rig.lab.run("sub3", traffic.http(word, 40_000))
    rig.wait_delivered()
    rig.revoke(liid)
    wire = wires.taken(SUB1)
    found = records(rig, liid)
    for handover, packets in found.items():
        assert [packet.sequence for packet in packets] == list(range(1, len(wire) + 1)), handover
        assert sum(packet.lost_before for packet in packets) == 0
        if mode == "content":
            assert_same_frames((p.data for p in wire), (p.data or b"" for p in packets))
    assert len({tuple(p.utc_ns for p in packets) for packets in found.values()}) == 1
    assert len({tuple(p.direction for p in packets) for packets in found.values()}) == 1
    if mode == "headers":
        text, packed = found["text"], found["msgpack"]
        assert all(packet.data is None for packet in text + packed)
        names = ("source", "destination", "protocol", "source_port", "destination_port", "ip_length", "tcp_flags")
        for name in names:
            assert [getattr(p, name) for p in text] == [getattr(p, name) for p in packed], name
        expected = sorted(verify.fields(packet.data[14:])[:4] for packet in wire)
        assert sorted((p.source, p.destination, p.protocol, p.ip_length) for p in text) == expected
        files = b"".join(path.read_bytes() for path in rig.evidence.rglob(f"{liid}*") if path.is_file())
        assert files
        assert not [name for name, form in verify.forms(word.encode()) if form in files]
