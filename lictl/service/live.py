# SPDX-License-Identifier: Apache-2.0
"""An order while the daemon works for it, and its streams."""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lictl.delivery.config import StreamConfig
from lictl.delivery.filing import Filing, placed
from lictl.delivery.spool import Spool
from lictl.errors import MachineError
from lictl.handover.base import StreamInfo
from lictl.handover.registry import encoder
from lictl.keys.sealer import derive
from lictl.mediation.rotation import Rotation
from lictl.mediation.stream import Stream
from lictl.service import accounting, accounts
from lictl.service.telling import addresses_ever

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.handover.base import EventKind
    from lictl.home import Home
    from lictl.service.rooms import Rooms
    from lictl.warrants.model import Agency, Warrant
    from lictl.warrants.openings import Receiver
    from lictl.warrants.records import Overview

# An order goes into the kernel's tables this long before its window: the kernel itself judges the window.
LEAD_NS = 10_000_000_000
COUNTERS_FOLDED = 0
"""In place of an incarnation: the kernel counters that belong to the base are gone."""


class Phase(enum.StrEnum):
    """Where an order stands in this daemon.

    waiting: its window has not begun, it is not in the kernel. active: it is in the kernel. suspended: it is out of the
    kernel until an approver resumes it. ending: it is out of the kernel, its last records are being taken.
    delivering: its streams are complete, the agencies do not have all yet.
    """

    WAITING = "waiting"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDING = "ending"
    DELIVERING = "delivering"


@dataclass(slots=True)
class LiveStream:
    """One order for one agency.

    Attributes:
        name: of the stream and of its folder below the agency's.
        receiver: the agency, its transport with the private key.
        spool: what is written and waits.
        stream: the mediator's side; owned by the data path's thread.
        saved: what the account file holds; its counts are those before this daemon.
        path: of the account file.
        config: what the delivery worker has to know.
        ended: its END block is written.
        noted: what the account file tells now.
        reconciled: the account was compared with the kernel's counters since this daemon started.
    """

    name: str
    receiver: Agency
    spool: Spool
    stream: Stream
    saved: accounts.Saved
    path: Path
    config: StreamConfig
    ended: bool = False
    noted: accounts.Saved | None = None
    reconciled: bool = False
    _saving: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def agency(self) -> str:
        """The agency's name."""
        return self.receiver.name

    def facts(self, acknowledged: int = 0) -> accounting.Stream:
        """Where it stands. Only between two batches.

        Args:
            acknowledged: records that the agency has, read before: it can never have more than is spooled.
        """
        totals, counts, pending = self.spool.totals, self.stream.counts, self.stream.pending
        return accounting.Stream(
            spooled=totals.records,
            lost=totals.lost + (pending.lost if pending is not None else 0),
            passed=int(self.stream.position.last_slot_seq.sum()),
            acknowledged=acknowledged,
            quota=self.saved.quota + counts.lost_quota,
            other=self.saved.other + counts.lost_disk + counts.lost_fault + counts.lost_format,
        )

    def save(self) -> None:
        """Writes losses by class, the end and what waits down where they changed; from any thread. Raises OSError."""
        with self._saving:
            counts = self.stream.counts
            now = accounts.Saved(
                self.saved.claim,
                self.saved.incarnation,
                self.saved.base,
                self.saved.quota + counts.lost_quota,
                self.saved.other + counts.lost_disk + counts.lost_fault + counts.lost_format,
                self.ended,
                self._waiting,
            )
            if now != self.noted:
                accounts.save(self.path, now)
                self.noted = now

    def fold(self, account: accounting.Account) -> None:
        """Writes down that the kernel's counters end here: the account so far becomes the base. Raises OSError."""
        base = accounting.Base(account.delivered + account.in_spool, sum(account.lost.values()), account.withheld,
                               account.lost)  # fmt: skip
        saved = accounts.Saved(self.saved.claim, COUNTERS_FOLDED, base, ended=self.ended, waiting=self._waiting)
        with self._saving:
            accounts.save(self.path, saved)

    @property
    def _waiting(self) -> tuple[tuple[int, EventKind, int], ...]:
        return tuple((each.number, each.event.kind, each.event.ns) for each in self.stream.waiting)


@dataclass(slots=True)
class LiveOrder:
    """One order; what the mediator asks of an order is here too.

    Attributes:
        warrant: as the store has it.
        mode: "headers" or "content".
        starts_ns: first instant inside the window.
        ends_ns: first instant outside; a revocation makes it earlier.
        streams: one for each agency.
        phase: see Phase.
        since: time.monotonic() of the beginning of the phase.
    """

    warrant: Warrant
    mode: str
    starts_ns: int
    ends_ns: int
    phase: Phase
    since: float
    streams: list[LiveStream] = field(default_factory=list)

    @property
    def claim(self) -> int:
        """Slot and generation."""
        return self.warrant.claim

    @property
    def id(self) -> str:
        """The order's internal id: the only name of it that a log may hold."""
        return self.warrant.id


