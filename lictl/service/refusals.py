# SPDX-License-Identifier: Apache-2.0
"""Who asked for what without a role for it stands in the audit chain, and nobody can fill the chain by asking.

A refusal is answered first and recorded then: it changes nothing that would have to be announced, and whoever is
refused waits for no disk. Each user has some entries at once and one a minute from then on; those who have no role at
all share a further allowance, as one person can have many user numbers (subuid(5)). What is beyond that is counted:
the user's next entry says how many there were, or one entry for all of them once it is quiet.
"""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lictl import log
from lictl.audit.chain import DAEMON
from lictl.people.permits import PERMITS
from lictl.people.roles import name_of, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.audit.chain import Chain
    from lictl.people.actor import Actor
    from lictl.warrants.store import Store

ACTION: Final = "note.refused"
AT_ONCE: Final = 8
"""Entries that a user can cause one right after the other."""
EVERY_S: Final = 60.0
"""From then on one in so many seconds; also for so long a user is waited for whose count has no entry yet."""
STRANGERS_AT_ONCE: Final = 32
STRANGERS_EVERY_S: Final = 10.0
MOST_USERS: Final = 256
"""Users that are told apart; beyond them, those without a role are counted together."""
NAMED: Final = 16
"""Users whose counts an entry for all of them names, those with the most."""

_FILES = frozenset({"warrant.add", "warrant.emergency", "warrant.check"})
_ID = re.compile(r"W-[1-9][0-9]{0,17}", re.ASCII)
_log = log.get("refusals")


@dataclass(slots=True)
class _Allowance:
    """A bucket that holds `most` and is filled by one in `every_s` seconds."""

    most: int
    every_s: float
    left: float
    at: float

    def take(self, now: float) -> bool:
        self.left, self.at = min(self.most, self.left + (now - self.at) / self.every_s), now
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def is_full(self, now: float) -> bool:
        return self.left + (now - self.at) / self.every_s >= self.most


class Refusals:
    """Writes the entries of one chain; may be called from every thread.

    Args:
        chain: open until `close`.
        subject: of an operation and its arguments what they are about, None where that is not to be written down.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        chain: Chain,
        subject: Callable[[str, Mapping[str, Any]], str | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain = chain
        self._subject = subject
        self._clock = clock
        self._lock = threading.Lock()
        self._users: dict[int, _Allowance] = {}
        self._strangers = _Allowance(STRANGERS_AT_ONCE, STRANGERS_EVERY_S, STRANGERS_AT_ONCE, clock())
        self._untold: Counter[int | None] = Counter()  # None: users that are not told apart
        self._closed = False

    def note(self, actor: Actor, op: object, args: object) -> None:
        """A person was refused for want of a role. Never fails: what cannot be written is counted.

        Args:
            actor: who.
            op: the operation as it was asked for; one that there is none of is not written down.
            args: its arguments.
        """
        suppressed = self._take(actor)
        if suppressed is None:
            return
        known = op if isinstance(op, str) and op in PERMITS else None
        subject = None
        with contextlib.suppress(Exception):  # whatever was asked for, the refusal is what counts
            subject = self._subject(known, args) if known is not None and isinstance(args, dict) else None
        self._write(
            actor.to_json(), subject, {"op": known, "suppressed": suppressed}, Counter({actor.uid: suppressed + 1})
        )

    def _take(self, actor: Actor) -> int | None:
        """How many of a user had no entry before this one, which has; None: it is counted, too."""
        now, stranger = self._clock(), not (actor.roles or actor.owner)
        with self._lock:
            if self._closed:
                return None
            user = self._allowance(actor.uid, now, stranger)
            if user is not None and user.take(now) and (not stranger or self._strangers.take(now)):
                return self._untold.pop(actor.uid, 0)
            self._untold[None if user is None else actor.uid] += 1
            return None

    def _allowance(self, uid: int, now: float, stranger: bool) -> _Allowance | None:
        """A user's own; None for a stranger who is one too many to be told apart."""
        if uid not in self._users and len(self._users) >= MOST_USERS:
            idle = [user for user, each in self._users.items() if each.is_full(now) and not self._untold[user]]
            for user in idle:
                del self._users[user]
            if stranger and len(self._users) >= MOST_USERS:
                return None
        return self._users.setdefault(uid, _Allowance(AT_ONCE, EVERY_S, AT_ONCE, now))

    def _write(
        self, actor: dict[str, Any], subject: str | None, after: dict[str, Any], told: Counter[int | None]
    ) -> None:
        """An entry; where it cannot be written, those that it would have told are told by a later one."""
        try:
            self._chain.append(ACTION, actor=actor, subject=subject, after=after)
        except Exception as error:
            _log.error("refusal not recorded", error=type(error).__name__, **log.place(error))
            with self._lock:
                self._untold.update(told)

    def settle(self, quiet_s: float = EVERY_S) -> None:
        """One entry for the counts of all who were not refused again for so long: to be called now and then."""
        now = self._clock()
        with self._lock:
            quiet = [user for user in self._untold if self._quiet_s(user, now) >= quiet_s]
            told = Counter({user: self._untold.pop(user) for user in quiet})
        if told:
            known = Counter({user: count for user, count in told.items() if user is not None})
            named = {str(user): count for user, count in known.most_common(NAMED)}
            self._write(DAEMON, None, {"suppressed": told.total(), "users": named}, told)

    def _quiet_s(self, user: int | None, now: float) -> float:
        """Since when nothing was refused to a user; those who are not told apart are not waited for."""
        known = None if user is None else self._users.get(user)
        return math.inf if known is None else now - known.at

    def close(self) -> None:
        """Writes what was only counted; nothing is written from here on."""
        with self._lock:
            self._closed = True
        self.settle(0.0)


def subject_of(store: Store, op: str, args: Mapping[str, Any]) -> str | None:
    """What an operation is about, as other entries have it: an order's id, an agency, a user of this machine.

    Any other text is the asking person's own, could be a target, and is left out.
    """
    name, user = args.get("name"), args.get("user")
    if op.startswith("role."):
        uid = number(user) if isinstance(user, str) else None
        return name_of(uid) if uid is not None and not name_of(uid).isdecimal() else None
    if not isinstance(name, str) or op in _FILES:
        return None
    if op.startswith("warrant."):
        if _ID.fullmatch(name):
            return name
        order = store.standing(name) or store.get(name)
        return order.id
    if op.startswith("agency."):
        return store.agency(name).name
    return None
