# SPDX-License-Identifier: Apache-2.0
"""What an agency is told of an interception: each event once, wherever the daemon is killed, and whatever it missed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import bounded
import pytest
from handover_records import CLAIM, T0, info

from lictl.delivery.blocks import HEADER_BYTES, BlockKind
from lictl.delivery.filing import Filing
from lictl.delivery.reader import SpoolReader, Stored
from lictl.delivery.spool import Spool, SpoolFull
from lictl.handover.base import Event
from lictl.handover.pdu import split
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder
from lictl.home import Home
from lictl.mediation import stream as stream_module
from lictl.mediation.rotation import Rotation
from lictl.mediation.stream import Stream
from lictl.mediation.told import MAX_TOLD, Told
from lictl.service import enlisting
from lictl.service.accounting import Base
from lictl.service.accounts import Saved, load
from lictl.service.ending import _write_end
from lictl.service.live import LiveOrder, LiveStream, Phase, open_stream
from lictl.service.registry import Registry
from lictl.service.site import check_site
from lictl.service.telling import addresses_ever, agree, due, tell_due, terms_of
from lictl.targets.grammar import parse
from lictl.warrants.model import Agency

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lictl.handover.base import EventKind
    from lictl.handover.pdu import Pdu

QUOTA = 1 << 24
A, B = "ip:203.0.113.7", "ip:203.0.113.9"
TERMS = b"t" * 16


def mark(kind: EventKind, *, suspended: bool = False, terms: bytes = TERMS) -> Told:
    return Told(1, Event(kind, T0, suspended=suspended), terms)


@pytest.mark.parametrize(
    ("told", "active", "restarted", "expected"),
    [
        (None, True, True, ["begin"]),
        (None, False, True, []),
        (mark("begin"), True, False, []),
        (mark("begin"), True, True, ["continue"]),
        (mark("continue"), True, True, ["continue"]),
        (mark("begin", terms=bytes(16)), True, True, ["change", "continue"]),
        (mark("begin", terms=bytes(16)), True, False, ["change"]),
        (mark("resume"), False, True, ["suspend"]),
        (mark("change", terms=bytes(16)), False, True, ["change", "suspend"]),
        (mark("suspend"), False, True, []),
        (mark("suspend"), True, True, ["resume"]),
        (mark("suspend", terms=bytes(16)), False, False, ["change"]),
        (mark("change", suspended=True), False, True, []),
        (mark("change", suspended=True), True, False, ["resume"]),
        (mark("end"), False, True, []),
    ],
)
def test_what_is_due_follows_from_order_and_mark(
    told: Told | None, active: bool, restarted: bool, expected: list[str]
) -> None:
    """What was missed is told, nothing is repeated; what is suspended is not told to go on by a restart."""
    assert due(told, TERMS, active=active, restarted=restarted) == expected


@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_a_mark_is_read_as_it_was_written(count: int) -> None:
    """All of it; of very many addresses as many as fit, each whole."""
    addresses = tuple(f"2001:db8:{n:x}::/56" for n in range(count))
    told = Told(7, Event("change", T0, addresses, T0, 2**63, 5, 2, suspended=True), TERMS, noted=True, ended=True)
    data = told.to_bytes()
    assert len(data) <= MAX_TOLD
    again = Told.from_bytes(data)
    assert again.completed([(), addresses[1:], addresses]) == told
    assert again.completed([(), addresses[1:]]) == again
    assert again.event.addresses == addresses[: len(again.event.addresses)]
    assert len(again.event.addresses) >= min(count, 40)
    assert Told.from_bytes(again.to_bytes()) == again
    assert (again.number, again.terms, again.noted, again.ended) == (7, TERMS, True, True)


class KilledError(BaseException):
    """The process ends here."""


class Site:
    """An order's stream; `again` is a new process that finds the same disk and the same store.

    Attributes:
        full: the spool has no room.
        left: appends until the process is killed.
        after: it is killed behind the append, else before.
        named: sets of targets that the order has had.
        incarnation: of the kernel's counters.
    """

    def __init__(self, folder: Path, form: str, *, files: bool = False) -> None:
        self.folder, self.form, self.files = folder, form, files
        self.full, self.left, self.after = False, -1, False
        self.named: list[tuple[str, ...]] = []
        self.incarnation = 1
        self.targets: tuple[str, ...] = (A,)
        self.active = True
        self.start()

    def start(self) -> None:
        """A daemon begins; the stream is not told of it."""
        self.spool = Spool.open(self.folder / "spool", QUOTA, fsync="never", boot_id=bytes(16))
        self.append = self.spool.append
        self.spool.append = self._append  # type: ignore[method-assign]
        rotation = Rotation(Filing(), QUOTA) if self.files else None
        made = encoder(self.form, info("headers"))
        known = addresses_ever(self.warrant)
        stream = Stream(CLAIM, "fbi", made, self.spool, self.incarnation, rotation, known)
        path = self.folder / "accounts" / "order" / "fbi.json"
        saved = load(path) or Saved(CLAIM, 1, Base())
        receiver: Any = SimpleNamespace(name="fbi")
        config: Any = None
        ended = stream.told is not None and stream.told.ended
        self.stream = LiveStream("s", receiver, self.spool, stream, saved, path, config, ended)
        self.order = LiveOrder(self.warrant, "headers", T0, T0 + 1, Phase.ACTIVE, 0.0, [self.stream])
        self.rooms: Any = SimpleNamespace(
            datapath=SimpleNamespace(call=lambda work: work(), drain_past=lambda _: None),
            workers=SimpleNamespace(wake_all=lambda: None),
            mediator=None,
        )

    @property
    def warrant(self) -> Any:
        targets, *before = [tuple(parse(each) for each in named) for named in (self.targets, *self.named)]
        instruments = [SimpleNamespace(state="approved", targets=named) for named in (*before, targets)]
        about = {"id": "1", "mode": "headers", "flags": 0, "starts_ns": T0, "ends_ns": T0 + 10**9}
        return SimpleNamespace(**about, targets=targets, instruments=instruments)

    def _append(self, *rest: Any, **about: Any) -> Any:
        self.left -= 1
        if not self.left and not self.after:
            self.kill()
        if self.full:
            raise SpoolFull("quota", "The spool is full.", "Wait.")
        done = self.append(*rest, **about)
        if not self.left:
            self.kill()
        return done

    def kill(self) -> None:
        """Ends the process, or what a test has in place of one."""
        raise KilledError

    def again(self, *, over: bool = False) -> None:
        """Killed and started, up to what enlisting tells."""
        self.spool.close()
        self.start()
        if not over:
            self.restarted()

    def restarted(self) -> None:
        """As `lictl.service.enlisting`."""
        tell_due(self.order, self.stream, active=self.active, restarted=True)
        _ = self.stream.stream.writable

    def agree(self, *, active: bool = True, targets: tuple[str, ...] = (A,)) -> None:
        """The store has the order so now."""
        self.active, self.targets = active, targets
        self.order.warrant = self.warrant
        agree(self.rooms, [self.order], active=active)

    def end(self) -> None:
        """As `lictl.service.ending`."""
        if not self.stream.ended:
            assert _write_end(self.rooms, self.order, SimpleNamespace(ktime_ns=0, counts=[]))  # type: ignore[arg-type]

    def blocks(self, kind: BlockKind) -> list[bytes]:
        found = []
        with contextlib.closing(SpoolReader(self.spool.folder)) as reader:
            while items := reader.read():
                for item in items:
                    assert isinstance(item, Stored)
                    found += [bytes(item.data[HEADER_BYTES:])] if item.header.kind == kind else []
        return found

    def told(self) -> list[str]:
        """Events in the order in which the agency has them, as its files or its messages say."""
        if self.files:
            lines = (json.loads(line)["event"] for line in self.blocks(BlockKind.NOTE))
            return [event for event in lines if event != "rotation"]
        return [json.loads(split_payload(pdu))["event"] for pdu in self.pdus()]

    def pdus(self) -> list[bytes]:
        return [pdu for block in self.blocks(BlockKind.EVENT) for pdu in split(PDU_FORMATS[self.form], block)]


def split_payload(pdu: bytes) -> bytes:
    """The JSON object of an event in X2."""
    return pdu[int.from_bytes(pdu[4:8]) :]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "RETRY_S", 0.0)


LIFE: list[tuple[str, Callable[[Site], None]]] = [
    ("begin", Site.restarted),
    ("suspend", lambda site: site.agree(active=False)),
    ("resume", Site.agree),
    ("change", lambda site: site.agree(targets=(B,))),
    ("end", Site.end),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("files", [False, True], ids=["connection", "files"])
def test_each_event_is_told_once_wherever_the_daemon_is_killed(tmp_path: Path, files: bool, after: bool) -> None:
    """Killed before or behind each block that it writes: the next one tells what is missing, and nothing twice."""
    killed = 0
    for left in range(1, 30):
        site = Site(tmp_path / f"{left}", "etsi-103221-2", files=files)
        site.left, site.after = left, after
        for name, act in LIFE:
            try:
                act(site)
            except KilledError:
                killed += 1
                site.again(over=name == "end")
                if name == "end":
                    site.end()
        told = site.told()
        assert [kind for kind in told if kind != "continue"] == [name for name, _ in LIFE], left
        assert len(site.blocks(BlockKind.END)) == 1
        site.spool.close()
    assert killed >= 7


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
def test_each_gap_has_its_line_once_wherever_the_process_is_killed(tmp_path: Path, after: bool) -> None:
    """SIGKILL before or behind each block, two gaps in a row among them: what the stream tells, the lines tell."""
    counted, both = set(), 0
    for left in range(1, 10):
        site = Site(tmp_path / f"{left}", "text", files=True)
        site.restarted()
        site.spool.close()
        site.incarnation = 2  # the machine was down: nobody knows how many
        pid = os.fork()
        if not pid:
            with contextlib.suppress(BaseException):
                site.left, site.after = left, after
                site.kill = lambda: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
                site.start()
                _lose(site, 7)
                site.agree(active=False)
                os._exit(0)
            os._exit(1)
        assert bounded.forked(pid) in (0, signal.SIGKILL)
        site.again()
        site.again()
        lines = [json.loads(line) for line in site.blocks(BlockKind.NOTE)]
        gaps = [line["lost"] for line in lines if line["event"] == "gap"]
        assert gaps[:1] == [0], left
        assert len(gaps) == len(site.blocks(BlockKind.GAP)), left
        assert gaps[1:] in ([], [7]), left
        counted.add(len(gaps))
        both += len(gaps) == 2
        site.spool.close()
    assert counted == {1, 2}
    assert both > 1


def _lose(site: Site, lost: int) -> None:
    stream = site.stream.stream
    stream.position.next_sequence += lost
    stream.gap(lost, "ring", T0)


def test_a_line_that_finds_no_room_is_due_behind_a_restart(tmp_path: Path) -> None:
    """The gap stands in the spool, which was full then: another process writes the line, before anything else."""
    site = Site(tmp_path, "text", files=True)
    site.restarted()
    append = site.append

    def full_behind_the_gap(kind: BlockKind, *rest: Any, **about: Any) -> Any:
        done = append(kind, *rest, **about)
        site.full = kind is BlockKind.GAP
        return done

    site.append = full_behind_the_gap  # type: ignore[method-assign]
    _lose(site, 7)
    site.full = False
    site.stream.stream._opened = False
    site.again()
    assert site.told() == ["begin", "gap", "continue"]


def test_a_crash_before_the_begin_is_not_a_restart(tmp_path: Path) -> None:
    """An opening without the event behind it: the next start tells the begin."""
    site = Site(tmp_path, "etsi-103221-2")
    _ = site.stream.stream.writable
    assert site.spool.last_block == 1
    site.again()
    assert site.told() == ["begin"]


def test_events_that_found_no_room_outlive_the_daemon(tmp_path: Path) -> None:
    """A suspension that was undone before there was room is told all the same, behind any number of restarts."""
    site = Site(tmp_path, "etsi-103221-2")
    site.restarted()
    site.full = True
    site.agree(active=False)
    site.agree()
    for _ in range(3):
        site.again()
        site.stream.save()
    site.full = False
    site.agree(targets=(B,))
    assert site.told() == ["begin", "suspend", "resume", "continue", "change"]
    site.again()
    assert site.told() == ["begin", "suspend", "resume", "continue", "change", "continue"]


def test_an_account_is_written_by_two_threads(tmp_path: Path) -> None:
    """Who tells an event and the housekeeping may save at once: the file is whole, and the newest."""
    site = Site(tmp_path, "etsi-103221-2")

    def count() -> None:
        for _ in range(20):
            site.stream.stream.counts.lost_quota += 1
            site.stream.save()

    bounded.at_once(*[count] * 4)
    site.stream.save()
    saved = load(site.stream.path)
    assert saved is not None
    assert saved.quota == site.stream.stream.counts.lost_quota > 0


def test_an_event_that_waited_has_the_counts_of_its_place(tmp_path: Path) -> None:
    """What was lost while it waited for room stands before it, so its counts tell of that."""
    site = Site(tmp_path, "etsi-103221-2")
    site.restarted()
    site.full = True
    site.agree(active=False)
    stream = site.stream.stream
    stream.position.next_sequence += 5
    stream.gap(5, "quota", T0)
    site.full = False
    assert stream.writable
    told = [json.loads(split_payload(pdu)) for pdu in site.pdus()]
    assert [(event["event"], event["lost"]) for event in told] == [("begin", 0), ("suspend", 5)]


def test_an_address_that_was_removed_while_no_daemon_ran_has_an_end(tmp_path: Path) -> None:
    """ATIS-1000013 ends its session and begins the new one's, though another process told of the old one."""
    site = Site(tmp_path, "atis-1000013")
    site.restarted()
    site.targets = (B,)
    site.again()
    events = [PDU_FORMATS["atis-1000013"].decode(pdu).event for pdu in site.pdus()]
    assert events == [
        "surveillanceActivation", "session-Already-Established",
        "session-End", "surveillanceChange", "session-Already-Established", "surveillanceContinuation",
    ]  # fmt: skip


