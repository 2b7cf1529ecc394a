# SPDX-License-Identifier: Apache-2.0
"""What a site adds to the authorities: ``authorities.d/*.toml`` in its home.

A site may add kinds, and may make a shipped kind narrower: a shorter term, fewer modes, more required keys. It may make
a shipped kind's term longer only with the name of the counsel who confirmed it, and the date. It never makes an
authority of an instrument for stored records, and never adds a mode to a shipped kind.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.warrants.authorities import Authority, build, shipped
from lictl.warrants.entries import Entry, PatternEntry, check_complete, read_entries
from lictl.warrants.tables import AuthorityTable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER: Final = "authorities.d"
MAX_BYTES: Final = 1 << 20
LONGEST_ALONE: Final = 366
"""Days that a site's own kind may last without its counsel's name."""

_KEYS: Final = frozenset(AuthorityTable.model_fields) - {"kind"}
_COUNSEL_FIX: Final = 'Write counsel_confirmed_by = "NAME" and counsel_confirmed_on = DATE, or a shorter term.'


def load(home: Path) -> Mapping[str, Authority]:
    """The authorities of a site: the package's, then its own files' in the order of their names.

    Args:
        home: the site's folder; without ``authorities.d`` in it the package's authorities alone hold.

    Raises:
        UsageError: a file cannot be read as authorities; names file and kind.
        RefusedError: it makes a shipped authority wider than it may.
        UnavailableError: a file cannot be read at all.
    """
    kinds = dict(shipped())
    for path in sorted((home / FOLDER).glob("*.toml")):
        for entry in read_entries(_document(path), path.name):
            kinds[entry.kind] = _merge(entry, kinds.get(entry.kind), f"{path.name}, {entry.kind}", path.name)
    for kind in kinds.values():
        if kind.becomes is not None and not _orders(kinds.get(kind.becomes)):
            raise UsageError(f"{kind.origin}, {kind.kind}: becomes no order: {kind.becomes}.", "Name a kind of order.")
    return kinds


def _orders(kind: Authority | None) -> bool:
    return kind is not None and kind.arms and not kind.emergency


def _document(path: Path) -> dict[str, object]:
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path.name} is larger than 1 MiB.", "Give a list of authorities.")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}.", "See to its permissions.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path.name} is not TOML: {error}.", "Correct it there.") from None


def _merge(entry: Entry, old: Authority | None, where: str, origin: str) -> Authority:
    if old is None:
        return _new(entry, where, origin)
    whole = _entry_of(old).model_copy(update=entry.model_dump(exclude_unset=True))
    if entry.patterns is not None:
        whole = whole.model_copy(update={"patterns": entry.patterns})
    check_complete(whole, _KEYS, where)
    try:
        changed = build(whole, origin)
    except ValueError as error:
        raise UsageError(f"{where}: {error}.", "Correct it there.") from None
    _refuse_wider(old, changed, entry, where)
    return changed


def _new(entry: Entry, where: str, origin: str) -> Authority:
    check_complete(entry, _KEYS, where)
    term = entry.term
    if term is not None and term.longest_days > LONGEST_ALONE and not _counsel(entry):
        raise RefusedError(f"{where}: lasts {term.text}, more than a year, and no counsel confirms it.", _COUNSEL_FIX)
    confirmed = bool(entry.confirmed) and _counsel(entry)
    return build(entry.model_copy(update={"confirmed": confirmed}), origin)


def _counsel(entry: Entry) -> bool:
    return entry.counsel_confirmed_by is not None and entry.counsel_confirmed_on is not None


def _refuse_wider(old: Authority, new: Authority, entry: Entry, where: str) -> None:
    """Refuses what makes an authority reach further than it does."""
    if new.instrument != old.instrument:
        raise RefusedError(f"{where}: is {old.instrument} and stays so.", "Add a kind of its own.")
    if not new.modes <= old.modes:
        wider = ", ".join(sorted(new.modes - old.modes))
        raise RefusedError(f"{where}: {old.citation} does not allow {wider}.", "Add a kind of its own.")
    if new.emergency != old.emergency or new.becomes != old.becomes:
        raise RefusedError(f"{where}: what is an emergency stays as shipped.", "Add a kind of its own.")
    fewer = set(old.requires) - set(new.requires)
    if fewer:
        raise RefusedError(f"{where}: {old.citation} requires {', '.join(sorted(fewer))}.", "Leave them in `requires`.")
    lost = sorted(key for key in old.patterns if new.patterns.get(key) != old.patterns[key])
    if lost:
        raise RefusedError(f"{where}: the pattern of {lost[0]} stays as shipped.", "Leave `patterns` out.")
    if old.countries and not (new.countries and new.countries <= old.countries):
        raise RefusedError(f"{where}: is the law of {', '.join(sorted(old.countries))}.", "Add a kind of its own.")
    if _may_be_longer(old, new) and not _counsel(entry):
        assert old.term is not None  # noqa: S101 - only what has a term can be longer
        assert new.term is not None  # noqa: S101
        what = f"{new.term.text} may be longer than the {old.term.text} of {old.source}"
        raise RefusedError(f"{where}: {what}, and no counsel confirms it.", _COUNSEL_FIX)


def _may_be_longer(old: Authority, new: Authority) -> bool:
    """True unless the new term ends never later than the old one.

    Terms in one unit that count the same way compare by number; those that differ are taken for longer unless plainly
    shorter.
    """
    if old.term is None or new.term is None or old.term == new.term:
        return False
    before, after = old.term, new.term
    if (before.unit, before.counts_from, before.zone) == (after.unit, after.counts_from, after.zone):
        return after.number > before.number or not after.weekend <= before.weekend
    if before.counts_from != after.counts_from:
        return True
    return after.longest_days > _shortest_days(before.unit, before.number)


def _shortest_days(unit: str, number: int) -> int:
    return {"hour": number // 24, "day": number, "month": number * 28, "year": number * 365, "working day": number}[
        unit
    ]


def _entry_of(kind: Authority) -> Entry:
    """The entry that an authority came from."""
    term = kind.term
    return Entry(
        kind=kind.kind,
        title=kind.title,
        citation=kind.citation,
        countries=sorted(kind.countries),
        instrument=kind.instrument,  # type: ignore[arg-type]  # validated when it was read
        instead=kind.instead or None,
        sections=sorted(kind.sections),
        longest=term.text if term else None,
        counts_from=term.counts_from if term else None,
        zone=term.zone if term else None,
        weekend=[name for day, name in ((5, "sat"), (6, "sun")) if day in term.weekend] if term else None,
        modes=sorted(kind.modes),  # type: ignore[arg-type]
        requires=list(kind.requires),
        rules=dict(kind.rules),
        patterns={key: PatternEntry(match=each.match.pattern, words=each.words) for key, each in kind.patterns.items()},
        emergency=kind.emergency or None,
        becomes=kind.becomes,
        source=kind.source,
        checked=kind.checked,
        confirmed=kind.confirmed,
    )
