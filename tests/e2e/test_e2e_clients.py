# SPDX-License-Identifier: Apache-2.0
"""Real clients through the box: the agency gets what stood on the wire, not a packet more or less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e_tshark import header_fields
from e2e_wire import assert_flow_order, assert_nothing_of, assert_same_frames, assert_times_close, ends, frames, own

from lictl.lab import topology, traffic, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e_rig import Rig, Wires

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1, SUB2 = topology.SUB["sub1"], topology.SUB["sub2"]
WORD = "sub1e2e0e2e0e2e0"

CLIENTS = {
    "http": traffic.http(WORD, 200_000),
    "http6": traffic.http(WORD, 200_000, ipv6=True),
    "dns": traffic.dns(WORD),
    "dns6": traffic.dns(WORD, ipv6=True),
    "ping": traffic.ping(WORD),
    "ping6": traffic.ping(WORD, ipv6=True),
    "iperf": traffic.iperf(1, rate="30M"),
    "iperf6-down": traffic.iperf(1, ipv6=True, reverse=True, rate="30M"),
}


def targets(port: topology.Port) -> tuple[str, str]:
    """Both addresses of a host, as a warrant file names them."""
    return f"ip:{port.v4}", f"ip:{port.v6}"


@pytest.fixture
def orders(rig: Rig) -> Iterator[tuple[str, str]]:
    """sub1 under a content warrant and under a pen register order at once."""
    liids = rig.order("content", *targets(SUB1)), rig.order("headers", *targets(SUB1))
    yield liids
    for liid in liids:
        rig.revoke(liid)


def judge_content(rig: Rig, liid: str, wires: Wires, target: topology.Port) -> None:
    """Content equals the wire: frames, order, times."""
    wire, delivered = wires.taken(target), rig.delivered(liid)
    assert wire, "no traffic, nothing was tested"
    assert_same_frames((p.data for p in wire), (p.data for p in delivered))
    assert_flow_order([p.data for p in wire], [p.data for p in delivered])
    assert_times_close(wire, delivered)


def judge_headers(rig: Rig, liid: str, wires: Wires, target: topology.Port) -> None:
    """Header records equal what tshark says of the same packets, and carry nothing else."""
    either = " or ".join(f"{'ipv6' if ':' in a else 'ip'}.{{side}} == {a}" for a in sorted(own(target)))
    expected = header_fields(wires.access, either.format(side="src")) + header_fields(
        wires.core, either.format(side="dst")
    )
    given = [row for path in rig.files(liid) for row in header_fields(path)]
    assert sorted(fields for _, fields in given) == sorted(fields for _, fields in expected)
    for (given_s, fields), (wire_s, same) in zip(sorted(given, key=_key), sorted(expected, key=_key), strict=True):
        assert fields == same
        assert abs(given_s - wire_s) < 0.1
    delivered = rig.delivered(liid)
    assert all(len(packet.data) == verify.header_length(packet.data) for packet in delivered)


def _key(row: tuple[float, tuple[str, ...]]) -> tuple[tuple[str, ...], float]:
    return row[1], row[0]


@pytest.mark.parametrize("client", CLIENTS)
def test_content_and_headers_of_a_client(rig: Rig, orders: tuple[str, str], client: str) -> None:
    """Content equals tcpdump byte for byte, headers equal tshark field by field, the neighbour is in no file."""
    with rig.wires(client) as wires:
        rig.lab.run("sub1", CLIENTS[client])
        rig.lab.run("sub3", CLIENTS[client])
    content, headers = orders
    for liid in orders:
        account = rig.settled(liid)
        assert account["matched"] == account["delivered"] == len(wires.taken(SUB1))
    judge_content(rig, content, wires, SUB1)
    judge_headers(rig, headers, wires, SUB1)
    assert_nothing_of(rig.files(), "sub3")


def test_both_ends_under_different_orders(rig: Rig) -> None:
    """Two subscribers who talk through the box, one under each kind of order: both get the flow, each packet once."""
    for host, other in (("sub1", SUB2), ("sub2", SUB1)):
        rig.lab.run(host, ["ip", "route", "replace", f"{other.v4}/32", "via", topology.ISP_ACCESS.v4])
    content, headers = rig.order("content", *targets(SUB1)), rig.order("headers", *targets(SUB2))
    with rig.wires() as wires:
        rig.lab.run("sub1", ["ping", "-n", "-c", "5", "-i", "0.05", SUB2.v4])
        rig.lab.run("sub1", traffic.http(WORD, 50_000))
        rig.lab.run("sub2", traffic.ping(WORD, ipv6=True))
    between = frames(wires.access, lambda frame: set(ends(frame)) == {SUB1.v4, SUB2.v4})
    assert len(between) == 10
    received = frames(wires.core, lambda frame: ends(frame)[1] in own(SUB1))
    sent = frames(wires.access, lambda frame: bool(set(ends(frame)) & own(SUB1)))
    assert rig.settled(content)["delivered"] == len(sent + received)
    assert_same_frames((p.data for p in sent + received), (p.data for p in rig.delivered(content)))
    assert rig.settled(headers)["delivered"] == len(wires.taken(SUB2)) + 5
    for liid in (content, headers):
        rig.revoke(liid)


def test_two_warrants_on_one_target_are_delivered_each(rig: Rig) -> None:
    """Two content warrants on one address both get every packet; a prefix that covers it counts too."""
    liids = [rig.order("content", f"ip:{SUB1.v4}"), rig.order("content", "ip:203.0.113.8/29")]
    with rig.wires() as wires:
        rig.lab.run("sub1", traffic.http(WORD, 20_000))
    wire = [packet.data for packet in wires.taken(SUB1)]
    for liid in liids:
        assert rig.settled(liid)["delivered"] == len(wire)
        assert_same_frames(wire, (packet.data for packet in rig.delivered(liid)))
        rig.revoke(liid)


def test_the_word_of_a_pen_register_target_is_nowhere(fresh: Rig) -> None:
    """After a session under a headers order alone its payload is in no file of agency or home, in no disguise."""
    word = traffic.marker("sub2")
    rig = fresh.up("--log-level", "debug")
    liid = rig.order("headers", *targets(SUB2))
    rig.lab.run("sub2", traffic.http(word, 300_000))
    rig.lab.run("sub2", traffic.dns(word))
    rig.lab.run("sub2", traffic.ping(word))
    assert rig.settled(liid)["delivered"] > 100
    assert verify.find(word.encode(), [rig.folder]) == []


def test_after_revoke_nothing_more_comes(rig: Rig) -> None:
    """Packets after a revocation are in no file; those before it are."""
    liid = rig.order("content", *targets(SUB1))
    rig.lab.run("sub1", traffic.ping(WORD, 5))
    before = rig.settled(liid)["delivered"]
    assert before == 10
    rig.revoke(liid)
    rig.lab.run("sub1", traffic.ping(WORD, 5))
    rig.wait_delivered()
    assert len(rig.delivered(liid)) == before


def test_no_identifier_in_the_logs(fresh: Rig) -> None:
    """At debug level neither the daemon's nor the receiver's log names a target's address."""
    rig = fresh.up("--log-level", "debug")
    liid = rig.order("content", *targets(SUB1))
    rig.lab.run("sub1", traffic.ping(WORD))
    rig.settled(liid)
    rig.stop(rig.daemon)
    log = rig.log("daemon.log")
    assert log, "the daemon logs nothing at debug level"
    assert SUB1.v4 not in log
    assert SUB1.v6 not in log