def test_all_addresses_have_their_end_behind_a_restart(tmp_path: Path) -> None:
    """Of five hundred that the agency was told of each one that is gone has its session-End, none that stays."""
    many = tuple(f"ip:203.0.{n // 250}.{n % 250}" for n in range(500))
    site = Site(tmp_path, "atis-1000013")
    site.targets, site.named = many, [(A,), many[:400]]
    site.order.warrant = site.warrant
    site.restarted()
    site.targets, site.named = (*many[490:], A), [(A,), many[:400], many]
    site.again()
    events = [PDU_FORMATS["atis-1000013"].decode(pdu) for pdu in site.pdus()]
    ended = [_address(pdu) for pdu in events if pdu.event == "session-End"]
    begun = [_address(pdu) for pdu in events if pdu.event == "session-Already-Established"]
    assert ended == [each.removeprefix("ip:") for each in many[:490]]
    assert begun == [each.removeprefix("ip:") for each in (*many, A)]


def test_a_start_finds_the_addresses_that_the_agency_was_told_of(tmp_path: Path) -> None:
    """A stream that is opened has all of them, though the order names others by now."""
    many, site = tuple(f"198.51.{n // 250}.{n % 250}" for n in range(500)), Site(tmp_path, "text")
    rooms: Any = SimpleNamespace(
        home=Home(tmp_path), site=check_site("OP", "el", "US"), interface_name=str, uid=None, quota_bytes=QUOTA
    )
    receiver: Any = SimpleNamespace(agency=Agency("fbi", "192.0.2.1", 1, "atis-1000013"), keys=None)
    for site.named in ([], [tuple(f"ip:{each}" for each in many)]):
        warrant = site.warrant
        vars(warrant).update(liid="L", case_id="C", uuid="u" * 32, claim=CLAIM)
        stream = open_stream(rooms, warrant, receiver, "atis-1000013", bytes(32), 1)
        if not site.named:
            stream.stream.event(Event("begin", T0, many))
        assert stream.stream.told is not None
        assert stream.stream.told.event.addresses == many
        stream.spool.close()


