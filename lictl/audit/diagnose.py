# SPDX-License-Identifier: Apache-2.0
"""Finding the place in a file of the chain that does not verify, and what was done there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lictl.audit.entry import (
    ENTRY_START,
    SIGNATURE_START,
    hash_of,
    is_exact,
    link_of,
    parse_entry,
    parse_signature,
)
from lictl.keys.signer import signature_is_good

if TYPE_CHECKING:
    from pathlib import Path

MOST_FAULTS: Final = 50
"""Faults named in one file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where the chain is not as it was written.

    Attributes:
        kind: edited, removed, reordered, repeated, replaced, unsigned, signature, key, missing-file, cut or head.
        file: name, "" where it is about the whole chain.
        line: its number in the file, from 1; 0 where it is about the file or the chain.
        entry: number of the entry it is about, 0 where that is not known.
        what: one sentence.
    """

    kind: str
    file: str
    line: int
    entry: int
    what: str

    @property
    def place(self) -> str:
        """For people: file, line, entry, as far as they are known."""
        parts = [self.file, f"line {self.line}" if self.line else "", f"entry {self.entry}" if self.entry else ""]
        return ", ".join(part for part in parts if part) or "chain"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"kind": self.kind, "file": self.file, "line": self.line, "entry": self.entry, "what": self.what}


@dataclass(slots=True)
class Diagnosis:
    """What one file holds, as far as it can be read.

    Attributes:
        faults: those inside the file.
        first: number of the first entry that can be read, 0 where there is none.
        prev: the link in that entry.
        last: highest number of an entry that can be read.
        head: hash of the last entry.
        next: what must stand as `prev` in the file behind; "" where that is not known.
        entries: count of those that can be read.
        group: number of the first entry behind the last signature, 0 right behind it.
    """

    name: str
    faults: list[Fault] = field(default_factory=list)
    first: int = 0
    prev: str = ""
    last: int = 0
    head: str = ""
    next: str = ""
    entries: int = 0
    group: int = 0
    good_signatures: int = 0
    bad_signatures: int = 0

    def fault(self, kind: str, line: int, entry: int, what: str) -> None:
        """Notes a fault."""
        self.faults.append(Fault(kind, self.name, line, entry, what))


def diagnose(path: Path, public_key: bytes) -> Diagnosis:
    """Reads a file line by line and names whatever does not fit."""
    lines = path.read_bytes().split(b"\n")
    found, torn = Diagnosis(path.name), lines.pop()
    numbers = set(_numbers(lines))
    unsigned_line = 0
    for at, line in enumerate(lines, 1):
        if line.startswith(SIGNATURE_START):
            _signature(found, at, line, public_key)
            found.group, unsigned_line = 0, 0
        else:
            _entry(found, at, line, numbers)
            unsigned_line = unsigned_line or at
    if torn or unsigned_line:
        found.fault(
            "unsigned", unsigned_line or len(lines) + 1, 0,
            "What follows here is under no signature: a crash left it half written, or it was added, or the signature "
            "behind it was removed.",
        )  # fmt: skip
    if found.bad_signatures and not found.good_signatures:
        found.fault("key", 0, 0, "No signature in this file is of the given key: another key signed it.")
    if len(found.faults) > MOST_FAULTS:
        found.faults[MOST_FAULTS:] = [Fault("edited", path.name, 0, 0, "There are more places in this file.")]
    return found


def _entry(found: Diagnosis, at: int, line: bytes, numbers: set[int]) -> None:
    try:
        entry = parse_entry(line)
    except ValueError:
        # Its number was the next one, as far as one can tell: what follows is judged from there.
        seq = found.last + 1 if found.first and found.last + 1 not in numbers else 0
        found.fault("edited", at, seq, "The line is no entry: it was edited or damaged.")
        found.last, found.next = seq or found.last, ""
        return
    if not found.first:
        found.first, found.prev = entry.seq, entry.prev
        found.last, found.next = entry.seq - 1, entry.prev
    _judge_place(found, at, entry.seq, entry.prev, numbers)
    good = hash_of(line) == entry.hash
    if not good:
        found.fault("edited", at, entry.seq, "The entry does not have its hash: it was edited.")
    elif not is_exact(line):
        found.fault("edited", at, entry.seq, "The entry is not written in the one form that its values have.")
    found.group = found.group or entry.seq
    found.entries += 1
    found.last, found.head, found.next = max(found.last, entry.seq), entry.hash, entry.hash


def _judge_place(found: Diagnosis, at: int, seq: int, prev: str, numbers: set[int]) -> None:
    expected = found.last + 1
    if seq < expected:
        found.fault("reordered", at, seq, f"Entry {seq} stands behind entry {found.last}: moved, or there twice.")
    elif seq > expected:
        gone = [number for number in range(expected, min(seq, expected + 100_000)) if number not in numbers]
        if gone:
            many = f"Entry {gone[0]} was" if len(gone) == 1 else f"Entries {gone[0]} to {gone[-1]} were"
            found.fault("removed", at, gone[0], f"{many} removed.")
        else:
            found.fault("reordered", at, seq, f"Entry {seq} stands before entry {expected}: they were moved.")
    elif found.next and prev != found.next:
        found.fault(
            "replaced", at, seq,
            f"Entry {seq} does not follow from the line in front: that line was replaced, or one between was removed.",
        )  # fmt: skip


def _signature(found: Diagnosis, at: int, line: bytes, public_key: bytes) -> None:
    found.next, head = link_of(line), found.head
    try:
        signature = parse_signature(line)
    except ValueError:
        found.bad_signatures += 1
        found.fault("signature", at, found.last, f"The signature behind entry {found.last} was edited or damaged.")
        return
    good = signature_is_good(public_key, signature.signature, signature.message)
    found.good_signatures += good
    found.bad_signatures += not good
    group = f"entries {signature.first} to {signature.last}"
    if not good:
        found.fault("signature", at, signature.last, f"The signature for {group} is not of the given key, or edited.")
    elif signature.head != head or signature.last != found.last:
        found.fault(
            "replaced", at, signature.last, f"The signature for {group} is good, but not for what stands there."
        )
    elif found.group and signature.first > found.group:
        found.fault("removed", at, found.group, f"The signature for the entries from {found.group} on is gone.")


def _numbers(lines: list[bytes]) -> list[int]:
    numbers = []
    for line in lines:
        if line.startswith(ENTRY_START):
            try:
                numbers.append(parse_entry(line).seq)
            except ValueError:
                continue
    return numbers
