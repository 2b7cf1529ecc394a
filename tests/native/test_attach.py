# SPDX-License-Identifier: Apache-2.0
"""Attaching to interfaces, beside other programs, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from native_kit import LOOPBACK

from lictl.errors import MachineError, RefusedError, UnavailableError, UsageError
from lictl.probe import abi
from lictl.probe.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Wire

pytestmark = [pytest.mark.kernel, pytest.mark.net]

OTHER = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int other(struct xdp_md *ctx) { (void)ctx; return XDP_PASS; }
SEC("tc") int other_tc(struct __sk_buff *ctx) { (void)ctx; return -1; }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's XDP and tc program."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "other.c").write_text(OTHER)
    subprocess.run(
        ["clang", "-O2", "-g", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu",
         "-I/usr/include/aarch64-linux-gnu", "-c", "other.c", "-o", "other.o"],
        cwd=folder, check=True, timeout=60,
    )  # fmt: skip
    return folder / "other.o"


@pytest.fixture
def probe(loaded: Probe, wire: Wire) -> Iterator[Probe]:
    """The shared probe; what a test leaves attached is detached."""
    yield loaded

    def clear() -> None:
        for hook in (abi.AT_INGRESS, abi.AT_EGRESS):
            for ifindex in (wire.a, wire.b):
                with contextlib.suppress(UnavailableError):
                    loaded.detach(ifindex, hook)

    wire.inside(clear)


def link(wire: Wire, name: str = "va") -> dict[str, Any]:
    """What `ip` says of an interface."""
    found: list[dict[str, Any]] = json.loads(wire.run("ip", "-d", "-j", "link", "show", name))
    return found[0]


def qdiscs(wire: Wire) -> str:
    """What `tc` says of the first interface."""
    return wire.run("tc", "qdisc", "show", "dev", "va") + wire.run("tc", "filter", "show", "dev", "va", "egress")


def test_native_mode_is_what_is_attached_and_reported(probe: Probe, wire: Wire) -> None:
    """veth takes the program natively; probe and `ip` agree."""
    made = wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS))
    assert (made.mode, made.ifindex, made.hook, made.taken_over) == ("native", wire.a, abi.AT_INGRESS, False)
    xdp = link(wire)["xdp"]
    assert xdp["prog"]["id"] == made.program_id
    assert xdp["prog"]["tag"] == made.tag
    assert xdp["mode"] == 1  # XDP_ATTACHED_DRV
    assert wire.inside(probe.attachments) == [made]


def test_generic_mode_only_when_asked(probe: Probe, wire: Wire) -> None:
    """The slow path is attached and reported as such."""
    made = wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS, generic=True))
    assert made.mode == "generic"
    assert link(wire)["xdp"]["mode"] == 2  # XDP_ATTACHED_SKB


def test_native_mode_never_falls_back(probe: Probe, wire: Wire) -> None:
    """A driver without native XDP is an error that names generic mode; nothing is attached."""
    wire.run("ip", "link", "set", "lo", "up")
    with pytest.raises(MachineError, match="generic") as caught:
        wire.inside(lambda: probe.attach(LOOPBACK, abi.AT_INGRESS))
    assert "lo" in str(caught.value)
    assert "xdp" not in link(wire, "lo")
    made = wire.inside(lambda: probe.attach(LOOPBACK, abi.AT_INGRESS, generic=True))
    assert made.mode == "generic"
    wire.inside(lambda: probe.detach(LOOPBACK, abi.AT_INGRESS))


def test_another_xdp_program_is_refused(probe: Probe, wire: Wire, other: Path) -> None:
    """The error names the program's number; the other program stays."""
    wire.run("ip", "link", "set", "va", "xdp", "obj", str(other), "sec", "xdp")
    held = link(wire)["xdp"]["prog"]["id"]
    with pytest.raises(RefusedError, match=f"id {held}"):
        wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS))
    assert link(wire)["xdp"]["prog"]["id"] == held
    assert probe.attachments() == []


def test_another_xdp_program_is_replaced_when_asked(probe: Probe, wire: Wire, other: Path) -> None:
    """`replace` takes the place of a program that was attached by name."""
    wire.run("ip", "link", "set", "va", "xdpgeneric", "obj", str(other), "sec", "xdp")
    made = wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS, replace=True))
    assert link(wire)["xdp"]["prog"]["id"] == made.program_id
    assert made.mode == "native"


def test_a_foreign_link_cannot_be_replaced(probe: Probe, wire: Wire) -> None:
    """A program held by another process's BPF link: the error says that only its owner can end it."""
    with Probe.open(None, 4096) as owner:
        wire.inside(lambda: owner.attach(wire.a, abi.AT_INGRESS))
        with pytest.raises(RefusedError):
            wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS))
        with pytest.raises(RefusedError, match="held by a BPF link"):
            wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS, replace=True))


