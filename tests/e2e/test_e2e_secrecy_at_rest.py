# SPDX-License-Identifier: Apache-2.0
"""No target in a home, a log or a process: orders, sealed spools and a delivery, without a kernel program."""

from __future__ import annotations

import contextlib
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from e2e_secrets import Secrets, core_limit, exposed, files_of, of_address, of_mac, shown_of

from lictl import log
from lictl.collection.receiver import Receiver
from lictl.delivery.blocks import BlockKind
from lictl.delivery.reader import SpoolReader
from lictl.delivery.seal import SealError
from lictl.errors import LictlError, RefusedError
from lictl.home import Home
from lictl.lab.people import Team, lab_roles
from lictl.lab.site import Order
from lictl.service.founding import found
from lictl.service.live import LiveStream, open_stream
from lictl.service.site import check_site
from lictl.service.workers import Workers
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lictl.service.rooms import Rooms

HOUR = 3_600_000_000_000
V4, PORTS, FLOW, V6, MAC, PPPOE = (
    "203.0.113.147", "203.0.113.171", "203.0.113.199", "2001:db8:71::51ac:e5", "02:5e:c2:e7:a1:b7", "02:5e:c2:e7:d1:f9",
)  # fmt: skip
SAID = "the words of a subscriber"
TARGETS = (f"ip:{V4}", f"ip:{PORTS} ports:40000-40999", f"flow:tcp {FLOW}:43210-198.51.100.80:443", f"ip:{V6}",
           f"mac:{MAC}", f"pppoe:{PPPOE}/0x1234")  # fmt: skip
SECRETS = Secrets(
    {address: of_address(address) for address in (V4, PORTS, FLOW, V6)}
    | {mac: of_mac(mac) for mac in (MAC, PPPOE)}
    | {"content": {SAID.encode()}}
)
UID = 64177


def order(liid: str, mode: str = "content") -> str:
    """A warrant file that names every target."""
    return Order(liid, mode, TARGETS, format_rfc3339(now_ns() - HOUR), format_rfc3339(now_ns() + HOUR), ("lea",)).toml()


def payload() -> bytes:
    """What a stream could hold: targets as text and as they stand in packets, and what was said."""
    forms = [form for address in (V4, FLOW, V6) for form in of_address(address)] + [*of_mac(MAC)]
    return b"|".join([*forms, SAID.encode()]) * 3


class Place:
    """A home in which people worked, two spools with content, an agency that got it.

    Attributes:
        home: the folder.
        store: of the home.
        streams: of both orders.
        processes: what /proc showed of the delivery process.
        limits: its core file limits.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        found(self.home, check_site("LAB-ISP", "lab-box", "US"), lab_roles())
        self.team = Team(self.home)
        self.processes: dict[str, bytes] = {}
        self.limits: list[str] = []
        self.streams: list[LiveStream] = []

    def work(self) -> None:
        """Orders from draft to force and refusals on the way; then content for both, delivered."""
        with Receiver(("127.0.0.1", 0), self.folder / "received").start() as receiver:
            with contextlib.closing(Store.of(self.home)) as store:
                store.add_agency(Agency("lea", "127.0.0.1", receiver.address[1], "pcapng"))
            ids = [self.team.add(order("LIID1"))["id"], self.team.add(order("LIID2", "headers"))["id"]]
            self.fail()
            for reader in (self.team.operator, self.team.auditor):
                reader("warrant.list", everything=True)
                reader("warrant.show", name=ids[0])
            self.team.operator("warrant.check", order=ids[1])
            with contextlib.closing(Store.of(self.home)) as store:
                self.deliver(store, ids)

    def fail(self) -> None:
        """What goes wrong with a target in hand: each is an error for the person who asked, and nothing more."""
        broken = order("LIID3").replace(f"ip:{V4}", f"ip:{V4}/33")
        twice = order("LIID4").replace('"mac:', f'"ip:{V4}", "mac:')
        for text in (broken, twice, order("LIID5").replace("title-iii", V4), V4, f"ip:{V6}\0"):
            with pytest.raises(LictlError):
                self.team.operator("warrant.add", text=text, name=V4, submit=True)
        for op in ("warrant.show", "warrant.approve", "warrant.revoke"):
            with pytest.raises(LictlError):
                (self.team.approver if op == "warrant.approve" else self.team.operator)(op, name=V4)

    def deliver(self, store: Store, ids: list[str]) -> None:
        """Content into the spools, and from there to the agency, by the daemon's own workers."""
        rooms = cast("Rooms", SimpleNamespace(
            home=self.home, site=check_site("LAB-ISP", "lab-box", "US"), store=store, quota_bytes=1 << 26,
            uid=UID if os.geteuid() == 0 else None, interface_name=str,
        ))  # fmt: skip
        workers = Workers(self.home, rooms.uid)
        orders = [store.get(id_) for id_ in ids]
        openings = store.openings(orders)
        receiver = openings.receiver("lea")
        for order_ in orders:
            stream = open_stream(rooms, order_, receiver, "pcapng", openings.key(order_), 1)
            self.streams.append(stream)
            workers.add(receiver.agency, stream.config)
            for number in range(1, 20):
                stream.spool.append(
                    BlockKind.DATA, payload(), records=1, first_sequence=number, last_sequence=number, lost=0,
                    first_ns=1, last_ns=1, position=payload()[:500],
                )  # fmt: skip
            stream.spool.sync()
        workers.wake_all()
        wait(lambda: all(s.spool.acknowledged == s.spool.last_block for s in self.streams))
        (state,) = workers.states()
        self.processes, self.limits = shown_of(state.pid), core_limit(state.pid)
        SECRETS.assert_absent("the workers' report", repr(workers.states()))
        SECRETS.assert_absent("a stream's configuration", repr([stream.config for stream in self.streams]))
        workers.stop()
        for stream in self.streams:
            stream.spool.close()


