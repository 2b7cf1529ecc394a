# SPDX-License-Identifier: Apache-2.0
"""Reconciliation with the real kernel: whatever is put there from outside is found, removed and recorded."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chains import SIGNER, home
from hypothesis import given
from hypothesis import strategies as st

from lictl.audit import programs
from lictl.audit.chain import Chain
from lictl.audit.differences import Difference, compare_programs, compare_spools, compare_tables, without_foreign
from lictl.audit.read import Query, entries
from lictl.audit.reconcile import Reconciler, Subject, open_evidence
from lictl.errors import IntegrityError
from lictl.keys.sealer import Sealer
from lictl.keys.wrapper import FileWrapper
from lictl.lab import namespace
from lictl.probe import abi
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.probe import Probe
from lictl.probe.tables import KernelTables
from lictl.service import bpffs
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder, Tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOREVER = 1 << 63
VICTIM = bytes([203, 0, 113, 99])


def order(slot: int, *targets: str, generation: int = 1) -> ArmedOrder:
    """An order in force."""
    return ArmedOrder(slot, generation, abi.MODE_CONTENT, 0, FOREVER, 0, tuple(parse(text) for text in targets))


ORDERS = (
    order(3, "ip:203.0.113.1", "ip:203.0.113.0/30", "ip:2001:db8:7::/64"),
    order(4, "ip:203.0.113.2 ports:4000-4001", "mac:02:00:00:00:00:07", generation=7),
)


@dataclass
class Site:
    """A probe with orders in force, a chain, and what would raise alarms."""

    probe: Probe
    tables: KernelTables
    chain: Chain
    pins: Path
    spool: Path
    wanted: Tables
    space: str = ""
    ifindex: int = 0
    alarms: dict[str, str] = field(default_factory=dict)
    streams: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.sealer = Sealer(FileWrapper(bytes(32)))
        self.still = threading.RLock()
        self.reconciler = Reconciler(
            Subject(
                probe=self.probe,
                tables=self.tables,
                wanted=lambda: self.wanted,
                still=self.still,
                streams=lambda: self.streams,
                served=lambda: {self.ifindex: "wire0"} if self.ifindex else {},
                spool=self.spool,
                chain=self.chain,
                sealer=self.sealer,
                alarm=self.alarm,
            )
        )

    def alarm(self, stands: bool, name: str, subject: str, what: str) -> None:
        """As `Alarms.when`."""
        assert name == "foreign"
        if stands:
            self.alarms[subject] = what
        else:
            self.alarms.pop(subject, None)

    def run(self) -> list[tuple[str, str, str]]:
        """One comparison: kind, where, done."""
        found = namespace.inside(self.space, self.reconciler.run) if self.space else self.reconciler.run()
        return [(item["kind"], item["where"], item["done"]) for item in found["differences"]]

    def recorded(self) -> list[str]:
        """Actions in the chain that are about reconciliation."""
        return [entry.action for entry in entries(self.chain.folder, Query(action="reconcile."))]

    def evidence(self) -> dict[str, Any]:
        """Of the first finding."""
        sealed = next(e.sealed for e in entries(self.chain.folder, Query(action="reconcile.found")) if e.sealed)
        assert sealed is not None
        return open_evidence(self.sealer, sealed)

    def bpftool(self, *arguments: str) -> str:
        """Somebody else's hand in the kernel."""
        done = subprocess.run(["bpftool", *arguments], check=True, capture_output=True, text=True, timeout=30)
        return done.stdout

    def off(self, slot: int) -> bool:
        """The program takes nothing for this slot."""
        return not any(self.tables.slot(slot)[:8])

    def put(self, name: str, key: bytes, value: bytes) -> None:
        """Writes into a pinned map from another process."""
        path, written = str(self.pins / "maps" / name), ["value", "hex", *value.hex(" ").split()]
        self.bpftool("map", "update", "pinned", path, "key", "hex", *key.hex(" ").split(), *written)

    def inside(self, *argv: str) -> None:
        """Runs a command in the namespace."""
        subprocess.run(namespace.command(self.space, argv), check=True, timeout=30)


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Probe, Path]]:
    """A probe whose maps are pinned, attached nowhere."""
    folder = bpffs.ensure(tmp_path_factory.mktemp("reconcile") / "bpf")
    try:
        with Probe.open(folder / "lictl", 1 << 18) as probe:
            yield probe, folder / "lictl"
    finally:
        ctypes.CDLL(None).umount2(str(folder).encode(), 2)


