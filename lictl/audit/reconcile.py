# SPDX-License-Identifier: Apache-2.0
"""The kernel, the spools and the accounts against the orders in force: on start, each minute and when asked for.

Entries and slots that no order in force owns are removed at once, in the order that `KernelTables.apply` keeps; it is
recorded before, with the evidence sealed. Programs and spools of others are told, and left to a person.

The first look takes no lock, so that a revocation never waits for it. Only what looks wrong is looked at again with the
orders held still; what a second look confirms is a difference.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lictl import faults, log
from lictl.audit import programs
from lictl.audit.chain import DAEMON
from lictl.audit.differences import (
    TABLE_KINDS,
    Difference,
    compare_accounts,
    compare_ports,
    compare_programs,
    compare_spools,
    compare_tables,
    foreign_part,
    without_foreign,
)
from lictl.errors import LictlError
from lictl.probe import abi
from lictl.probe.tables import pack_port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lictl.audit.chain import Chain
    from lictl.keys.sealer import Sealer
    from lictl.probe.interfaces import PortConfig
    from lictl.probe.probe import Probe
    from lictl.probe.tables import KernelTables
    from lictl.targets.orders import Tables

CONTEXT: Final = b"lictl reconcile evidence"
LOOK_AGAIN_S: Final = 0.5
EVERY_S: Final = 60.0
_PROGRAMS: Final[list[str]] = [value for name, value in vars(abi).items() if name.startswith("PROG_")]
_SECRET_MAPS: Final = (*abi.KEY_DTYPES, abi.MAP_SLOTS, abi.MAP_RINGS, abi.MAP_CONFIG, abi.MAP_PORTS, abi.MAP_FILTER)

_log = log.get("reconcile")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared.

    Attributes:
        probe: open.
        tables: of the probe.
        wanted: what the kernel should hold, as of now.
        still: while it is held, no order changes.
        streams: agency and name of every stream that there is work for.
        knows: whether the store has the order of a stream, by the stream's name.
        served: index of each interface that is served, to its name.
        ports: what each port may take.
        spool: folder of the spools.
        accounts: folder of the accounts.
        unknown: those of some folders of accounts that are no order's of the store.
        chain: where differences are recorded; None: nowhere.
        sealer: seals the evidence; None: the evidence is not recorded.
        alarm: `Alarms.when`.
    """

    probe: Probe
    tables: KernelTables
    wanted: Callable[[], Tables]
    still: AbstractContextManager[Any]
    streams: Callable[[], set[tuple[str, str]]]
    knows: Callable[[str], bool]
    served: Callable[[], Mapping[int, str]]
    ports: Callable[[], Sequence[PortConfig]]
    spool: Path
    accounts: Path
    unknown: Callable[[Collection[str]], Collection[str]]
    chain: Chain | None = None
    sealer: Sealer | None = None
    alarm: Callable[[bool, str, str, str], None] | None = None


