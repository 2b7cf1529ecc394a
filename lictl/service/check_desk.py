# SPDX-License-Identifier: Apache-2.0
"""`lictl warrant check`: the blast radius, through the daemon or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl.errors import RefusedError, UsageError
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.people.actor import Actor
    from lictl.service.record import Record
    from lictl.service.scrutiny import Scrutiny
    from lictl.warrants.model import Warrant, WarrantFile
    from lictl.warrants.store import Store


class CheckDesk:
    """Shows what an order would touch; changes nothing."""

    def __init__(self, scrutiny: Scrutiny, store: Store, record: Record) -> None:
        self._scrutiny = scrutiny
        self._store = store
        self._record = record

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {"warrant.check": self.check}

    def check(self, actor: Actor, text: str | None = None, name: str = "", order: str | None = None) -> dict[str, Any]:
        """The blast radius of a file, or of what of a stored order waits for its approval.

        Args:
            actor: who; that it looked is recorded, as it sees targets of other orders.
            text: a warrant file.
            name: how errors call the file.
            order: id or LIID of a stored order, in place of `text`.

        Returns:
            `Blast.to_json` and the order's "name", "kind", "mode", "liid", "starts", "ends".
        """
        if not isinstance(text if order is None else order, str) or not isinstance(name, str):
            raise UsageError("`text` and `name`, or `order`, are text.")
        if order is not None:
            stored = self._store.get(order)
            self._record.note(actor, "read.check", stored.id)
            return self._told(stored.id, self._pending(stored), stored)
        self._record.note(actor, "read.check", None, {"file": True})
        return self._told(name, self._scrutiny.read(text or "", name), None)

    def _pending(self, stored: Warrant) -> WarrantFile:
        if stored.state in ("expired", "revoked", "closed"):
            raise RefusedError(f"Order {stored.id} is {stored.state}.", "Nothing of it can be armed.")
        text = stored.pending.text if stored.pending is not None else stored.text
        return self._scrutiny.read(text, stored.id)

    def _told(self, name: str, file: WarrantFile, instead: Warrant | None) -> dict[str, Any]:
        intercept = file.intercept
        return {
            "name": name,
            "kind": file.authority.kind,
            "mode": intercept.mode.value,
            "liid": intercept.liid,
            "starts": format_rfc3339(intercept.starts),
            "ends": format_rfc3339(intercept.ends),
            **self._scrutiny.blast(file, instead).to_json(),
        }
