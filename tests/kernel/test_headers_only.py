# SPDX-License-Identifier: Apache-2.0
"""Headers only: the 21 headings of the standards, with a taint that is looked for in every output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fixtures_common import D4, MARK, U4
from fixtures_hidden import HIDDEN, Hidden
from kernel_builds import EMPTY, LINK_RAW, KernelBuild, NativeBuild, Outcome, tables_of
from kernel_case import FOREVER, O4, P4, T4, T6, content, headers, hook
from taint import WINDOW, encoded, everything, found, info, mapped_kernel_memory, timeless

from lictl import handover
from lictl.errors import RefusedError
from lictl.handover.registry import formats
from lictl.lab.frames import MAC_A, eth, ipv4, tcp, udp
from lictl.probe import abi
from lictl.probe.batch import Batch, Position, groups, sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

ORDERS = (headers(1, f"ip:{T4}", f"ip:{T6}", f"mac:{MAC_A}"),)
ALLOWED = {
    "when and where": {"utc_ns", "ktime_ns", "cpu_seq", "slot_seq", "ifindex", "cpu", "hook", "clock", "claim", "kind"},
    "of the packet": {"dir", "ip_version", "proto", "src", "dst", "l3_len", "src_port", "dst_port", "tcp_flags"},
    "its state": {"present", "icmp_type", "icmp_code", "frag", "parse"},
    "always zero": {"wire_len", "cap_len", "l3_off"},
}


def _runs(hidden: Hidden, taint: bytes, kernel: KernelBuild, native: NativeBuild) -> Iterator[tuple[str, Outcome]]:
    """The heading's frames through XDP, tc and the native build, under a headers order."""
    tables = tables_of(ORDERS)
    kernel.load(tables, hook())
    native.load(tables, hook())
    for frame in hidden.frames(taint):
        yield "xdp", kernel.run(frame)
        if len(frame) < 3000:
            yield "tc", kernel.run(frame, egress=True)
        yield "native", native.run(frame)


_ids = [f"{hidden.heading:02} {hidden.name}" for hidden in HIDDEN]


@pytest.mark.parametrize("hidden", HIDDEN, ids=_ids)
def test_no_taint_leaves(hidden: Hidden, kernel: KernelBuild, native: NativeBuild) -> None:
    """The order sees the packet, and no piece of the taint stands in a record or a stream: raw, hex, base64."""
    for build, outcome in _runs(hidden, MARK, kernel, native):
        assert outcome.counts[1]["seen"] == 1, build
        assert all(record.data == b"" for record in outcome.records)
        assert found(MARK, everything(outcome.records)) == []


@pytest.mark.parametrize(
    "taints", [(b"A", b"z"), (b"\x00\x01", b"\xff\xfe"), (b"12", b"21")], ids=["1", "2", "swapped"]
)
@pytest.mark.parametrize("hidden", HIDDEN, ids=_ids)
def test_no_record_depends_on_a_taint(
    hidden: Hidden, taints: tuple[bytes, bytes], kernel: KernelBuild, native: NativeBuild
) -> None:
    """Two payloads of one or two bytes make the same records and the same streams: no checksum tells them apart."""
    one, other = (
        [
            (outcome.totals, [timeless(record) for record in outcome.records])
            for _, outcome in _runs(hidden, taint, kernel, native)
        ]
        for taint in taints
    )
    assert [(totals, [head.tobytes() for head in heads]) for totals, heads in one] == [
        (totals, [head.tobytes() for head in heads]) for totals, heads in other
    ]
    assert [encoded(heads) for _, heads in one] == [encoded(heads) for _, heads in other]


def test_01_records_are_built_from_an_allow_list() -> None:
    """A record has exactly the allowed fields and no hole between them where a packet's byte could stand."""
    allowed = set().union(*ALLOWED.values())
    assert set(abi.REC.names or ()) == allowed
    assert sum(abi.REC[name].itemsize for name in allowed) == abi.REC.itemsize


