# SPDX-License-Identifier: Apache-2.0
"""The books of one warrant's PDUs: what came, what came again, what is missing, what was verified."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from lictl.collection.numbers import Numbering

if TYPE_CHECKING:
    from lictl.handover.decoded import Loss
    from lictl.handover.pdu import Pdu, Totals

MAX_NUMBERINGS = 256
"""Numberings (sessions) of one warrant whose holes are remembered; older ones are summed up."""
_ENDS = frozenset({"end", "surveillanceDeActivation"})
MARK_PDUS = 1024
MARK_OCTETS = 4 << 20
"""So much of the newest evidence is read again after a restart, at least."""
_STREAM_LIMIT = 64
_OCTETS_OWN, _OCTETS_NUMBERING, _OCTETS_RANGE, _OCTETS_TOLD = 2048, 768, 160, 512
"""Of memory, at most: what CPython 3.11 takes for the objects, the longest name of a stream in them."""
_MOST = (1 << 63) - 1
"""What a sender says may not be more than the state file can hold."""
_COMPLETE = frozenset({"cc", "iri"})
"""Kinds whose numbers have to be there one and all; messages of the delivery share theirs with a connection's."""
Key = tuple[str, str]


@dataclass(slots=True)
class Books:
    """What one LIID's file in one format holds.

    Attributes:
        liid: that its PDUs name.
        format: of the PDUs.
        sizes: octets of each file, by suffix; "" for the PDUs themselves.
        links: link types of the pcapng's interfaces.
        pdus: kept; `cc` and `iri` of them content and header reports or events.
        events: PDUs that tell of an event.
        duplicates: came again and were dropped.
        conflicts: came with a number that is taken and other octets; kept.
        lost: packets that the sender declared lost.
        unreadable: framed well, not to be decoded; kept.
        sealed: of `pdus`, those whose payload stayed closed: their numbers are not judged.
        unopened: of these, those that none of the keys given opens.
        digests, signatures: integrity checks by outcome: "good", "bad", "open" (what they cover, or the key, is not
            here).
        first_ns, last_ns: UTC ns of the first and the last time in them, 0 for none.
        ended: the sender told of the interception's end.
        retired: [missing, gaps, duplicates, conflicts] of numberings that are not remembered any more.
    """

    liid: str
    format: str
    sizes: dict[str, int] = field(default_factory=dict)
    links: list[int] = field(default_factory=list)
    pdus: int = 0
    cc: int = 0
    iri: int = 0
    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    lost: int = 0
    unreadable: int = 0
    sealed: int = 0
    unopened: int = 0
    digests: dict[str, int] = field(default_factory=dict)
    signatures: dict[str, int] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    ended: bool = False
    retired: list[int] = field(default_factory=lambda: [0, 0])
    numberings: dict[Key, Numbering] = field(default_factory=dict)
    marks: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Two offsets in the file of the PDUs, and how many PDUs lie behind the second one: behind the first lie MARK_PDUS
    or MARK_OCTETS at least, or all."""
    told: list[tuple[str, int, int]] = field(default_factory=list)
    """Losses that were told before anything of their numbering came: stream, first and last number."""

    def numbering(self, key: Key) -> Numbering:
        """The numbering of a kind and stream, the newest at the end."""
        key = (key[0], key[1][:_STREAM_LIMIT])
        found = self.numberings.pop(key, None)
        if found is None:
            found = Numbering()
            if len(self.numberings) >= MAX_NUMBERINGS:
                old = next(iter(self.numberings))
                oldest = self.numberings.pop(old)
                if old[0] in _COMPLETE:
                    self.retired = [self.retired[0] + oldest.missing, self.retired[1] + oldest.gaps]
            self._apply_told(key, found)
        self.numberings[key] = found
        return found

    def known(self, key: Key) -> Numbering | None:
        """The same, None where there is none."""
        return self.numberings.get((key[0], key[1][:_STREAM_LIMIT]))

    def _apply_told(self, key: Key, numbering: Numbering) -> None:
        if key[0] not in _COMPLETE:
            return
        for stream, first, last in self.told:
            if stream == key[1]:  # both cut to the same length
                numbering.explained += numbering.add(first, last)
        self.told = [told for told in self.told if told[0] != key[1]]

    def take(self, pdu: Pdu) -> None:
        """Counts a PDU that is kept."""
        self.pdus += 1
        self.mark()
        self.cc += pdu.kind == "cc"
        self.iri += pdu.kind == "iri"
        self.sealed += pdu.kind == "sealed"
        self.events += bool(pdu.event)
        self.ended = pdu.event in _ENDS if pdu.event else self.ended
        if pdu.record is not None and pdu.kind in _COMPLETE:
            numbering = self.known((pdu.kind, pdu.stream))
            if numbering is not None:
                numbering.packets = True
        if pdu.loss is not None:
            self._explain(pdu.stream, pdu.loss)
        if pdu.totals is not None:
            self._settle(pdu.stream, pdu.totals)
        if pdu.utc_ns and pdu.kind in ("cc", "iri"):
            self.first_ns = min(self.first_ns or pdu.utc_ns, pdu.utc_ns)
            self.last_ns = max(self.last_ns, pdu.utc_ns)

    def mark(self) -> None:
        """Moves the marks on behind a PDU that is kept, whether it was read or not."""
        size = self.sizes.get("", 0)
        self.marks[2] += 1
        if self.marks[2] >= MARK_PDUS or size - self.marks[1] >= MARK_OCTETS:
            self.marks = [self.marks[1], size, 0]

    def _explain(self, stream: str, loss: Loss) -> None:
        """A loss that the sender tells is one of content where there is content, else of header reports."""
        self.lost = min(self.lost + loss.lost, _MOST)
        lost = min(loss.lost, 1 << 32)  # more than the formats' numbers can name
        if lost <= 0:
            return
        for kind in ("cc", "iri"):
            numbering = self.known((kind, stream))
            if numbering is not None and loss.within:
                first = numbering.place(loss.first_sequence)
                numbering.explain(loss.lost, first, first + (loss.within - loss.first_sequence) % (1 << 32))
                return
            if numbering is not None:
                first = numbering.place(loss.first_sequence)
                numbering.explained += numbering.add(first, first + lost - 1)
                return
        if len(self.told) < MAX_NUMBERINGS and not loss.within:
            self.told.append((stream[:_STREAM_LIMIT], loss.first_sequence, loss.first_sequence + lost - 1))

    def _settle(self, stream: str, totals: Totals) -> None:
        """Losses that the sender counts only; a numbering of summaries has nothing to do with them."""
        for kind in ("cc", "iri"):
            numbering = self.known((kind, stream))
            if numbering is not None and numbering.packets:
                self.lost = min(self.lost + numbering.settle(totals), _MOST)
                return

    @property
    def missing(self) -> int:
        """Numbers of content and IRI that neither came nor are explained."""
        return self.retired[0] + sum(n.missing for key, n in self.numberings.items() if key[0] in _COMPLETE)

    @property
    def gaps(self) -> int:
        """Places where they are missing."""
        return self.retired[1] + sum(n.gaps for key, n in self.numberings.items() if key[0] in _COMPLETE)

    @property
    def memory(self) -> int:
        """Octets that these books take of this process, at most."""
        ranges = sum(len(numbering.ranges) for numbering in self.numberings.values())
        numberings = len(self.numberings) * _OCTETS_NUMBERING + ranges * _OCTETS_RANGE
        return _OCTETS_OWN + numberings + len(self.told) * _OCTETS_TOLD

    @property
    def ok(self) -> bool:
        """Complete, readable, consistent, and no check failed."""
        failed = self.digests.get("bad", 0) + self.signatures.get("bad", 0)
        return not (self.missing or self.conflicts or self.unreadable or self.unopened or failed)

    def to_plain(self) -> dict[str, Any]:
        """For the state file."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["numberings"] = [[*key, numbering.to_plain()] for key, numbering in self.numberings.items()]
        return plain

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Books:
        """The reverse; a field that is not known is ignored."""
        known = {field.name: plain[field.name] for field in fields(cls) if field.name in plain}
        known["numberings"] = {
            (kind, stream): Numbering.from_plain(numbering) for kind, stream, numbering in plain["numberings"]
        }
        return cls(**known)
