# SPDX-License-Identifier: Apache-2.0
"""Agencies and warrants as the store keeps them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from lictl.delivery.config import Transport
from lictl.errors import RefusedError
from lictl.targets import layout
from lictl.targets.orders import ArmedOrder
from lictl.warrants.fields import Mode
from lictl.warrants.window import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lictl.targets.kinds import Target
    from lictl.warrants.terms import Term
    from lictl.warrants.who import Who

MODE_NUMBERS: Final = {Mode.HEADERS: layout.MODE_HEADERS, Mode.CONTENT: layout.MODE_CONTENT}
NO_SLOT: Final = -1
"""In place of a slot: the order was never approved."""


@dataclass(frozen=True, slots=True)
class Agency:
    """Who receives, and how it is reached.

    Attributes:
        name: as warrant files write it; safe as a file name.
        host: name or address of its receiver; "" where it fetches files.
        port: of its receiver; 0 where it fetches files.
        format: handover format of its deliveries unless one says otherwise.
        options: for the format.
        transport: how it is reached; from the store without the private key (`Store.transport`).
    """

    name: str
    host: str
    port: int
    format: str
    options: dict[str, Any] = field(default_factory=dict)
    transport: Transport = field(default_factory=Transport)

    def to_plain(self) -> dict[str, Any]:
        """For JSON, msgpack and the audit chain: never with the private key."""
        return asdict(replace(self, transport=replace(self.transport, key="")))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Agency:
        """The reverse of `to_plain`."""
        return cls(**{**plain, "transport": Transport(**plain["transport"])})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One agency that receives an order; `format` None: the agency's own."""

    agency: str
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Instrument:
    """One legal instrument of an order: the order as it was added, an extension, an amendment.

    Attributes:
        position: 1 for the original; "W-7/2" is the second instrument of order W-7.
        act: "original", "extension" or "amendment".
        state: "draft", "submitted", "approved" or "withdrawn".
        kind: of its authority.
        emergency: one person may submit and approve it.
        origin: "lictl"; "version-1": put into force by one person with a lictl that asked for no approval.
        starts_ns: UTC nanoseconds, as it states them.
        ends_ns: likewise, first instant outside.
        signed_ns: when it was signed; None: it does not say.
        term: longest term of its authority when it was added; None: the instrument alone says.
        targets: what it names; empty where the order's key was destroyed, as the next two.
        authority: [authority] of its file by key; `signed_at` in UTC nanoseconds.
        text: its file, as it was presented.
        reason: why it was rejected, or why it was approved in spite of a warning.
        confirmed_shared: its approver confirmed targets that others share.
        drafted_by: who added it; None: not known (version 1).
        drafted_ns: when.
        submitted_by: who asked for its approval.
        submitted_ns: when.
        approved_by: who approved it.
        approved_ns: when.
    """

    position: int
    act: str
    state: str
    kind: str
    emergency: bool
    origin: str
    starts_ns: int
    ends_ns: int
    signed_ns: int | None
    term: Term | None
    targets: tuple[Target, ...] = field(repr=False)
    authority: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)
    reason: str | None = field(repr=False)
    confirmed_shared: bool
    drafted_by: Who | None
    drafted_ns: int
    submitted_by: Who | None
    submitted_ns: int | None
    approved_by: Who | None
    approved_ns: int | None

    @property
    def clock(self) -> Clock:
        """What decides its window."""
        return Clock(self.act, self.starts_ns, self.ends_ns, self.signed_ns, self.term)


@dataclass(frozen=True, slots=True)
class Inability:
    """Why an order could not be performed for some time.

    Attributes:
        position: 1 for the first one of the order.
        noted_by: who noted it.
        noted_ns: when, UTC nanoseconds.
        reason: what kept it from being performed; None: the order's key was destroyed.
        restored_by: who noted that it had ended; None: nobody did.
        restored_ns: when; None: it lasts, or the order was over before.
        restored: what was put right; None: as `reason`, or it was not.
    """

    position: int
    noted_by: Who
    noted_ns: int
    reason: str | None = field(repr=False)
    restored_by: Who | None
    restored_ns: int | None
    restored: str | None = field(repr=False)

    @property
    def lasts(self) -> bool:
        """Nobody noted its end."""
        return self.restored_ns is None


