# SPDX-License-Identifier: Apache-2.0
"""The evidence of all warrants in a receiver's folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lictl.collection.books import Books
from lictl.collection.evidence import STATE_SUFFIX, Evidence, sane
from lictl.collection.integrity import Verifier
from lictl.collection.store import clean_name
from lictl.delivery.folder import Folder
from lictl.handover.decode_etsi import WrongKeyError
from lictl.handover.decoded import DecodeError

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.handover.pdu import Pdu, PduFormat

_LIID_LIMIT = 160
_SESSION = frozenset({"keepalive", "keepalive-response", "acknowledgement"})
_OPTIONS = frozenset({"optionRequest", "optionResponse", "optionComplete", "paddingPDU"})
"""Messages of TS 102 232-1 that belong to a connection, too; they are numbered with it."""


class NoRoomError(DecodeError):
    """A PDU that would be booked if there were room; `reason` is a class of reasons, fit to be counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class EvidenceStore:
    """Finds the evidence that a PDU belongs to, and books it there.

    Of the memory for books one half is shared out evenly, so that no sender's books can grow into those of others: each
    LIID has its share whatever comes. More than that it gets while the whole takes less than the other half.

    Args:
        folder: of the receiver; it is there.
        max_streams: most LIIDs and formats.
        verifier: of integrity PDUs.
        books: octets of memory for the books of all together, beside what one read of a socket adds.

    Attributes:
        files: by name.
        memory: octets that the books take, when they were flushed last.
        tests: test PDUs that came; they deliver nothing and are not kept.
    """

    def __init__(self, folder: Path, max_streams: int, verifier: Verifier | None = None, books: int = 1 << 30) -> None:
        self._folder = Folder(folder)
        self._max = max_streams
        self._plenty = books // 2
        self._share = books // 2 // max_streams
        self.memory = 0
        self._weights: dict[str, int] = {}
        self._taken_names: set[str] = set()
        self._verifier = verifier or Verifier()
        self._by_key: dict[tuple[str, str], Evidence] = {}
        self.files: dict[str, Evidence] = {}
        self.tests = 0
        for state in sorted(self._folder.names()):
            if state.startswith(".") and state.endswith(STATE_SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    self._put(Evidence(self._folder, state[1 : -len(STATE_SUFFIX)], None))

    def _put(self, evidence: Evidence) -> Evidence:
        self.files[evidence.name] = evidence
        self._by_key[evidence.books.liid, evidence.books.format] = evidence
        self._taken_names.add(evidence.name.casefold())
        self._weigh(evidence)
        return evidence

    def _weigh(self, evidence: Evidence) -> int:
        weight = evidence.memory
        self.memory += weight - self._weights.get(evidence.name, 0)
        self._weights[evidence.name] = weight
        return weight

    def flush(self, evidence: Evidence) -> None:
        """Writes what was taken, and weighs its books. Raises OSError: of the disk."""
        try:
            evidence.flush()
        finally:
            self._weigh(evidence)

    def take(self, format_: PduFormat, raw: bytes, port: int) -> tuple[Pdu | None, Evidence | None]:
        """Books one PDU.

        Returns:
            The PDU, None where it cannot be decoded; and where it was booked, None where it belongs to the
            connection and not to a warrant.

        Raises:
            DecodeError: it names an impossible LIID.
            NoRoomError: there are too many LIIDs, or its books have more than their share and memory is scarce.
            OSError: of the disk.
        """
        unopened = False
        try:
            try:
                pdu = sane(format_.decode(raw))
            except WrongKeyError as error:
                pdu, unopened = sane(error.closed), True
        except DecodeError:
            evidence = self._of("", format_.name, port)
            evidence.keep_unreadable(raw)
            return None, evidence
        if pdu.kind in _SESSION or pdu.message in _OPTIONS:
            return pdu, None
        if pdu.kind == "test":
            self.tests += 1
            return pdu, None
        evidence = self._of(pdu.liid, format_.name, port)
        if evidence.take(pdu):
            evidence.books.unopened += unopened
            self._verifier.verify(evidence, pdu, format_)
        return pdu, evidence

    def _of(self, liid: str, format_: str, port: int) -> Evidence:
        key = (liid or f"unnamed-port-{port}", format_)
        found = self._by_key.get(key)
        if found is not None:
            # Weighed with every PDU while memory is scarce: what a read brings may be more than a share.
            if self.memory > self._plenty and self._weigh(found) > self._share:
                detail = f"the books of an LIID take more than {self._share} octets while those of all are full"
                raise NoRoomError("books are full", detail)
            return found
        if len(liid.encode(errors="replace")) > _LIID_LIMIT:
            raise DecodeError(f"an LIID of more than {_LIID_LIMIT} octets")
        if len(self.files) >= self._max:
            raise NoRoomError("too many streams", f"there are {self._max} streams already")
        return self._put(Evidence(self._folder, self._name(*key), Books(*key)))

    def _name(self, liid: str, format_: str) -> str:
        """A file name that no other evidence has, also where capital letters make no difference."""
        text = clean_name(liid.encode(errors="replace").decode())
        text = "%2E" + text[1:] if text.startswith(".") else text
        name, number = f"{text[:_LIID_LIMIT]}.{format_}", 1
        while name.casefold() in self._taken_names:
            number += 1
            name = f"{text[:_LIID_LIMIT]}.{number}.{format_}"
        return name

    def close(self) -> None:
        """Closes every file."""
        for evidence in self.files.values():
            evidence.close()
        self._folder.close()