def _address(pdu: Pdu) -> str:
    fields = [*pdu.tree]
    for field in fields:
        fields += field.parts
    return next(field.value for field in fields if field.value.startswith("203."))


def test_a_change_while_suspended_begins_nothing(tmp_path: Path) -> None:
    """The agency is told of it; sessions begin with the resumption, for what is named then."""
    site = Site(tmp_path, "atis-1000013")
    site.restarted()
    site.agree(active=False)
    site.agree(active=False, targets=(B,))
    site.agree(targets=(B,))
    events = [PDU_FORMATS["atis-1000013"].decode(pdu).event for pdu in site.pdus()]
    assert events[2:] == [
        "session-End", "surveillanceChange", "surveillanceChange",
        "surveillanceContinuation", "session-Already-Established",
    ]  # fmt: skip
    assert terms_of(site.warrant) != TERMS


def test_an_order_that_is_held_back_is_told_to_be_suspended(tmp_path: Path) -> None:
    """While the clock is in doubt its window may be over: the agency knows why nothing comes, and that it goes on."""
    site = Site(tmp_path, "etsi-103221-2")
    site.restarted()
    written: list[int] = []
    site.rooms.tables = SimpleNamespace(change=lambda *_, **__: written.append(len(written)))
    site.rooms.probe = SimpleNamespace(incarnation=1)
    open_ = [False]
    time_: Any = SimpleNamespace(doubt=True, open=lambda *_: open_[0])
    registry = Registry(site.rooms, time_)
    registry._orders["1"] = site.order
    registry.expire(trusted=lambda: False)
    assert (site.order.phase, len(written)) == (Phase.WAITING, 1)
    assert site.told() == ["begin", "suspend"]
    open_[0] = True
    registry._arming = SimpleNamespace(arm=lambda orders: setattr(orders[0], "phase", Phase.ACTIVE))  # type: ignore[assignment]
    site.order.since = 0.0
    site.rooms.alarms = SimpleNamespace(clear=lambda *_: None)
    registry.expire(trusted=lambda: False)
    assert site.told() == ["begin", "suspend", "resume"]


