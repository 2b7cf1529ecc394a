# SPDX-License-Identifier: Apache-2.0
"""From the blocks of one spool to files that an agency fetches: complete or not there, each exactly once.

A file begins at an OPEN block and ends before the next one, or with END (`lictl.mediation.rotation` says why). It is
written among the unfinished ones, flushed, and described by a manifest; then one small record is written, the commit;
then everything is renamed to where the agency looks, the manifest last. Before the commit nothing of a file counts:
it is made again from the spool, to the same bytes. Behind it, only the renaming is done again. So kill -9 at any point
neither loses a file nor brings back one that the agency has fetched and deleted.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lictl.delivery import manifest
from lictl.delivery.blocks import HEADER_BYTES, BlockKind
from lictl.delivery.manifest import Book, Written
from lictl.delivery.reader import Damaged
from lictl.delivery.shelf import FILE_MODE, safe
from lictl.delivery.slots import SlotFile

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig
    from lictl.delivery.folder import Folder
    from lictl.delivery.reader import Stored
    from lictl.delivery.shelf import Shelf

STATE_FILE = "outbox"
MANIFEST = ".manifest.json"
SIGNATURE = ".manifest.json.sig"
EVENTS = ".events.jsonl"
_SLOT_BYTES = 512
_STATE = struct.Struct("<QQQQQQQ32sB")


class Commit(NamedTuple):
    """The newest file that counts; all zero before the first one.

    Attributes:
        number: of the file, from 1.
        block: the last one in it; `total_records`, `total_lost`, `segment`, `end` as in a cursor behind it.
        sequence: the last packet's number.
        digest: SHA-256 of its manifest.
        ended: the stream is over with it.
        name: of its files without what distinguishes them.
    """

    number: int = 0
    block: int = 0
    total_records: int = 0
    total_lost: int = 0
    segment: int = 0
    end: int = 0
    sequence: int = 0
    digest: bytes = bytes(32)
    ended: int = 0
    name: str = ""


class Outbox:
    """Writes the files of one stream.

    Args:
        shelf: the agency's folders.
        stream: whose blocks it gets; its `seed` signs.
        folder: of the spool; the commits stand there.
        spool_id: of the spool.
    """

    def __init__(self, shelf: Shelf, stream: StreamConfig, folder: Folder, spool_id: str) -> None:
        self._shelf = shelf
        self._stream = stream
        self._spool_id = spool_id
        self._key = Ed25519PrivateKey.from_private_bytes(stream.seed)
        self._finished, self._unfinished = shelf.open(stream)
        self._state = SlotFile(folder, STATE_FILE, b"LIO1", _SLOT_BYTES)
        self._state.reserve()
        self._suffixes = {"content": f".{stream.suffix}", "events": EVENTS, "signature": SIGNATURE,
                          "manifest": MANIFEST}  # fmt: skip
        self._book: Book | None = None
        self._fds: dict[str, int] = {}
        self._written: dict[str, Written] = {}
        self._last = Commit()
        self.committed = self._read()

    # ---- beginning

    def recover(self) -> Commit:
        """Finishes what a commit promises, and removes what none does."""
        self.abandon()
        self.committed = self._read()
        if self.committed.number:
            self._publish(self.committed)
        for name in self._unfinished.names():
            self._unfinished.unlink(name)
        return self.committed

    def _read(self) -> Commit:
        body = self._state.read()
        if body is None or len(body) < _STATE.size:
            return Commit()
        return Commit._make((*_STATE.unpack_from(body), body[_STATE.size :].decode()))

    # ---- writing

    @property
    def unfinished(self) -> int:
        """Bytes of the file in work."""
        return sum(each.size for each in self._written.values())

    @property
    def since_ns(self) -> int:
        """UTC ns of the first packet in the file in work; 0: it has none."""
        return self._book.first_ns if self._book is not None else 0

    @property
    def holds(self) -> bool:
        """A file is in work, and something is in it."""
        return self._book is not None and not self._book.bare

    def take(self, item: Stored | Damaged) -> Commit | None:
        """Writes the next block; returns the commit where it finished a file, which may be the one before it.

        Raises:
            OSError: the disk; `abandon`, then begin again behind the newest commit.
        """
        if isinstance(item, Damaged):
            self._damaged(item)
            return None
        header = item.header
        finished = self.finish() if header.kind == BlockKind.OPEN and self.holds else None
        if self._book is None or header.kind == BlockKind.OPEN:
            self._begin()
        self._add(item)
        return self.finish() if header.kind == BlockKind.END else finished

    def _begin(self) -> None:
        self.abandon()
        self._book = Book(self.committed.sequence)
        for part in ("content", "events"):
            name = self._temporary(part, self.committed.number + 1)
            fd = self._unfinished.open(name, os.O_WRONLY | os.O_CREAT)
            self._fds[part] = fd
            os.ftruncate(fd, 0)
            os.fchmod(fd, FILE_MODE)
            self._written[part] = Written(self._shelf.filing.names)

    def _add(self, item: Stored) -> None:
        header = item.header
        if self._book is None:
            raise AssertionError("a file was begun")
        self._book.add(header)
        payload = memoryview(item.data)[HEADER_BYTES:]
        if header.kind == BlockKind.NOTE:
            self._write("events", payload)
        else:
            self._write("content", payload)
            if header.kind == BlockKind.DATA and header.lost:
                self._write("events", _told_of_loss(self._book.gaps[-1]))
        place = item.place
        self._last = Commit(0, header.block, header.total_records, header.total_lost, place.segment, place.end)

    def _damaged(self, item: Damaged) -> None:
        """The file goes on behind the hole: what was declared before it still holds."""
        if self._book is None:
            self._begin()
        if self._book is None:
            raise AssertionError("a file was begun")
        count = self._book.damaged(item.last_block, item.last_sequence)
        if count:
            self._write("events", _told_of_loss(self._book.gaps[-1]))
        self._last = self._last._replace(block=item.last_block, segment=item.place.segment, end=item.place.end)

    def _write(self, part: str, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            n = os.write(self._fds[part], view)
            self._written[part].add(view[:n])
            view = view[n:]

    # ---- finishing

    def finish(self) -> Commit | None:
        """Makes the file in work the agency's; None where there is none.

        Raises:
            OSError: as `take`.
        """
        book = self._book
        if book is None:
            return None
        number = self.committed.number + 1
        name = f"{safe(self._stream.liid)}-{number:06d}{_stamp(book.ns)}"
        text = self._describe(book, number, name)
        self._put("manifest", number, text)
        self._put("signature", number, self._key.sign(text))
        for fd in self._fds.values():
            os.fsync(fd)
        self._unfinished.sync()
        digest = hashlib.sha256(text).digest()
        commit = self._last._replace(number=number, sequence=book.last, digest=digest, ended=int(book.ended), name=name)
        self._state.write(_STATE.pack(*commit[:-1]) + name.encode(), sync=True)
        self._shelf.added(self.unfinished + len(text))
        self.committed = commit
        self.abandon()
        self._publish(commit)
        return commit

    def _describe(self, book: Book, number: int, name: str) -> bytes:
        stream, before = self._stream, self.committed
        raw = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        files = {}
        for part, written in self._written.items():
            files[part] = {"name": name + self._suffixes[part], "size": written.size, **written.digests()}
        return manifest.to_bytes(
            {
                "number": number,
                "previous": before.digest.hex() if before.number else "",
                "liid": stream.liid,
                "agency": self._shelf.agency,
                "operator": stream.operator,
                "element": stream.element,
                "country": stream.country,
                "stream": stream.name,
                "spool": self._spool_id,
                "format": stream.format,
                "mode": stream.mode,
                **book.to_plain(),
                **files,
                "key": hashlib.sha256(raw).hexdigest(),
            }
        )

    def _put(self, part: str, number: int, data: bytes) -> None:
        fd = self._unfinished.open(self._temporary(part, number), os.O_WRONLY | os.O_CREAT)
        self._fds[part] = fd
        os.ftruncate(fd, 0)
        os.fchmod(fd, FILE_MODE)
        if os.write(fd, data) != len(data):
            raise OSError(28, os.strerror(28))

    def _publish(self, commit: Commit) -> None:
        """Renames what is still among the unfinished; the manifest last: where it is, everything is."""
        for part in ("events", "content", "signature", "manifest"):
            source = self._temporary(part, commit.number)
            if self._unfinished.size(source) >= 0:
                os.rename(source, commit.name + self._suffixes[part], src_dir_fd=self._unfinished.fd,
                          dst_dir_fd=self._finished.fd)  # fmt: skip
        self._finished.sync()

    @staticmethod
    def _temporary(part: str, number: int) -> str:
        return f"{number:06d}.{part}"

    def abandon(self) -> None:
        """Forgets the file in work; what was written of it is removed when the next one begins."""
        fds, self._fds, self._written, self._book = self._fds, {}, {}, None
        for fd in fds.values():
            os.close(fd)

    def close(self) -> None:
        """Closes everything."""
        self.abandon()
        self._state.close()
        self._finished.close()
        self._unfinished.close()


def _stamp(ns: int) -> str:
    if not ns:
        return ""
    return f"{dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.UTC):-%Y%m%dT%H%M%SZ}"


def _told_of_loss(gap: manifest.Gap) -> bytes:
    told = gap.to_plain()
    return json.dumps({"event": "loss", "time": told["to"], **told}, separators=(",", ":")).encode() + b"\n"