def test_attaching_twice_is_once(probe: Probe, wire: Wire) -> None:
    """The second call reports the same attachment; asked for the other mode, it changes the mode."""
    first = wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS))
    assert wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS)) == first
    changed = wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS, generic=True))
    assert changed.mode == "generic"
    assert wire.inside(probe.attachments) == [changed]


def test_tc_egress_and_its_queueing_discipline_go_again(probe: Probe, wire: Wire) -> None:
    """The filter is reported as tc; after detaching, `tc` shows what it showed before."""
    before = qdiscs(wire)
    made = wire.inside(lambda: probe.attach(wire.a, abi.AT_EGRESS))
    assert (made.mode, made.hook) == ("tc", abi.AT_EGRESS)
    assert "li_egress" in qdiscs(wire)
    wire.inside(lambda: probe.detach(wire.a, abi.AT_EGRESS))
    assert qdiscs(wire) == before


def test_a_queueing_discipline_of_others_stays(probe: Probe, wire: Wire, other: Path) -> None:
    """clsact that was there before, or that others use meanwhile, is not removed."""
    wire.run("tc", "qdisc", "add", "dev", "va", "clsact")
    before = qdiscs(wire)
    wire.inside(lambda: probe.attach(wire.a, abi.AT_EGRESS))
    wire.inside(lambda: probe.detach(wire.a, abi.AT_EGRESS))
    assert qdiscs(wire) == before
    wire.run("tc", "qdisc", "del", "dev", "va", "clsact")
    wire.inside(lambda: probe.attach(wire.a, abi.AT_EGRESS))
    wire.run("tc", "filter", "add", "dev", "va", "ingress", "bpf", "da", "obj", str(other), "sec", "tc")
    wire.inside(lambda: probe.detach(wire.a, abi.AT_EGRESS))
    assert "clsact" in qdiscs(wire)


def test_another_program_in_our_tc_place_is_refused_or_replaced(probe: Probe, wire: Wire) -> None:
    """Our handle and priority held by another daemon's program: refused; replaced when asked."""
    with Probe.open(None, 4096) as owner:
        held = wire.inside(lambda: owner.attach(wire.a, abi.AT_EGRESS))
        with pytest.raises(RefusedError, match=f"id {held.program_id}"):
            wire.inside(lambda: probe.attach(wire.a, abi.AT_EGRESS))
        made = wire.inside(lambda: probe.attach(wire.a, abi.AT_EGRESS, replace=True))
        assert wire.inside(owner.attachments) == []
        wire.inside(owner.close)
    assert wire.inside(probe.attachments) == [made]


def test_without_pins_a_close_leaves_nothing(wire: Wire) -> None:
    """Link and filter end with the probe."""
    before = qdiscs(wire)
    probe = Probe.open(None, 4096)
    wire.inside(lambda: [probe.attach(wire.a, abi.AT_INGRESS), probe.attach(wire.a, abi.AT_EGRESS)])
    wire.inside(probe.close)
    assert "xdp" not in link(wire)
    assert qdiscs(wire) == before


def test_an_interface_that_goes_away_is_no_longer_reported(probe: Probe, wire: Wire) -> None:
    """Deleted while attached: not reported; a new one of the same name can be attached."""
    wire.inside(lambda: [probe.attach(wire.a, abi.AT_INGRESS), probe.attach(wire.a, abi.AT_EGRESS)])
    wire.run("ip", "link", "del", "va")
    assert wire.inside(probe.attachments) == []
    wire.run("ip", "link", "add", "va", "index", str(wire.a), "type", "veth", "peer", "name", "vb")
    made = wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS))
    assert wire.inside(probe.attachments) == [made]


def test_down_and_up_keeps_the_attachment(probe: Probe, wire: Wire) -> None:
    """Taking an interface down does not detach."""
    made = wire.inside(lambda: probe.attach(wire.a, abi.AT_INGRESS))
    wire.run("ip", "link", "set", "va", "down")
    wire.run("ip", "link", "set", "va", "up")
    assert wire.inside(probe.attachments) == [made]


def test_an_interface_that_is_not_there(probe: Probe, wire: Wire) -> None:
    """No such index: said so, for both hooks."""
    for hook in (abi.AT_INGRESS, abi.AT_EGRESS):
        with pytest.raises(UnavailableError, match="no interface"):
            wire.inside(lambda at=hook: probe.attach(9999, at))


def test_an_index_beyond_the_kernels_table_is_refused(probe: Probe) -> None:
    """The port table ends at MAX_IFINDEX."""
    with pytest.raises(UsageError):
        probe.attach(abi.MAX_IFINDEX, abi.AT_INGRESS)


def test_detaching_what_is_not_attached(probe: Probe, wire: Wire) -> None:
    """An error, not silence."""
    with pytest.raises(UnavailableError):
        probe.detach(wire.a, abi.AT_INGRESS)
