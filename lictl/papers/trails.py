# SPDX-License-Identifier: Apache-2.0
"""What the audit chain's files tell of one order, without parsing what is about others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lictl.audit.entry import ENTRY_START, Entry, parse_entry
from lictl.audit.files import list_files
from lictl.papers.gather import Trail, trail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The exact order of fields of lictl.audit.entry; a quote inside of a value is escaped, so nothing else looks like it.
_ABOUT: Final = re.compile(rb',"action":"([^"\\]*)","subject":"([^"\\]*)"')


def trail_of(folder: Path, order: str, head: tuple[int, str] | None = None) -> Trail:
    """What the chain in a folder tells of an order; an empty trail where there is no chain.

    Args:
        folder: of the chain.
        order: id of the order.
        head: number and hash of the chain's last entry; None: they are taken from the last line that is whole.

    Raises:
        IntegrityError: a line is no entry.
        UnavailableError: the folder cannot be read.
    """
    if not folder.is_dir():
        return Trail()
    if head is None:
        last = _last(folder)
        head = (last.seq, last.hash) if last is not None else None
    return trail(_about(folder, order.encode()), order, head)


def _about(folder: Path, order: bytes) -> Iterator[Entry]:
    """Entries whose subject is the order, and the outcomes of those of them that are intents."""
    numbers: set[bytes] = set()
    for path in list_files(folder):
        with path.open("rb") as file:
            for line in file:
                found = _ABOUT.search(line) if line.startswith(ENTRY_START) and line.endswith(b"\n") else None
                if found is None:
                    continue
                if found[1] in (b"done", b"failed"):
                    if found[2] in numbers:
                        yield parse_entry(line[:-1])
                elif found[2] == order or found[2].startswith(order + b"/"):
                    entry = parse_entry(line[:-1])
                    numbers.add(str(entry.seq).encode())
                    yield entry


def _last(folder: Path) -> Entry | None:
    for path in reversed(list_files(folder)):
        last = None
        with path.open("rb") as file:
            for line in file:
                if line.startswith(ENTRY_START) and line.endswith(b"\n"):
                    last = line
        if last is not None:
            return parse_entry(last[:-1])
    return None
