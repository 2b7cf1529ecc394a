# SPDX-License-Identifier: Apache-2.0
"""What is known of one interception, as the certificates need it. `lictl.papers.gather` fills it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOSSES: Final = ("ring", "matches", "frame", "quota", "other")
"""Classes of lost packets, as `lictl.service.accounting` counts them."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done to the interception, or to its data.

    Attributes:
        time_ns: UTC nanoseconds.
        who: person or part of the system.
        what: in words.
        seq: number of its audit entry; None where there is none.
        duration_ns: how long it took; None: a single moment.
    """

    time_ns: int
    who: str
    what: str
    seq: int | None = None
    duration_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Packets of one stream.

    Attributes:
        agency: who receives.
        format: handover format.
        matched: what the order was entitled to.
        delivered: acknowledged by the agency.
        lost: by class.
        withheld: refused by the second check.
        waiting: taken, not yet acknowledged.
        known_ns: when this was counted, UTC nanoseconds.
    """

    agency: str
    format: str
    matched: int
    delivered: int
    lost: Mapping[str, int]
    withheld: int
    waiting: int
    known_ns: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """One legal instrument: the order itself, an extension or an amendment.

    Attributes:
        kind: "original", "extension", "amendment".
        authority: its [authority] table; `signed_at` in UTC nanoseconds.
        starts_ns, ends_ns: the window that it gives.
        state: of the instrument.
        submitted_by, approved_by: persons; None where not recorded.
        targets: what it names.
    """

    kind: str
    authority: Mapping[str, Any] = field(repr=False)
    starts_ns: int
    ends_ns: int
    state: str = ""
    submitted_by: str | None = None
    approved_by: str | None = None
    targets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Inability:
    """Why the order could not be performed for some time.

    Attributes:
        noted_ns, noted_by: when it was noted (UTC nanoseconds), and by whom.
        reason: what kept it from being performed.
        restored_ns, restored_by: likewise of its end; None: nobody noted one.
        restored: what was put right.
    """

    noted_ns: int
    noted_by: str
    reason: str = field(repr=False)
    restored_ns: int | None = None
    restored_by: str | None = None
    restored: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Incident:
    """An interception that was made without appropriate authorisation: 47 CFR 1.20004(a)(1) wants it recorded too.

    Attributes:
        what: what happened.
        found_ns: when it was found, UTC nanoseconds.
        found_by: who found it.
        reported_to: to whom it was reported, and when; empty: not yet.
        remedy: what was done about it.
    """

    what: str
    found_ns: int
    found_by: str
    reported_to: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class InterceptRecord:
    """One interception, authorised or not.

    Attributes:
        operator, element, country: of the site.
        id, liid, case_id: names of the order; empty for an interception without one.
        mode: "content" or "headers"; empty where not known.
        state: of the order.
        type: of interception in the words of its authority, such as "Title III wiretap order".
        identifiers: circuit identification: what the interception named.
        instruments: oldest first; empty: no authority.
        enabled_ns: when interception was enabled; None: never, or not known.
        disabled_ns: when it ended; None: it goes on, never began, or not known.
        never_enabled: it is known that interception was never enabled, or is not yet.
        ending: how it ended, in words.
        overseer: the employee who oversees it.
        installed_by: persons whose act put it into force.
        configuration: at the time of installation, in words.
        inabilities: what kept it from being performed, oldest first.
        changes: of configuration, oldest first.
        accesses: to the order or its data, oldest first.
        counts: one entry a stream.
        collected: which information it could collect, in words.
        audit_seq, audit_hash: head of the audit chain when this was gathered.
        incident: where it was made without authorisation.
        notes: what the system does not know, and why.
    """

    operator: str
    element: str
    country: str
    id: str = ""
    liid: str = ""
    case_id: str = ""
    mode: str = ""
    state: str = ""
    type: str = ""
    identifiers: tuple[str, ...] = field(default=(), repr=False)
    instruments: tuple[Instrument, ...] = ()
    enabled_ns: int | None = None
    disabled_ns: int | None = None
    never_enabled: bool = False
    ending: str = ""
    overseer: str | None = None
    installed_by: tuple[str, ...] = ()
    configuration: tuple[str, ...] = field(default=(), repr=False)
    inabilities: tuple[Inability, ...] = ()
    changes: tuple[Event, ...] = field(default=(), repr=False)
    accesses: tuple[Event, ...] = field(default=(), repr=False)
    counts: tuple[Counts, ...] = ()
    collected: tuple[str, ...] = ()
    audit_seq: int | None = None
    audit_hash: str = ""
    incident: Incident | None = None
    notes: tuple[str, ...] = ()

    def with_note(self, note: str) -> InterceptRecord:
        """The same interception, with one thing more that is not known."""
        return replace(self, notes=(*self.notes, note))
