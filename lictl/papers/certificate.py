# SPDX-License-Identifier: Apache-2.0
"""The certificate of an interception: a JSON record, and the paper that shows exactly that record.

The paper is made from the JSON record alone and bears its SHA-256 on each page: who holds both can hold one against the
other with ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lictl.papers import page
from lictl.papers.record import LOSSES
from lictl.papers.rules import FORMS, Form, Rule, event_text
from lictl.times import format_rfc3339
from lictl.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lictl.papers.record import Event, Inability, Instrument, InterceptRecord

SCHEMA: Final = "lictl.certificate/1"
MARK: Final = "CONFIDENTIAL: discloses an interception"
BY_HAND: Final = "NOT RECORDED, to be completed by hand: ______________________"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Both forms of one certificate.

    Attributes:
        json: what is certified.
        text: the same as the bytes of a file; its SHA-256 is `digest`.
        pdf: the paper.
    """

    json: dict[str, Any]
    text: bytes
    pdf: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of `text` in hex, as it stands on each page."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def missing(self) -> list[str]:
        """Clauses whose fact was not recorded."""
        return list(self.json["missing"])


def certificate(record: InterceptRecord, rule: Rule, made_ns: int, size: page.Size = page.Size.A4) -> Certificate:
    """The certificate of one interception under one rule.

    Args:
        record: what is known.
        rule: who asks.
        made_ns: when it is made, UTC nanoseconds.
        size: of the sheet.
    """
    return printed(to_json(record, FORMS[rule], made_ns), size)


def printed(plain: dict[str, Any], size: page.Size = page.Size.A4) -> Certificate:
    """The certificate of a JSON record as :func:`to_json` makes it.

    Raises:
        ValueError: it is no such record.
    """
    form = next((form for form in FORMS.values() if form.citation == plain.get("rule")), None)
    if form is None or plain.get("schema") != SCHEMA:
        raise ValueError("this is no certificate's record")
    text = canonical(plain)
    digest = hashlib.sha256(text).hexdigest()
    paper = page.Paper(f"{form.citation} {plain['order']['id']}".strip(), MARK, digest, list(_blocks(plain, form)))
    return Certificate(plain, text, page.render(paper, size))


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON as it is written and hashed: keys in order, two blanks of indent, UTF-8, one newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def to_json(record: InterceptRecord, form: Form, made_ns: int) -> dict[str, Any]:
    """The JSON record; docs/papers.md describes it."""
    required: list[dict[str, Any]] = [
        {"clause": a.clause, "name": a.name, "label": a.label, "values": [value for value in a.value(record) if value]}
        for a in form.asks
    ]
    return {
        "schema": SCHEMA,
        "rule": form.citation,
        "title": form.title + (" made without authorization" if record.incident else ""),
        "made": format_rfc3339(made_ns),
        "made_by": f"lictl {__version__}",
        "site": {"operator": record.operator, "element": record.element, "country": record.country},
        "order": {
            "id": record.id,
            "liid": record.liid,
            "case_id": record.case_id,
            "mode": record.mode,
            "state": record.state,
        },
        "required": required,
        "missing": [f"{each['clause']} {each['label']}" for each in required if not each["values"]],
        "overseer": record.overseer,
        "enabled": _moment(record.enabled_ns),
        "ended": _moment(record.disabled_ns),
        "ending": record.ending,
        "instruments": [_instrument(instrument) for instrument in record.instruments],
        "inabilities": [_inability(each) for each in record.inabilities],
        "changes": [_event(event) for event in record.changes],
        "accesses": [_event(event) for event in record.accesses],
        "counts": [
            {
                "agency": counts.agency,
                "format": counts.format,
                "matched": counts.matched,
                "delivered": counts.delivered,
                "lost": {name: counts.lost.get(name, 0) for name in LOSSES},
                "withheld": counts.withheld,
                "waiting": counts.waiting,
                "counted": format_rfc3339(counts.known_ns),
            }
            for counts in record.counts
        ],
        "audit": {"seq": record.audit_seq, "hash": record.audit_hash} if record.audit_seq is not None else None,
        "incident": _incident(record),
        "notes": list(record.notes),
    }


def _moment(ns: int | None) -> str | None:
    return None if ns is None else format_rfc3339(ns)


def _event(event: Event) -> dict[str, Any]:
    return {
        "time": format_rfc3339(event.time_ns),
        "who": event.who,
        "what": event.what,
        "seq": event.seq,
        "duration_ns": event.duration_ns,
        "text": event_text(event),
    }


def _inability(each: Inability) -> dict[str, Any]:
    noted = f"{format_rfc3339(each.noted_ns)} {each.noted_by}: {each.reason}"
    if each.restored_ns is None:
        restored = "no end noted"
    else:
        restored = f"restored {format_rfc3339(each.restored_ns)} {each.restored_by}: {each.restored}"
    return {
        "noted": format_rfc3339(each.noted_ns),
        "noted_by": each.noted_by,
        "reason": each.reason,
        "restored": _moment(each.restored_ns),
        "restored_by": each.restored_by,
        "restored_reason": each.restored,
        "text": f"{noted}; {restored}",
    }


def _instrument(instrument: Instrument) -> dict[str, Any]:
    authority = {
        key: format_rfc3339(value) if key.endswith("_at") and isinstance(value, int) else value
        for key, value in instrument.authority.items()
        if value is not None
    }
    return {
        "kind": instrument.kind,
        "authority": authority,
        "starts": format_rfc3339(instrument.starts_ns),
        "ends": format_rfc3339(instrument.ends_ns),
        "state": instrument.state,
        "submitted_by": instrument.submitted_by,
        "approved_by": instrument.approved_by,
        "targets": list(instrument.targets),
    }


