# SPDX-License-Identifier: Apache-2.0
"""The authorities that an order can rest on: the package's ``authorities.toml`` and what a site adds to it."""

from __future__ import annotations

import re
import tomllib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from lictl.warrants.entries import Entry, read_entries

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from lictl.warrants.terms import Term

SHIPPED: Final = "shipped"
"""`Authority.origin` of what comes with the package."""

_US_CODE = re.compile(r"\bu\.?\s?s\.?\s?c(?:\.|ode|\b)", re.IGNORECASE)
_SECTION = re.compile(r"(?<!\d)\d{4}(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the text of a key must match, and the words for one that does not."""

    match: re.Pattern[str]
    words: str


@dataclass(frozen=True, slots=True)
class Authority:
    """One kind of authority, or an instrument that is taken for one and never arms an intercept.

    Attributes:
        kind: how a warrant file names it.
        title: for people.
        citation: the statute or rule.
        countries: ISO 3166-1 codes whose law it is; empty: any.
        instrument: "interception", "stored-records" or "none".
        instead: of what is no authority for an intercept: what to get instead.
        sections: sections of the US Code that its citation may name.
        term: its longest term; None for what never arms an intercept.
        modes: "content", "headers".
        requires: keys of [authority] that must be filled.
        rules: key of `requires` -> where the law asks for it, if not in `citation`.
        patterns: key -> what its text must match.
        emergency: one person may arm it; it ends by itself unless an order is got.
        becomes: of an emergency: the kind of the order to be applied for.
        source: where the term stands.
        checked: when that was read.
        confirmed: False where it is shipped unconfirmed, or a site added it without its counsel's name.
        origin: "shipped", or the site's file that added or changed it.
        counsel: who confirmed the site's entry and when; empty: nobody.
    """

    kind: str
    title: str
    citation: str
    countries: frozenset[str]
    instrument: str
    instead: str
    sections: frozenset[int]
    term: Term | None
    modes: frozenset[str]
    requires: tuple[str, ...]
    rules: Mapping[str, str]
    patterns: Mapping[str, Pattern]
    emergency: bool
    becomes: str | None
    source: str
    checked: dt.date
    confirmed: bool
    origin: str = SHIPPED
    counsel: str = field(default="")

    @property
    def longest(self) -> str | None:
        """Its longest term in words; None for what never arms an intercept."""
        return self.term.text if self.term else None

    @property
    def longest_ns(self) -> int | None:
        """The same in nanoseconds where it has a fixed length; None for terms of the calendar."""
        return self.term.fixed_ns if self.term else None

    @property
    def counts_from(self) -> str:
        """A key of `lictl.warrants.terms.COUNTS_FROM`; empty for what never arms an intercept."""
        return self.term.counts_from if self.term else ""

    @property
    def arms(self) -> bool:
        """False for stored-records instruments and duties: nothing is intercepted on them."""
        return self.instrument == "interception"

    def rule_of(self, key: str) -> str:
        """Where the law asks for a key of [authority]."""
        return self.rules.get(key, self.citation)

    def latest_end(self, signed_ns: int | None, starts_ns: int, first_ns: int | None = None) -> int | None:
        """The last instant (UTC ns) at which a window may end; None for what never arms an intercept.

        The 30 days of 18 USC 2518(5) begin with the first interception or on the tenth day after the order, whichever
        is earlier; while there was none (`first_ns` None), the start of the window stands for the first interception,
        which cannot be earlier.

        Args:
            signed_ns: when the order was signed, UTC nanoseconds.
            starts_ns: start of the window.
            first_ns: first interception.
        """
        return None if self.term is None else self.term.latest_end(signed_ns, starts_ns, first_ns)


@cache
def shipped() -> Mapping[str, Authority]:
    """Every authority of the package by its kind, in the order of the file."""
    text = files("lictl.warrants").joinpath("authorities.toml").read_text("utf-8")
    entries = read_entries(tomllib.loads(text), "authorities.toml")
    return {entry.kind: build(entry, SHIPPED) for entry in entries}


_current: ContextVar[Mapping[str, Authority] | None] = ContextVar("lictl_authorities", default=None)


def authorities() -> Mapping[str, Authority]:
    """Every authority in force by its kind: the package's, those that the process adopted, or of :func:`in_force`."""
    return _current.get() or _adopted[0] or shipped()


_adopted: list[Mapping[str, Authority] | None] = [None]


def adopt(kinds: Mapping[str, Authority] | None) -> None:
    """Makes a site's authorities those of this process, which serves one site; None: the package's again."""
    _adopted[0] = kinds


@contextmanager
def in_force(kinds: Mapping[str, Authority]) -> Iterator[None]:
    """Judges by these authorities: the package's with the site's own (`lictl.warrants.additions.load`)."""
    token = _current.set(kinds)
    try:
        yield
    finally:
        _current.reset(token)


def build(entry: Entry, origin: str) -> Authority:
    """The authority of a complete entry."""
    counsel = ""
    if entry.counsel_confirmed_by and entry.counsel_confirmed_on:
        counsel = f"{entry.counsel_confirmed_by}, {entry.counsel_confirmed_on.isoformat()}"
    return Authority(
        kind=entry.kind,
        title=entry.title or "",
        citation=entry.citation or "",
        countries=frozenset(entry.countries or ()),
        instrument=entry.instrument or "interception",
        instead=entry.instead or "",
        sections=frozenset(entry.sections or ()),
        term=entry.term,
        modes=frozenset(entry.modes or ()),
        requires=tuple(entry.requires or ()),
        rules=dict(entry.rules or {}),
        patterns={key: Pattern(re.compile(each.match), each.words) for key, each in (entry.patterns or {}).items()},
        emergency=bool(entry.emergency),
        becomes=entry.becomes,
        source=entry.source or "",
        checked=entry.checked,  # type: ignore[arg-type]  # complete entries have it
        confirmed=bool(entry.confirmed),
        origin=origin,
        counsel=counsel,
    )


def contradicts(kind: str, citation: str) -> str | None:
    """The kind of authority that a citation of the US Code really names, where it names not one section of `kind`.

    A citation that names no section of any authority here (a state's law, say) contradicts nothing.
    """
    if _US_CODE.search(citation) is None:
        return None
    cited = {int(section) for section in _SECTION.findall(citation)}
    if cited & authorities()[kind].sections:
        return None
    return next((other.kind for other in authorities().values() if cited & other.sections), None)
