# SPDX-License-Identifier: Apache-2.0
"""Reports for the carrier itself and for those who have to report: counts, and the columns of 18 USC 2519 and 3126.

The statutes ask judges, prosecutors and the Attorney General, not the carrier, so some columns are not the carrier's to
know. Those stand in the report too, as not known and with the reason: an empty cell would read as "none".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lictl.papers.orders import month_of
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lictl.papers.orders import OrderFacts

Cell = str | int
NOT_KNOWN: Final = "not known"
NOT_HELD: Final = "not held any more"


class Statute(StrEnum):
    """Whose columns."""

    WIRETAP = "2519"
    PEN_TRAP = "3126"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: in JSON and CSV.
        clause: which asks for it.
        value: of an order; None: the carrier cannot know it.
        why: it cannot.
    """

    key: str
    clause: str
    value: Callable[[OrderFacts], Cell] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A table, ready to be shown in any form.

    Attributes:
        title: what it is.
        columns: heads.
        rows: cells.
        notes: what a reader has to know; columns that are not known, with the reason.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def counts(orders: Iterable[OrderFacts], first: str | None = None, last: str | None = None) -> Report:
    """Orders, extensions and amendments by authority and by the UTC month in which they were approved.

    Args:
        orders: any.
        first, last: months as 2026-03, both inside; None: no bound.
    """
    originals: Counter[tuple[str, str]] = Counter()
    extensions: Counter[tuple[str, str]] = Counter()
    amendments: Counter[tuple[str, str]] = Counter()
    emergencies: Counter[tuple[str, str]] = Counter()
    counter = {"original": originals, "extension": extensions, "amendment": amendments}
    for order in orders:
        for granted in order.granted:
            key = month_of(granted.approved_ns), order.kind
            counter[granted.act][key] += 1
            if granted.act == "original":
                emergencies[key] += order.emergency
    keys = sorted(key for key in originals | extensions | amendments if _within(key[0], first, last))
    rows = [
        (*key, originals[key], emergencies[key], extensions[key], amendments[key])
        for key in keys
    ]  # fmt: skip
    heads = ("month", "authority", "orders", "emergencies", "extensions", "amendments")
    return Report("Orders by authority and month of approval (UTC)", heads, tuple(rows))


def _within(month: str, first: str | None, last: str | None) -> bool:
    return (first is None or month >= first) and (last is None or month <= last)


def statute_report(
    orders: Iterable[OrderFacts], statute: Statute, first: str | None = None, last: str | None = None
) -> Report:
    """One row for each order of the kind that a statute is about, by month of approval."""
    title = _ABOUT[statute][1]
    columns = COLUMNS[statute]
    chosen = sorted(
        (o for o in about(orders, statute) if _within(month_of(o.approved_ns), first, last)),
        key=lambda order: (order.approved_ns, order.id),
    )
    rows = tuple(tuple(c.value(o) if c.value else NOT_KNOWN for c in columns) for o in chosen)
    notes = tuple(f"{c.key} ({c.clause}) is not known to the carrier: {c.why}" for c in columns if c.value is None)
    return Report(title, tuple(column.key for column in columns), rows, notes)


def about(orders: Iterable[OrderFacts], statute: Statute) -> Iterable[OrderFacts]:
    """The orders of the kind that a statute is about."""
    prefix = _ABOUT[statute][0]
    return (order for order in orders if order.kind.startswith(prefix))


def _stated(order: OrderFacts, value: str) -> str:
    """What the order says; it is no longer readable once its key is destroyed, which is not the same as silence."""
    return value or ("not stated" if order.facilities else NOT_HELD)


def _kind(order: OrderFacts) -> str:
    kind = order.title + (" (emergency)" if order.emergency and "emergency" not in order.title else "")
    return f"{kind}, {order.mode}"


def _period(order: OrderFacts) -> str:
    original = order.granted[0]
    return f"{format_rfc3339(original.starts_ns)} to {format_rfc3339(original.ends_ns)} ({original.days:g} days)"


def _extension_days(order: OrderFacts) -> str:
    return "; ".join(f"{each.days:g} days" for each in order.extensions) or "none"


def _facilities(order: OrderFacts) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(order.facilities.items())) or NOT_HELD