def test_01_no_packet_is_truncated_to_a_snap_length(kernel: KernelBuild) -> None:
    """A header record has no packet behind it, however long the packet is, and what would tell of it is zero."""
    kernel.load(tables_of(ORDERS), hook())
    for size in (0, 1, 100, 1400, 8000):
        (record,) = kernel.run(eth(ipv4(T4, P4, udp(1, 2, bytes(size))))).records
        assert record.data == b""
        assert [int(record.head[name]) for name in sorted(ALLOWED["always zero"])] == [0, 0, 0]


def test_02_enforced_again_before_delivery(kernel: KernelBuild) -> None:
    """A packet record that reaches the stream of a headers order is refused when numbered and when encoded."""
    kernel.load(tables_of((content(1, f"ip:{T4}"),)), hook())
    (record,) = kernel.run(eth(U4)).records
    batch = Batch.of(np.array([record.head], abi.REC), [record.data])
    (group,) = groups(batch)
    numbered = sequence(batch, group, WINDOW, abi.REC_HEADER, Position())
    assert (numbered.n, numbered.refused) == (0, 1)
    forced = sequence(batch, group, WINDOW, abi.REC_PACKET, Position())
    for name in formats("headers"):
        encoder = handover.headers_encoder(name, info("headers"))
        encoder.opening()
        with pytest.raises(RefusedError):
            list(encoder.encode(batch, forced))


def test_02_doubt_fails_closed(kernel: KernelBuild) -> None:
    """A frame of the target that proves no header field is counted as withheld and makes no record."""
    kernel.load(tables_of(ORDERS), hook())
    outcome = kernel.run(eth(MARK, ethertype=0x1234))
    assert outcome.records == []
    assert outcome.counts == {1: {"seen": 1, "withheld": 1}}


@pytest.mark.parametrize("link", [1, LINK_RAW], ids=["ethernet", "raw"])
def test_16_short_captures_have_no_stale_bytes(native: NativeBuild, link: int) -> None:
    """Cut anywhere, a frame gives the same record whatever lies behind the cut, and never more fields than bytes."""
    native.load(tables_of(ORDERS[:1]), hook())
    packet = ipv4(T4, P4, tcp(40001, 443, MARK))
    frame = packet if link == LINK_RAW else eth(packet)
    proven = {20: abi.HAS_IP | abi.HAS_LENGTH, 40: 0xFF & ~abi.HAS_ICMP & 31}
    for size in range(len(frame) + 1):
        made = []
        for poison in (b"\0", b"\xff"):
            cut = frame[:size] + poison * (len(frame) - size)
            outcome = native.run(cut, captured=size, link=link)
            made.append([timeless(record).tobytes() for record in outcome.records])
            ip = size - (0 if link == LINK_RAW else 14)
            expected = proven[40] if ip >= 40 else proven[20] if ip >= 20 else None
            assert [record.fields["present"] for record in outcome.records] == ([] if expected is None else [expected])
        assert made[0] == made[1]


@pytest.mark.parametrize("name", formats("content"))
def test_17_no_content_object_can_be_constructed(name: str) -> None:
    """No format gives a headers order an encoder that takes packets."""
    with pytest.raises(RefusedError):
        handover.content_encoder(name, info("headers"))
    if name in formats("headers"):
        assert isinstance(handover.encoder(name, info("headers")), handover.base.HeadersEncoder)
    else:
        with pytest.raises(RefusedError, match="cannot carry"):
            handover.encoder(name, info("headers"))


def test_18_two_orders_on_one_packet(kernel: KernelBuild, native: NativeBuild) -> None:
    """Each order's record is its own: the headers order's has nothing of what the content order's holds."""
    tables = tables_of((headers(1, f"ip:{T4}"), content(2, f"ip:{T4}")))
    kernel.load(tables, hook())
    native.load(tables, hook())
    for outcome in (kernel.run(eth(U4)), kernel.run(eth(U4), egress=True), native.run(eth(U4))):
        mine, other = sorted(outcome.records, key=lambda record: record.fields["kind"])
        assert (mine.fields["kind"], other.fields["kind"]) == (abi.REC_HEADER, abi.REC_PACKET)
        assert found(MARK, everything([mine])) == []
        assert MARK in other.data


