# SPDX-License-Identifier: Apache-2.0
"""What every format must do, whichever it is: test_conformance.py runs it for each entry of the registry.

Whoever adds a format registers it, and these tests run for it; docs/formats/adding-a-format.md says what to add.
"""

from __future__ import annotations

import io
import ipaddress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from handover_records import T0, TCP, UDP, header, info, packet
from hypothesis import strategies as st

from lictl.handover.base import Event
from lictl.handover.decode import DECODERS, Record
from lictl.handover.registry import CONTENT, HEADERS, encoder
from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence

if TYPE_CHECKING:
    from lictl.handover.base import ContentEncoder, Encoded, EventKind, HeadersEncoder, Mode
    from lictl.handover.decode import Item

CASES: list[tuple[str, Mode]] = [
    *((name, "content") for name in sorted(CONTENT) if name in DECODERS),
    *((name, "headers") for name in sorted(HEADERS) if name in DECODERS),
]
UNNUMBERED = {"tzsp", "ccc", "pcap"}
"""Formats with no place for a number: their records cannot be told from repetitions, and losses do not show."""
MANDATORY = {("etsi-102232", "ip_length")}
"""Fields that a standard wants in every report: where the record proves none, that of the synthesised header."""
EVENTS: tuple[EventKind, ...] = ("begin", "resume", "continue", "change", "suspend", "end")
WINDOW = (0, 1 << 63)
RESOLUTION_NS = 1000
"""What the coarsest format leaves of a time."""
SIZES = (20, 21, 28, 64, 576, 1500, 9000)


def ip_packet(size: int, *, version: int = 4) -> bytes:
    """UDP (or as much of it as there is room for) in an IP packet of `size` octets."""
    if version == 4:
        base = bytes.fromhex("4500") + size.to_bytes(2) + bytes.fromhex("00010000401100 00cb007107c6336401")
    else:
        base = bytes.fromhex("60000000") + (size - 40).to_bytes(2) + bytes.fromhex("1140")
        base += ipaddress.ip_address("2001:db8:7::1").packed + ipaddress.ip_address("2001:db8::53").packed
    udp = bytes.fromhex("14e90035") + max(size - len(base), 8).to_bytes(2) + bytes(2)
    return (base + udp + bytes(at % 251 for at in range(size)))[:size]


def content(size: int, *, version: int = 4, padding: int = 0, **fields: Any) -> tuple[np.ndarray[Any, Any], bytes]:
    """A packet record and its frame; `padding` octets of a trailer that the record calls no content."""
    ip = ip_packet(size, version=version)
    frame = bytes.fromhex("020000000001020000000002") + (b"\x08\x00" if version == 4 else b"\x86\xdd") + ip
    v6 = {"ip_version": 6, "src": "2001:db8:7::1", "dst": "2001:db8::53"} if version == 6 else {}
    return packet(frame, **{**UDP, **v6, "wire_len": len(frame) + padding, **fields}), frame


@dataclass
class Made:
    """What an encoder wrote.

    Attributes:
        data: opening and payloads.
        chunks: their accounts.
    """

    data: bytes
    chunks: list[Encoded]


class Stream:
    """One stream of a format as the mediation drives it: numbered, and resumed like after a restart."""

    def __init__(self, name: str, mode: Mode, **options: str) -> None:
        self.name, self.mode, self._options = name, mode, options
        self.position = Position()
        self.state = b""
        self.encoder = self.begin()

    def begin(self) -> ContentEncoder | HeadersEncoder:
        """A new encoder, as a new process makes it."""
        self.encoder = encoder(self.name, info(self.mode, self._options))
        self.encoder.resume(self.state)
        return self.encoder

    def write(self, recs: np.ndarray[Any, Any], frames: list[bytes] | None = None, *, opening: bool = True) -> Made:
        """Everything of one batch."""
        batch = Batch.of(recs, frames or [b""] * len(recs))
        (group,) = groups(batch)
        selection = sequence(batch, group, WINDOW, self.encoder.kind, self.position)
        data = bytearray(self.encoder.opening() if opening else b"")
        chunks = []
        for encoded in self.encoder.encode(batch, selection):
            data += encoded.payload
            chunks.append(encoded)
        self.state = self.encoder.state()
        return Made(bytes(data), chunks)


