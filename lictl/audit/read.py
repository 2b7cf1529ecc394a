# SPDX-License-Identifier: Apache-2.0
"""Reading the chain: some entries by number, or all that a question asks for. Nothing is verified here."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.audit.entry import ENTRY_START, Entry, parse_entry
from lictl.audit.files import first_line, list_files
from lictl.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries; every condition that is set has to hold.

    Attributes:
        first: lowest number.
        last: highest number, None: the end.
        since_ns: earliest time (UTC nanoseconds).
        until_ns: first time outside.
        action: the action, or its beginning where it ends with a dot ("read.").
        subject: exactly.
        actor: name or uid of the actor.
    """

    first: int = 1
    last: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    action: str | None = None
    subject: str | None = None
    actor: str | None = None

    def takes(self, entry: Entry) -> bool:
        """Whether it asks for this entry."""
        return (
            entry.seq >= self.first
            and (self.last is None or entry.seq <= self.last)
            and (self.since_ns is None or entry.time_ns >= self.since_ns)
            and (self.until_ns is None or entry.time_ns < self.until_ns)
            and (self.action is None or _action(entry.action, self.action))
            and (self.subject is None or entry.subject == self.subject)
            and (self.actor is None or self.actor in (entry.actor.get("name"), str(entry.actor.get("uid"))))
        )


def entries(folder: Path, query: Query | None = None) -> Iterator[Entry]:
    """The entries that a query asks for, in the order of the files.

    Raises:
        UnavailableError: the folder cannot be read.
        IntegrityError: a line is no entry (`verify` tells more).
    """
    query = query or Query()
    for path, last in _spans(list_files(folder)):
        if last is not None and last < query.first:
            continue
        for entry in _entries_of(path):
            if query.last is not None and entry.seq > query.last:
                return
            if query.takes(entry):
                yield entry


def latest(folder: Path, count: int, query: Query | None = None) -> list[Entry]:
    """The last `count` entries that a query asks for, oldest first; reads no more files than it has to."""
    query, found = query or Query(), list[Entry]()
    for path in reversed(list_files(folder)):
        taken = [entry for entry in _entries_of(path) if query.takes(entry)]
        found = taken[-(count - len(found)) :] + found
        if len(found) >= count or (taken and taken[0].seq <= query.first):
            break
    return found


def find(folder: Path, numbers: Collection[int]) -> list[Entry]:
    """The entries with these numbers, in their order; those that are not there are left out."""
    if not numbers:
        return []
    wanted = set(numbers)
    query = Query(first=min(wanted), last=max(wanted))
    return [entry for entry in entries(folder, query) if entry.seq in wanted]


def _entries_of(path: Path) -> Iterator[Entry]:
    """Entries of one file; a last line that is being written is left out."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.startswith(ENTRY_START) or not line.endswith(b"\n"):
                continue
            try:
                yield parse_entry(line[:-1])
            except ValueError:
                raise IntegrityError(
                    f"{path.name}, line {number} is no entry.", "`lictl audit verify` tells what was changed."
                ) from None


def _spans(files: list[Path]) -> Iterator[tuple[Path, int | None]]:
    """Each file with the number of its last entry, as the next file's first line tells it; None where nothing does."""
    for index, path in enumerate(files):
        last = None
        if index + 1 < len(files):
            with contextlib.suppress(ValueError):
                last = parse_entry(first_line(files[index + 1])).seq - 1
        yield path, last


def _action(action: str, wanted: str) -> bool:
    return action.startswith(wanted) if wanted.endswith(".") else action == wanted
