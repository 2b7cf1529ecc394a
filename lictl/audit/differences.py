# SPDX-License-Identifier: Apache-2.0
"""What is not as the orders in force say: pure comparisons of what should be with what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lictl.targets import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from lictl.audit.programs import Program
    from lictl.targets.orders import Tables

TABLE_KINDS = frozenset({"foreign-slot", "changed-slot", "missing-slot", "foreign-entry", "changed-entry",
                         "missing-entry", "words", "foreign-port", "changed-port", "missing-port"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the orders say. Names no target.

    Attributes:
        kind: foreign-slot, changed-slot, missing-slot (an order's switch); foreign-entry, changed-entry,
            missing-entry (a target's entry); words (what leads the program to the entries); foreign-port,
            changed-port, missing-port (what an interface may take); foreign-program, missing-program; unknown-spool (of
            an order that the store does not know), foreign-spool (of one that there is no work for), missing-spool;
            unknown-account (of an order that the store does not know).
        where: map, slot, interface or folder.
        what: one sentence.
        done: what lictl did about it; "" where a person has to.
        count: of the things that it stands for.
    """

    kind: str
    where: str
    what: str
    done: str = ""
    count: int = 1

    def to_json(self) -> dict[str, Any]:
        """For the record and for programs."""
        return {"kind": self.kind, "where": self.where, "what": self.what, "done": self.done, "count": self.count}

    def settled(self, done: str) -> Difference:
        """The same, with what was done."""
        return replace(self, done=done)


def compare_tables(wanted: Tables, found: Tables) -> list[Difference]:
    """Slots and entries of the kernel against those of the orders in force."""
    return [*_slots(wanted, found), *_entries(wanted, found), *_words(wanted, found)]


def _slots(wanted: Tables, found: Tables) -> Iterable[Difference]:
    for slot in sorted(found.slots.keys() | wanted.slots.keys()):
        is_, should = found.slots.get(slot), wanted.slots.get(slot)
        if is_ == should:
            continue
        where = f"slot {slot}"
        if should is None:
            yield Difference("foreign-slot", where, "It is armed, and no order in force owns it.")
        elif is_ is None:
            yield Difference("missing-slot", where, "An order in force owns it, and it is not armed.")
        else:
            yield Difference("changed-slot", where, "Its order's window, mode, flags or generation is another one.")


def _entries(wanted: Tables, found: Tables) -> Iterable[Difference]:
    for name in layout.KIND_OF_MAP:
        should, is_ = wanted.maps[name], found.maps[name]
        foreign = sum(key not in should for key in is_)
        missing = sum(key not in is_ for key in should)
        changed = sum(is_[key] != value for key, value in should.items() if key in is_)
        if foreign:
            yield Difference("foreign-entry", name, f"{foreign} entries of no order in force.", count=foreign)
        if missing:
            yield Difference("missing-entry", name, f"{missing} entries of orders in force are gone.", count=missing)
        if changed:
            yield Difference("changed-entry", name, f"{changed} entries name other orders.", count=changed)


def _words(wanted: Tables, found: Tables) -> Iterable[Difference]:
    for name in ("kinds", "v4_lens", "v6_lens", "port_lens"):
        if getattr(wanted, name) != getattr(found, name):
            yield Difference("words", name, "What the program looks for is not what the orders need.")


def compare_ports(wanted: Mapping[int, bytes], found: Mapping[int, bytes]) -> list[Difference]:
    """What each interface may take against what it should, by interface index: packed ``li_port``."""
    differences = []
    for index in sorted(wanted.keys() | found.keys()):
        where = f"interface {index}"
        if index not in wanted:
            differences.append(Difference("foreign-port", where, "Packets are taken there, and it is not served."))
        elif index not in found:
            differences.append(Difference("missing-port", where, "It is served, and nothing may be taken there."))
        elif wanted[index] != found[index]:
            differences.append(Difference("changed-port", where, "It has another role than the one it is served in."))
    return differences


