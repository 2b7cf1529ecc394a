# SPDX-License-Identifier: Apache-2.0
"""What a daemon that was killed leaves in the kernel, and how the next one takes it over."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from native_kit import LOOPBACK, arm, cpus, drain_all, feed, number_of, order

from lictl.errors import MachineError, RefusedError, UsageError
from lictl.probe import abi
from lictl.probe.batch import Batch
from lictl.probe.probe import Probe
from lictl.probe.tables import KernelTables

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Wire

pytestmark = pytest.mark.kernel
RING = 1 << 18


def everything_below(folder: Path) -> list[str]:
    """Names of all pins."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_maps_counters_and_waiting_records_survive_a_close(pins: Path) -> None:
    """The next daemon finds orders, counters, incarnation, and the records that nobody released."""
    with Probe.open(pins, RING) as first:
        assert not first.took_over
        arm(first, order())
        feed(first, range(20), cpu=cpus()[0])
        batch = Batch(5)
        assert first.drain(batch) == 5
        first.release()
        assert first.drain(batch) == 5  # taken, never released: a daemon that dies while it writes
        incarnation = first.incarnation
    with Probe.open(pins, RING) as second:
        assert second.took_over
        assert second.incarnation == incarnation
        assert second.slot_counts(5).matched == 20
        feed(second, range(20, 22), cpu=cpus()[0])
        recs, data = drain_all(second)
        assert [number_of(item) for item in data] == list(range(5, 22))
        assert recs["slot_seq"].tolist() == list(range(6, 23))


