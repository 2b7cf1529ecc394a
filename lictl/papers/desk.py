# SPDX-License-Identifier: Apache-2.0
"""The papers' operations: what the control socket offers, and the owner of a home without a daemon.

The desk gives records, not pages: pages are printed by the process of whoever asked, so that printing never takes time
from the daemon.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lictl.audit.files import FOLDER
from lictl.errors import UsageError
from lictl.papers import gather, report, transparency
from lictl.papers.certificate import to_json
from lictl.papers.incident import read_incident
from lictl.papers.record import InterceptRecord
from lictl.papers.report import Statute
from lictl.papers.rules import FORMS, Rule
from lictl.papers.trails import trail_of
from lictl.people.permits import sees_targets
from lictl.service import accounts
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lictl.home import Home
    from lictl.papers.orders import OrderFacts
    from lictl.papers.record import Counts
    from lictl.people.actor import Actor
    from lictl.warrants.records import Warrant
    from lictl.warrants.store import Store

_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])", re.ASCII)
REPORTS = ("counts", "2519", "3126", "public")
DRILL_KEYS = {"ok", "began", "ended", "checks", "failed", "capture_sha256", "record_sha256"}
_NO_COUNTS = "packets: their counts are the running daemon's; start it and make this again"


class PapersDesk:
    """Certificates and reports of one site."""

    def __init__(
        self,
        home: Home,
        place: gather.Place,
        store: Store,
        *,
        streams: Callable[[str], list[dict[str, Any]] | None],
        note: Callable[[Actor, str, str | None, dict[str, Any]], int],
    ) -> None:
        """The desk.

        Args:
            home: of the site.
            place: the site, for the papers' heads.
            store: of the orders.
            streams: the running daemon's account of an order's streams, by the order's id; None: it serves none.
            note: records in the audit chain who read or did what (actor, action, subject, after), and returns the
                entry's number. Called before anything is read.
        """
        self._home, self._place, self._store = home, place, store
        self._streams, self._note = streams, note

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {
            "warrant.certificate": self.certificate,
            "report": self.report,
            "drill.begin": self.drill_begin,
            "drill.end": self.drill_end,
        }

    def certificate(
        self, actor: Actor, name: str, rule: str, overseer: str | None = None, incident: str | None = None
    ) -> dict[str, Any]:
        """The JSON record of a certificate.

        Args:
            actor: who asks; an auditor's record has no targets in it.
            name: id or LIID of the order; empty for an interception without one, which `incident` tells of.
            rule: "1.20004" or "3123".
            overseer: the employee who oversees and signs; None: who approved it.
            incident: text of an incident file, where it was made without authorisation.

        Raises:
            LictlError: there is no such order; the incident's file is wrong.
        """
        form = FORMS[_rule(rule)]
        told = read_incident(incident) if incident is not None else None
        if not name and told is None:
            raise UsageError("A certificate is about an order or an incident.", "Name an order, or --incident FILE.")
        now = now_ns()
        if name:
            warrant = self._store.get(name)
            self._note(actor, "read.certificate", warrant.id, {"rule": form.citation})
            made = self._record(actor, warrant, overseer, now)
        else:
            self._note(actor, "read.certificate", None, {"rule": form.citation, "about": "incident"})
            found = trail_of(self._home.root / FOLDER, "")
            place = self._place
            made = InterceptRecord(place.operator, place.element, place.country, overseer=overseer,
                                   audit_seq=found.seq, audit_hash=found.hash)  # fmt: skip
        return to_json(told.on(made) if told is not None else made, form, now)

    def _record(self, actor: Actor, warrant: Warrant, overseer: str | None, now: int) -> InterceptRecord:
        found = trail_of(self._home.root / FOLDER, warrant.id)
        counts = self._counts(warrant, now)
        sees = sees_targets(actor)
        made = gather.record(
            self._place, warrant, found, counts or (), overseer=overseer, now_ns=now, sees_targets=sees
        )
        return made if counts is not None else made.with_note(_NO_COUNTS)

    def _counts(self, warrant: Warrant, now: int) -> list[Counts] | None:
        """What closing sealed, else what the daemon counts, else what an order that is over left; None: not known."""
        sealed = (warrant.summary or {}).get("streams")
        if isinstance(sealed, list):
            return gather.counts_of(sealed, warrant.closed_ns or now)
        live = self._streams(warrant.id)
        if live is not None:
            return gather.counts_of(live, now)
        if warrant.incarnation is None:
            return []
        return left_over(self._home, warrant, now)

    def report(
        self, actor: Actor, kind: str = "counts", first: str | None = None, last: str | None = None
    ) -> dict[str, Any]:
        """A report as JSON.

        Args:
            actor: who asks.
            kind: "counts", "2519", "3126" or "public".
            first, last: months as 2026-03, both inside; None: no bound. Not for "public".
        """
        if kind not in REPORTS:
            raise UsageError(f"There is no report {kind}.", f"Choose one of {', '.join(REPORTS)}.")
        for month in (first, last):
            if month is not None and (not isinstance(month, str) or not _MONTH.fullmatch(month)):
                raise UsageError(f"{month!r} is no month.", "Write it as 2026-03.")
        if first is not None and last is not None and last < first:
            raise UsageError(
                f"{last} is before {first}.", "Name the earlier month with --from, the later one with --to."
            )
        if kind == "public":
            if first or last:
                raise UsageError("What is public is chosen by the calendar alone.", "Leave --from and --to out.")
            self._note(actor, "read.report", None, {"kind": kind})
            return report.as_json(transparency.public(self._counted(), now_ns()))
        self._note(actor, "read.report", None, {"kind": kind, "from": first, "to": last})
        if kind == "counts":
            return report.as_json(report.counts(self._counted(), first, last))
        statute = Statute(kind)
        return report.as_json(report.statute_report(self._orders(statute), statute, first, last))

    def drill_begin(self, actor: Actor) -> dict[str, Any]:
        """Records that a drill begins; the site that it is for, and the entry's number."""
        place = self._place
        seq = self._note(actor, "note.drill.begin", None, {})
        site = {"operator": place.operator, "element": place.element, "country": place.country}
        return {"site": site, "seq": seq}

    def drill_end(self, actor: Actor, begun: int, result: dict[str, Any]) -> dict[str, Any]:
        """Records the result of a drill, good or bad, as `lictl.papers.drill.brief` writes it."""
        if not isinstance(result, dict) or set(result) != DRILL_KEYS or not isinstance(begun, int):
            raise UsageError("This is no result of a drill.", "Run it with `lictl drill`.")
        seq = self._note(actor, "note.drill", None, {**result, "begun": begun})
        return {"seq": seq, "begun": begun, "record_sha256": result["record_sha256"]}

    def _counted(self) -> list[OrderFacts]:
        return gather.counted(self._store.approvals())

    def _orders(self, statute: Statute) -> Iterable[OrderFacts]:
        """Whole orders, but only those that a statute is about."""
        for each in report.about(self._counted(), statute):
            facts = gather.order_facts(self._store.get(each.id))
            if facts is not None:
                yield facts


def _rule(text: str) -> Rule:
    try:
        return Rule(text)
    except ValueError:
        fix = f"Choose one of {', '.join(Rule)}."
        raise UsageError(f"There is no certificate for the rule {text}.", fix) from None


def left_over(home: Home, warrant: Warrant, now: int) -> list[Counts] | None:
    """Counts of an order that is delivered and served no more, from its account files; None where one is missing."""
    found: list[dict[str, Any]] = []
    for receiver in warrant.deliveries:
        name = f"{receiver.agency}-{receiver.format or '*'}.json"
        files = [path for key in (warrant.uuid, warrant.id) for path in sorted((home.accounts / key).glob(name))]
        saved = accounts.load(files[0]) if files else None
        if saved is None or not saved.ended:
            return None
        base, lost = saved.base, dict(saved.base.classes)
        lost["quota"] = lost.get("quota", 0) + saved.quota
        lost["other"] = lost.get("other", 0) + saved.other
        found.append(
            {
                "agency": receiver.agency,
                "format": files[0].stem.removeprefix(f"{receiver.agency}-"),
                "matched": base.matched + saved.quota + saved.other,
                "delivered": base.records,
                "lost": lost,
                "withheld": base.withheld,
            }
        )
    return gather.counts_of(found, now)
