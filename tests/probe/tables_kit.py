# SPDX-License-Identifier: Apache-2.0
"""Orders over a small world of addresses, sample packets for each of its corners, and what the kernel takes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from lictl.lab import frames
from lictl.probe import abi
from lictl.targets.grammar import parse
from lictl.targets.lookup import Packet, match_plainly
from lictl.targets.orders import ArmedOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lictl.probe.batch import Batch
    from lictl.probe.probe import Probe

FOREVER = 1 << 63
UDP = 17
PEER4, PEER6 = "198.51.100.1", "2001:db8:1::1"
MACS = ("02:00:00:00:00:07", "02:00:00:00:00:08")
PEER_MAC = "02:00:00:00:00:99"
TARGETS = (
    *(f"ip:203.0.113.{host}" for host in (0, 1, 2, 5)),
    "ip:203.0.113.0/31", "ip:203.0.113.0/30", "ip:203.0.113.4/30", "ip:203.0.113.0/29", "ip:203.0.0.0/16",
    "ip:203.0.113.1 ports:1-1023", "ip:203.0.113.1 ports:1024-2047", "ip:203.0.113.2 ports:4000-4001",
    "flow:udp 203.0.113.5:4000-198.51.100.1:53",
    "ip:2001:db8:7::7", "ip:2001:db8:7::/64", "ip:2001:db8::/32",
    f"mac:{MACS[0]}", f"mac:{MACS[1]}", "vlan:100", "vlan:100.200", f"pppoe:{MACS[0]}/0x1234",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame and its meaning."""

    frame: bytes
    packet: Packet


def _ip(source: str, port: int, mac: str, wrap: Callable[[bytes], bytes], **more: Any) -> Sample:
    version = ip_address(source).version
    peer = PEER4 if version == 4 else PEER6
    make = frames.ipv4 if version == 4 else frames.ipv6
    frame = frames.eth(wrap(make(source, peer, frames.udp(port, 53, b"x" * 8))), src=mac, dst=PEER_MAC)
    packet = Packet(
        ip_address(source), ip_address(peer), UDP, (port, 53), frames.mac(mac), frames.mac(PEER_MAC), **more
    )
    return Sample(bytes(frame), packet)


def _samples() -> list[Sample]:
    plain = [
        _ip(source, port, PEER_MAC.replace("99", "98"), lambda packet: packet)
        for source in ("203.0.113.0", "203.0.113.1", "203.0.113.2", "203.0.113.5", "203.0.200.1", "2001:db8:7::7")
        for port in (4000, 1500)
    ]
    link = [
        _ip("192.0.2.1", 9, MACS[0], lambda packet: packet),
        _ip("192.0.2.1", 9, MACS[1], lambda packet: frames.vlan(100, packet), vlans=(100,)),
        _ip("192.0.2.1", 9, PEER_MAC, lambda packet: frames.vlan(100, frames.vlan(200, packet)), vlans=(100, 200)),
        _ip("192.0.2.1", 9, MACS[0], lambda packet: frames.pppoe(0x1234, packet), session=0x1234),
    ]
    return plain + link


SAMPLES = _samples()


@st.composite
def order_sets(draw: st.DrawFn) -> tuple[list[ArmedOrder], list[ArmedOrder]]:
    """(before, after): some orders stay, some end, some begin, some change mode, some slots get a new owner."""
    slots = draw(st.lists(st.integers(0, 7), min_size=1, max_size=6, unique=True))
    before, after = [], []
    for slot in slots:
        old = _order(draw, slot, 1)
        fate = draw(st.sampled_from(["stays", "ends", "begins", "reused", "mode", "window"]))
        if fate != "begins":
            before.append(old)
        if fate in ("stays", "begins"):
            after.append(old)
        elif fate == "reused":
            after.append(_order(draw, slot, 2))
        elif fate == "mode":
            after.append(replace(old, mode=abi.MODE_HEADERS + abi.MODE_CONTENT - old.mode))
        elif fate == "window":
            after.append(replace(old, ends_ns=FOREVER - 5))
    return before, after


def _order(draw: st.DrawFn, slot: int, generation: int) -> ArmedOrder:
    texts = draw(st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3, unique=True))
    mode = draw(st.sampled_from([abi.MODE_HEADERS, abi.MODE_CONTENT]))
    return ArmedOrder(slot, generation, mode, 0, FOREVER, 0, tuple(parse(text) for text in texts))


def wanted(orders: Sequence[ArmedOrder]) -> list[set[int]]:
    """Claims that each sample must make records for, by the meaning of the orders' targets."""
    return [set(match_plainly(orders, sample.packet)) for sample in SAMPLES]


def taken(probe: Probe, batch: Batch) -> list[set[int]]:
    """Claims that each sample makes records for now."""
    found = []
    for sample in SAMPLES:
        probe.test_run(sample.frame)
        probe.drain(batch)
        found.append(set(batch.records["claim"].tolist()))
        probe.release()
    return found
