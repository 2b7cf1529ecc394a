# SPDX-License-Identifier: Apache-2.0
"""Fills the papers' records: from an order of the store, its entries of the audit chain, and its counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lictl.audit.entry import OUTCOMES
from lictl.papers.orders import Granted, OrderFacts
from lictl.papers.record import LOSSES, Counts, Event, Inability, Instrument, InterceptRecord
from lictl.targets import layout
from lictl.times import format_rfc3339
from lictl.warrants.authorities import authorities

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lictl.audit.entry import Entry
    from lictl.warrants import records
    from lictl.warrants.records import Approval, Warrant
    from lictl.warrants.who import Who

HIDDEN: Final = "withheld: the role auditor does not see targets"
HIDDEN_REASON: Final = "reason withheld: it can name a person, and the role auditor does not see it"
DESTROYED: Final = "not readable any more: the order's key was destroyed"
ADD: Final = "warrant.add"
_NO_CHANGE: Final = ("read.", "note.refused")
ARM: Final = "warrant.arm"

_HEADER_FIELDS: Final = (
    "time of each packet and its direction",
    "source and destination address, IP version and protocol",
    "fragment, TCP flags and ICMP type where there are such",
)
_CONTENT_FIELDS: Final = ("each packet whole, from its link layer header to the end of its IP packet, with its time",)


@dataclass(frozen=True, slots=True)
class Place:
    """The site that certifies."""

    operator: str
    element: str
    country: str


@dataclass(frozen=True, slots=True)
class Trail:
    """What the audit chain tells of one order.

    Attributes:
        entries: about the order, oldest first.
        failed: numbers of intents that were not carried out.
        done: number of an intent -> when it was carried out, UTC nanoseconds.
        seq, hash: head of the chain; None, "": the site has no chain.
    """

    entries: tuple[Entry, ...] = ()
    failed: frozenset[int] = frozenset()
    done: Mapping[int, int] | None = None
    seq: int | None = None
    hash: str = ""


def trail(entries: Iterable[Entry], order: str, head: tuple[int, str] | None = None) -> Trail:
    """What of the chain is about one order, in one pass.

    Args:
        entries: of the whole chain, in its order.
        order: id of the order; "W-7/2" is about order W-7 too.
        head: number and hash of the last entry.
    """
    about: dict[int, Entry] = {}
    drafts: dict[int, Entry] = {}  # an order has no id yet when it is added: the outcome names it
    failed: set[int] = set()
    done: dict[int, int] = {}
    for entry in entries:
        subject = entry.subject or ""
        if entry.action == ADD and not subject:
            drafts[entry.seq] = entry
        elif entry.action in OUTCOMES and subject.isdecimal():
            intent = int(subject)
            draft = drafts.pop(intent, None)
            if draft is not None and (entry.after or {}).get("order") == order:
                about[intent] = draft
            if intent in about and entry.action == "done":
                done[intent] = entry.time_ns
            elif intent in about:
                failed.add(intent)
        elif subject == order or subject.startswith(f"{order}/"):
            about[entry.seq] = entry
    return Trail(tuple(about.values()), frozenset(failed), done, *(head or (None, "")))


def record(
    place: Place,
    warrant: Warrant,
    found: Trail,
    counts: Sequence[Counts],
    *,
    overseer: str | None = None,
    now_ns: int,
    sees_targets: bool = True,
) -> InterceptRecord:
    """Everything that is known of one order at a moment (UTC nanoseconds)."""
    rule = authorities().get(warrant.kind)
    enabled, note = _enabled(warrant, found, now_ns)
    ended = (
        None if enabled is None or warrant.ended_ns is None else max(min(warrant.ended_ns, warrant.ends_ns), enabled)
    )
    targets = _targets(warrant.targets, warrant, sees_targets)
    approver = warrant.approved_by
    made = InterceptRecord(
        operator=place.operator,
        element=place.element,
        country=place.country,
        id=warrant.id,
        liid=warrant.liid,
        case_id=warrant.case_id,
        mode=str(warrant.mode),
        state=str(warrant.state),
        type=rule.title if rule else warrant.kind,
        identifiers=targets,
        instruments=tuple(_instrument(warrant, number, sees_targets) for number in range(len(warrant.instruments))),
        enabled_ns=enabled,
        disabled_ns=ended,
        never_enabled=enabled is None,
        ending=_ending(warrant, found),
        overseer=overseer or (_who(approver) if approver else None),
        installed_by=_installers(warrant),
        configuration=(*_configuration(warrant), *(f"target {target}" for target in targets)),
        inabilities=tuple(_inability(each, sees_targets) for each in warrant.inabilities),
        changes=tuple(_event(entry, found) for entry in found.entries if not entry.action.startswith(_NO_CHANGE)),
        accesses=tuple(_event(entry, found) for entry in found.entries if entry.action.startswith("read.")),
        counts=tuple(counts),
        collected=_collected(warrant),
        audit_seq=found.seq,
        audit_hash=found.hash,
        notes=_notes(warrant, note),
    )
    return made if sees_targets else replace(made, notes=(*made.notes, f"targets: {HIDDEN}"))


def _enabled(warrant: Warrant, found: Trail, now_ns: int) -> tuple[int | None, str]:
    """When interception was enabled: armed, and the window begun; None: never; and a note where that is not exact."""
    armed = [
        (found.done or {}).get(entry.seq, entry.time_ns)
        for entry in found.entries
        if entry.action == ARM and entry.seq not in found.failed
    ]
    note = ""
    if not armed:
        if warrant.incarnation is None and warrant.first_taken_ns is None:
            return None, ""
        armed = [warrant.instruments[0].approved_ns or warrant.added_ns]
        note = (
            "the exact moment of enabling: the audit chain has no entry of it; the later of approval and start of the "
            "window stands for it"
        )
    moment = max(min(armed), warrant.instruments[0].starts_ns)
    over = now_ns if warrant.ended_ns is None else min(warrant.ended_ns, warrant.ends_ns)
    return (None, "") if moment >= over else (moment, note)


def _ending(warrant: Warrant, found: Trail) -> str:
    if warrant.ended_ns is None:
        return ""
    revoked = [e for e in found.entries if e.action == "warrant.revoke" and e.seq not in found.failed]
    if revoked:
        return f"revoked by {actor_text(revoked[-1].actor)}"
    if str(warrant.state) == "revoked":
        return "revoked"
    return "end of its window" if warrant.ended_ns >= warrant.ends_ns else "revoked"


def _targets(targets: Iterable[object], warrant: Warrant, sees: bool) -> tuple[str, ...]:
    if not sees:
        return (HIDDEN,)
    if warrant.key_destroyed_ns is not None:
        return (f"{DESTROYED} at {format_rfc3339(warrant.key_destroyed_ns)}",)
    return tuple(str(target) for target in targets)


def _instrument(warrant: Warrant, number: int, sees: bool) -> Instrument:
    from lictl.warrants.tables import SEALED_KEYS

    given = warrant.instruments[number]
    authority = {
        key: value if sees or key not in SEALED_KEYS else HIDDEN
        for key, value in given.authority.items()
        if value is not None
    }
    return Instrument(
        kind=given.act + (" (emergency)" if given.emergency else ""),
        authority=authority,
        starts_ns=given.starts_ns,
        ends_ns=given.ends_ns,
        state=given.state,
        submitted_by=_act(given.submitted_by, given.submitted_ns),
        approved_by=_act(given.approved_by, given.approved_ns),
        targets=_targets(given.targets, warrant, sees),
    )


def _inability(given: records.Inability, sees: bool) -> Inability:
    def told(text: str | None) -> str:
        return HIDDEN_REASON if not sees else DESTROYED if text is None else text

    return Inability(
        given.noted_ns,
        _who(given.noted_by),
        told(given.reason),
        given.restored_ns,
        _who(given.restored_by) if given.restored_by else None,
        told(given.restored) if given.restored_by else None,
    )


def _who(who: Who) -> str:
    behind = f", logged in as uid {who.login_uid}" if who.login_uid not in (None, who.uid) else ""
    return f"{who.name} (uid {who.uid}{behind})"


def _act(who: Who | None, when: int | None) -> str | None:
    if who is None:
        return None
    return _who(who) + (f" at {format_rfc3339(when)}" if when is not None else "")


def _installers(warrant: Warrant) -> tuple[str, ...]:
    first = warrant.instruments[0]
    acts = (("submitted", first.submitted_by, first.submitted_ns), ("approved", first.approved_by, first.approved_ns))
    return tuple(f"{text} {verb} it" for verb, who, when in acts if (text := _act(who, when)))


def _configuration(warrant: Warrant) -> tuple[str, ...]:
    lines = [f"mode {warrant.mode}"]
    if str(warrant.mode) == "headers":
        lines.append("ports not reported" if warrant.flags & layout.SLOT_NO_PORTS else "ports reported")
        lines.append("length not reported" if warrant.flags & layout.SLOT_NO_LENGTH else "length reported")
    window = f"window {format_rfc3339(warrant.instruments[0].starts_ns)}"
    lines.append(f"{window} to {format_rfc3339(warrant.instruments[0].ends_ns)}")
    lines += [f"delivered to {each.agency}" + (f" as {each.format}" if each.format else "") for each in
              warrant.deliveries]  # fmt: skip
    return tuple(lines)


def _collected(warrant: Warrant) -> tuple[str, ...]:
    if str(warrant.mode) == "content":
        return _CONTENT_FIELDS
    ports = () if warrant.flags & layout.SLOT_NO_PORTS else ("source and destination port",)
    length = () if warrant.flags & layout.SLOT_NO_LENGTH else ("length of the IP packet",)
    return (*_HEADER_FIELDS, *ports, *length, "no byte of any payload")


def actor_text(actor: Mapping[str, Any]) -> str:
    """A person or part of the system, as the chain names it."""
    name = str(actor.get("name") or "unknown")
    uid = actor.get("uid")
    login = actor.get("login")
    behind = f", logged in as {login}" if login and login != name else ""
    return f"{name} (uid {uid}{behind})" if uid is not None else name


def _event(entry: Entry, found: Trail) -> Event:
    failed = " (not carried out)" if entry.seq in found.failed else ""
    told = {key: value for key, value in (entry.after or {}).items() if isinstance(value, str | int) and value != ""}
    words = "".join(f", {key} {value}" for key, value in told.items())
    where = f" {entry.subject}" if entry.subject and "/" in entry.subject else ""
    return Event(entry.time_ns, actor_text(entry.actor), f"{entry.action}{where}{words}{failed}", entry.seq)


def _notes(warrant: Warrant, note: str) -> tuple[str, ...]:
    found = [
        "the subscriber behind the identifiers: this system does not hold it",
        "accesses at the agency after delivery: the agency keeps their record",
    ]
    if note:
        found.insert(0, note)
    if warrant.instruments[0].origin != "lictl":
        found.append("two persons: it was put into force by a version that asked for no approval")
    return tuple(found)


def counts_of(streams: Iterable[Mapping[str, Any]], known_ns: int) -> list[Counts]:
    """Counts from `streams` as `lictl status` and the summary of a closed order write them."""
    return [
        Counts(
            agency=str(each.get("agency", "")),
            format=str(each.get("format", "")),
            matched=int(each.get("matched", 0)),
            delivered=int(each.get("delivered", 0)),
            lost={name: int(each.get("lost", {}).get(name, 0)) for name in LOSSES},
            withheld=int(each.get("withheld", 0)),
            waiting=int(each.get("in_flight", 0)),
            known_ns=known_ns,
        )
        for each in streams
    ]


def counted(approvals: Iterable[Approval]) -> list[OrderFacts]:
    """What counting needs of each order that was ever approved: nothing that is sealed is opened for it."""
    granted: dict[str, list[Granted]] = {}
    first: dict[str, Approval] = {}
    for each in approvals:
        first.setdefault(each.id, each)
        granted.setdefault(each.id, []).append(Granted(each.act, each.approved_ns, each.starts_ns, each.ends_ns))
    return [
        OrderFacts(id_, each.kind, each.kind, "", each.mode, each.state, each.emergency, tuple(granted[id_]))
        for id_, each in first.items()
    ]


def order_facts(warrant: Warrant) -> OrderFacts | None:
    """What a report knows of an order; None where it was never approved."""
    approved = [each for each in warrant.instruments if each.approved_ns is not None and each.state == "approved"]
    if not approved:
        return None
    rule = authorities().get(warrant.kind)
    authority = warrant.authority
    kinds: dict[str, int] = {}
    for target in warrant.targets:
        kind = type(target).__name__.removesuffix("Target").lower()
        kinds[kind] = kinds.get(kind, 0) + 1
    return OrderFacts(
        id=warrant.id,
        kind=warrant.kind,
        title=rule.title if rule else warrant.kind,
        country="",
        mode=str(warrant.mode),
        state=str(warrant.state),
        emergency=warrant.emergency,
        granted=tuple(
            Granted(each.act, each.approved_ns or 0, each.starts_ns, each.ends_ns, str(each.authority.get("signed_by")
                    or "")) for each in approved),
        offence=str(authority.get("offence") or ""),
        court=str(authority.get("court") or ""),
        docket=str(authority.get("docket") or ""),
        presented_by=str(authority.get("presented_by") or ""),
        authorised_by=str(authority.get("authorised_by") or ""),
        agency=str(authority.get("authorised_agency") or ", ".join(each.agency for each in warrant.deliveries)),
        facilities=kinds,
        ended_ns=warrant.ended_ns,
        unable=tuple((each.noted_ns, each.restored_ns) for each in warrant.inabilities),
        matched=_matched(warrant.summary),
    )  # fmt: skip


def _matched(summary: Mapping[str, Any] | None) -> int | None:
    streams = (summary or {}).get("streams")
    if not isinstance(streams, list) or not streams:
        return None
    return max(int(each.get("matched", 0)) for each in streams)
