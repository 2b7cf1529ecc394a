# SPDX-License-Identifier: Apache-2.0
"""One order delivered to an agency for each format: the same packets, and only what the mode allows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from e2e_tshark import header_fields
from e2e_wire import cut, ip_offset

from lictl.collection.packets import headers
from lictl.handover.decode import Record, decode
from lictl.handover.registry import formats
from lictl.lab import topology, traffic, verify

if TYPE_CHECKING:
    from e2e_rig import Rig, Wires

    from lictl.handover.base import Mode

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1 = topology.SUB["sub1"]
TARGETS = (f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
FOREIGN = frozenset({"etsi-102232"})
"""Not for agencies of this lab's jurisdiction (profile us)."""
OF_BARE_IP = frozenset({"atis-1000013", "ccc", "etsi-102232", "etsi-103221-2"})
SUFFIXES = {
    "pcapng": "pcapng", "text": "txt", "msgpack": "msgpack", "etsi-102232": "etsi", "etsi-103221-2": "x2x3",
    "tzsp": "tzsp", "ccc": "ccc", "pcap": "pcap", "atis-1000013": "ber",
}  # fmt: skip


@pytest.fixture(scope="module")
def agencies(rig: Rig) -> Rig:
    """The module's site with one agency for each format."""
    for name in formats_of("content"):
        rig.add_agency(f"in-{name}", name)
    return rig


def formats_of(mode: Mode) -> list[str]:
    """Formats that carry the mode, and that an agency here may have."""
    return [name for name in formats(mode) if name not in FOREIGN]


def records(rig: Rig, liid: str, mode: Mode) -> dict[str, list[Record]]:
    """What each format's file holds, decoded."""
    found: dict[str, list[Record]] = {}
    for name in formats_of(mode):
        (path,) = rig.evidence.glob(f"{liid}-*.{SUFFIXES[name]}")
        with path.open("rb") as file:
            found[name] = [item for item in decode(name, file) if isinstance(item, Record)]
    return found


def packet(record: Record, name: str) -> bytes:
    """The IP packet in a record."""
    data = record.data or b""
    return data if name in OF_BARE_IP else data[ip_offset(data) or 0 :]


def on_the_wire(wires: Wires) -> Counter[tuple[str, ...]]:
    """Source, destination and ports of what the order names, as tshark reads the captures of both ports."""
    found: Counter[tuple[str, ...]] = Counter()
    for path, end in ((wires.access, "src"), (wires.core, "dst")):
        for _, row in header_fields(path, f"ip.{end} == {SUB1.v4} || ipv6.{end} == {SUB1.v6}"):
            ports = (row[7] or row[10], row[8] or row[11])
            found[(row[0] or row[4], row[1] or row[5], *ports)] += 1
    return found


def reported(found: list[Record]) -> Counter[tuple[str, ...]]:
    """The same of header reports; those of pcap and pcapng are packets made from the fields."""
    rows: Counter[tuple[str, ...]] = Counter()
    for record in found:
        report = headers(record)
        ports = (report.source_port, report.destination_port)
        rows[(str(report.source), str(report.destination), *("" if p is None else str(p) for p in ports))] += 1
    return rows


@pytest.mark.parametrize("mode", ["content", "headers"])
def test_every_format_carries_the_same_packets(agencies: Rig, mode: Mode) -> None:
    """Number and time agree between formats; content with tcpdump of the wire, headers with tshark's fields of it."""
    rig, word = agencies, traffic.marker("sub1")
    liid = rig.order(mode, *TARGETS, agencies=tuple(f"in-{name}" for name in formats_of(mode)))
    with rig.wires(mode) as wires:
        rig.lab.run("sub1", traffic.http(word, 40_000))
        rig.lab.run("sub1", traffic.ping(word, ipv6=True))
        rig.lab.run("sub3", traffic.http(word, 40_000))
    rig.wait_delivered()
    rig.revoke(liid)
    wire = [cut(each.data) for each in wires.taken(SUB1)]
    found = records(rig, liid, mode)
    for name, taken in found.items():
        numbers = [record.sequence for record in taken]
        assert numbers == list(range(numbers[0], numbers[0] + len(wire))), name
        assert sum(record.lost_before for record in taken) == 0, name
        if mode == "content":
            expected = Counter(frame[ip_offset(frame) or 0 :] for frame in wire)
            assert Counter(packet(record, name) for record in taken) == expected, name
        else:
            assert reported(taken) == on_the_wire(wires), name
    timed = [taken for name, taken in found.items() if name != "tzsp"]
    assert len({tuple(record.utc_ns // 1000 for record in taken) for taken in timed}) == 1
    if mode == "headers":
        files = b"".join(path.read_bytes() for path in rig.evidence.rglob(f"{liid}*") if path.is_file())
        assert files
        assert not [name for name, form in verify.forms(word.encode()) if form in files]
