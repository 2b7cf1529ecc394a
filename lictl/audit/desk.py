# SPDX-License-Identifier: Apache-2.0
"""What the daemon offers about the chain: verified, shown, copied. Who may ask is judged by the control socket.

Whoever reads stands in the chain with what was read, before the answer goes out.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from lictl.audit.anchor import Head, code, parse_code
from lictl.audit.export import manifest_of
from lictl.audit.read import Query, entries, latest
from lictl.audit.verify import Verdict, verify
from lictl.errors import LictlError, UnavailableError, UsageError
from lictl.times import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.audit.anchor import Anchor
    from lictl.audit.chain import Chain
    from lictl.people.actor import Actor

MOST_ENTRIES: Final = 2000
"""In one answer."""
CHUNK: Final = 1 << 20
"""Bytes of a file in one answer."""


class AuditDesk:
    """Answers about one chain.

    Args:
        chain: open.
        anchor: of the chain.
        reconcile: compares the kernel with the orders now; None where no daemon runs.
    """

    def __init__(
        self,
        chain: Chain,
        anchor: Anchor | None,
        reconcile: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self._chain = chain
        self._anchor = anchor
        self._reconcile = reconcile
        self._job: _Job | None = None
        self._lock = threading.Lock()

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {
            "audit.verify": self.verify,
            "audit.show": self.show,
            "audit.export": self.export,
            "audit.head": self.head,
            "audit.reconcile": self.reconcile,
        }

    def verify(self, actor: Actor, start: bool = True, thorough: bool = False, head: str = "") -> dict[str, Any]:
        """Begins a verification (`start`), or tells how far the one that runs has come.

        Returns:
            entries and bytes so far, bytes in all, and `verdict` (`Verdict.to_json`), None until it is done.
        """
        heads = [parse_code(head)] if head else []
        with self._lock:
            if start and (self._job is None or self._job.done):
                self._chain.append("read.audit", actor=actor.to_json(), after={"what": "verify"})
                self._job = _Job(self._chain, self._anchor, heads, thorough)
            if self._job is None:
                raise UsageError("no verification was started.", "Start one: lictl audit verify")
            return self._job.state()

    def show(self, actor: Actor, count: int = 50, first: int = 0, **conditions: Any) -> list[dict[str, Any]]:
        """Entries as JSON: the latest `count`, or from number `first` on; see `query_of` for the conditions."""
        if not (isinstance(count, int) and isinstance(first, int) and 0 < count <= MOST_ENTRIES):
            raise UsageError(f"an answer has 1 to {MOST_ENTRIES} entries.", "Ask for the rest with --from.")
        query = query_of(first, **conditions)
        asked = {name: value for name, value in conditions.items() if value is not None}
        self._chain.append("read.audit", actor=actor.to_json(), after={"what": "show", "asked": asked, "from": first})
        if not first:
            return [entry.to_json() for entry in latest(self._chain.folder, count, query)]
        found = []
        for entry in entries(self._chain.folder, query):
            found.append(entry.to_json())
            if len(found) == count:
                break
        return found

    def export(self, actor: Actor, file: str = "", offset: int = 0) -> dict[str, Any]:
        """The parts of a bundle: without `file` its manifest, signature, key and files; with it a chunk of one."""
        if not file:
            self._chain.flush()
            self._chain.append("read.audit", actor=actor.to_json(), after={"what": "export"})
            signer = self._chain.signer
            manifest, signature, lengths = manifest_of(self._chain.folder, signer)
            listed = [list(item) for item in lengths]
            return {"manifest": manifest, "signature": signature, "key": signer.public_key, "files": listed}
        path = next((path for path in self._chain.folder.glob("*.jsonl") if path.name == file), None)
        if path is None or not isinstance(offset, int) or offset < 0:
            raise UsageError("the chain has no such file.", "Ask for the list first.")
        with path.open("rb") as content:
            content.seek(offset)
            return {"data": content.read(CHUNK)}

    def head(self, actor: Actor) -> dict[str, Any]:
        """The last entry, and its code for paper."""
        return head_json(self._chain.head, self._chain.public_key, self._chain.anchor_error)

    def reconcile(self, actor: Actor) -> dict[str, Any]:
        """Compares now; see `lictl.audit.reconcile`."""
        if self._reconcile is None:
            raise UnavailableError("there is nothing to compare with without a daemon.", "Start it with `lictl serve`.")
        self._chain.append("read.audit", actor=actor.to_json(), after={"what": "reconcile"})
        return self._reconcile()


class _Job:
    """One verification in a thread; the work itself is done by processes of their own."""

    def __init__(self, chain: Chain, anchor: Anchor | None, heads: list[Head], thorough: bool) -> None:
        self._progress = (0, 0, 1)
        self._verdict: Verdict | None = None
        self._failure: LictlError | None = None
        self._thread = threading.Thread(
            target=self._run, args=(chain, anchor, heads, thorough), name="audit-verify", daemon=True
        )
        self._thread.start()

    def _run(self, chain: Chain, anchor: Anchor | None, heads: list[Head], thorough: bool) -> None:
        try:
            self._verdict = verify(chain.folder, chain.public_key, anchor, self._note, heads=heads, thorough=thorough)
        except LictlError as error:
            self._failure = error
        except Exception as error:
            self._failure = LictlError(f"the verification did not come to an end ({type(error).__name__}).")

    def _note(self, *step: int) -> None:
        self._progress = (step[0], step[1], step[2])

    @property
    def done(self) -> bool:
        return self._verdict is not None or self._failure is not None

    def state(self) -> dict[str, Any]:
        if self._failure is not None:
            raise self._failure
        entries_, done, total = self._progress
        verdict = None if self._verdict is None else self._verdict.to_json()
        return {"entries": entries_, "bytes": done, "total": total, "verdict": verdict}


def head_json(head: Head, public_key: bytes, anchor_error: str = "") -> dict[str, Any]:
    """A head for people and programs."""
    shown = {"seq": head.seq, "hash": head.hash, "code": code(head), "key": public_key.hex()}
    return {**shown, "anchor_error": anchor_error}


def query_of(
    first: int = 0,
    last: int | None = None,
    since: str | None = None,
    until: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    who: str | None = None,
) -> Query:
    """A query from texts.

    Raises:
        UsageError: a time or a text is none.
    """
    try:
        if not all(text is None or isinstance(text, str) for text in (since, until, action, subject, who)):
            raise ValueError("conditions are text")
        return Query(
            max(first, 1),
            last,
            None if since is None else parse_rfc3339(since),
            None if until is None else parse_rfc3339(until),
            action,
            subject,
            who,
        )
    except ValueError as error:
        raise UsageError(f"{error}.", "Write for example --since 2026-03-01T00:00:00Z") from None