def foreign_part(wanted: Tables, found: Tables) -> dict[str, Any]:
    """What is in the kernel and should not be, as evidence: hex of keys and values. Names targets: seal it."""
    entries = {
        name: {key.hex(): value.hex() for key, value in found.maps[name].items() if wanted.maps[name].get(key) != value}
        for name in layout.KIND_OF_MAP
    }
    slots = {slot: value.hex() for slot, value in found.slots.items() if wanted.slots.get(slot) != value}
    return {"entries": {name: value for name, value in entries.items() if value}, "slots": slots}


def without_foreign(wanted: Tables, found: Tables, *, rearm: Collection[int] = ()) -> Tables:
    """What the kernel should hold next: every entry as wanted; of the slots those that are armed and should be.

    Args:
        rearm: slots that are not armed and shall be; another one may be on its way out (a revocation in work).
    """
    stay = found.slots.keys() | set(rearm)
    return replace(wanted, slots={slot: value for slot, value in wanted.slots.items() if slot in stay})


def compare_programs(
    own: Mapping[int, str], served: Mapping[str, set[int]], using: Iterable[Program]
) -> list[Difference]:
    """Programs at the interfaces that are served, and programs that use lictl's maps.

    Args:
        own: numbers of lictl's own programs, with their tags.
        served: name of each interface that is served to the numbers of the programs there.
        using: every program that uses a map of lictl.
    """
    found = []
    for name, numbers in served.items():
        found += [
            Difference("foreign-program", name, f"Program {number} is attached there and is not lictl's.")
            for number in sorted(numbers - own.keys())
        ]
        if not numbers & own.keys():
            found.append(Difference("missing-program", name, "The capture program is not attached there."))
    found += [
        Difference(
            "foreign-program", f"program {program.id}",
            f"It is named {program.name!r}, tag {program.tag}, loaded by uid {program.uid}, and uses lictl's maps.",
        )
        for program in using
        if program.id not in own or own[program.id] != program.tag
    ]  # fmt: skip
    return found


def compare_spools(
    root: Path, streams: Collection[tuple[str, str]], knows: Callable[[str], bool] = lambda stream: True
) -> list[Difference]:
    """Folders of spools against the streams that there is work for.

    Args:
        root: the spool folder of the home.
        streams: agency and name of each stream.
        knows: whether the store has the order of a stream, by the stream's name.
    """
    agencies = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    # Beside the streams' folders an agency's has files of its worker.
    there = {(agency.name, path.name) for agency in agencies for path in agency.iterdir() if path.is_dir()}
    known = set(streams)
    return [
        *(_stray(root, agency, name, knows(name)) for agency, name in sorted(there - known)),
        *(
            Difference("missing-spool", f"{agency}/{name}", "The folder of this stream is gone.")
            for agency, name in sorted(known - there)
        ),
    ]


def _stray(root: Path, agency: str, name: str, known: bool) -> Difference:
    where = f"{agency}/{name}"
    if known:
        return Difference("foreign-spool", where, "No order there is work for owns this folder.")
    size = sum(path.lstat().st_size for path in (root / agency / name).rglob("*") if path.is_file())
    what = f"The store knows no order that owns this folder: {size} bytes lie there, and nobody gets them."
    return Difference("unknown-spool", where, what)


def compare_accounts(root: Path, unknown: Callable[[Collection[str]], Collection[str]]) -> list[Difference]:
    """Folders of accounts of which the store knows no order.

    Args:
        root: the folder of the accounts of the home, in it one an order.
        unknown: those of some names that are no order's.
    """
    there = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return [
        Difference(
            "unknown-account", name,
            "The store knows no order that owns this folder. Accounts that lie there, in no report: "
            f"{sum(1 for _ in (root / name).iterdir())}.",
        )
        for name in sorted(unknown(there))
    ]  # fmt: skip
