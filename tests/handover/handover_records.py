# SPDX-License-Identifier: Apache-2.0
"""Records and batches for the tests of handover and mediation."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np

from lictl import handover
from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lictl.handover.base import ContentEncoder, Encoded, HeadersEncoder, Mode
    from lictl.probe.batch import Selection

T0 = 1_772_366_400_123_456_789  # 2026-03-01T12:00:00.123456789Z
UUID = "29f28e1c-f230-486a-a860-f5a784ab9177"
CLAIM = 7 | 3 << 12
WINDOW = (0, 2**63)

TCP = {"proto": 6, "present": 1 | 2 | 4 | 16, "tcp_flags": 0x12, "src_port": 40001, "dst_port": 443}
UDP = {"proto": 17, "present": 1 | 2 | 16, "src_port": 5353, "dst_port": 53}


def record(of_kind: int, **fields: Any) -> np.ndarray[Any, Any]:
    """One record as an array of one; addresses may be text."""
    rec = np.zeros(1, abi.REC)
    values: dict[str, Any] = {
        "utc_ns": T0, "slot_seq": 1, "claim": CLAIM, "ifindex": 3, "kind": of_kind, "clock": abi.CLOCK_KERNEL,
        "dir": abi.DIR_FROM, "ip_version": 4, "proto": 0, "present": abi.HAS_IP, "src": "203.0.113.7",
        "dst": "198.51.100.1",
    }  # fmt: skip
    values.update(fields)
    for name in ("src", "dst"):
        packed = ipaddress.ip_address(values[name]).packed if isinstance(values[name], str) else values[name]
        values[name] = np.frombuffer(packed.ljust(16, b"\0"), np.uint8)
    for name, value in values.items():
        rec[name] = value
    return rec


def header(**fields: Any) -> np.ndarray[Any, Any]:
    """A header record; TCP with 60 octets of IP where nothing else is said."""
    return record(abi.REC_HEADER, **{**TCP, "l3_len": 60, "wire_len": 74, **fields})


def packet(frame: bytes, **fields: Any) -> np.ndarray[Any, Any]:
    """A packet record of the frame, IP behind 14 octets."""
    base = {**TCP, "wire_len": len(frame), "cap_len": len(frame), "l3_off": 14, "l3_len": max(len(frame) - 14, 0)}
    return record(abi.REC_PACKET, **{**base, **fields})


def numbered(recs: Iterable[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """One array of all, slot_seq from 1 and a microsecond apart."""
    out = np.concatenate([*recs]) if not isinstance(recs, np.ndarray) else recs
    out["slot_seq"] = np.arange(1, len(out) + 1)
    out["utc_ns"] = T0 + 1000 * np.arange(len(out))
    return out


def info(mode: Mode, options: Mapping[str, str] | None = None, **changes: Any) -> handover.StreamInfo:
    """A stream's names."""
    names: dict[str, Any] = {
        "liid": "LIID0001", "case_id": "CASE 1", "operator": "OPER1", "element": "probe01", "country": "US",
        "agency": "fbi", "uuid": UUID,
    }  # fmt: skip
    return handover.StreamInfo(
        mode=mode, interfaces={3: "eth1", 4: "eth2"}.__getitem__, options=options or {}, **{**names, **changes}
    )


def select(batch: Batch, kind: int, position: Position | None = None) -> Selection:
    """The batch's only group, numbered."""
    (group,) = groups(batch)
    return sequence(batch, group, WINDOW, kind, position or Position())


def encode_all(
    encoder: ContentEncoder | HeadersEncoder, recs: np.ndarray[Any, Any], frames: list[bytes] | None = None
) -> tuple[bytes, list[Encoded]]:
    """Opening and everything behind it, and the chunks (their payloads are gone by then)."""
    batch = Batch.of(recs, frames or [b""] * len(recs))
    out = bytearray(encoder.opening())
    chunks = []
    for encoded in encoder.encode(batch, select(batch, encoder.kind)):
        out += encoded.payload
        chunks.append(encoded)
    return bytes(out), chunks
