# SPDX-License-Identifier: Apache-2.0
"""Which rule asks for which fact of an interception, clause by clause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lictl.papers.record import Event, InterceptRecord

Values = tuple[str, ...]
_NONE: Final = "none: the interception was made without appropriate authorization"


class Rule(StrEnum):
    """Whose record it is."""

    CALEA = "1.20004"
    """47 CFR 1.20004(a): the carrier's record of each interception."""
    PEN_TRAP = "3123"
    """18 USC 3123(a)(3): the record of a pen register or trap and trace device on a packet-switched network."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One fact that a rule asks for.

    Attributes:
        clause: where.
        name: key in the JSON record.
        label: for people.
        value: what is known; empty: not recorded, to be completed by hand.
    """

    clause: str
    name: str
    label: str
    value: Callable[[InterceptRecord], Values]


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of certificate.

    Attributes:
        rule: its short name.
        citation: the rule.
        title: of the paper.
        asks: what must stand in it.
        statement: what the overseeing employee signs.
        due: by when, in words.
    """

    rule: Rule
    citation: str
    title: str
    asks: tuple[Asked, ...]
    statement: str
    due: str


def _time(ns: int | None) -> Values:
    return () if ns is None else (format_rfc3339(ns),)


def _named(value: str | None) -> Values:
    return (value,) if value else ()


def _of_instruments(key: str) -> Callable[[InterceptRecord], Values]:
    """Who stands in each instrument; without any, that there is no authority."""

    def value(record: InterceptRecord) -> Values:
        if not record.instruments:
            return (_NONE,) if record.incident else ()
        if not record.instruments[0].authority.get(key):
            return ()
        several = len(record.instruments) > 1
        return tuple(
            f"{instrument.authority.get(key) or 'not stated'} ({instrument.kind})" if several else str(name)
            for instrument in record.instruments
            for name in [instrument.authority.get(key)]
        )

    return value


def _enabled(record: InterceptRecord) -> Values:
    if record.never_enabled:
        return ("never enabled" if record.state in ("expired", "revoked", "closed") else "not enabled yet",)
    return _time(record.enabled_ns)


def _type(record: InterceptRecord) -> Values:
    words = ", ".join(word for word in (record.type, _taken(record.mode)) if word)
    if record.incident:
        return (f"{words or 'type not known'}; made without appropriate authorization",)
    return _named(words)


def _taken(mode: str) -> str:
    return {"headers": "packet headers only (call-identifying information)", "content": "content"}.get(mode, mode)


def _removed(record: InterceptRecord) -> Values:
    if record.disabled_ns is not None:
        return (f"{format_rfc3339(record.disabled_ns)} {record.ending}".strip(),)
    if record.never_enabled:
        return ("never installed",)
    return ("still installed",) if record.enabled_ns is not None else ()


def _told(events: Iterable[Event], nothing: str) -> Values:
    return tuple(event_text(event) for event in events) or (nothing,)


def event_text(event: Event) -> str:
    """One line: when, who, what, how long."""
    long = f", {event.duration_ns / 1e9:.3f} s" if event.duration_ns is not None else ""
    entry = f" [audit {event.seq}]" if event.seq is not None else ""
    return f"{format_rfc3339(event.time_ns)} {event.who}: {event.what}{long}{entry}"


def _collected(record: InterceptRecord) -> Values:
    totals = tuple(
        f"to {c.agency}: {c.matched:,} packets matched, {c.delivered:,} delivered, {sum(c.lost.values()):,} lost"
        for c in record.counts
    )
    return (*record.collected, *totals)


FORMS: Final = {
    Rule.CALEA: Form(
        Rule.CALEA,
        "47 CFR 1.20004",
        "Record of an interception",
        (
            Asked(
                "(a)(1)(i)",
                "circuit_identification",
                "Telephone numbers or circuit identification",
                lambda r: r.identifiers,
            ),
            Asked("(a)(1)(ii)", "enabled", "Start date and time of enabling", _enabled),
            Asked("(a)(1)(iii)", "presented_by", "Officer who presented the authorization",
                  _of_instruments("presented_by")),
            Asked("(a)(1)(iv)", "signed_by", "Person who signed the authorization", _of_instruments("signed_by")),
            Asked("(a)(1)(v)", "type", "Type of interception", _type),
            Asked("(a)(1)(vi)", "overseer", "Employee responsible for overseeing", lambda r: _named(r.overseer)),
        ),
        "I am responsible for overseeing this interception. I certify that this record is complete and accurate.",
        "To be compiled with the start of the interception or within a reasonable time after it (1.20004(a)(3)), and "
        "kept for the period that the carrier's policies state (1.20004(b)). The authorization and its extensions are "
        "appended.",
    ),
    Rule.PEN_TRAP: Form(
        Rule.PEN_TRAP,
        "18 USC 3123(a)(3)",
        "Record of a pen register or trap and trace device",
        (
            Asked("(a)(3)(A)(i)", "installed_by", "Who installed the device", lambda r: r.installed_by),
            Asked("(a)(3)(A)(i)", "accessed_by", "Who accessed the device", lambda r: tuple(
                dict.fromkeys(event.who for event in r.accesses)) or ("nobody through this system",)),
            Asked("(a)(3)(A)(ii)", "installed", "Date and time of installation", _enabled),
            Asked("(a)(3)(A)(ii)", "uninstalled", "Date and time of removal", _removed),
            Asked("(a)(3)(A)(ii)", "accesses", "Date, time and duration of each access",
                  lambda r: _told(r.accesses, "none through this system")),
            Asked("(a)(3)(A)(iii)", "configuration", "Configuration when installed", lambda r: r.configuration),
            Asked("(a)(3)(A)(iii)", "modifications", "Modifications of it", lambda r: _told(r.changes, "none")),
            Asked("(a)(3)(A)(iv)", "collected", "Information collected", _collected),
        ),
        "I certify that this record, kept electronically while the device was installed and used, is complete and "
        "accurate.",
        "To be given to the court, ex parte and under seal, within 30 days after the order and its extensions end "
        "(18 USC 3123(a)(3)(B)).",
    ),
}  # fmt: skip