def accounts_folder(home: Home, warrant: Warrant | Overview) -> Path:
    """Where the account files of an order are.

    Named after its uuid: a store that was restored from a backup gives an id out again, whose files may still be there.
    """
    return home.accounts / warrant.uuid


def stream_name(warrant: Warrant, format_: str) -> str:
    """Name of a stream: never another stream's, and what the agency sees beside the LIID."""
    return f"{warrant.uuid}-{format_}"


def uuids_in(stream: str) -> list[str]:
    """What can be the uuid in a stream's name: version 1 of the store made some with a hyphen, as formats have."""
    parts = stream.split("-")
    return ["-".join(parts[:count]) for count in range(1, len(parts))]


def open_stream(
    rooms: Rooms, warrant: Warrant, receiver: Receiver, format_: str, key: bytes, incarnation: int
) -> LiveStream:
    """Opens or makes the stream's spool and continues where it stands.

    Args:
        rooms: of the daemon.
        warrant: the order.
        receiver: the agency.
        format_: of the stream.
        key: the order's own.
        incarnation: of the kernel's tables.

    Raises:
        LictlError: the format cannot carry the order, or spool or account cannot be used.
    """
    try:
        return _opened(rooms, warrant, receiver, format_, key, incarnation)
    except OSError as error:
        raise MachineError(
            f"spool or account of order {warrant.id} cannot be made: {error.strerror}.",
            "Free space or repair the disk.",
        ) from error


def _opened(
    rooms: Rooms, warrant: Warrant, receiver: Receiver, format_: str, order_key: bytes, incarnation: int
) -> LiveStream:
    home, site = rooms.home, rooms.site
    agency, keys = receiver.agency, receiver.keys
    info = StreamInfo(
        liid=warrant.liid,
        case_id=warrant.case_id,
        mode="content" if warrant.mode == "content" else "headers",
        operator=site.operator,
        element=site.element,
        country=site.country,
        agency=agency.name,
        interfaces=rooms.interface_name,
        options=agency.options,
        uuid=warrant.uuid,
        keys=keys,
        datagrams=agency.transport.kind == "udp",
    )
    made = encoder(format_, info)
    name = stream_name(warrant, format_)
    folder = home.make_folder(home.spool / agency.name) / name
    path = accounts_folder(home, warrant) / f"{agency.name}-{format_}.json"
    key = derive(order_key, f"lictl stream {agency.name}/{name}".encode())
    quota = agency.transport.backlog_bytes or rooms.quota_bytes
    spool = Spool.open(folder, quota, owner_uid=rooms.uid, key=key)
    try:
        rotation = Rotation(Filing.of(agency.transport.files), quota) if agency.transport.kind == "files" else None
        stream = Stream(warrant.claim, agency.name, made, spool, incarnation, rotation, addresses_ever(warrant))
        known = accounts.load(path)
        saved = _base(known, spool, stream, warrant.claim, incarnation)
        if saved is not known:  # what is taken up unchanged needs no room on a full disk
            accounts.save(path, saved)
    except BaseException:
        spool.close()
        raise
    config = StreamConfig(name, warrant.liid, made.name, made.suffix, made.mode, site.operator, site.element, key,
                          site.country, made.framing, agency.options,
                          keys.eddsa_seed if agency.transport.kind == "files" else b"")  # fmt: skip
    placed_ = replace(agency, transport=placed(agency.transport, home.outbox / agency.name))
    ended = saved.ended or (stream.told is not None and stream.told.ended)
    return LiveStream(name, placed_, spool, stream, saved, path, config, ended)


def _base(saved: accounts.Saved | None, spool: Spool, stream: Stream, claim: int, incarnation: int) -> accounts.Saved:
    """The base that goes with the kernel's counters as they are now; `saved` itself where it is theirs."""
    totals = spool.totals
    passed = int(stream.position.last_slot_seq.sum())
    if saved is not None and (saved.claim, saved.incarnation) == (claim, incarnation):
        return saved
    if passed:  # the counters go on, but the file is lost: what was passed since they began is known
        before = max(totals.records + totals.lost - passed, 0)
        records = min(before, totals.records)
        base = accounting.Base(records, before - records)
        return accounts.Saved(claim, incarnation, base, waiting=saved.waiting if saved is not None else ())
    old = saved or accounts.Saved(claim, incarnation, accounting.Base())
    classes = dict(old.base.classes)
    classes["quota"] = classes.get("quota", 0) + old.quota
    classes["other"] = classes.get("other", 0) + old.other
    rest = totals.lost - sum(classes.values())
    if rest < 0:  # more was noted than the stream tells of: a gap was never written
        classes, rest = {}, totals.lost
    classes["ring"] = classes.get("ring", 0) + rest
    base = accounting.Base(totals.records, totals.lost, old.base.withheld, classes)
    return accounts.Saved(claim, incarnation, base, ended=old.ended, waiting=old.waiting)
