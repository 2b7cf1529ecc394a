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
_ABOUT: Final = re.compile(rb',"action":"([^"\\]*)","subject":(?:"([^"\\]*)"|null)')
_SEQ: Final = re.compile(rb'\{"prev":"[^"]*","seq":([0-9]+),')
_ADD: Final = b"warrant.add"
_OUTCOMES: Final = frozenset({b"done", b"failed"})


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
    """What `trail` may want: entries about the order, their outcomes, and the adding of what became this order."""
    numbers: set[bytes] = set()
    drafts: dict[bytes, bytes] = {}
    for line, action, about in _lines(folder):
        if action == _ADD and not about:
            drafts[_number(line)] = line
        elif action in _OUTCOMES:
            draft = drafts.pop(about, None)
            if draft is not None and b'"%b"' % order in line:
                yield parse_entry(draft[:-1])
                yield parse_entry(line[:-1])
            elif about in numbers:
                yield parse_entry(line[:-1])
        elif about == order or about.startswith(order + b"/"):
            numbers.add(_number(line))
            yield parse_entry(line[:-1])


def _lines(folder: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Each entry's line with its action and its subject, empty where it has none."""
    for path in list_files(folder):
        with path.open("rb") as file:
            for line in file:
                if line.startswith(ENTRY_START) and line.endswith(b"\n"):
                    found = _ABOUT.search(line)
                    if found is not None:
                        yield line, found[1], found[2] or b""


def _number(line: bytes) -> bytes:
    found = _SEQ.match(line)
    return found[1] if found is not None else b""


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
