# SPDX-License-Identifier: Apache-2.0
"""Acts that a crash cut off between their intent and their outcome: taken to the safe side before anything is armed.

What stops an order is done again, as its intent was on disk and a person asked for it. Everything else is judged by the
store alone: where it shows the effect, the act was done; where it does not, nothing is made up for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl import faults, log
from lictl.audit.chain import unresolved
from lictl.errors import LictlError, RefusedError
from lictl.people.roles import Roles
from lictl.profiles import site_lock
from lictl.service.record import facts
from lictl.service.role_desk import table_of
from lictl.times import now_ns

if TYPE_CHECKING:
    from lictl.audit.chain import Chain
    from lictl.audit.entry import Entry
    from lictl.home import Home
    from lictl.service.effects import Effects
    from lictl.warrants.store import Store

_log = log.get("recovery")
STOPS = {"warrant.revoke": "revoked", "warrant.suspend": "suspended", "warrant.expire": "expired"}


def resolve(home: Home, chain: Chain, store: Store, effects: Effects) -> int:
    """Gives every intent an outcome; returns how many there were. Before the store's orders are armed.

    Raises:
        LictlError: the chain or the store cannot be written.
    """
    found = unresolved(chain)
    for entry in found:
        faults.point("recovery.intent.read")
        _Case(home, chain, store, effects, entry).resolve()
        faults.point("recovery.intent.resolved")
    if found:
        _log.warning("acts that were cut off are resolved", count=len(found))
    return len(found)


class _Case:
    def __init__(self, home: Home, chain: Chain, store: Store, effects: Effects, entry: Entry) -> None:
        self._home, self._chain, self._store, self._effects, self._entry = home, chain, store, effects, entry

    def resolve(self) -> None:
        entry = self._entry
        if entry.action in STOPS:
            self._stop(STOPS[entry.action])
        elif entry.action.startswith("role."):
            self._found({"roles": table_of(Roles.load(self._home))}, table_of(Roles.load(self._home)) == entry.after)
        elif entry.action == "agency.renew":
            self._found(None, entry.after in [agency.to_plain() for agency in self._store.agencies()])
        elif entry.action.startswith("agency."):
            names = {agency.name for agency in self._store.agencies()}
            self._found(None, (entry.subject in names) == (entry.action == "agency.add"))
        elif entry.action == "profile.confirm":
            self._found(None, _lock(self._home) == entry.after)
        elif entry.action == "audit.rotate-key":
            self._found(None, self._chain.public_key.hex() == (entry.after or {}).get("key"))
        elif entry.action == "warrant.add":
            self._added()
        elif entry.action.startswith("warrant.") and entry.subject is not None:
            self._changed(entry.subject)
        else:
            self._chain.failed(entry.seq, "cut off by a crash; whether it was done is not known")

    def _stop(self, target: str) -> None:
        """Again, where it was not done."""
        entry = self._entry
        try:
            order = self._store.get(entry.subject or "")
            self._effects.halt(order)
            faults.point("recovery.stop.halted")
            if order.state == target or order.ended_ns is not None:
                self._chain.done(entry.seq, after={**facts(order), "found": True})
                return
            if target == "suspended":
                order = self._store.suspend(order.id)
            elif target == "revoked":
                order = self._store.revoke(order.id, min(now_ns(), max(entry.time_ns, order.starts_ns)))
            else:
                self._chain.failed(entry.seq, "cut off by a crash; it is judged again by the clock")
                return
            faults.point("recovery.stop.stored")
        except RefusedError as error:
            self._chain.failed(entry.seq, type(error).__name__)
            return
        self._chain.done(entry.seq, after={**facts(order), "again": True})

    def _changed(self, subject: str) -> None:
        """Whether the store shows that the order is another one than the intent began with."""
        try:
            now: dict[str, Any] = facts(self._store.get(subject))
        except LictlError as error:
            self._chain.failed(self._entry.seq, type(error).__name__)
            return
        # By what the intent wrote down: an older lictl knew fewer facts.
        before = self._entry.before or {}
        self._found(now, any(now.get(name) != was for name, was in before.items()))

    def _added(self) -> None:
        """A draft that was written down after the intent, with its LIID."""
        liid = (self._entry.after or {}).get("liid")
        later = [o for o in self._store.overview() if o.liid == liid and o.added_ns >= self._entry.time_ns]
        self._found({"order": later[0].id} if later else None, bool(later))

    def _found(self, after: dict[str, Any] | None, done: bool) -> None:
        if done:
            self._chain.done(self._entry.seq, after={**(after or {}), "found": True})
        else:
            self._chain.failed(self._entry.seq, "cut off by a crash before it was carried out")


def _lock(home: Home) -> dict[str, Any] | None:
    try:
        return site_lock.read(home).to_json()
    except LictlError:
        return None