@dataclass(frozen=True, slots=True)
class Overview:
    """One order without anything that names its subject: for lists, status and reports.

    Attributes: as of `Warrant`.
    """

    id: str
    uuid: str
    liid: str
    case_id: str
    mode: str
    kind: str
    emergency: bool
    state: str
    starts_ns: int
    ends_ns: int
    added_ns: int
    ended_ns: int | None
    closed_ns: int | None
    first_taken_ns: int | None
    released: bool
    agencies: tuple[str, ...]
    unable: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """One approved instrument without anything that names its subject: for counts over very many orders.

    Attributes: as of `Instrument` and its `Warrant`; `id` is the order's.
    """

    id: str
    kind: str
    mode: str
    emergency: bool
    state: str
    act: str
    approved_ns: int
    starts_ns: int
    ends_ns: int


@dataclass(frozen=True, slots=True)
class Warrant:
    """One order of the store, with the slot of the kernel that it was given.

    Its targets stand in no log.

    Attributes:
        id: "W-1" and so on; never given out twice.
        liid: lawful interception identifier; unique among live orders of one agency.
        case_id: the agency's case; several orders may share it.
        mode: "headers" or "content".
        state: of `lictl.warrants.states.State`.
        starts_ns: UTC nanoseconds, first instant inside.
        ends_ns: UTC nanoseconds, first instant outside, in effect: what the approved instruments, the longest terms
            and the first interception come to; of a revoked order not later than its revocation.
        slot: of the kernel's slot table; NO_SLOT before approval.
        generation: of the slot; 0 before approval.
        flags: SLOT_* bits.
        targets: what it names, in effect; empty where its key was destroyed.
        deliveries: who receives.
        authority: [authority] of its first file by key; `signed_at` in UTC nanoseconds.
        added_ns: when it was added.
        ended_ns: when it was revoked or expired, None before.
        released: True once its target entries are gone and its slot was given back (or it never had one).
        incarnation: of the kernel tables that `base` belongs to; None: never armed.
        base: counters of earlier incarnations, as the daemon wrote them.
        text: its first file, as it was presented.
        uuid: names its folders: random, so never that of another order, also after a restored backup; the id of an
            order that lictl 0.1 made.
        kind: of the first instrument's authority.
        emergency: one person may put it into force.
        instruments: all of them, the original first.
        inabilities: what kept it from being performed, oldest first.
        first_taken_ns: when its first packet was taken; None: none yet.
        closed_ns: when it was closed.
        summary: what closing sealed: final counts, manifest, hashes.
        key_destroyed_ns: when its key was destroyed; None: it was not.
    """

    id: str
    liid: str
    case_id: str
    mode: str
    state: str
    starts_ns: int
    ends_ns: int
    slot: int
    generation: int
    flags: int
    targets: tuple[Target, ...] = field(repr=False)
    deliveries: tuple[Delivery, ...]
    authority: Mapping[str, Any] = field(repr=False)
    added_ns: int
    ended_ns: int | None
    released: bool
    incarnation: int | None
    base: Mapping[str, Any]
    text: str = field(repr=False)
    uuid: str
    kind: str
    emergency: bool
    instruments: tuple[Instrument, ...]
    inabilities: tuple[Inability, ...]
    first_taken_ns: int | None
    closed_ns: int | None
    summary: Mapping[str, Any] | None
    key_destroyed_ns: int | None

    @property
    def number(self) -> int:
        """7 of "W-7"."""
        return int(self.id.removeprefix("W-"))

    @property
    def claim(self) -> int:
        """Its name in target entries and records; RefusedError before its approval."""
        if self.slot == NO_SLOT:
            raise RefusedError(f"Order {self.id} was never approved.", "It has no place in the kernel.")
        return layout.claim_of(self.slot, self.generation)

    @property
    def pending(self) -> Instrument | None:
        """The instrument that waits to be submitted or approved; there is at most one."""
        return next((each for each in self.instruments if each.state in ("draft", "submitted")), None)

    @property
    def unable(self) -> bool:
        """It is not over, and something is noted that keeps it from being performed."""
        return self.ended_ns is None and any(each.lasts for each in self.inabilities)

    @property
    def submitted_by(self) -> Who | None:
        """Who submitted the first instrument."""
        return self.instruments[0].submitted_by

    @property
    def approved_by(self) -> Who | None:
        """Who approved the first instrument."""
        return self.instruments[0].approved_by


def to_armed(warrant: Warrant) -> ArmedOrder:
    """The order as `lictl.targets.compile` takes it; RefusedError before its approval."""
    _ = warrant.claim
    return ArmedOrder(
        slot=warrant.slot,
        generation=warrant.generation,
        mode=MODE_NUMBERS[Mode(warrant.mode)],
        starts_ns=warrant.starts_ns,
        ends_ns=warrant.ends_ns,
        flags=warrant.flags,
        targets=warrant.targets,
        name=warrant.id,
    )
