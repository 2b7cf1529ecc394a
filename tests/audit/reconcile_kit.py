# SPDX-License-Identifier: Apache-2.0
"""A probe with orders in force, a chain, and another process that writes into the pinned maps."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chains import SIGNER, home

from lictl.audit.chain import Chain
from lictl.audit.read import Query, entries
from lictl.audit.reconcile import Reconciler, Subject, open_evidence
from lictl.keys.sealer import Sealer
from lictl.keys.wrapper import FileWrapper
from lictl.lab import namespace
from lictl.probe import abi
from lictl.probe.interfaces import PortConfig, PortRequest, port_plan
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
    unknown: set[str] = field(default_factory=set)
    accounts: Path = field(init=False)
    ports: list[PortConfig] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.accounts = self.spool.with_name("accounts")
        self.sealer = Sealer(FileWrapper(bytes(32)))
        self.still = threading.RLock()
        self.reconciler = Reconciler(
            Subject(
                probe=self.probe,
                tables=self.tables,
                wanted=lambda: self.wanted,
                still=self.still,
                streams=lambda: self.streams,
                knows=lambda name: name not in self.unknown,
                served=lambda: {self.ifindex: "wire0"} if self.ifindex else {},
                ports=lambda: self.ports,
                spool=self.spool,
                accounts=self.accounts,
                unknown=lambda names: self.unknown.intersection(names),
                chain=self.chain,
                sealer=self.sealer,
                alarm=self.alarm,
            )
        )

    def alarm(self, stands: bool, name: str, subject: str, what: str) -> None:
        """As `Alarms.when`."""
        assert name == ("unknown-order" if subject.startswith("unknown-") else "foreign")
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
    tables.ports([])
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
        site.ports = port_plan([PortRequest(site.ifindex, "mirror")])
        site.tables.ports(site.ports)
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
