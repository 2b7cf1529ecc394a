# SPDX-License-Identifier: Apache-2.0
"""Orders: from an approval to the first packet, from a revocation to the last, many targets, many orders, a long past.

Packets are runs of the pinned program (BPF_PROG_TEST_RUN) on loopback, so no network is needed. Goal: a revocation is
in effect within 10 ms of the command.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from bench.agency import Agency
from bench.loopback import AGENCY_PORT, FRAME, TARGET, Generator, LoopbackSite
from bench.system import memory_folder
from lictl.lab.loopback import Feed
from lictl.warrants.schema import deliveries, instruments, warrant_keys, warrants
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = 50
MANY_TARGETS = 10_000
MANY_ORDERS = 1_000
CLOSED = 100_000


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Where the home is: without and with what a disk takes for each entry of the audit chain."""
    root = memory_folder() if request.param == "memory" else tmp_path / "site"
    yield root / "warrants"
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def memory() -> Iterator[Path]:
    """In memory, removed afterwards."""
    root = memory_folder()
    yield root / "warrants"
    shutil.rmtree(root, ignore_errors=True)


def quantiles(ns: list[int]) -> dict[str, float]:
    """Milliseconds."""
    values = sorted(ns)
    places = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
    found = {name: values[min(int(len(values) * place), len(values) - 1)] for name, place in places.items()}
    return {name: round(value / 1e6, 2) for name, value in {**found, "max_ms": values[-1]}.items()}


@pytest.mark.timeout(1800)
def test_revoke_to_last_packet(benchmark: Any, folder: Path) -> None:
    """From the start of the command `revoke` to the last packet that the kernel took; packets come all the time."""
    benchmark.group = "revoke"
    place = "memory" if str(folder).startswith("/dev/shm") else "disk"
    took: list[int] = []
    answered: list[int] = []
    with LoopbackSite(folder) as site, Generator(site.home) as generator:

        def prepare() -> tuple[tuple[str], dict[str, Any]]:
            order = site.submitted(f"R{len(took)}")
            site.approve(order)
            generator.watch(site.slot(order))
            generator.moment()
            return (order,), {}

        def revoke(order: str) -> None:
            began = time.monotonic_ns()
            site.team.revoke(order)
            answered.append(time.monotonic_ns() - began)
            took.append(max(generator.moment() - began, 0))

        benchmark.pedantic(revoke, setup=prepare, rounds=ROUNDS)
    benchmark.extra_info.update(
        what="last packet taken", place=place, rounds=len(took), **quantiles(took), answer=quantiles(answered)
    )


@pytest.mark.timeout(1800)
def test_approve_to_first_packet(benchmark: Any, folder: Path) -> None:
    """From the start of the command `approve` to the first packet that the kernel took, and to its arrival."""
    benchmark.group = "approve"
    place = "memory" if str(folder).startswith("/dev/shm") else "disk"
    taken: list[int] = []
    arrived: list[int] = []
    with LoopbackSite(folder) as site, Agency(AGENCY_PORT) as agency, Feed(site.home.bpf) as feed:

        def prepare() -> tuple[tuple[str], dict[str, Any]]:
            return (site.submitted(f"A{len(taken)}"),), {}

        def approve(order: str) -> None:
            seen, began = len(agency.first), time.time_ns()
            site.approve(order)
            limit = time.monotonic() + 60
            while len(agency.first) == seen and time.monotonic() < limit:
                feed.send(FRAME)
                time.sleep(0.0005)
            arrival, packet = agency.first[seen]
            taken.append(packet - began)
            arrived.append(arrival - began)
            site.team.revoke(order)

        benchmark.pedantic(approve, setup=prepare, rounds=ROUNDS)
    benchmark.extra_info.update(
        what="first packet taken", place=place, rounds=len(taken), **quantiles(taken), answer=quantiles(arrived)
    )