@pytest.mark.parametrize(
    ("state", "active", "told"),
    [
        ("active", True, ["begin", "continue"]),
        ("active", False, ["begin", "suspend"]),
        ("suspended", True, ["begin", "suspend"]),
        ("revoked", True, ["begin"]),
    ],
)
def test_a_start_tells_how_the_order_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, active: bool, told: list[str]
) -> None:
    """Only what goes on is told to go on; what the start does not arm is told to be suspended, an end comes later."""
    site = Site(tmp_path, "etsi-103221-2")
    site.restarted()
    site.spool.close()
    site.start()
    monkeypatch.setattr(enlisting, "open_stream", lambda *_: site.stream)
    receiver = SimpleNamespace(agency=SimpleNamespace(format=""))
    openings: Any = SimpleNamespace(key=lambda _: bytes(32), receiver=lambda _: receiver)
    site.rooms.probe = SimpleNamespace(incarnation=1)
    site.rooms.alarms = SimpleNamespace(clear=lambda *_: None)
    about = {"state": state, "incarnation": 1, "deliveries": [SimpleNamespace(agency="fbi", format="")]}
    warrant: Any = SimpleNamespace(**vars(site.warrant), **about)
    assert enlisting.Enlisting(site.rooms).take_up_all([warrant], T0, openings, lambda _: active)
    assert site.told() == told


def test_an_agency_without_room_holds_up_no_other_ones_end(tmp_path: Path) -> None:
    """The first agency's spool is full when the order is over: the second one has its end at once, and once."""
    one, two = Site(tmp_path / "one", "etsi-103221-2"), Site(tmp_path / "two", "etsi-103221-2")
    for site in (one, two):
        site.restarted()
    one.full = True
    one.order.streams.append(two.stream)
    taken: Any = SimpleNamespace(ktime_ns=0, counts=[])
    assert not _write_end(one.rooms, one.order, taken)
    assert two.told() == ["begin", "end"]
    assert two.stream.ended
    one.full = False
    assert _write_end(one.rooms, one.order, taken)
    assert [site.told() for site in (one, two)] == [["begin", "end"]] * 2
