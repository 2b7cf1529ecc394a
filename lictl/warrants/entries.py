# SPDX-License-Identifier: Apache-2.0
"""One entry of a file of authorities: its keys, and what must hold among them."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it at run time
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lictl.errors import UsageError
from lictl.warrants.terms import Term

Word = Annotated[str, Field(min_length=1, max_length=300)]
Mode = Literal["content", "headers"]
FILLED = ("title", "citation", "source", "checked")
"""Keys that every new authority fills."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PatternEntry(_Strict):
    """What the text of a key must match."""

    match: Word
    words: Word

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value


class Entry(_Strict):
    """One ``[[authority]]``; a site's entry for a shipped kind may hold only what it changes.

    ``authorities.toml`` describes the keys.
    """

    kind: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title: Word | None = None
    citation: Word | None = None
    countries: list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] | None = None
    instrument: Literal["interception", "stored-records", "none"] | None = None
    instead: Word | None = None
    sections: list[int] | None = None
    longest: str | None = None
    counts_from: str | None = None
    zone: str | None = None
    weekend: list[str] | None = None
    modes: list[Mode] | None = None
    requires: list[str] | None = None
    rules: dict[str, Word] | None = None
    patterns: dict[str, PatternEntry] | None = None
    emergency: bool | None = None
    becomes: str | None = None
    source: Word | None = None
    checked: dt.date | None = None
    confirmed: bool | None = None
    counsel_confirmed_by: Word | None = None
    counsel_confirmed_on: dt.date | None = None

    @property
    def term(self) -> Term | None:
        """Its longest term; None where it has none (what never arms an intercept).

        Raises:
            ValueError: it cannot be read.
        """
        if self.longest is None:
            return None
        weekend = ("sat", "sun") if self.weekend is None else tuple(self.weekend)
        return Term.parse(self.longest, self.counts_from or "start", self.zone or "UTC", weekend)


def read_entries(document: dict[str, Any], name: str) -> list[Entry]:
    """The entries of a file.

    Raises:
        UsageError: the first thing that is wrong, with its kind and key.
    """
    unknown = [key for key in document if key != "authority"]
    if unknown or not isinstance(document.get("authority"), list):
        raise UsageError(f"{name} is no list of authorities.", "It has tables [[authority]] and nothing else.")
    entries, seen = [], set()
    for index, table in enumerate(document["authority"], 1):
        called = table.get("kind") if isinstance(table, dict) else None
        where = f"{name}, {called if isinstance(called, str) else f'authority {index}'}"
        entries.append(_entry(table, where))
        if entries[-1].kind in seen:
            raise UsageError(f"{where}: stands there twice.", "Keep one.")
        seen.add(entries[-1].kind)
    return entries


def _entry(table: object, where: str) -> Entry:
    try:
        entry = Entry.model_validate(table)
        _ = entry.term
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: {at}: {first['msg'].removeprefix('Value error, ')}.", "Correct it there.") from None
    except ValueError as error:
        raise UsageError(f"{where}: {error}.", "Correct it there.") from None
    return entry


def check_complete(entry: Entry, keys: frozenset[str], where: str) -> None:
    """Refuses an entry that cannot stand alone.

    Args:
        entry: with all that it has.
        keys: the keys of [authority] that a warrant file can fill.
        where: how errors call it.

    Raises:
        UsageError: what is missing or contradicts itself.
    """
    for key in FILLED:
        if getattr(entry, key) is None:
            raise UsageError(f"{where}: {key} is missing.", "A new authority has a title, citation, source and date.")
    asked = {*(entry.requires or ()), *(entry.patterns or ()), *(entry.rules or ())}
    for key in sorted(asked - keys):
        raise UsageError(f"{where}: no warrant file has a key {key}.", f"Keys are {', '.join(sorted(keys))}.")
    if entry.instrument in (None, "interception"):
        if entry.longest is None:
            raise UsageError(f"{where}: longest is missing.", "Nothing is open-ended: write the longest term.")
        if not entry.modes:
            raise UsageError(f"{where}: modes is empty.", 'Write modes = ["headers"], or ["content", "headers"].')
        missing = {"citation", "signed_by", "signed_at", "presented_by"} - set(entry.requires or ())
        if missing:
            raise UsageError(f"{where}: requires leaves out {', '.join(sorted(missing))}.", "Every order names these.")
        if bool(entry.emergency) != (entry.becomes is not None):
            raise UsageError(f"{where}: an emergency says what it becomes, and nothing else does.", "Write both.")
    elif entry.longest or entry.modes or entry.emergency:
        raise UsageError(f"{where}: never arms an intercept and has a term, modes or an emergency.", "Leave them out.")
    elif not entry.instead:
        raise UsageError(f"{where}: instead is missing.", "Say what to get instead.")