@pytest.mark.timeout(1800)
def test_arm_many_targets(benchmark: Any, memory: Path) -> None:
    """One order on 10,000 addresses: until the command has answered, and a packet of the last address is taken."""
    benchmark.group = "arming"
    others = [f"ip:100.{64 + index // 65_025}.{index // 255 % 255}.{index % 255}" for index in range(MANY_TARGETS - 1)]
    found: dict[str, float] = {}
    with LoopbackSite(memory) as site, Feed(site.home.bpf) as feed:
        began = time.monotonic()
        order = site.submitted("MANY", (*others, f"ip:{TARGET}"))
        found["submit_s"] = round(time.monotonic() - began, 2)

        def approve() -> None:
            assert site.approve(order)["state"] == "active"

        benchmark.pedantic(approve, rounds=1)
        slot = site.slot(order)
        feed.send(FRAME)
        assert feed.matched(slot) == 1
    benchmark.extra_info.update(what=f"one order, {MANY_TARGETS:,} targets", seconds=benchmark.stats["min"], **found)


@pytest.mark.timeout(3600)
def test_arm_many_orders(benchmark: Any, memory: Path) -> None:
    """A thousand orders approved one after the other; then all of them at a start of the daemon."""
    benchmark.group = "arming"
    with LoopbackSite(memory) as site:
        began = time.monotonic()
        orders = [
            site.submitted(f"M{index}", (f"ip:100.64.{index // 250}.{index % 250 + 1}",))
            for index in range(MANY_ORDERS)
        ]
        submitted = time.monotonic() - began

        def approve_all() -> None:
            for order in orders:
                assert site.approve(order)["state"] == "active"

        benchmark.pedantic(approve_all, rounds=1)
        site.end()
        started = site.start()
        assert len(site.client.call("status")["warrants"]) == MANY_ORDERS
    benchmark.extra_info.update(
        what=f"{MANY_ORDERS:,} orders, one after the other", seconds=benchmark.stats["min"],
        submit_s=round(submitted, 2), start_s=round(started, 2),
    )  # fmt: skip


def multiply(store: Store, number: int) -> None:
    """Copies of the only order, which is closed."""
    with store._database.write() as connection:
        for table, key in ((warrants, "number"), (instruments, "warrant"), (deliveries, "warrant"),
                           (warrant_keys, "warrant")):  # fmt: skip
            row = dict(connection.execute(select(table)).mappings().one())
            more = ({"uuid": str(copy), "slot": 4095, "generation": copy} if table is warrants else {}
                    for copy in range(2, number + 1))  # fmt: skip
            rows = [row | {key: copy} | own for copy, own in enumerate(more, 2)]
            connection.execute(insert(table), rows)


@pytest.mark.timeout(1800)
def test_open_a_long_past(benchmark: Any, memory: Path) -> None:
    """Opening a database of 100,000 closed orders and one in force, and what the daemon asks it at a start."""
    benchmark.group = "store"
    with LoopbackSite(memory) as site:
        order = site.submitted("PAST")
        with Agency(AGENCY_PORT):
            site.approve(order)
            site.team.revoke(order)
            limit = time.monotonic() + 120
            while site.client.call("status")["warrants"] and time.monotonic() < limit:
                time.sleep(0.1)
        site.team.operator("warrant.close", name=order)
        site.end()
        store = Store.of(site.home)
        multiply(store, CLOSED)
        store.close()
        site.start()
        live = site.submitted("LIVE")
        site.approve(live)
        site.end()

        def opened() -> Store:
            store = Store.of(site.home)
            assert [one.id for one in store.unfinished()] == [live]
            return store

        def close(store: Store) -> None:
            store.close()

        opened().close()
        stores: list[Store] = []
        benchmark.pedantic(lambda: stores.append(opened()), rounds=9)
        for store in stores:
            close(store)
        size = site.home.database.stat().st_size
        started = site.start()
    benchmark.extra_info.update(
        what=f"database with {CLOSED:,} closed orders, opened", seconds=benchmark.stats["median"], bytes=size,
        start_s=round(started, 2),
    )  # fmt: skip
