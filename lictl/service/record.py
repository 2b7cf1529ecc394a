# SPDX-License-Identifier: Apache-2.0
"""What is done and what is read stands in the audit chain before it happens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from lictl import log
from lictl.errors import LictlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lictl.audit.chain import Chain
    from lictl.people.actor import Actor
    from lictl.warrants.records import Warrant

_log = log.get("record")


class Outcome:
    """What an act came to, filled in while it is carried out."""

    def __init__(self) -> None:
        self.after: dict[str, Any] | None = None


class Record:
    """Writes the chain's entries for operations.

    Args:
        chain: of the home.
        unwritten: called where an act was carried out and that could not be recorded; the next start finds it.
    """

    def __init__(self, chain: Chain, unwritten: Callable[[int], None] = lambda seq: None) -> None:
        self._chain = chain
        self._unwritten = unwritten

    @property
    def chain(self) -> Chain:
        """For those who read it or verify it."""
        return self._chain

    def note(self, actor: Actor, action: str, subject: str | None, after: dict[str, Any] | None = None) -> int:
        """Records what is only told: a read, an alarm, a drill. On disk when it returns.

        Raises:
            MachineError: it could not be written; nothing may be shown that it announces.
        """
        return self._chain.append(action, actor=actor.to_json(), subject=subject, after=after)

    @contextlib.contextmanager
    def act(
        self,
        action: str,
        *,
        actor: dict[str, Any],
        subject: str | None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        sealed: bytes | None = None,
    ) -> Iterator[Outcome]:
        """An act: its intent is on disk when the block begins, its outcome when it ends.

        Args:
            action: of the chain.
            actor: who.
            subject: id of an order, name of an agency or user.
            before: what is to be changed.
            after: what it is to be changed to.
            sealed: what may name a subject, under the order's key.

        Raises:
            MachineError: the intent could not be written; nothing was changed.
        """
        intent = self._chain.append(action, actor=actor, subject=subject, before=before, after=after, sealed=sealed)
        outcome = Outcome()
        try:
            yield outcome
        except BaseException as error:
            with contextlib.suppress(LictlError):  # the text of an error may name a target: its class alone is kept
                self._chain.failed(intent, type(error).__name__, actor=actor)
            raise
        try:
            self._chain.done(intent, actor=actor, after=outcome.after)
        except LictlError as error:  # it is done, and the next start finds that out; to say it failed would be wrong
            _log.error("outcome not recorded", intent=intent, error=type(error).__name__)
            self._unwritten(intent)

    def announce(self, action: str, actor: dict[str, Any], before: Mapping[str, dict[str, Any]]) -> dict[str, int]:
        """Intents of the same act on several orders, by id: on disk together when it returns.

        Raises:
            MachineError: they could not be written; nothing was changed.
        """
        intents = {
            subject: self._chain.append(action, actor=actor, subject=subject, before=was, sync=False)
            for subject, was in before.items()
        }
        if intents:
            self._chain.flush()
        return intents

    def conclude(self, intents: Mapping[str, int], actor: dict[str, Any], after: Mapping[str, dict[str, Any]]) -> None:
        """Their outcomes: done for what stands in `after`, failed for the rest."""
        try:
            for subject, intent in intents.items():
                if subject in after:
                    self._chain.append("done", actor=actor, subject=intent, after=after[subject], sync=False)
                else:
                    self._chain.append("failed", actor=actor, subject=intent, after={"why": "not done"}, sync=False)
            if intents:
                self._chain.flush()
        except LictlError as error:
            _log.error("outcomes not recorded", error=type(error).__name__)
            self._unwritten(next(iter(intents.values())))


def facts(order: Warrant) -> dict[str, Any]:
    """What of an order an act can change, without anything that names its subject."""
    return {
        "state": order.state,
        "starts_ns": order.starts_ns,
        "ends_ns": order.ends_ns,
        "instruments": [each.state for each in order.instruments],
        "inabilities": ["lasts" if each.lasts else "restored" for each in order.inabilities],
        "key": order.key_destroyed_ns is None,
    }
