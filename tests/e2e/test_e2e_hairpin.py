# SPDX-License-Identifier: Apache-2.0
"""Two subscribers behind one access port talk to each other through the box: each order takes each packet once per
direction of travel, as the table in docs/architecture.md says."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from e2e_wire import assert_same_frames, ends, frames, own

from lictl.lab import topology
from lictl.lab.capture import Capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from e2e_rig import Rig

    from lictl.lab.topology import Port

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1, SUB2, SUB3 = (topology.SUB[name] for name in ("sub1", "sub2", "sub3"))
BOX, SERVER = topology.ISP_ACCESS, topology.SERVER


def through_the_box(rig: Rig) -> None:
    """Subscribers reach each other by the box, as on an access network that keeps them apart."""
    for mine in (SUB1, SUB2):
        for other in (SUB1, SUB2):
            if mine is not other:
                rig.lab.run(mine.host, ["ip", "route", "add", f"{other.v4}/32", "via", BOX.v4])
                rig.lab.run(mine.host, ["ip", "-6", "route", "add", f"{other.v6}/128", "via", BOX.v6])


def through_the_core(rig: Rig) -> None:
    """The box sends what comes from a subscriber to the core, whose router sends it back where it is for another."""
    through_the_box(rig)
    for family, gateway in ((), SERVER.v4), (("-6",), SERVER.v6):
        rig.lab.run("isp", ["ip", *family, "route", "add", "default", "via", gateway, "table", "100"])
        rig.lab.run("isp", ["ip", *family, "rule", "add", "iif", topology.ACCESS, "table", "100"])
    settings = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]
    settings += [f"net.ipv4.conf.{name}.send_redirects=0" for name in ("all", "eth0")]
    rig.lab.run("server", ["sysctl", "-qw", *settings])


def talk(rig: Rig) -> None:
    """sub1 and sub2: echoes both ways, and a TCP transfer on each IP version."""
    word = b"sub1hair1hair1ha".hex()
    for mine, other in ((SUB1, SUB2), (SUB2, SUB1)):
        for address in (other.v4, other.v6):
            rig.lab.run(mine.host, ["ping", "-n", "-c", "4", "-i", "0.05", "-W", "5", "-p", word, address])
    server = rig.lab.start("sub2", ["iperf3", "--server"])
    rig.lab.wait_for_port("sub2", 5201)
    for address in (SUB2.v4, SUB2.v6):
        rig.lab.run("sub1", ["iperf3", "--client", address, "--bytes", "200K", "--bitrate", "20M"])
    rig.stop(server)


class BoxWires:
    """What tcpdump saw at the box: in at the access port, out of it, in at the core."""

    def __init__(self, rig: Rig) -> None:
        self._access = Capture(rig.lab, "isp", topology.ACCESS, rig.folder / "access.pcap", way="inout")
        self._core = Capture(rig.lab, "isp", topology.CORE, rig.folder / "core.pcap", way="in")

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Both captures run meanwhile."""
        with self._access, self._core:
            yield

    def entered(self, wanted: Port, end: int | None = None) -> list[bytes]:
        """Frames that came in at the access port with the host as source (end 0), destination (1) or either."""
        return self._seen(self._access, wanted, end, lambda frame: frame[6:12] != _mac(BOX))

    def left(self, wanted: Port) -> list[bytes]:
        """Frames that went out of the access port to the host."""
        return self._seen(self._access, wanted, 1, lambda frame: frame[6:12] == _mac(BOX))

    def came_back(self, wanted: Port) -> list[bytes]:
        """Frames that came in at the core for the host."""
        return self._seen(self._core, wanted, 1, lambda frame: True)

    @staticmethod
    def _seen(capture: Capture, wanted: Port, end: int | None, way: Callable[[bytes], bool]) -> list[bytes]:
        def fits(frame: bytes) -> bool:
            both = ends(frame)
            return way(frame) and bool(own(wanted) & set(both if end is None else both[end : end + 1]))

        return [packet.data for packet in frames(capture.path, fits)]


def _mac(port: Port) -> bytes:
    return bytes.fromhex(port.mac.replace(":", ""))


def addresses(*ports: Port) -> tuple[str, ...]:
    """Their IP targets."""
    return tuple(f"ip:{address}" for port in ports for address in (port.v4, port.v6))


def content(rig: Rig, liid: str) -> list[bytes]:
    """The frames that the agency has of an order; its account must say the same."""
    account = rig.settled(liid)
    delivered = [packet.data for packet in rig.delivered(liid)]
    assert account["delivered"] == account["matched"] == len(delivered)
    return delivered


def test_two_subscribers_of_one_box(fresh: Rig) -> None:
    """Both ports attached, packets turn around inside the box: an order on addresses takes each packet where it
    enters, one on a MAC takes what it sends where it enters and what it gets where it leaves."""
    rig = fresh.up()
    through_the_box(rig)
    one = rig.order("content", *addresses(SUB1))
    two = rig.order("headers", *addresses(SUB2))
    both = rig.order("content", *addresses(SUB1, SUB2))
    mac = rig.order("content", f"mac:{SUB2.mac}")
    nobody = rig.order("content", *addresses(SUB3))
    wire = BoxWires(rig)
    with wire.captured():
        talk(rig)
    entered = wire.entered(SUB1)
    assert len(entered) > 300
    assert_same_frames(entered, content(rig, one))
    assert rig.settled(two)["delivered"] == len(wire.entered(SUB2)) == len(entered)
    assert_same_frames(entered, content(rig, both))
    assert_same_frames(wire.entered(SUB2, 0) + wire.left(SUB2), content(rig, mac))
    assert rig.account(nobody)["matched"] == 0


def test_two_subscribers_with_the_access_port_only(fresh: Rig) -> None:
    """Only the access port attached: an order takes what its target sends where it enters, what it gets where it
    leaves; one on both ends takes each packet once on its way from the one and once on its way to the other."""
    rig = fresh.up("--interface", "access=access")
    through_the_box(rig)
    one = rig.order("content", *addresses(SUB1))
    two = rig.order("content", *addresses(SUB2))
    both = rig.order("content", *addresses(SUB1, SUB2))
    wire = BoxWires(rig)
    with wire.captured():
        talk(rig)
    first = wire.entered(SUB1, 0) + wire.left(SUB1)
    second = wire.entered(SUB2, 0) + wire.left(SUB2)
    assert min(len(first), len(second)) > 300
    assert_same_frames(first, content(rig, one))
    assert_same_frames(second, content(rig, two))
    assert_same_frames(first + second, content(rig, both))


def test_packets_that_turn_around_in_the_core(fresh: Rig) -> None:
    """serve --hairpin, packets leave by the core and come back: the sender's order takes each where it enters, the
    receiver's where it comes back."""
    rig = fresh.up("--hairpin")
    through_the_core(rig)
    one = rig.order("content", *addresses(SUB1))
    two = rig.order("content", *addresses(SUB2))
    mac = rig.order("content", f"mac:{SUB2.mac}")
    wire = BoxWires(rig)
    with wire.captured():
        talk(rig)
    assert wire.came_back(SUB2), "packets turn around in the core"
    first = wire.entered(SUB1, 0) + wire.came_back(SUB1)
    second = wire.entered(SUB2, 0) + wire.came_back(SUB2)
    assert min(len(first), len(second)) > 300
    assert_same_frames(first, content(rig, one))
    assert_same_frames(second, content(rig, two))
    assert_same_frames(wire.entered(SUB2, 0) + wire.left(SUB2), content(rig, mac))