def test_18_an_order_changed_from_content_to_headers(kernel: KernelBuild) -> None:
    """From the change on the order gets headers; content that is still queued is refused to the headers stream."""
    kernel.load(tables_of((content(1, f"ip:{T4}"),)), hook())
    (queued,) = kernel.run(eth(U4)).records
    kernel.load(tables_of((headers(1, f"ip:{T4}", generation=2),)), hook())
    (now,) = kernel.run(eth(U4)).records
    assert now.fields["kind"] == abi.REC_HEADER
    assert now.fields["claim"] != queued.fields["claim"]
    batch = Batch.of(np.array([queued.head], abi.REC), [queued.data])
    (group,) = groups(batch)
    assert sequence(batch, group, WINDOW, abi.REC_HEADER, Position()).n == 0


def test_18_an_expiry_while_data_is_queued(kernel: KernelBuild) -> None:
    """A record whose own time is not inside the window is refused, whenever it is read."""
    kernel.load(tables_of(ORDERS), hook())
    (record,) = kernel.run(eth(U4)).records
    at = int(record.head["utc_ns"])
    batch = Batch.of(np.array([record.head], abi.REC), [b""])
    (group,) = groups(batch)
    for window, n in (((0, at), 0), ((0, at + 1), 1), ((at, FOREVER), 1), ((at + 1, FOREVER), 0)):
        assert sequence(batch, group, window, abi.REC_HEADER, Position()).n == n


def test_19_an_address_that_moves(kernel: KernelBuild) -> None:
    """From the moment the tables say so, the address is nobody's and the new one is the target's."""
    kernel.load(tables_of((headers(1, f"ip:{T4}"),)), hook())
    assert len(kernel.run(eth(U4)).records) == 1
    kernel.load(tables_of((headers(1, f"ip:{O4}"),)), hook())
    assert kernel.run(eth(U4)).records == []
    assert len(kernel.run(eth(ipv4(O4, P4, D4))).records) == 1


def test_20_side_doors_mapped_memory(kernel: KernelBuild) -> None:
    """After packets of a headers order no mapped map, as a core dump would show it, holds a piece of their payload."""
    secret = b"\xa7SIDE-DOOR\xe1\x5c\x93SECRET"
    kernel.load(tables_of(ORDERS), hook())
    made = 0
    for size in (0, 40, 400, 1400):
        frame = eth(ipv4(T4, P4, udp(1, 2, bytes(size) + secret)), trailer=secret)
        made += len(kernel.run(frame).records) + len(kernel.run(frame, egress=True).records)
    assert made == 8
    memory = list(mapped_kernel_memory())
    assert sum(map(len, memory)) > 1 << 20, "the rings are not among the mappings: the search proves nothing"
    assert found(secret, memory) == []
    kernel.load(EMPTY, hook())


def test_20_side_doors_the_search_finds_what_is_there(kernel: KernelBuild) -> None:
    """The same search does find the payload of a content order, so its silence above means something."""
    secret = b"\xb3CONTENT-ORDER\xd2\x11"
    kernel.load(tables_of((content(1, f"ip:{T4}"),)), hook())
    kernel.run(eth(ipv4(T4, P4, udp(1, 2, secret))))
    assert found(secret, mapped_kernel_memory()) != []
    kernel.load(EMPTY, hook())


def test_every_heading_has_a_test() -> None:
    """Each of the 21 headings has a frame or a test of its own here."""
    named = {int(name[5:7]) for name in globals() if name.startswith("test_") and name[5:7].isdigit()}
    assert {hidden.heading for hidden in HIDDEN} | named == set(range(1, 22))
