# SPDX-License-Identifier: Apache-2.0
"""The verdict on what was received: complete, intact, explained; or not."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import msgpack

from lictl.collection.books import Books
from lictl.collection.show import when
from lictl.portable import CLOSE_ON_EXEC, NO_FOLLOW
from lictl.times import format_rfc3339, now_ns

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from lictl.collection.evidence import Evidence
    from lictl.collection.store import StreamFile

VERDICT_FILE = "verdict.json"


@dataclass(frozen=True, slots=True)
class StreamVerdict:
    """One stream.

    Attributes:
        ok: every packet number is delivered or explained.
        file: name of the file in the receiver's folder.
        records: packets delivered.
        lost, skipped, damaged: packet numbers explained by the sender: lost at their place; never given out after a
            restart; unreadable in the sender's spool.
        missing: packet numbers that nothing explains, in `gaps` places.
        backwards, inconsistent: blocks that contradict what came before them.
        duplicates: blocks that came again and were dropped.
        bytes: of the file.
        first, last: RFC 3339 time of the first and the last packet, empty for none.
        sha256: of the file, hex.
    """

    ok: bool
    liid: str
    stream: str
    format: str
    mode: str
    operator: str
    element: str
    file: str
    ended: bool
    records: int
    lost: int
    skipped: int
    damaged: int
    missing: int
    gaps: int
    backwards: int
    inconsistent: int
    duplicates: int
    bytes: int
    first: str
    last: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """One file: its name in the receiver's folder, its octets, their SHA-256 in hex."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class EvidenceVerdict:
    """What came in a format made of PDUs, of one LIID.

    Attributes:
        ok: complete, readable and consistent, and no integrity check failed.
        liid: LIID, case id or XID; made from the port's number where the format names none.
        pdus: kept; `content` and `iri` of them packets, and header reports or events (`events` of these).
        lost: packets that the sender declared lost.
        missing: numbers that neither came nor are explained, in `gaps` places.
        duplicates: PDUs that came again and were dropped.
        conflicts: PDUs that came with a number that is taken and other octets; kept.
        unreadable: PDUs that cannot be decoded; kept.
        sealed: PDUs whose payload stayed closed, kept as they came: their numbers are not judged.
        unopened: of these, those that none of the payload keys given opens.
        digests, signatures: integrity checks by outcome: "good"; "bad"; "open": what they cover is not here, or no
            key was given.
        ended: the sender told of the interception's end.
        first, last: RFC 3339, empty for none.
        files: the PDUs as they came, and what was made of them.
    """

    ok: bool
    liid: str
    format: str
    pdus: int
    content: int
    iri: int
    events: int
    lost: int
    missing: int
    gaps: int
    duplicates: int
    conflicts: int
    unreadable: int
    sealed: int
    unopened: int
    digests: dict[str, int]
    signatures: dict[str, int]
    ended: bool
    first: str
    last: str
    files: tuple[FileVerdict, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """All streams.

    Attributes:
        ok: every stream is.
        time: RFC 3339 time of the verdict.
        streams: one entry a file of the delivery protocol.
        evidence: one entry an LIID and format made of PDUs.
        refused: how often connections were dropped, by reason.
    """

    ok: bool
    time: str
    streams: tuple[StreamVerdict, ...]
    evidence: tuple[EvidenceVerdict, ...]
    refused: dict[str, int]

    def to_plain(self) -> dict[str, Any]:
        """A dict for JSON."""
        return asdict(self)

    def write(self, folder: Path) -> Path:
        """Writes ``verdict.json`` into a folder, whole or not at all."""
        path = folder / VERDICT_FILE
        fresh = folder / f".{VERDICT_FILE}.new"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | CLOSE_ON_EXEC | NO_FOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(self.to_plain(), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path


def judge_stream(file: StreamFile, lock: threading.Lock) -> StreamVerdict:
    """The verdict on one stream; reads its whole file for the digest. `lock` guards its books."""
    with lock:
        account = replace(file.account)
    return StreamVerdict(
        ok=account.ok,
        liid=account.liid,
        stream=account.stream,
        format=account.format,
        mode=account.mode,
        operator=account.operator,
        element=account.element,
        file=file.name,
        ended=account.ended,
        records=account.records,
        lost=account.lost,
        skipped=account.skipped,
        damaged=account.damaged,
        missing=account.missing,
        gaps=account.gaps,
        backwards=account.backwards,
        inconsistent=account.inconsistent,
        duplicates=account.duplicates,
        bytes=account.size,
        first=format_rfc3339(account.first_ns) if account.first_ns else "",
        last=format_rfc3339(account.last_ns) if account.last_ns else "",
        sha256=file.sha256(account.size),
    )


def judge_evidence(file: Evidence, lock: threading.Lock) -> EvidenceVerdict:
    """The verdict on one LIID's PDUs; reads its files for their digests."""
    with lock:
        file.flush()
        books = Books.from_plain(msgpack.unpackb(file.snapshot()[1]))
    sizes = {part: size for part, size in books.sizes.items() if size}
    return EvidenceVerdict(
        ok=books.ok,
        liid=books.liid,
        format=books.format,
        pdus=books.pdus,
        content=books.cc,
        iri=books.iri,
        events=books.events,
        lost=books.lost,
        missing=books.missing,
        gaps=books.gaps,
        duplicates=books.duplicates,
        conflicts=books.conflicts,
        unreadable=books.unreadable,
        sealed=books.sealed,
        unopened=books.unopened,
        digests=dict(books.digests),
        signatures=dict(books.signatures),
        ended=books.ended,
        first=when(books.first_ns) if books.first_ns else "",
        last=when(books.last_ns) if books.last_ns else "",
        files=tuple(FileVerdict(file.name + part, size, file.sha256(part, size)) for part, size in sizes.items()),
    )


def judge(files: list[StreamFile], evidence: list[Evidence], refused: dict[str, int], lock: threading.Lock) -> Verdict:
    """The verdict on all streams."""
    streams = tuple(judge_stream(file, lock) for file in files)
    received = tuple(judge_evidence(file, lock) for file in evidence)
    ok = all(stream.ok for stream in streams) and all(file.ok for file in received)
    return Verdict(ok, format_rfc3339(now_ns()), streams, received, dict(refused))
