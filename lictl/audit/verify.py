# SPDX-License-Identifier: Apache-2.0
"""Verification of a whole chain: nothing edited, removed, reordered, cut or signed by another key.

Files are looked at by several processes where there is much to look at; each file proves itself, and the links between
them are compared here. Needed: the files and a public key; where the key was changed, any of its keys shows all of the
chain (`lictl.audit.succession`). What only an anchor shows, or a later key: that the end was cut.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lictl.audit.anchor import Head, code
from lictl.audit.crew import look_at_all
from lictl.audit.diagnose import Diagnosis, Fault, diagnose
from lictl.audit.entry import GENESIS, parse_entry
from lictl.audit.files import first_line, list_files
from lictl.audit.scan import FileScan, scan
from lictl.audit.succession import Succession, succession
from lictl.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from lictl.audit.anchor import Anchor

    Progress = Callable[[int, int, int], None]
    """Called with: entries so far, bytes so far, bytes in all."""

INLINE_BYTES: Final = 4 << 20
"""Less than this is not worth a process of its own."""
_AGAIN: Final = 20
_AGAIN_S: Final = 0.02


@dataclass(slots=True)
class Verdict:
    """What verification found.

    Attributes:
        faults: every place that does not verify, in order.
        entries: their count.
        files: their count.
        first: number of the first entry.
        head: the last entry; None where there is none.
        key: hex digits of the public key it was verified with.
        keys: of all keys that signed, in their order.
        anchored: the head that was kept outside; None where none was given.
        last_time: RFC 3339 time of the last signature.
        seconds: that it took.
    """

    key: str
    anchored: Head | None = None
    keys: tuple[str, ...] = ()
    faults: list[Fault] = field(default_factory=list)
    entries: int = 0
    files: int = 0
    first: int = 0
    head: Head | None = None
    last_time: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Everything verifies."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "good": self.good,
            "entries": self.entries,
            "files": self.files,
            "first": self.first,
            "last": self.head.seq if self.head else 0,
            "head": code(self.head) if self.head else None,
            "hash": self.head.hash if self.head else None,
            "anchored": code(self.anchored) if self.anchored else None,
            "key": self.key,
            "keys": list(self.keys),
            "last_time": self.last_time,
            "seconds": round(self.seconds, 3),
            "faults": [fault.to_json() for fault in self.faults],
        }

    def check(self) -> None:
        """Raises IntegrityError where something does not verify, naming the first place."""
        if self.faults:
            more = f" {len(self.faults) - 1} more places." if len(self.faults) > 1 else ""
            raise IntegrityError(
                f"The audit chain does not verify: {self.faults[0].place}: {self.faults[0].what}{more}",
                "Keep the folder as it is, compare it with an export or a backup, and find out who did it.",
            )


def verify(
    folder: Path,
    public_key: bytes,
    anchor: Anchor | None = None,
    progress: Progress | None = None,
    *,
    heads: Sequence[Head] = (),
    first: tuple[int, str] = (1, GENESIS),
    thorough: bool = False,
    processes: int | None = None,
) -> Verdict:
    """Verifies a chain; may be called while a daemon appends to it.

    Args:
        folder: of its files.
        public_key: 32 bytes, from a place that who could change the chain could not change; of a chain whose key was
            changed the newest shows most: who has an older one could have written another end.
        anchor: keeps the last head outside of the files.
        heads: heads noted earlier, of printed codes: each must stand in the chain.
        first: number and link of the first entry (a part of a chain begins later).
        thorough: also check every earlier signature by itself, and the form of every entry.
        processes: at most so many; None: one for each CPU.

    Raises:
        UnavailableError: the folder cannot be read.
    """
    began = time.monotonic()
    # Before the files are looked at: the chain may grow meanwhile, an anchor may not be newer than what is read.
    kept = anchor.read() if anchor is not None else None
    verdict = Verdict(public_key.hex(), Head(*kept) if kept else None)
    files = list_files(folder)
    known = [*heads, verdict.anchored] if verdict.anchored else list(heads)
    owners = succession(files, public_key)
    verdict.keys = owners.keys
    wanted = frozenset(head.seq for head in known)
    looks = [partial(scan, path, owners.key(at), wanted, thorough=thorough) for at, path in enumerate(files)]
    parts = [
        _settled(look, files[at], part, owners.key(at), last=at == len(files) - 1)
        for at, (look, part) in enumerate(zip(looks, _scan_all(looks, files, processes, progress), strict=True))
    ]
    _join(verdict, files, parts, first)
    signed = {owners.key(at).hex() for at, (part, found) in enumerate(parts) if (found or part).entries}
    _compare_keys(verdict, owners, files, signed)
    hashes = {number: digest for part, _ in parts for number, digest in part.hashes}
    _compare_heads(verdict, hashes, heads)
    verdict.seconds = time.monotonic() - began
    return verdict


def _scan_all(
    looks: Sequence[Callable[[], FileScan]], files: list[Path], processes: int | None, progress: Progress | None
) -> Iterator[FileScan]:
    total, done, entries = sum(path.stat().st_size for path in files), 0, 0
    for part in _run(looks, total, processes):
        done, entries = done + part.size, entries + part.entries
        if progress is not None:
            progress(entries, done, max(total, done))
        yield part


def _run(looks: Sequence[Callable[[], FileScan]], total: int, processes: int | None) -> Iterator[FileScan]:
    workers = min(processes or len(os.sched_getaffinity(0)), len(looks))
    if total < INLINE_BYTES or (processes is not None and processes <= 1):
        yield from (look() for look in looks)
        return
    yield from look_at_all(looks, workers)


def _settled(
    look: Callable[[], FileScan], path: Path, part: FileScan, public_key: bytes, *, last: bool
) -> tuple[FileScan, Diagnosis | None]:
    """The scan of a file, or else what is wrong in it. The last file may be being written to: it is looked at again."""
    if part.good or (last and part.size == 0 and part.number > 1):
        return part, None
    for _ in range(_AGAIN if last else 0):
        time.sleep(_AGAIN_S)
        size, part = part.size, look()
        if part.good:
            return part, None
        if part.size == size:
            break  # nobody writes
    found = diagnose(path, public_key)
    if not found.faults:
        found.fault("edited", 0, 0, "The file does not verify.")
    return part, found


def _join(
    verdict: Verdict, files: list[Path], parts: list[tuple[FileScan, Diagnosis | None]], first: tuple[int, str]
) -> None:
    """Compares each file's beginning with the end of the one in front."""
    seq, link = first[0] - 1, first[1]
    number = int(files[0].stem) - 1 if first[0] > 1 and files else 0
    for path, (part, found) in zip(files, parts, strict=True):
        begins, prev = (found.first, found.prev) if found else (part.first, part.prev)
        if part.number != number + 1:
            names = f"{number + 1:06d}" if part.number == number + 2 else f"{number + 1:06d} to {part.number - 1:06d}"
            what = f"The file {names} is missing, with entries {seq + 1} to {begins - 1}."
            verdict.faults.append(Fault("missing-file", path.name, 0, seq + 1, what))
        elif begins and begins > seq + 1:
            many = f"Entries {seq + 1} to {begins - 1} were"
            what = f"{many if begins > seq + 2 else f'Entry {seq + 1} was'} removed."
            verdict.faults.append(Fault("removed", path.name, 1, seq + 1, what))
        elif begins and (begins < seq + 1 or (link and prev != link)):
            what = f"The file does not follow from entry {seq}: one of them was replaced, or its last line changed."
            verdict.faults.append(Fault("replaced", path.name, 1, begins, what))
        if found:
            verdict.faults += found.faults
        number = part.number
        seq, link = _end(part, found, seq, link)
        _count(verdict, part, found, begins)