@pytest.fixture
def site(pinned: tuple[Probe, Path], tmp_path: Path) -> Iterator[Site]:
    """Two orders in force, nothing else."""
    probe, pins = pinned
    tables, wanted = KernelTables(probe), compile_tables(ORDERS)
    tables.apply(None, wanted)
    place = home(tmp_path)
    (tmp_path / "spool").mkdir()
    with Chain.open(place, SIGNER) as chain:
        yield Site(probe, tables, chain, pins, tmp_path / "spool", wanted)


@pytest.fixture
def wired(site: Site) -> Iterator[Site]:
    """The site with the capture attached to an interface of a namespace."""
    site.space = f"lictl-audit-{os.getpid():x}-{os.urandom(2).hex()}"
    namespace.create(site.space)
    try:
        site.inside("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
        site.inside("ip", "link", "set", "wire0", "up")
        site.inside("ip", "link", "set", "wire1", "up")
        site.ifindex = namespace.inside(site.space, lambda: socket.if_nametoindex("wire0"))
        site.tables.ports(port_plan([PortRequest(site.ifindex, "mirror")]))
        namespace.inside(site.space, lambda: site.probe.attach(site.ifindex, abi.AT_INGRESS))
        yield site
        namespace.inside(site.space, lambda: site.probe.detach(site.ifindex, abi.AT_INGRESS))
    finally:
        namespace.remove([site.space])


def v4_key(address: bytes) -> bytes:
    """The packed key of one IPv4 address, as the compiler makes it."""
    text = ".".join(map(str, address))
    (key,) = compile_tables([order(9, f"ip:{text}")]).maps[abi.MAP_V4]
    return key


def value_for(slot: int, generation: int) -> bytes:
    """A target entry that names one order."""
    (value,) = compile_tables([order(slot, "ip:198.51.100.200", generation=generation)]).maps[abi.MAP_V4].values()
    return value


def slot_value(generation: int, mode: int = abi.MODE_CONTENT) -> bytes:
    """An armed slot."""
    value = np.frombuffer(compile_tables([order(9, "ip:198.51.100.200")]).slots[9], abi.SLOT).copy()
    value["generation"], value["mode"] = generation, mode
    return value.tobytes()


kernel = pytest.mark.kernel


@kernel
class TestTables:
    """One probe, its maps pinned, another process that writes into them."""

    def test_orders_in_force_are_no_difference(self, site: Site) -> None:
        """Nothing is found, nothing recorded."""
        assert site.run() == []
        assert site.recorded() == []
        assert site.alarms == {}

    def test_an_entry_from_outside_is_removed_and_recorded(self, site: Site) -> None:
        """Written by another process into the pinned map: gone after one comparison, with sealed evidence of whom."""
        key = v4_key(VICTIM)
        site.put(abi.MAP_V4, key, value_for(3, 1))
        assert site.run() == [("foreign-entry", abi.MAP_V4, "removed")]
        assert compare_tables(site.wanted, site.tables.dump()) == []
        assert site.recorded() == ["reconcile.found", "reconcile.removed"]
        assert key.hex() in site.evidence()["entries"][abi.MAP_V4]
        lines = b"".join(path.read_bytes() for path in site.chain.folder.glob("*.jsonl"))
        assert key.hex().encode() not in lines
        assert b"203.0.113.99" not in lines
        assert site.alarms == {"foreign-entry li_v4": "1 entries of no order in force."}
        assert site.run() == []
        assert site.alarms == {}

    def test_a_slot_armed_from_outside_is_switched_off(self, site: Site) -> None:
        """With an entry for it: a whole order that nobody approved."""
        site.put(abi.MAP_SLOTS, (77).to_bytes(4, "little"), slot_value(5))
        site.put(abi.MAP_V4, v4_key(VICTIM), value_for(77, 5))
        assert site.run() == [("foreign-slot", "slot 77", "switched off"), ("foreign-entry", abi.MAP_V4, "removed")]
        assert site.off(77)
        assert "77" in site.evidence()["slots"]

    def test_a_slot_without_a_generation_is_found(self, site: Site) -> None:
        """Generation 0 belongs to no order, but the program would take it for one."""
        site.put(abi.MAP_SLOTS, (78).to_bytes(4, "little"), slot_value(0))
        assert site.run() == [("foreign-slot", "slot 78", "switched off")]
        assert site.off(78)

    def test_an_order_widened_from_outside_is_restored(self, site: Site) -> None:
        """Another generation, another mode: the slot is as its order says again."""
        site.put(abi.MAP_SLOTS, (3).to_bytes(4, "little"), slot_value(1, abi.MODE_HEADERS))
        assert site.run() == [("changed-slot", "slot 3", "restored")]
        site.put(abi.MAP_SLOTS, (4).to_bytes(4, "little"), slot_value(8))
        assert site.run() == [("changed-slot", "slot 4", "restored")]
        assert site.tables.dump().slots == site.wanted.slots

    def test_an_entry_that_names_more_orders_is_restored(self, site: Site) -> None:
        """An address of one order, given to another one too."""
        key = next(iter(site.wanted.maps[abi.MAP_V4]))
        site.put(abi.MAP_V4, key, value_for(4, 7))
        assert site.run() == [("changed-entry", abi.MAP_V4, "restored")]
        assert site.tables.dump().maps == site.wanted.maps

    def test_what_was_taken_from_an_order_is_given_back(self, site: Site) -> None:
        """Entries deleted and a slot switched off from outside: an order in force takes what it names again."""
        key = next(iter(site.wanted.maps[abi.MAP_V4]))
        path = str(site.pins / "maps" / abi.MAP_V4)
        site.bpftool("map", "delete", "pinned", path, "key", "hex", *key.hex(" ").split())
        site.put(abi.MAP_SLOTS, (4).to_bytes(4, "little"), bytes(abi.SLOT.itemsize))
        assert sorted(site.run()) == [
            ("missing-entry", abi.MAP_V4, "restored"),
            ("missing-slot", "slot 4", "armed again"),
        ]
        assert compare_tables(site.wanted, site.tables.dump()) == []

    def test_a_revocation_in_work_is_not_undone(self, site: Site) -> None:
        """A slot that is switched off, and whose order ends a moment later, is never armed again."""
        site.probe.write_slot(4, bytes(abi.SLOT.itemsize))

        def revoke() -> None:
            with site.still:
                site.wanted = compile_tables(ORDERS[:1])

        ending = threading.Timer(0.15, revoke)
        ending.start()
        site.run()
        ending.join()
        assert site.off(4)
        site.run()
        assert compare_tables(site.wanted, site.tables.dump()) == []

    def test_targets_hidden_from_the_program_are_shown_again(self, site: Site) -> None:
        """The bitmap in front of the maps cleared: the orders would take nothing, silently."""
        site.probe.filter_words()[:] = 0
        assert [kind for kind, _, _ in site.run()] == ["words"]
        assert site.tables.hidden(site.wanted) == 0
        assert site.run() == []

    def test_changes_of_orders_meanwhile_are_no_difference(self, site: Site) -> None:
        """Orders come and go while it compares: nothing is found, nothing is undone."""
        stop = threading.Event()
        sets = [compile_tables(ORDERS), compile_tables(ORDERS[:1]), compile_tables([*ORDERS, order(9, "vlan:100")])]

        def change() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                with site.still:
                    site.tables.apply(site.wanted, sets[turn % 3])
                    site.wanted = sets[turn % 3]

        thread = threading.Thread(target=change)
        thread.start()
        try:
            assert [site.run() for _ in range(15)] == [[]] * 15
        finally:
            stop.set()
            thread.join()

    def test_a_stray_spool_is_told(self, site: Site) -> None:
        """A folder that no order owns, and a stream whose folder is gone."""
        (site.spool / "agency" / "stray").mkdir(parents=True)
        site.streams = {("agency", "lost")}
        assert [(kind, where) for kind, where, _ in site.run()] == [
            ("foreign-spool", "agency/stray"), ("missing-spool", "agency/lost"),
        ]  # fmt: skip
        assert site.recorded() == ["reconcile.found"]
        (site.spool / "agency" / "stray").rmdir()
        site.streams = set()
        assert site.run() == []
        assert site.recorded() == ["reconcile.found", "reconcile.gone"]

    def test_a_full_disk_does_not_keep_a_foreign_order_running(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is switched off although it cannot be recorded."""
        site.put(abi.MAP_SLOTS, (77).to_bytes(4, "little"), slot_value(5))

        def full(_fd: int, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("lictl.audit.chain.os.write", full)
            site.run()
        assert site.off(77)


@kernel
@pytest.mark.net
class TestPrograms:
    """The capture on a wire, and programs of others beside it or in its place."""

    def test_a_foreign_program_is_told_and_left(self, wired: Site, tmp_path: Path) -> None:
        """Ours taken off and another one put in its place: told until it is gone, recorded once each."""
        source, built = tmp_path / "pass.c", tmp_path / "pass.o"
        source.write_text('__attribute__((section("xdp"), used)) int other(void *ctx) { return 2; }\n')
        subprocess.run(["clang", "-O2", "-target", "bpf", "-c", str(source), "-o", str(built)], check=True)
        namespace.inside(wired.space, lambda: wired.probe.detach(wired.ifindex, abi.AT_INGRESS))
        try:
            wired.inside("ip", "link", "set", "wire0", "xdp", "obj", str(built), "sec", "xdp")
            for _ in range(2):
                assert [(kind, where) for kind, where, _ in wired.run()] == [
                    ("foreign-program", "wire0"), ("missing-program", "wire0"),
                ]  # fmt: skip
            assert set(wired.alarms) == {"foreign-program wire0", "missing-program wire0"}
        finally:
            with suppress(subprocess.CalledProcessError):
                wired.inside("ip", "link", "set", "wire0", "xdp", "off")
            namespace.inside(wired.space, lambda: wired.probe.attach(wired.ifindex, abi.AT_INGRESS))
        assert wired.run() == []
        assert wired.recorded() == ["reconcile.found", "reconcile.gone"]
        assert wired.alarms == {}

    def test_a_foreign_program_beside_ours_is_told(self, wired: Site, tmp_path: Path) -> None:
        """A tc filter on an interface that is served."""
        source, built = tmp_path / "tc.c", tmp_path / "tc.o"
        source.write_text('__attribute__((section("classifier"), used)) int other(void *ctx) { return -1; }\n')
        subprocess.run(["clang", "-O2", "-target", "bpf", "-c", str(source), "-o", str(built)], check=True)
        wired.inside("tc", "qdisc", "add", "dev", "wire0", "clsact")
        try:
            wired.inside(
                "tc", "filter", "add", "dev", "wire0", "egress", "bpf", "da", "obj", str(built), "sec", "classifier"
            )
            assert [(kind, where) for kind, where, _ in wired.run()] == [("foreign-program", "wire0")]
        finally:
            wired.inside("tc", "qdisc", "del", "dev", "wire0", "clsact")
        assert wired.run() == []

    def test_our_own_programs_are_known_by_number_and_tag(self, wired: Site) -> None:
        """What the kernel lists agrees with what the probe says of its attachment."""
        (attachment,) = wired.probe.attachments()
        own = programs.program_of(wired.probe.program_fd(abi.PROG_INGRESS))
        assert (own.id, own.tag) == (attachment.program_id, attachment.tag)
        assert programs.map_id(wired.probe.map_fd(abi.MAP_SLOTS)) in own.maps
        assert namespace.inside(wired.space, lambda: programs.attached(wired.ifindex)) == {own.id}


# ---- pure parts

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
