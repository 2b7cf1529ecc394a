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


class EvidenceStore:
    """Finds the evidence that a PDU belongs to, and books it there.

    Args:
        folder: of the receiver; it is there.
        max_streams: most LIIDs and formats.
        verifier: of integrity PDUs.

    Attributes:
        files: by name.
        tests: test PDUs that came; they deliver nothing and are not kept.
    """

    def __init__(self, folder: Path, max_streams: int, verifier: Verifier | None = None) -> None:
        self._folder = Folder(folder)
        self._max = max_streams
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
        return evidence

    def take(self, format_: PduFormat, raw: bytes, port: int) -> tuple[Pdu | None, Evidence | None]:
        """Books one PDU.

        Returns:
            The PDU, None where it cannot be decoded; and where it was booked, None where it belongs to the
            connection and not to a warrant.

        Raises:
            DecodeError: it names an impossible LIID, or there are too many.
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
            return found
        if len(liid.encode(errors="replace")) > _LIID_LIMIT:
            raise DecodeError(f"an LIID of more than {_LIID_LIMIT} octets")
        if len(self.files) >= self._max:
            raise DecodeError(f"there are {self._max} streams already")
        return self._put(Evidence(self._folder, self._name(*key), Books(*key)))

    def _name(self, liid: str, format_: str) -> str:
        """A file name that no other evidence has, also where capital letters make no difference."""
        text = clean_name(liid.encode(errors="replace").decode())
        text = "%2E" + text[1:] if text.startswith(".") else text
        taken = {name.casefold() for name in self.files}
        name, number = f"{text[:_LIID_LIMIT]}.{format_}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{text[:_LIID_LIMIT]}.{number}.{format_}"
        return name

    def close(self) -> None:
        """Closes every file."""
        for evidence in self.files.values():
            evidence.close()
        self._folder.close()
