# SPDX-License-Identifier: Apache-2.0
"""What stood on a wire, read independently of the parser under test: where IP starts, where it ends, who talks."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

from lictl.lab import topology, verify
from lictl.lab.capture import LINK_ETHERNET, Packet, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lictl.lab.topology import Port

IPV4, IPV6 = 0x0800, 0x86DD
_TAGS, _PPPOE, _MPLS = (0x8100, 0x88A8, 0x9100), 0x8864, (0x8847, 0x8848)


def ip_offset(frame: bytes) -> int | None:
    """Where IP starts in an Ethernet frame, behind VLAN tags, PPPoE and MPLS; None if there is none."""
    at, kind = 14, struct.unpack_from("!H", frame, 12)[0]
    while kind in _TAGS:
        at, kind = at + 4, struct.unpack_from("!H", frame, at + 2)[0]
    if kind == _PPPOE:
        number = struct.unpack_from("!H", frame, at + 6)[0]
        at, kind = at + 8, {0x21: IPV4, 0x57: IPV6}.get(number, 0)
    if kind in _MPLS:
        while not struct.unpack_from("!I", frame, at)[0] & 0x100:
            at += 4
        at += 4
        kind = {4: IPV4, 6: IPV6}.get(frame[at] >> 4, 0)
    return at if kind in (IPV4, IPV6) else None


def cut(frame: bytes) -> bytes:
    """The frame without what follows the IP packet; empty if it holds no IP."""
    at = ip_offset(frame)
    if at is None:
        return b""
    v4 = frame[at] >> 4 == 4
    size = struct.unpack_from("!H", frame, at + 2)[0] if v4 else 40 + struct.unpack_from("!H", frame, at + 4)[0]
    return frame[: at + size]


def ends(frame: bytes) -> tuple[str, str]:
    """Source and destination address."""
    at = ip_offset(frame)
    return verify.addresses(frame[at:]) if at is not None else ("", "")


def own(port: Port) -> set[str]:
    """The addresses of a host."""
    return {port.v4, port.v6}


def frames(path: Path, wanted: Callable[[bytes], bool]) -> list[Packet]:
    """The IP frames of a capture that are wanted, each cut at the end of its IP packet."""
    return [
        Packet(packet.ns, data, packet.wire_len, packet.link)
        for packet in read(path)
        if packet.link == LINK_ETHERNET and (data := cut(packet.data)) and wanted(data)
    ]


def taken(access: Path, core: Path, target: Port) -> list[Packet]:
    """What an order on a host's addresses takes with both ports attached, in order of time."""
    sent = frames(access, lambda frame: ends(frame)[0] in own(target))
    received = frames(core, lambda frame: ends(frame)[1] in own(target))
    return sorted(sent + received, key=lambda packet: packet.ns)


def assert_same_frames(expected: Iterable[bytes], delivered: Iterable[bytes]) -> None:
    """Both hold the same frames equally often."""
    wire, files = Counter(expected), Counter(delivered)
    missing, surplus = wire - files, files - wire
    assert not missing, f"{missing.total()} of {wire.total()} frames missing, first {next(iter(missing)).hex()[:160]}"
    assert not surplus, f"{surplus.total()} frames too many, first {next(iter(surplus)).hex()[:160]}"


def assert_flow_order(expected: list[bytes], delivered: list[bytes]) -> None:
    """Each direction of each address pair stands in the order of the wire."""
    for pair in {ends(frame) for frame in expected}:
        wire = [frame for frame in expected if ends(frame) == pair]
        assert [frame for frame in delivered if ends(frame) == pair] == wire, f"{pair} out of order"


def assert_times_close(expected: list[Packet], delivered: list[Packet], within_ns: int = 100_000_000) -> None:
    """The k-th occurrence of each frame was delivered with the time at which tcpdump saw it."""
    times: dict[bytes, list[int]] = {}
    for packet in expected:
        times.setdefault(packet.data, []).append(packet.ns)
    for packet in sorted(delivered, key=lambda one: one.ns):
        seen = times[packet.data].pop(0)
        assert abs(seen - packet.ns) < within_ns, f"{(packet.ns - seen) / 1e6:.3f} ms apart"


def assert_nothing_of(files: Iterable[Path], host: str) -> None:
    """No packet in the files has an end at this host."""
    assert verify.strangers(files, topology.SUB[host]) == 0