def _incident(record: InterceptRecord) -> dict[str, Any] | None:
    if record.incident is None:
        return None
    return {
        "what": record.incident.what,
        "found": format_rfc3339(record.incident.found_ns),
        "found_by": record.incident.found_by,
        "reported_to": record.incident.reported_to,
        "remedy": record.incident.remedy,
    }


# ---- the paper, from the JSON record alone ----


def _blocks(plain: Mapping[str, Any], form: Form) -> Iterator[page.Block]:
    site, order = plain["site"], plain["order"]
    yield page.Title(plain["title"], f"{form.citation}. Made {plain['made']} by {plain['made_by']}.")
    yield page.Heading("Carrier and order")
    yield page.Fields(
        [
            ("Carrier", "", [f"{site['operator']}, element {site['element']}, {site['country']}"]),
            ("Order", "", [", ".join(_said(order)) or "none"]),
        ]
    )
    if plain["incident"]:
        yield from _incident_blocks(plain["incident"])
    yield page.Heading(f"What {form.citation} asks for")
    yield page.Fields([(each["label"], each["clause"], each["values"] or [BY_HAND]) for each in plain["required"]])
    if form.rule is Rule.CALEA:
        yield from _beyond(plain)
    elif plain.get("inabilities"):
        yield page.Heading("Inability to perform the order")
        yield page.Fields([_inabilities(plain)])
    yield from _instrument_blocks(plain["instruments"])
    yield from _count_blocks(plain["counts"])
    yield page.Heading("Proof")
    yield from _proof(plain)
    yield page.Text(form.due, small=True)
    name = f"Name and position: {plain['overseer'] or ''}".strip()
    yield page.Sign(form.statement, [name, "Signature", "Date, time and place"])


def _said(order: Mapping[str, str]) -> Iterator[str]:
    words = {"id": "", "liid": "LIID ", "case_id": "case ", "mode": "mode ", "state": "state "}
    for key, word in words.items():
        if order[key]:
            yield word + order[key]


def _incident_blocks(incident: Mapping[str, str]) -> Iterator[page.Block]:
    yield page.Heading("Interception without appropriate authorization")
    yield page.Fields(
        [
            ("What happened", "", [incident["what"]]),
            ("Found", "", [f"{incident['found']} by {incident['found_by']}"]),
            ("Reported to", "47 CFR 1.20003(b)", [incident["reported_to"] or BY_HAND]),
            ("What was done about it", "", [incident["remedy"] or BY_HAND]),
        ]
    )


def _beyond(plain: Mapping[str, Any]) -> Iterator[page.Block]:
    """What the carrier's rule does not ask for and a court may."""
    yield page.Heading("End, inabilities, changes and accesses")
    ended = f"{plain['ended']} {plain['ending']}".strip() if plain["ended"] else plain["ending"] or _no_end(plain)
    yield page.Fields(
        [
            ("End", "", [ended]),
            _inabilities(plain),
            ("Changes", "", _texts(plain["changes"])),
            ("Accesses", "who saw the order or its data", _texts(plain["accesses"])),
        ]
    )


def _inabilities(plain: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """One made by an older lictl does not have them."""
    return "Inability to perform it", "as it was noted", _texts(plain.get("inabilities", ()))


def _no_end(plain: Mapping[str, Any]) -> str:
    if plain["incident"]:
        return "not known"
    return "not ended" if plain["enabled"] else "it has not begun"


def _texts(events: Iterable[Mapping[str, Any]]) -> list[str]:
    return [event["text"] for event in events] or ["none recorded"]


def _instrument_blocks(instruments: Iterable[Mapping[str, Any]]) -> Iterator[page.Block]:
    for number, each in enumerate(instruments, 1):
        yield page.Heading(f"Instrument {number}: {each['kind']}{' (' + each['state'] + ')' if each['state'] else ''}")
        rows = [(key.replace("_", " ").capitalize(), "", [str(value)]) for key, value in each["authority"].items()]
        rows.append(("Window", "first instant inside, first outside", [each["starts"], each["ends"]]))
        rows.append(("Submitted by", "", [each["submitted_by"] or "not recorded"]))
        rows.append(("Approved by", "", [each["approved_by"] or "not recorded"]))
        rows.append(("Targets", "", each["targets"] or ["none"]))
        yield page.Fields(rows)


def _count_blocks(counts: Iterable[Mapping[str, Any]]) -> Iterator[page.Block]:
    rows = [
        [
            f"{each['agency']} ({each['format']})",
            f"{each['matched']:,}",
            f"{each['delivered']:,}",
            ", ".join(f"{name} {n:,}" for name, n in each["lost"].items() if n) or "0",
            f"{each['withheld']:,}",
            f"{each['waiting']:,}",
            each["counted"],
        ]
        for each in counts
    ]
    if rows:
        heads = (("to", 3.0), ("matched", 2.0), ("delivered", 2.0), ("lost", 2.2), ("withheld", 1.5), ("waiting", 1.5))
        yield page.Heading("Packets")
        yield page.Grid([*heads, ("counted", 2.6)], rows)


def _proof(plain: Mapping[str, Any]) -> Iterator[page.Block]:
    audit = plain["audit"]
    head = [f"entry {audit['seq']}", audit["hash"]] if audit else ["none: this site keeps no audit chain"]
    rows = [("Audit chain", "its head when this was made", head)]
    if plain["notes"]:
        rows.append(("Not known", "what the record does not hold, and why", list(plain["notes"])))
    if plain["missing"]:
        rows.append(("Not recorded", "to be completed by hand", list(plain["missing"])))
    yield page.Fields(rows)