def example(mode: Mode, *slot_seqs: int) -> tuple[np.ndarray[Any, Any], list[bytes] | None]:
    """Records with these numbers, of both versions of IP and every direction."""
    if mode == "content":
        pairs = [
            content(SIZES[3 + at % 3], version=4 + 2 * (at % 2), dir=at % 4, slot_seq=slot, utc_ns=T0 + 1000 * at)
            for at, slot in enumerate(slot_seqs)
        ]
        return np.concatenate([rec for rec, _ in pairs]), [frame for _, frame in pairs]
    v6 = {"ip_version": 6, "src": "2001:db8:7::1", "dst": "2001:db8::53"}
    rows = [
        header(
            **{**(TCP if at % 3 else UDP), **(v6 if at % 2 else {})}, dir=at % 4, slot_seq=slot, utc_ns=T0 + 1000 * at
        )
        for at, slot in enumerate(slot_seqs)
    ]
    return np.concatenate(rows), None


def items(name: str, data: bytes) -> list[Item]:
    """What the format's own decoder reads."""
    return list(DECODERS[name](io.BytesIO(data)))


def records(name: str, data: bytes) -> list[Record]:
    """The records among them."""
    return [item for item in items(name, data) if isinstance(item, Record)]


@cache
def base(name: str, mode: Mode) -> int:
    """What the format's decoder counts from: 0 or 1."""
    (only,) = records(name, Stream(name, mode).write(*example(mode, 1)).data)
    return only.sequence


def numbers(name: str, mode: Mode, data: bytes) -> list[tuple[int, int]]:
    """Number, counted from 1, and losses before it, of each record."""
    return [(item.sequence - base(name, mode) + 1, item.lost_before) for item in records(name, data)]


def same_packet(item: Record, frame: bytes) -> bool:
    """The frame, or the IP packet in it, whole and with nothing behind it."""
    return item.data in (frame, frame[14:])


def contradicts(name: str, item: Record, rec: np.void) -> dict[str, tuple[Any, Any]]:
    """Fields of a decoded header report that say something else than the record; absent ones say nothing."""
    present, v4 = int(rec["present"]), rec["ip_version"] == 4
    ports, icmp = present & abi.HAS_PORTS, present & abi.HAS_ICMP
    ip = present & abi.HAS_IP and rec["ip_version"] in (4, 6)
    true: dict[str, Any] = {
        "ip_version": int(rec["ip_version"]) if ip else None,
        "protocol": int(rec["proto"]) if ip else None,
        "source": str(ipaddress.ip_address(rec["src"].tobytes()[: 4 if v4 else 16])) if ip else None,
        "destination": str(ipaddress.ip_address(rec["dst"].tobytes()[: 4 if v4 else 16])) if ip else None,
        "source_port": int(rec["src_port"]) if ports else None,
        "destination_port": int(rec["dst_port"]) if ports else None,
        "ip_length": int(rec["l3_len"]) if present & abi.HAS_LENGTH else None,
        "tcp_flags": int(rec["tcp_flags"]) if present & abi.HAS_TCP_FLAGS else None,
        "icmp_type": int(rec["icmp_type"]) if icmp else None,
        "icmp_code": int(rec["icmp_code"]) if icmp else None,
    }
    return {
        field: (getattr(item, field), value)
        for field, value in true.items()
        if getattr(item, field) not in (None, value) and not (value is None and (name, field) in MANDATORY)
    }


def event(kind: EventKind) -> Event:
    """An event with everything in it."""
    return Event(kind, T0, ("203.0.113.7", "2001:db8:7::/48"), T0 - 10**12, T0 + 10**12, 5, 2)


def _possible(row: dict[str, Any]) -> dict[str, Any]:
    """The row with no field proven that the parser cannot prove for its protocol and fragment."""
    present, proto = row["present"], row["proto"]
    present &= ~(abi.HAS_PORTS | abi.HAS_TCP_FLAGS) if proto in (1, 58) else ~abi.HAS_ICMP
    if row["frag"] == abi.FRAG_LATER:
        present &= abi.HAS_IP | abi.HAS_LENGTH
    present &= ~abi.HAS_TCP_FLAGS
    if proto == 6 and present & abi.HAS_PORTS:
        present |= abi.HAS_TCP_FLAGS
    return {**row, "present": present}


HEADER_FIELDS = st.fixed_dictionaries(
    {
        "present": st.integers(0, 31),
        "ip_version": st.sampled_from([0, 4, 6, 4, 6, 9]),
        "proto": st.sampled_from([0, 1, 6, 17, 33, 58, 132, 136, 255]),
        "frag": st.integers(0, 2),
        "l3_len": st.one_of(st.integers(0, 120), st.integers(0, 2**32 - 1)),
        "tcp_flags": st.integers(0, 255),
        "src_port": st.integers(0, 65535),
        "dst_port": st.integers(0, 65535),
        "icmp_type": st.integers(0, 255),
        "icmp_code": st.integers(0, 255),
        "dir": st.integers(0, 3),
        "src": st.binary(min_size=16, max_size=16),
        "dst": st.binary(min_size=16, max_size=16),
    }
).map(_possible)
