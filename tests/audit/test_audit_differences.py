# SPDX-License-Identifier: Apache-2.0
"""What is not as the orders say: the comparisons by themselves, and what the kernel tells of programs."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reconcile_kit import order

from lictl.audit import programs
from lictl.audit.differences import Difference, compare_programs, compare_spools, compare_tables, without_foreign
from lictl.audit.reconcile import open_evidence
from lictl.errors import IntegrityError
from lictl.keys.sealer import Sealer
from lictl.keys.wrapper import FileWrapper
from lictl.probe import abi
from lictl.targets.compile import compile as compile_tables
from lictl.targets.orders import Tables

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.probe.probe import Probe

kernel = pytest.mark.kernel
TARGETS = ["ip:203.0.113.1", "ip:203.0.113.0/30", "vlan:100", "mac:02:00:00:00:00:07", "ip:2001:db8::/64"]
ORDERS_OF_ANYBODY = st.builds(
    lambda slot, generation, targets: order(slot, *sorted(targets), generation=generation),
    st.integers(0, 5),
    st.integers(1, 2),
    st.sets(st.sampled_from(TARGETS), min_size=1),
)
SETS = st.lists(ORDERS_OF_ANYBODY, max_size=4, unique_by=lambda item: item.slot).map(compile_tables)


@given(wanted=SETS, found=SETS)
def test_after_removal_nothing_foreign_is_left(wanted: Tables, found: Tables) -> None:
    """Whatever two sets of orders there are: what is kept was wanted, and only a slot that was off may be missing."""
    rest = compare_tables(wanted, without_foreign(wanted, found))
    assert {item.kind for item in rest} <= {"missing-slot"}
    missing = wanted.slots.keys() - found.slots.keys()
    assert {item.where for item in rest} == {f"slot {slot}" for slot in missing}
    assert compare_tables(wanted, without_foreign(wanted, found, rearm=missing)) == []


@given(wanted=SETS, found=SETS)
def test_equal_sets_and_only_those_compare_equal(wanted: Tables, found: Tables) -> None:
    """No difference is overlooked."""
    assert (compare_tables(wanted, found) == []) == (wanted == found)


def test_differences_name_no_target() -> None:
    """Neither in text nor in JSON."""
    found = compile_tables([order(1, "ip:203.0.113.99", "mac:02:00:00:00:00:42")])
    text = str([item.to_json() for item in compare_tables(Tables(), found)])
    assert "203.0.113" not in text
    assert "cb0071" not in text
    assert "42" not in text


def test_programs_that_use_our_maps_are_ours() -> None:
    """Another number, or our number with another tag, is somebody else's."""
    ours = programs.Program(7, "aa", "li_ingress", 0, frozenset({1}))
    assert compare_programs({7: "aa"}, {"eth7": {7}}, [ours]) == []
    spy = replace(ours, id=8, name="spy")
    assert [item.where for item in compare_programs({7: "aa"}, {}, [ours, spy])] == ["program 8"]
    assert [item.kind for item in compare_programs({7: "aa"}, {}, [replace(ours, tag="bb")])] == ["foreign-program"]
    assert [item.kind for item in compare_programs({7: "aa"}, {"eth7": set()}, [])] == ["missing-program"]


def attribute(kind: int, data: bytes) -> bytes:
    """One netlink attribute."""
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def test_program_numbers_in_the_kernels_messages() -> None:
    """XDP in whatever mode (rtnetlink(7), IFLA_XDP), and filters of tc, whose number pyroute2 leaves undecoded."""
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.tcmsg import tcmsg

    number = struct.pack("I", 77)
    xdp = attribute(43 | 0x8000, attribute(2, b"\1") + attribute(4, number) + attribute(5, number))
    body = struct.pack("BBHiII", 0, 0, 1, 5, 0, 0) + attribute(3, b"wire0\0") + xdp
    link = ifinfmsg(struct.pack("IHHII", 16 + len(body), 16, 0, 1, 0) + body)
    link.decode()
    assert set(programs.xdp_ids(link)) == {77}
    for kind, ids in ((b"bpf\0", [77]), (b"u32\0", [])):
        options = attribute(2 | 0x8000, attribute(7, b"other\0") + attribute(11, number))
        body = struct.pack("BBHiIII", 0, 0, 0, 5, 1, 0xFFFFFFF3, 0) + attribute(1, kind) + options
        rule = tcmsg(struct.pack("IHHII", 16 + len(body), 44, 0, 1, 0) + body)
        rule.decode()
        assert list(programs.tc_ids(rule)) == ids


@kernel
def test_every_loaded_program_is_listed(pinned: tuple[Probe, Path]) -> None:
    """Ours are among them, and use our maps; their descriptors say the same."""
    probe, _ = pinned
    own = programs.program_of(probe.program_fd(abi.PROG_INGRESS))
    assert own in list(programs.programs())
    assert programs.program_by_id(own.id) == own
    assert programs.map_id(probe.map_fd(abi.MAP_SLOTS)) in own.maps
    assert programs.program_by_id(0xFFFF_FFF0) is None


def test_spools_of_a_home_without_a_spool_folder_are_missing(tmp_path: Path) -> None:
    """No folder at all is no crash."""
    assert compare_spools(tmp_path / "none", []) == []
    (tmp_path / "agency" / "stream").mkdir(parents=True)
    (tmp_path / "agency" / "worker.lock").touch()
    assert compare_spools(tmp_path, [("agency", "stream")]) == []
    assert compare_spools(tmp_path / "none", [("a", "s")]) == [
        Difference("missing-spool", "a/s", "The folder of this stream is gone.")
    ]


def test_evidence_opens_with_the_sites_key_only(tmp_path: Path) -> None:
    """Whom a foreign entry named is for the investigators."""
    from lictl.audit.reconcile import seal_evidence

    sealer = Sealer(FileWrapper(bytes(32)))
    sealed = seal_evidence(sealer, {"entries": {}})
    assert open_evidence(sealer, sealed) == {"entries": {}}
    with pytest.raises(IntegrityError):
        open_evidence(Sealer(FileWrapper(bytes([1]) * 32)), sealed)