class Reconciler:
    """Compares, removes what is foreign in the kernel's tables, records, raises alarms."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._lock = threading.Lock()
        self._told: set[Difference] = set()
        self._alarmed: set[Difference] = set()
        self._next = 0.0

    def due(self) -> None:
        """`run`, once a minute; for a thread that calls often."""
        if time.monotonic() >= self._next:
            self.run()

    def run(self) -> dict[str, Any]:
        """Compares now.

        Returns:
            `compared` (what was looked at: name to count) and `differences` (`Difference.to_json`).

        Raises:
            LictlError: the kernel does not answer.
        """
        with self._lock:
            self._next = time.monotonic() + EVERY_S
            subject = self._subject
            found = [*self._tables(), *self._ports(), *self._programs(), *self._folders()]
            self._tell(found)
            wanted = subject.wanted()
            compared = {
                "slots": len(wanted.slots),
                "entries": sum(map(len, wanted.maps.values())),
                "interfaces": len(subject.served()),
                "spools": len(subject.streams()),
            }
            return {"compared": compared, "differences": [difference.to_json() for difference in found]}

    # ---- the kernel's tables

    def _tables(self) -> list[Difference]:
        subject = self._subject
        if not self._glance():
            return []
        with subject.still:
            first = compare_tables(subject.wanted(), subject.tables.dump())
            missing = _slots(first)
            done = self._restore(frozenset()) if first else []
        if missing:
            # A revocation switches a slot off before it waits for its turn, so a slot that is off has to be seen twice.
            time.sleep(LOOK_AGAIN_S)
            with subject.still:
                still_missing = missing & _slots(compare_tables(subject.wanted(), subject.tables.dump()))
                done = [item for item in done if item.kind != "missing-slot"]
                done += self._restore(frozenset(still_missing)) if still_missing else []
        return done + self._bits()

    def _glance(self) -> bool:
        """Whether something looks wrong; may be wrong about that while orders change."""
        subject = self._subject
        wanted = subject.wanted()
        return bool(compare_tables(wanted, subject.tables.glance())) or bool(subject.tables.hidden(wanted))

    def _restore(self, rearm: frozenset[int]) -> list[Difference]:
        """Makes the tables what they should be; the orders are held still."""
        subject = self._subject
        wanted, found = subject.wanted(), subject.tables.dump()
        differences = compare_tables(wanted, found)
        if not differences:
            return []
        self._record("reconcile.found", differences, foreign_part(wanted, found))
        faults.point("audit.reconcile.recorded")
        try:
            subject.tables.apply(found, without_foreign(wanted, found, rearm=rearm), keep_counters=range(abi.MAX_SLOTS))
        except LictlError as error:
            _log.error("foreign entries not removed", error=type(error).__name__, **log.place(error))
            return differences
        faults.point("audit.reconcile.removed")
        settled = [
            item if item.kind == "missing-slot" and not rearm else item.settled(_DONE[item.kind])
            for item in differences
        ]
        self._record("reconcile.removed", settled, None)
        return settled

    def _bits(self) -> list[Difference]:
        """Bits of the filter that are clear hide entries: they are set again."""
        subject = self._subject
        with subject.still:
            count = subject.tables.hidden(subject.wanted(), show=True)
        if not count:
            return []
        found = [Difference("words", abi.MAP_FILTER, f"{count} bits in front of entries were clear.", "set again")]
        self._record("reconcile.removed", found, None)
        return found

    def _ports(self) -> list[Difference]:
        """What an interface may take, where somebody else decided that: put right."""
        subject = self._subject
        first = self._compare_ports()
        if not first:
            return []
        time.sleep(LOOK_AGAIN_S)  # an interface that is made anew right now gets its role a moment later
        found = [difference for difference in self._compare_ports() if difference in first]
        if not found:
            return []
        self._record("reconcile.found", found, None)
        try:
            subject.tables.ports(subject.ports())
        except LictlError as error:
            _log.error("ports not put right", error=type(error).__name__, **log.place(error))
            return found
        settled = [difference.settled(_DONE[difference.kind]) for difference in found]
        self._record("reconcile.removed", settled, None)
        return settled

    def _compare_ports(self) -> list[Difference]:
        subject = self._subject
        wanted = {port.ifindex: pack_port(port) for port in subject.ports()}
        return compare_ports(wanted, subject.tables.port_values())

    # ---- programs and folders

    def _programs(self) -> list[Difference]:
        probe = self._subject.probe
        try:
            own = {
                program.id: program.tag
                for program in (programs.program_of(descriptor) for descriptor in _descriptors(probe))
            }
            maps = {programs.map_id(probe.map_fd(name)) for name in _SECRET_MAPS}
            using = [program for program in programs.programs() if program.maps & maps]
        except OSError as error:
            _log.error("programs cannot be listed", error=type(error).__name__)
            return []
        served = {name: programs.attached(index) for index, name in self._subject.served().items()}
        return compare_programs(own, served, using)

    def _folders(self) -> list[Difference]:
        return [*self._spools(), *compare_accounts(self._subject.accounts, self._subject.unknown)]

    def _spools(self) -> list[Difference]:
        subject = self._subject
        first = compare_spools(subject.spool, subject.streams(), subject.knows)
        if not first:
            return []
        time.sleep(LOOK_AGAIN_S)  # a stream that is being opened or removed right now
        again = set(compare_spools(subject.spool, subject.streams(), subject.knows))
        return [difference for difference in first if difference in again]

    # ---- telling

    def _record(self, action: str, differences: list[Difference], evidence: dict[str, Any] | None) -> None:
        subject = self._subject
        if subject.chain is None:
            return
        sealed = None
        if evidence is not None and subject.sealer is not None:
            sealed = seal_evidence(subject.sealer, evidence)
        try:
            after = {"differences": [difference.to_json() for difference in differences]}
            subject.chain.append(action, actor=DAEMON, after=after, sealed=sealed)
        except LictlError as error:
            # What is foreign must not go on taking packets because the disk is full.
            _log.error("difference not recorded", error=type(error).__name__, **log.place(error))

    def _tell(self, found: list[Difference]) -> None:
        """Records what a person has to look at, when it appears and when it is gone; alarms for all of it."""
        open_ = {difference for difference in found if difference.kind not in TABLE_KINDS}
        if new := sorted(open_ - self._told, key=str):
            self._record("reconcile.found", new, None)
        if gone := sorted(self._told - open_, key=str):
            self._record("reconcile.gone", gone, None)
        for difference in found:
            _log.warning("difference", kind=difference.kind, count=difference.count, done=difference.done)
        self._told = open_
        if self._subject.alarm is not None:
            for item in {*found, *self._alarmed}:
                name = "unknown-order" if item.kind.startswith("unknown-") else "foreign"
                self._subject.alarm(item in found, name, f"{item.kind} {item.where}", item.what)
        self._alarmed = set(found)


_DONE: Final = {
    "foreign-slot": "switched off",
    "changed-slot": "restored",
    "missing-slot": "armed again",
    "foreign-entry": "removed",
    "changed-entry": "restored",
    "missing-entry": "restored",
    "words": "restored",
    "foreign-port": "switched off",
    "changed-port": "restored",
    "missing-port": "restored",
}


def _slots(differences: list[Difference]) -> set[int]:
    return {int(item.where.removeprefix("slot ")) for item in differences if item.kind == "missing-slot"}


def _descriptors(probe: Probe) -> list[int]:
    found = []
    for name in _PROGRAMS:
        try:
            found.append(probe.program_fd(name))
        except LictlError:
            continue  # the one for receive times of cards is not loaded everywhere
    return found


def seal_evidence(sealer: Sealer, evidence: dict[str, Any]) -> bytes:
    """Evidence under a key of its own, which the site key wraps and which stands in front of it."""
    key = sealer.new_key()
    wrapped = sealer.wrap(key, CONTEXT)
    return len(wrapped).to_bytes(2, "big") + wrapped + sealer.seal(key, json.dumps(evidence).encode(), CONTEXT)


def open_evidence(sealer: Sealer, sealed: bytes) -> dict[str, Any]:
    """What `seal_evidence` sealed.

    Raises:
        IntegrityError: it was changed, or belongs to another site.
    """
    size = int.from_bytes(sealed[:2], "big")
    key = sealer.unwrap(sealed[2 : 2 + size], CONTEXT)
    evidence: dict[str, Any] = json.loads(sealer.open(key, sealed[2 + size :], CONTEXT))
    return evidence