def test_a_killed_daemon_is_taken_over(pins: Path) -> None:
    """kill -9 leaves the same as a close."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from native_kit import arm, feed, order\n"
        "from lictl.probe.probe import Probe\n"
        f"probe = Probe.open(Path(sys.argv[1]), {RING})\n"
        "arm(probe, order()); feed(probe, range(7)); os.kill(os.getpid(), 9)\n"
    )
    kit = os.path.dirname(__file__)  # noqa: PTH120
    done = subprocess.run([sys.executable, "-c", script, str(pins), kit], timeout=120, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    with Probe.open(pins, RING) as probe:
        assert probe.took_over
        assert [number_of(item) for item in drain_all(probe)[1]] == list(range(7))
        assert set(KernelTables(probe).dump().slots) == {5}


def test_fresh_starts_anew(pins: Path) -> None:
    """`fresh` removes what is pinned: no order, no record, another incarnation."""
    with Probe.open(pins, RING) as first:
        arm(first, order())
        feed(first, range(3))
        old = first.incarnation
    with Probe.open(pins, RING, fresh=True) as second:
        assert not second.took_over
        assert second.incarnation != old
        assert drain_all(second)[1] == []
        assert KernelTables(second).dump().slots == {}


def test_another_ring_size_is_refused_with_the_reason(pins: Path) -> None:
    """The pinned rings keep their size; the error names both sizes and the way out, and changes nothing."""
    with Probe.open(pins, RING) as first:
        arm(first, order())
    before = everything_below(pins)
    with pytest.raises(RefusedError) as caught:
        Probe.open(pins, 2 * RING)
    assert str(RING) in str(caught.value)
    assert str(2 * RING) in str(caught.value)
    assert "--fresh" in str(caught.value)
    assert everything_below(pins) == before
    with Probe.open(pins, RING) as again:
        assert again.took_over


def test_another_abi_version_is_refused(pins: Path) -> None:
    """State of another version of the contract is never taken over."""
    with Probe.open(pins, RING) as first:
        first.config_words().abi_version = abi.ABI_VERSION + 1
    with pytest.raises(RefusedError, match="ABI version"):
        Probe.open(pins, RING)


def test_another_shape_of_a_map_is_refused(pins: Path) -> None:
    """A pinned map of another capacity is another version's; the error names it."""
    with Probe.open(pins, RING):
        pass
    victim = pins / "maps" / abi.MAP_MAC
    victim.unlink()
    subprocess.run(
        ["bpftool", "map", "create", str(victim), "type", "hash", "key", "8", "value", "72", "entries", "10",
         "name", "li_mac", "flags", "1"], check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    with pytest.raises(RefusedError, match=r"li_mac has capacity 10"):
        Probe.open(pins, RING)


def test_another_program_is_refused(pins: Path) -> None:
    """A running program whose tag is not that of this version's program is not taken over."""
    with Probe.open(pins, RING):
        pass
    ingress = pins / "progs" / abi.PROG_INGRESS
    ingress.unlink()
    (pins / "progs" / abi.PROG_EGRESS).rename(ingress)
    with Probe.open(None, RING) as other:
        subprocess.run(
            ["bpftool", "prog", "pin", "id", str(program_id(other)), str(pins / "progs" / abi.PROG_EGRESS)],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
    with pytest.raises(RefusedError, match="tag differs"):
        Probe.open(pins, RING)


def program_id(probe: Probe) -> int:
    """The kernel's number of the egress program."""
    lines = open(f"/proc/self/fdinfo/{probe.program_fd(abi.PROG_EGRESS)}").read().splitlines()  # noqa: PTH123, SIM115
    return next(int(line.split()[1]) for line in lines if line.startswith("prog_id"))


def test_unfinished_pins_are_made_anew(pins: Path) -> None:
    """A daemon that died while it pinned leaves no marker: the next one starts fresh."""
    with Probe.open(pins, RING) as first:
        old = first.incarnation
    (pins / "maps" / abi.MAP_CONFIG).unlink()
    with Probe.open(pins, RING) as second:
        assert not second.took_over
        assert second.incarnation != old


def test_destroy_leaves_no_pin(pins: Path) -> None:
    """After destroy the folders are empty."""
    Probe.open(pins, RING).destroy()
    assert everything_below(pins) == []


def test_a_folder_that_is_not_on_a_bpffs_is_refused(tmp_path: Path) -> None:
    """The error says which folder, and how to mount."""
    with pytest.raises(Exception, match="not on a bpffs") as caught:
        Probe.open(tmp_path / "plain", RING)
    assert "mount -t bpf" in str(caught.value)


@pytest.mark.parametrize("size", [0, 1000, 4095, 3 << 20, 1 << 31])
def test_an_impossible_ring_size_is_refused(size: int) -> None:
    """Not a power of two, or out of bounds."""
    with pytest.raises(UsageError):
        Probe.open(None, size)


def test_without_pins_everything_ends_with_the_process() -> None:
    """Two probes at once do not see each other, and a closed one refuses."""
    with Probe.open(None, RING) as a, Probe.open(None, RING) as b:
        assert a.incarnation != b.incarnation
        arm(a, order())
        assert KernelTables(b).dump().slots == {}
    with pytest.raises(MachineError, match="closed"):
        a.rings()


@pytest.mark.net
def test_attachments_are_taken_over(pins: Path, wire: Wire) -> None:
    """XDP link and tc filter go on while no daemon runs, and the next one knows and owns them."""
    with Probe.open(pins, RING) as first:
        made = wire.inside(lambda: [first.attach(wire.a, abi.AT_INGRESS), first.attach(wire.a, abi.AT_EGRESS)])
    with Probe.open(pins, RING) as other:
        pass  # in another network namespace the tc filter is not found: its note goes, the link stays
    assert other.took_over
    second = wire.inside(lambda: Probe.open(pins, RING))
    try:
        found = wire.inside(second.attachments)
        assert next((item.ifindex, item.hook, item.program_id, item.tag) for item in found) == (
            wire.a,
            abi.AT_INGRESS,
            made[0].program_id,
            made[0].tag,
        )
        assert found[0].taken_over
    finally:
        wire.inside(second.destroy)
    assert everything_below(pins) == []


@pytest.mark.net
def test_fresh_ends_what_an_earlier_daemon_left_attached(pins: Path, wire: Wire) -> None:
    """Link and filter of the old set are gone: nothing captures into rings that nobody reads."""
    before = wire.run("tc", "qdisc", "show", "dev", "va")
    with Probe.open(pins, RING) as first:
        wire.inside(lambda: [first.attach(wire.a, abi.AT_INGRESS), first.attach(wire.a, abi.AT_EGRESS)])
    assert "prog/xdp" in wire.run("ip", "link", "show", "va")
    with wire.inside(lambda: Probe.open(pins, RING, fresh=True)) as second:
        assert wire.inside(second.attachments) == []
        assert "prog/xdp" not in wire.run("ip", "link", "show", "va")
        assert wire.run("tc", "qdisc", "show", "dev", "va") == before
        second.destroy()


@pytest.mark.net
def test_capture_goes_on_between_two_daemons(pins: Path, wire: Wire) -> None:
    """Packets on the wire while no daemon runs are in the rings for the next one."""
    with Probe.open(pins, RING) as first:
        arm(first, order(target="mac:02:00:00:00:00:0a"), ifindex=wire.b)
        wire.inside(lambda: first.attach(wire.b, abi.AT_INGRESS))
        was = first.slot_counts(5).matched
    send(wire, bytes.fromhex("0200000000bb02000000000a88b5") + bytes(46), 5)
    second = wire.inside(lambda: Probe.open(pins, RING))
    try:
        assert second.slot_counts(5).matched - was == 5
        assert len(drain_all(second)[1]) == 5
        again = wire.inside(lambda: second.attach(wire.b, abi.AT_INGRESS))
        assert again.taken_over
        assert len(wire.inside(second.attachments)) == 1
    finally:
        wire.inside(second.destroy)


def send(wire: Wire, frame: bytes, count: int) -> None:
    """Sends frames out of the wire's first end."""
    from lictl.lab import namespace

    with namespace.packet_socket(wire.space, "va") as raw:
        for _ in range(count):
            raw.send(frame)


def test_the_kernel_offset_is_set_before_anything_is_attached(pins: Path) -> None:
    """A new set of maps never judges a window by an offset of zero."""
    with Probe.open(pins, RING) as probe:
        assert int(probe.config()["utc_offset_ns"]) > 1_500_000_000 * 10**9
        arm(probe, order())
        feed(probe, range(1))
        recs, _ = drain_all(probe)
        assert np.all(recs["utc_ns"] == recs["ktime_ns"] + probe.config()["utc_offset_ns"])
        assert int(recs["ifindex"][0]) == LOOPBACK