def _end(part: FileScan, found: Diagnosis | None, seq: int, link: str) -> tuple[int, str]:
    if found:
        return max(found.last, seq), found.next
    return (part.last, part.next) if part.entries else (seq, link)


def _count(verdict: Verdict, part: FileScan, found: Diagnosis | None, begins: int) -> None:
    verdict.files += 1
    verdict.first = verdict.first or begins
    seen = found or part
    verdict.entries += seen.entries
    if seen.entries:
        verdict.head = Head(seen.last, seen.head)
    verdict.last_time = part.last_time or verdict.last_time


def _compare_keys(verdict: Verdict, owners: Succession, files: list[Path], signed: Collection[str]) -> None:
    """The given key is one that signed; the first entry names the key under which the chain began.

    Args:
        signed: keys of files with entries. One that is only named by another key's entry vouches for nothing.
    """
    begun = _begun(files[0]) if files and verdict.first == 1 else None
    known = f"the given one ({verdict.key[:16]}...)"
    if begun is not None and begun != owners.keys[0]:
        other = known if len(owners.keys) == 1 else f"the one that its first change names ({owners.keys[0][:16]}...)"
        what = f"The chain began under another key ({begun[:16]}...) than {other}."
        verdict.faults.insert(0, Fault("key", files[0].name, 1, 1, what))
    if owners.broken:
        what = "The key that hands over here is not the one that signed until here."
        verdict.faults.insert(0, Fault("key", owners.broken, 0, 0, what))
    if len(owners.keys) > 1 and verdict.key not in signed:
        what = f"None of the keys that signed the chain is {known}."
        verdict.faults.insert(0, Fault("key", files[0].name, 0, 0, what))


def _begun(path: Path) -> str | None:
    try:
        entry = parse_entry(first_line(path))
    except ValueError:
        return None  # found before
    key = (entry.after or {}).get("key") if entry.action == "chain.begin" else None
    return None if key is None else str(key)


def _compare_heads(verdict: Verdict, hashes: dict[int, str], heads: Collection[Head]) -> None:
    last = verdict.head.seq if verdict.head else 0
    known = [(head, "a noted head") for head in heads]
    if verdict.anchored is not None:
        known.append((verdict.anchored, "the anchor"))
    for head, source in known:
        if head.seq > last:
            gone = f"Entries {last + 1} to {head.seq}" if head.seq > last + 1 else f"Entry {head.seq}"
            what = f"{gone} removed from the end: {source} says that the chain had {head.seq}."
            verdict.faults.append(Fault("cut", "", 0, last + 1, what))
        elif head.seq in hashes and not hashes[head.seq].startswith(head.hash):
            what = f"Entry {head.seq} is not the one that {source} names: the chain was replaced from there or before."
            verdict.faults.append(Fault("head", "", 0, head.seq, what))
        elif head.seq not in hashes and not verdict.faults:
            what = f"Entry {head.seq}, which {source} names, is not in the chain."
            verdict.faults.append(Fault("head", "", 0, head.seq, what))
