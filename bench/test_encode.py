# SPDX-License-Identifier: Apache-2.0
"""How fast each handover format is encoded on one core, content copied into the output, beside general encoders.

Records lie in memory, one batch that is encoded again and again: no ring, no spool. OpenLI's template encoder reaches
2.5 M PDU/s at 64 bytes and 2.1 M at 1,500 on this kind of machine, libwandder's best API 9.4 M and 7.7 M.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.peers import PEERS
from bench.wire import frame_of
from lictl.handover import StreamInfo
from lictl.handover.registry import CONTENT, HEADERS, content_encoder, headers_encoder
from lictl.keys.agency import AgencyKeys
from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.handover.base import ContentEncoder, HeadersEncoder, Mode
    from lictl.probe.batch import Selection

RECORDS = 4096
ROUNDS = 15
SIZES = (64, 512, 1500)
CLAIM = 0 | 1 << 12
T0 = 1_790_000_000_123_456_789
SECRET = bytes(range(32))
EXTRAS = {
    "etsi-102232, sha256": ("etsi-102232", {"integrity": "sha256"}),
    "etsi-102232, sha256 and eddsa": ("etsi-102232", {"integrity": "sha256", "signature": "eddsa"}),
    "etsi-102232, aes-256-cbc": ("etsi-102232", {"encryption": "aes-256-cbc"}),
}
"""Options whose cost is of interest, by what the table calls them."""


def _info(mode: Mode, options: dict[str, str]) -> StreamInfo:
    return StreamInfo(
        liid="LIID0001", case_id="CASE0001", mode=mode, operator="OPER1", element="probe01", country="US",
        agency="agency", interfaces=lambda ifindex: f"if{ifindex}", options=options,
        uuid="29f28e1c-f230-486a-a860-f5a784ab9177", keys=AgencyKeys(SECRET),
    )  # fmt: skip


def _batch(mode: str, size: int) -> tuple[Batch, Selection, int]:
    """Records of frames with `size` bytes, each in memory of its own, and which kind they are."""
    kind = abi.REC_PACKET if mode == "content" else abi.REC_HEADER
    frame = frame_of(size)
    recs = np.zeros(RECORDS, abi.REC)
    recs["kind"], recs["claim"], recs["clock"], recs["ifindex"] = kind, CLAIM, abi.CLOCK_KERNEL, 3
    recs["slot_seq"] = np.arange(1, RECORDS + 1)
    recs["utc_ns"] = T0 + 700 * np.arange(RECORDS)
    recs["dir"] = np.where(np.arange(RECORDS) % 3, abi.DIR_FROM, abi.DIR_TO)
    recs["ip_version"], recs["proto"] = 4, 17
    recs["present"] = abi.HAS_IP | abi.HAS_PORTS | abi.HAS_LENGTH
    recs["l3_off"], recs["l3_len"], recs["wire_len"] = 14, size - 14, size
    recs["src_port"], recs["dst_port"] = 40000, 443
    recs["src"][:, :4], recs["dst"][:, :4] = (203, 0, 113, 7), (198, 51, 100, 9)
    batch = Batch.of(recs, [bytes(bytearray(frame)) for _ in range(RECORDS)] if mode == "content" else [b""] * RECORDS)
    (group,) = groups(batch)
    return batch, sequence(batch, group, (0, 2**63), kind, Position()), kind


def _encoder(mode: Mode, name: str, options: dict[str, str]) -> ContentEncoder | HeadersEncoder:
    info = _info(mode, options)
    encoder = content_encoder(name, info) if mode == "content" else headers_encoder(name, info)
    encoder.resume(b"")
    encoder.opening()
    return encoder


def _measure(benchmark: Any, turn: Callable[[], int], size: int, mode: str, name: str) -> None:
    times: list[float] = []

    def once() -> None:
        start = time.perf_counter()
        written = turn()
        times.append((time.perf_counter() - start) / written)

    benchmark.pedantic(once, rounds=ROUNDS, warmup_rounds=2)
    rate = 1 / min(times)
    benchmark.group = "encode"
    benchmark.extra_info.update(
        format=name,
        mode=mode,
        frame_bytes=size,
        pdus_s=round(rate),
        gbit_s=round(rate * (size - 14) * 8 / 1e9, 1) if mode == "content" else None,
    )


def _lictl(benchmark: Any, mode: Mode, name: str, shown: str, options: dict[str, str], size: int) -> None:
    encoder = _encoder(mode, name, options)
    batch, selection, _ = _batch(mode, size)

    def turn() -> int:
        return sum(encoded.records for encoded in encoder.encode(batch, selection))

    _measure(benchmark, turn, size, mode, shown)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(CONTENT))
def test_content(benchmark: Any, name: str, size: int) -> None:
    """Whole packets, one PDU each."""
    _lictl(benchmark, "content", name, name, {}, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shown", sorted(EXTRAS))
def test_cost_of_protection(benchmark: Any, shown: str, size: int) -> None:
    """The same with digests, signatures or sealed payloads."""
    name, options = EXTRAS[shown]
    _lictl(benchmark, "content", name, shown, options, size)


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_headers(benchmark: Any, name: str) -> None:
    """Header reports; the size of the packet does not matter."""
    _lictl(benchmark, "headers", name, name, {}, 512)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(PEERS))
def test_peer(benchmark: Any, name: str, size: int) -> None:
    """A general encoder, from the schema, for the same PDU (IPCC of TS 102 232-3)."""
    encode = PEERS[name]()
    packet = frame_of(size)[14:]
    count = 200

    def turn() -> int:
        for number in range(count):
            encode(number, packet)
        return count

    _measure(benchmark, turn, size, "content", name)
