# SPDX-License-Identifier: Apache-2.0
"""One warrant's PDUs as they came, what is made of them, and the books: all of it survives kill -9.

Each PDU is kept once, octet for octet, in the order of its arrival; PDUs that come again are recognised and counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgpack

from lictl.collection import derived
from lictl.collection.books import Books
from lictl.collection.framed import framed
from lictl.collection.numbers import Recent, Seen
from lictl.delivery.slots import SlotFile
from lictl.errors import IntegrityError
from lictl.handover.decoded import DecodeError
from lictl.portable import pread, pwrite, sync_data

if TYPE_CHECKING:
    from lictl.delivery.folder import Folder
    from lictl.handover.pdu import Pdu, PduFormat

STATE_SUFFIX = ".evidence"
_SLOT_BYTES = 1 << 18
_MOST = 1 << 63
_OCTETS_OWN = 4096
"""Of memory: an Evidence without its books and the digests in `Seen`, at most."""
_MOST_RECENT = 1024
"""Numberings, of all evidence together, whose newest PDUs are remembered: at most 28 * 4096 octets each."""
PARTS = ("", ".pcapng", ".csv", ".jsonl")
Key = tuple[str, str]

_recents: OrderedDict[tuple[int, Key], Recent] = OrderedDict()


class Evidence:
    """Files and books of one LIID in one format.

    Attributes:
        name: of the file with the PDUs, in the receiver's folder.
        books: what they hold, as far as it was taken.
        durable: octets of PDUs that a crash cannot take away.
    """

    def __init__(self, folder: Folder, name: str, books: Books | None) -> None:
        """Opens what is there, cut to what the state says; `books` begins new ones.

        Raises:
            IntegrityError: its state is damaged.
            FileNotFoundError: nothing of it was ever committed.
        """
        self.name = name
        self._folder = folder
        self._state = SlotFile(folder, f".{name}{STATE_SUFFIX}", b"LIE1", _SLOT_BYTES)
        body = self._state.read()
        if body is not None:
            books = Books.from_plain(msgpack.unpackb(body))
        elif os.fstat(self._state.fd).st_size:
            self._state.close()
            raise IntegrityError(f"The state of {name} is damaged.", "Move its files away; the sender resends.")
        elif books is None:
            self._state.close()
            raise FileNotFoundError(name)
        self.books = books
        self.durable = books.sizes.get("", 0)
        self._files: dict[str, int] = {}
        self._pending: dict[str, list[bytes]] = {part: [] for part in PARTS}
        self._seen = Seen()
        self._forgot = True
        self._cut()

    def _cut(self) -> None:
        for part, size in self.books.sizes.items():
            os.ftruncate(self._file(part), size)

    def _file(self, part: str) -> int:
        if part not in self._files:
            self._files[part] = self._folder.open(self.name + part, os.O_RDWR | os.O_CREAT)
        return self._files[part]

    # ---- taking

    def take(self, pdu: Pdu) -> bool:
        """Books a PDU; False for one that is here already. `flush` writes it."""
        books = self.books
        if pdu.sequence is None:
            if pdu.kind != "cc" and self._seen.again(pdu.raw):
                books.duplicates += 1
                return False
        elif not (self._closed if pdu.kind == "sealed" else self._numbered)(pdu, pdu.sequence):
            return False
        self._keep("", framed(books.format, pdu.raw))
        books.take(pdu)
        record = pdu.record
        if record is not None and record.data is not None and pdu.kind == "cc":
            self._content(pdu)
            return True
        if record is not None:
            if not books.sizes.get(".csv"):
                self._keep(".csv", derived.csv_head())
            self._keep(".csv", derived.csv_row(pdu, record))
        if pdu.kind in ("iri", "other") or pdu.event or pdu.loss is not None:
            self._keep(".jsonl", derived.json_line(pdu))
        return True

    def keep_unreadable(self, raw: bytes) -> None:
        """Keeps a PDU that cannot be decoded."""
        self._keep("", framed(self.books.format, raw))
        self.books.unreadable += 1
        self.books.mark()

    @property
    def memory(self) -> int:
        """Octets of this process's memory, at most, without those of PDUs that `recent` remembers."""
        return _OCTETS_OWN + self.books.memory + self._seen.memory

    @property
    def size(self) -> int:
        """Octets of PDUs that were taken."""
        return self.books.sizes.get("", 0)

    def _numbered(self, pdu: Pdu, sequence: int) -> bool:
        key = (pdu.kind, pdu.stream)
        numbering = self.books.numbering(key)
        number = numbering.place(sequence)
        recent = self.recent(key)
        if numbering.has(number):
            if recent.differs(number, pdu.raw):
                numbering.conflicts += 1
                self.books.conflicts += 1
                return True
            numbering.duplicates += 1
            self.books.duplicates += 1
            return False
        if not numbering.add(number, number):
            numbering.late += 1
        recent.add(number, pdu.raw, self.books.sizes.get("", 0))
        return True

    def _closed(self, pdu: Pdu, sequence: int) -> bool:
        """A sealed PDU is content or IRI, and nobody can tell: a number may come twice. Only what is known goes."""
        for half in ("sealed", "sealed too"):
            key = (half, pdu.stream)
            numbering, recent = self.books.numbering(key), self.recent(key)
            number = numbering.place(sequence)
            if not numbering.has(number):
                numbering.add(number, number)
                recent.add(number, pdu.raw, self.books.sizes.get("", 0))
                return True
            if recent.same(number, pdu.raw):
                numbering.duplicates += 1
                self.books.duplicates += 1
                return False
        return True

    def recent(self, key: Key) -> Recent:
        """The newest PDUs of a numbering; those of the numberings used last are remembered."""
        place = (id(self), key)
        if place not in _recents:
            _recents[place] = Recent()
            if len(_recents) > _MOST_RECENT:
                _recents.popitem(last=False)
        _recents.move_to_end(place)
        return _recents[place]

    def recall(self, format_: PduFormat) -> bool:
        """Finds the newest PDUs again that a restart forgot, once; False where there is nothing to find."""
        if not self._forgot:
            return False
        self._forgot = False
        for place in [place for place in _recents if place[0] == id(self)]:
            del _recents[place]
        begin = self.books.marks[0]
        data = memoryview(self.read(begin, self.size - begin))
        at = 0
        while at < len(data) and 0 < (size := format_.length(data[at:])) <= len(data) - at:
            raw = bytes(data[at : at + size])
            with contextlib.suppress(DecodeError):
                self._remember(sane(format_.decode(raw)), begin + at)
            at += size
        return True

    def _remember(self, pdu: Pdu, offset: int) -> None:
        if pdu.sequence is None:
            return
        for kind in ("sealed", "sealed too") if pdu.kind == "sealed" else (pdu.kind,):
            key = (kind, pdu.stream)
            numbering = self.books.known(key)
            if numbering is None:  # it was summed up
                return
            number, recent = numbering.place(pdu.sequence), self.recent(key)
            if recent.place(number) is None:
                recent.add(number, pdu.raw, offset)
                return

    def _content(self, pdu: Pdu) -> None:
        record = pdu.record
        if record is None:
            return
        books = self.books
        if not books.sizes.get(".pcapng"):
            self._keep(".pcapng", derived.pcapng_section(books.liid or "-"))
        link = derived.link_of(record)
        if link not in books.links:
            self._keep(".pcapng", derived.pcapng_interface(link))
            books.links.append(link)
        self._keep(".pcapng", derived.pcapng_packet(pdu, record, books.links.index(link)))

    def _keep(self, part: str, data: bytes) -> None:
        self._pending[part].append(data)
        self.books.sizes[part] = self.books.sizes.get(part, 0) + len(data)

    def flush(self) -> None:
        """Writes what was taken; on OSError the books go back to the last commit."""
        try:
            for part, pieces in self._pending.items():
                if pieces:
                    data = memoryview(b"".join(pieces))
                    at = self.books.sizes[part] - len(data)
                    fd = self._file(part)
                    while data:
                        done = pwrite(fd, data, at)
                        data, at = data[done:], at + done
                    pieces.clear()
        except OSError:
            self.roll_back()
            raise

    # ---- reading back

    def read(self, offset: int, length: int) -> bytes:
        """Octets of the file with the PDUs, as they were taken."""
        self.flush()
        return pread(self._file(""), length, offset)

    def sha256(self, part: str, size: int) -> str:
        """Digest of one file's first `size` octets, hex."""
        sum_, left, offset = hashlib.sha256(), size, 0
        while left > 0 and (data := pread(self._file(part), min(left, 1 << 20), offset)):
            sum_.update(data)
            left -= len(data)
            offset += len(data)
        return sum_.hexdigest()

    # ---- committing

    def snapshot(self) -> tuple[int, bytes]:
        """The size reached and the books as they stand now, for `commit`."""
        return self.books.sizes.get("", 0), msgpack.packb(self.books.to_plain())

    def commit(self, snapshot: tuple[int, bytes], *, durable: bool) -> None:
        """Makes everything up to a snapshot survive a crash: first the data, then the state that counts them."""
        size, body = snapshot
        if durable:
            for fd in list(self._files.values()):
                sync_data(fd)
        self._state.write(body, sync=durable)
        self.durable = size

    def roll_back(self) -> None:
        """Returns to the last commit, after the disk failed."""
        for pieces in self._pending.values():
            pieces.clear()
        body = self._state.read()
        before = self.books
        self.books = Books.from_plain(msgpack.unpackb(body)) if body is not None else Books(before.liid, before.format)
        for place in [place for place in _recents if place[0] == id(self)]:
            del _recents[place]
        self._seen = Seen()
        self._forgot = True
        with contextlib.suppress(OSError):
            for part, fd in self._files.items():
                os.ftruncate(fd, self.books.sizes.get(part, 0))

    def close(self) -> None:
        """Closes every file."""
        self._state.close()
        for place in [place for place in _recents if place[0] == id(self)]:
            del _recents[place]
        for fd in self._files.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self._files.clear()


def sane(pdu: Pdu) -> Pdu:
    """The PDU, if its numbers are such as the books can hold; BER can write others. Raises DecodeError."""
    numbers = [pdu.sequence or 0, pdu.utc_ns or 0]
    if pdu.loss is not None:
        numbers += [pdu.loss.lost, pdu.loss.first_sequence]
    if pdu.check is not None:
        numbers += pdu.check.numbers
    if not all(0 <= number < _MOST for number in numbers):
        raise DecodeError("a number is negative or out of all proportion")
    return pdu
