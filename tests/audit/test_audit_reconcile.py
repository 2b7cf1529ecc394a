# SPDX-License-Identifier: Apache-2.0
"""Reconciliation with the real kernel: whatever is put there from outside is found, removed and recorded."""

from __future__ import annotations

import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import bounded
import pytest
from reconcile_kit import ORDERS, VICTIM, Site, order, slot_value, v4_key, value_for

from lictl.audit import programs
from lictl.audit.differences import compare_tables
from lictl.lab import namespace
from lictl.probe import abi
from lictl.probe.interfaces import PortRequest, port_plan
from lictl.probe.tables import pack_port
from lictl.targets.compile import compile as compile_tables

if TYPE_CHECKING:
    from pathlib import Path


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
        bounded.join(ending)
        assert site.off(4)
        site.run()
        assert compare_tables(site.wanted, site.tables.dump()) == []

    def test_targets_hidden_from_the_program_are_shown_again(self, site: Site) -> None:
        """The bitmap in front of the maps cleared: the orders would take nothing, silently."""
        site.probe.filter_words()[:] = 0
        assert [kind for kind, _, _ in site.run()] == ["words"]
        assert site.tables.hidden(site.wanted) == 0
        assert site.run() == []

    def test_what_an_interface_may_take_is_as_it_is_served(self, site: Site) -> None:
        """A role given, changed and taken away by another process in the pinned map: put right, recorded, alarmed."""
        site.ports = port_plan([PortRequest(11, "access"), PortRequest(12, "core")])
        site.tables.ports(site.ports)
        assert site.run() == []
        access, core = pack_port(site.ports[0]), pack_port(site.ports[1])
        for index, value in ((11, core), (12, bytes(len(core))), (13, access)):
            site.put(abi.MAP_PORTS, index.to_bytes(4, "little"), value)
        assert site.run() == [
            ("changed-port", "interface 11", "restored"),
            ("missing-port", "interface 12", "restored"),
            ("foreign-port", "interface 13", "switched off"),
        ]
        assert site.tables.port_values() == {11: access, 12: core}
        assert site.recorded() == ["reconcile.found", "reconcile.removed"]
        assert set(site.alarms) == {
            "changed-port interface 11",
            "missing-port interface 12",
            "foreign-port interface 13",
        }
        assert site.run() == []
        assert site.alarms == {}

    def test_an_interface_that_is_made_anew_is_no_difference(self, site: Site) -> None:
        """The role of its new index is planned a moment before it stands in the map."""
        site.ports = port_plan([PortRequest(14, "access")])
        late = threading.Timer(0.15, lambda: site.tables.ports(site.ports))
        late.start()
        assert site.run() == []
        bounded.join(late)
        assert site.recorded() == []

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

        thread = threading.Thread(target=change, daemon=True)
        thread.start()
        try:
            assert [site.run() for _ in range(15)] == [[]] * 15
        finally:
            stop.set()
            bounded.join(thread)

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

    def test_a_spool_of_an_order_that_the_store_does_not_know_is_alarmed_and_left(self, site: Site) -> None:
        """As after a database was restored from a backup: told with how much lies there, until somebody sees to it."""
        folder = site.spool / "agency" / "5f0e-pcapng"
        folder.mkdir(parents=True)
        (folder / "1.seg").write_bytes(bytes(300))
        site.unknown = {"5f0e-pcapng"}
        for _ in range(2):
            assert site.run() == [("unknown-spool", "agency/5f0e-pcapng", "")]
            assert "300 bytes lie there" in site.alarms["unknown-spool agency/5f0e-pcapng"]
        assert (folder / "1.seg").read_bytes() == bytes(300)
        site.unknown, site.streams = set(), {("agency", "5f0e-pcapng")}
        assert site.run() == []
        assert site.alarms == {}
        assert site.recorded() == ["reconcile.found", "reconcile.gone"]

    def test_accounts_of_an_order_that_the_store_does_not_know_are_alarmed_and_left(self, site: Site) -> None:
        """Told by the folder's name, until somebody sees to it; those of orders that the store has are not."""
        for name in ("5f0e", "77aa"):
            (site.accounts / name).mkdir(parents=True)
            (site.accounts / name / "agency-pcapng.json").write_text("{}")
        site.unknown = {"5f0e", "nothere"}
        for _ in range(2):
            assert site.run() == [("unknown-account", "5f0e", "")]
            assert "in no report: 1." in site.alarms["unknown-account 5f0e"]
        assert (site.accounts / "5f0e" / "agency-pcapng.json").read_text() == "{}"
        site.unknown = set()
        assert site.run() == []
        assert site.alarms == {}
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
        subprocess.run(["clang", "-O2", "-target", "bpf", "-c", str(source), "-o", str(built)], check=True, timeout=120)
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
        subprocess.run(["clang", "-O2", "-target", "bpf", "-c", str(source), "-o", str(built)], check=True, timeout=120)
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
        (attachment,) = namespace.inside(wired.space, wired.probe.attachments)
        own = programs.program_of(wired.probe.program_fd(abi.PROG_INGRESS))
        assert (own.id, own.tag) == (attachment.program_id, attachment.tag)
        assert programs.map_id(wired.probe.map_fd(abi.MAP_SLOTS)) in own.maps
        assert namespace.inside(wired.space, lambda: programs.attached(wired.ifindex)) == {own.id}