def wait(condition: Any) -> None:
    """Up to a minute."""
    from e2e_rig import wait_until

    wait_until(condition, 60)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """The place when all of it is done, and all that was logged at the debug level."""
    folder = tmp_path_factory.mktemp("secrecy")
    made = Place(folder)
    before = os.dup(2)
    logged = folder / "log"
    descriptor = os.open(logged, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(descriptor, 2)
    log.configure("debug")
    try:
        made.work()
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(descriptor)
        log.configure()
    return made, logged.read_text()


def test_search_finds_what_it_looks_for(place: tuple[Place, str]) -> None:
    """The agency has every secret of the content, and the operator is shown the targets: the search works."""
    made, _ = place
    received = b"".join(path.read_bytes() for path in (made.folder / "received").glob("*.pcapng"))
    assert SECRETS.within(received) == {V4, FLOW, V6, MAC, "content"}
    shown = repr(made.team.operator("warrant.show", name="LIID1")).encode()
    assert SECRETS.within(shown) == {V4, PORTS, FLOW, V6, MAC, PPPOE}


def test_no_file_of_the_home_holds_a_target(place: tuple[Place, str]) -> None:
    """Database, its log, spools, cursors, accounts, audit chain, keys: read byte by byte."""
    made, _ = place
    paths = [path for path in files_of(made.home.root) if path.is_file()]
    kinds = {path.relative_to(made.home.root).parts[0].split(".")[0] for path in paths}
    assert {"warrants", "spool", "accounts", "audit", "keys", "lictl", "roles"} <= kinds
    assert sum(path.stat().st_size for path in paths if path.suffix == ".seg") > 2 * 19 * len(payload())
    for path in paths:
        SECRETS.assert_absent(str(path.relative_to(made.home.root)), path.read_bytes())
        SECRETS.assert_absent("a file's name", str(path))


def test_nobody_else_can_open_a_file(place: tuple[Place, str]) -> None:
    """0600 and 0700 everywhere, but for the way to the control socket."""
    assert exposed(place[0].home.root) == []


def test_nothing_is_logged_of_a_target(place: tuple[Place, str]) -> None:
    """Debug level, errors included."""
    SECRETS.assert_absent("the log", place[1])


def test_nothing_is_shown_of_a_target_or_a_key(place: tuple[Place, str]) -> None:
    """Title, threads, command line and environment of the delivery process; it leaves no core file."""
    made, _ = place
    assert made.processes
    keys = [stream.config.key for stream in made.streams]
    assert len(set(keys)) == 2
    for where, data in made.processes.items():
        SECRETS.assert_absent(where, data)
        assert not any(key in data or key.hex().encode() in data for key in keys)
    assert made.limits == ["0", "0"]
    for path in files_of(made.home.root):
        assert not path.is_file() or not any(key in path.read_bytes() for key in keys), path.name


def test_auditor_is_shown_no_target(place: tuple[Place, str]) -> None:
    """What the auditor's role alone gets to see."""
    made, _ = place
    for op, args in (("warrant.list", {"everything": True}), ("warrant.show", {"name": "LIID1"})):
        SECRETS.assert_absent(op, repr(made.team.auditor(op, **args)))


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[tuple[Place, Store]]:
    """A place of the test's own whose first order is over and closed."""
    made = Place(tmp_path)
    made.work()
    with contextlib.closing(Store.of(made.home)) as store:
        store.revoke("LIID1", now_ns())
        store.release_slot("W-1")
        store.close_order("W-1", now_ns(), {})
        yield made, store


def test_destroyed_key_takes_the_spool_with_it(closed: tuple[Place, Store]) -> None:
    """Until then the order's key opens what is in the spool; then nothing does, and the other order's is as it was."""
    made, store = closed
    first, second = (stream.spool.folder for stream in made.streams)
    key = made.streams[0].config.key
    assert SECRETS.within(_content(first, key)) >= {V4, "content"}
    store.destroy_key("W-1", now_ns())
    with pytest.raises(RefusedError, match="destroyed"):
        store.warrant_key("W-1")
    for path in files_of(made.home.root):
        assert not path.is_file() or key not in path.read_bytes(), path.name
    for wrong in (None, made.streams[1].config.key, store.warrant_key("W-2")):
        with pytest.raises(SealError):
            _content(first, wrong)
    assert SECRETS.within(_content(second, made.streams[1].config.key)) >= {V4, "content"}


def _content(folder: Path, key: bytes | None) -> bytes:
    """All that a spool gives out."""
    with contextlib.closing(SpoolReader(folder, key=key)) as reader:
        content = b""
        while items := reader.read():
            content += b"".join(bytes(item.data) for item in items)  # type: ignore[union-attr]
        return content