def _unable(order: OrderFacts) -> str:
    periods = (
        f"{format_rfc3339(noted)} to {'no end noted' if restored is None else format_rfc3339(restored)}"
        for noted, restored in order.unable
    )
    return "; ".join(periods) or "none noted"


_COMMON: Final = (
    Column("order", "", lambda o: o.id),
    Column("docket", "", lambda o: _stated(o, o.docket)),
    Column("court", "", lambda o: _stated(o, o.court)),
)
_UNABLE: Final = Column("unable", "", _unable)

COLUMNS: Final = {
    Statute.WIRETAP: (
        *_COMMON,
        Column("kind", "2519(1)(b)", _kind),
        Column("waiver", "2519(1)(b)", None, "whether 2518(1)(b)(ii) or (3)(d) was waived stands in the application"),
        Column("outcome", "2519(1)(c)", None, "what was applied for; a carrier sees granted orders only"),
        Column("period", "2519(1)(d)", _period),
        Column("extensions", "2519(1)(d)", lambda o: len(o.extensions)),
        Column("extension_days", "2519(1)(d)", _extension_days),
        Column("offence", "2519(1)(e)", lambda o: _stated(o, o.offence)),
        Column("applicant", "2519(1)(f)", lambda o: _stated(o, o.presented_by)),
        Column("agency", "2519(1)(f)", lambda o: _stated(o, o.agency)),
        Column("authorised_by", "2519(1)(f)", lambda o: _stated(o, o.authorised_by)),
        Column("facilities", "2519(1)(g)", _facilities),
        _UNABLE,
        Column("intercepted", "2519(2)(b)", lambda o: NOT_KNOWN if o.matched is None else f"{o.matched} packets"),
        Column("incriminating", "2519(2)(b)(i)", None, "the agency judges what it received"),
        Column("persons", "2519(2)(b)(iii)", None, "an address is not a person"),
        Column("encryption", "2519(2)(b)(iv)", None, "nothing here looks into content, so nobody sees whether it is "
                                                     "encrypted or was decrypted"),
        Column("cost", "2519(2)(b)(v)", None, "manpower and cost are the agency's; no bill is kept here"),
        Column("arrests", "2519(2)(c)", None, "what became of the case is not told to the carrier"),
        Column("trials", "2519(2)(d)", None, "what became of the case is not told to the carrier"),
        Column("suppression", "2519(2)(e)", None, "what became of the case is not told to the carrier"),
        Column("convictions", "2519(2)(f)", None, "what became of the case is not told to the carrier"),
    ),
    Statute.PEN_TRAP: (
        *_COMMON,
        Column("kind", "3126", _kind),
        Column("period", "3126(1)", _period),
        Column("extensions", "3126(1)", lambda o: len(o.extensions)),
        Column("extension_days", "3126(1)", _extension_days),
        Column("offence", "3126(2)", lambda o: _stated(o, o.offence)),
        Column("investigations", "3126(3)", None, "several orders may serve one investigation"),
        Column("facilities", "3126(4)", _facilities),
        Column("agency", "3126(5)", lambda o: _stated(o, o.agency)),
        Column("applicant", "3126(5)", lambda o: _stated(o, o.presented_by)),
        Column("authorised_by", "3126(5)", lambda o: _stated(o, o.authorised_by)),
        _UNABLE,
        Column("district", "3126(5)", None, "the court has its own column; a district is not asked for"),
    ),
}  # fmt: skip

_ABOUT: Final[dict[Statute, tuple[str, str]]] = {
    Statute.WIRETAP: ("title-iii", "Interceptions of content, columns of 18 USC 2519"),
    Statute.PEN_TRAP: ("pen-trap", "Pen registers and trap and trace devices, columns of 18 USC 3126"),
}


def as_json(report: Report) -> dict[str, object]:
    """For programs."""
    return {
        "title": report.title,
        "columns": list(report.columns),
        "rows": [dict(zip(report.columns, row, strict=True)) for row in report.rows],
        "notes": list(report.notes),
    }


def harmless(cell: Cell) -> Cell:
    """A cell for CSV: a text that a spreadsheet would take for a formula is led by an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else cell
