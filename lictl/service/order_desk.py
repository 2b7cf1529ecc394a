# SPDX-License-Identifier: Apache-2.0
"""The acts of people on orders, each in the same order of steps.

Role (judged by who calls) - the order as it is - intent in the audit chain, on disk - what stops, in the kernel - the
store - what starts, in the kernel - outcome in the chain. A crash anywhere between leaves an intent without an outcome,
which `lictl.service.unresolved` takes to the safe side at the next start: what stops is done, what was not approved in
the store is not armed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

from lictl import faults, log
from lictl.errors import MachineError, RefusedError, UnavailableError, UsageError
from lictl.handover.registry import formats
from lictl.service.closing import summary_of
from lictl.service.given import reason_of, text_of, who_of
from lictl.service.listing import told
from lictl.service.record import facts
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.model import load
from lictl.warrants.states import Act, State, move

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.home import Home
    from lictl.people.actor import Actor
    from lictl.service.effects import Effects
    from lictl.service.record import Record
    from lictl.service.scrutiny import Scrutiny
    from lictl.warrants.records import Warrant
    from lictl.warrants.store import Store
    from lictl.warrants.tables import WarrantFile

_log = log.get("orders")


class OrderDesk:
    """Acts on orders of one site; calls may come from several threads, the store makes them follow on each other."""

    def __init__(self, home: Home, store: Store, record: Record, effects: Effects, scrutiny: Scrutiny) -> None:
        self._home = home
        self._store = store
        self._record = record
        self._effects = effects
        self._scrutiny = scrutiny

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {
            "warrant.add": self.add,
            "warrant.submit": self.submit,
            "warrant.emergency": self.emergency,
            "warrant.reject": self.reject,
            "warrant.approve": self.approve,
            "warrant.suspend": self.suspend,
            "warrant.resume": self.resume,
            "warrant.extend": self.extend,
            "warrant.amend": self.amend,
            "warrant.withdraw": self.withdraw,
            "warrant.revoke": self.revoke,
            "warrant.close": self.close,
            "warrant.destroy-key": self.destroy_key,
        }

    # ---- towards force

    def add(self, actor: Actor, text: str, name: str, submit: bool = False) -> dict[str, Any]:
        """Writes an order down as a draft.

        Args:
            actor: who.
            text: the warrant file.
            name: how errors call the file.
            submit: ask for its approval at once.
        """
        order = self._draft(actor, text_of(text, "text"), text_of(name, "name"), emergency=False)
        if submit is True:
            return self.submit(actor, order.id)
        return told(order, "It is a draft. Ask for its approval with `lictl warrant submit`.")

    def _draft(self, actor: Actor, text: str, name: str, *, emergency: bool) -> Warrant:
        file = read(self._store, text, name)
        self._scrutiny.admit(file, name)
        self._effects.check(file)
        written = {"sha256": _digest(text), "liid": file.intercept.liid, "emergency": emergency}
        with self._record.act("warrant.add", actor=actor.to_json(), subject=None, after=written) as act:
            faults.point("warrant.add.intended")
            order = self._store.draft(file, who_of(actor), now_ns(), emergency=emergency)
            faults.point("warrant.add.stored")
            act.after = {"order": order.id, **facts(order)}
        faults.point("warrant.add.recorded")
        return order

    def submit(self, actor: Actor, name: str) -> dict[str, Any]:
        """Asks for the approval of a draft, or of an extension or amendment that is drafted."""
        order = self._get(name)
        with self._record.act("warrant.submit", actor=actor.to_json(), subject=order.id, before=facts(order)) as act:
            faults.point("warrant.submit.intended")
            order = self._store.submit(order.id, who_of(actor), now_ns())
            faults.point("warrant.submit.stored")
            act.after = facts(order)
        faults.point("warrant.submit.recorded")
        return told(order, "It waits for an approver, who is somebody else than who submitted it.")

    def emergency(self, actor: Actor, text: str, name: str) -> dict[str, Any]:
        """Puts an order of an emergency authority into force by one person. It ends by itself with its short term."""
        self._effects.may_arm()
        self._scrutiny.gate(read(self._store, text_of(text, "text"), text_of(name, "name")), False, None)
        # From here on nothing stands against its approval: a refusal leaves no order that somebody else could approve.
        order = self._draft(actor, text, name, emergency=True)
        self.submit(actor, order.id)
        return self._approve(actor, order.id, "emergency", None, False)

    def reject(self, actor: Actor, name: str, reason: str) -> dict[str, Any]:
        """Sends what was submitted back to be drafted; the reason is kept sealed."""
        order = self._get(name)
        reason = reason_of(reason)
        with self._record.act("warrant.reject", actor=actor.to_json(), subject=order.id, before=facts(order)) as act:
            faults.point("warrant.reject.intended")
            order = self._store.reject(order.id, reason)
            faults.point("warrant.reject.stored")
            act.after = facts(order)
        faults.point("warrant.reject.recorded")
        return told(order, "It is a draft again.")

    def approve(
        self, actor: Actor, name: str, reason: str | None = None, confirm_shared: bool = False
    ) -> dict[str, Any]:
        """Gives what was submitted its effect.

        Args:
            actor: another person than who submitted it.
            name: of the order.
            reason: why in spite of what `lictl warrant check` warns of.
            confirm_shared: targets that others share are confirmed; needs a reason.
        """
        if confirm_shared is True and not reason:
            raise UsageError("Targets that others share are confirmed with a reason.", "Give --reason.")
        return self._approve(actor, name, "two people", reason, confirm_shared is True)

    def _approve(self, actor: Actor, name: str, how: str, reason: str | None, confirm: bool) -> dict[str, Any]:
        order = self._get(name)
        self._effects.may_arm()
        if order.pending is not None:
            pending = load(order.pending.text, now_ns(), order.id)
            self._scrutiny.gate(pending, confirm, reason)
            self._effects.check(pending, order)
        with self._record.act(
            "warrant.approve", actor=actor.to_json(), subject=order.id, before=facts(order),
            after={"by": how, "emergency": order.emergency, "shared": confirm},
        ) as act:  # fmt: skip
            faults.point("warrant.approve.intended")
            why = None if reason is None else reason_of(reason)
            order = self._store.approve(order.id, who_of(actor), now_ns(), why, confirm)
            faults.point("warrant.approve.stored")
            act.after = facts(order)
        faults.point("warrant.approve.recorded")
        if order.emergency:
            _log.warning("order in force as an emergency", order=order.id)
        return self._in_force(order)

    def resume(self, actor: Actor, name: str) -> dict[str, Any]:
        """Lets a suspended order go on."""
        order = self._get(name)
        self._effects.may_arm()
        with self._record.act("warrant.resume", actor=actor.to_json(), subject=order.id, before=facts(order)) as act:
            faults.point("warrant.resume.intended")
            order = self._store.resume(order.id, who_of(actor), now_ns())
            faults.point("warrant.resume.stored")
            act.after = facts(order)
        faults.point("warrant.resume.recorded")
        return self._in_force(order)

    def _in_force(self, order: Warrant) -> dict[str, Any]:
        effect = self._effects.approved(order)
        return told(self._get(order.id), effect)

    # ---- further instruments

    def extend(self, actor: Actor, name: str, text: str, file: str, submit: bool = False) -> dict[str, Any]:
        """Writes an extension down; it changes nothing before its approval."""
        order, extension = self._further(name, text, file)
        after = {"sha256": _digest(text)}
        with self._record.act(
            "warrant.extend", actor=actor.to_json(), subject=order.id, before=facts(order), after=after
        ) as act:
            faults.point("warrant.extend.intended")
            order = self._store.extend(order.id, extension, who_of(actor), now_ns())
            faults.point("warrant.extend.stored")
            act.after = facts(order)
        faults.point("warrant.extend.recorded")
        return self._drafted(actor, order, "extension", submit)

    def amend(self, actor: Actor, name: str, text: str, file: str, submit: bool = False) -> dict[str, Any]:
        """Writes an amendment down: a complete file, with all targets that the order shall have."""
        order, amendment = self._further(name, text, file)
        after = {"sha256": _digest(text)}
        with self._record.act(
            "warrant.amend", actor=actor.to_json(), subject=order.id, before=facts(order), after=after
        ) as act:
            faults.point("warrant.amend.intended")
            order = self._store.amend(order.id, amendment, who_of(actor), now_ns())
            faults.point("warrant.amend.stored")
            act.after = facts(order)
        faults.point("warrant.amend.recorded")
        return self._drafted(actor, order, "amendment", submit)

    def _further(self, name: str, text: str, file: str) -> tuple[Warrant, WarrantFile]:
        order = self._get(name)
        further = read(self._store, text_of(text, "text"), text_of(file, "file"))
        self._scrutiny.admit(further, file)
        self._effects.check(further, order)
        return order, further

    def _drafted(self, actor: Actor, order: Warrant, word: str, submit: bool) -> dict[str, Any]:
        if submit is True:
            return self.submit(actor, order.id)
        return told(order, f"The {word} is a draft. Ask for its approval with `lictl warrant submit`.")

    def withdraw(self, actor: Actor, name: str) -> dict[str, Any]:
        """Drops an extension or amendment that was not approved."""
        order = self._get(name)
        with self._record.act("warrant.withdraw", actor=actor.to_json(), subject=order.id, before=facts(order)) as act:
            faults.point("warrant.withdraw.intended")
            order = self._store.withdraw(order.id)
            faults.point("warrant.withdraw.stored")
            act.after = facts(order)
        faults.point("warrant.withdraw.recorded")
        return told(order, "Nothing of the order has changed.")

    # ---- stopping is never hard

    def suspend(self, actor: Actor, name: str) -> dict[str, Any]:
        """Takes an order out of the kernel until an approver resumes it."""
        order = self._get(name)
        move(order.id, State(order.state), Act.SUSPEND)
        with self._stopping(order), self._record.act(
            "warrant.suspend", actor=actor.to_json(), subject=order.id, before=facts(order)
        ) as act:  # fmt: skip
            faults.point("warrant.suspend.intended")
            self._effects.halt(order)
            faults.point("warrant.suspend.halted")
            order = self._store.suspend(order.id)
            faults.point("warrant.suspend.stored")
            effect = self._effects.stopped(order)
            faults.point("warrant.suspend.effected")
            act.after = facts(order)
        faults.point("warrant.suspend.recorded")
        return told(order, effect)

    def revoke(self, actor: Actor, name: str) -> dict[str, Any]:
        """Ends an order now."""
        order = self._get(name)
        move(order.id, State(order.state), Act.REVOKE)
        with self._stopping(order), self._record.act(
            "warrant.revoke", actor=actor.to_json(), subject=order.id, before=facts(order)
        ) as act:  # fmt: skip
            faults.point("warrant.revoke.intended")
            moment = now_ns()
            self._effects.halt(order)
            faults.point("warrant.revoke.halted")
            order = self._store.revoke(order.id, moment)
            faults.point("warrant.revoke.stored")
            effect = self._effects.stopped(order)
            faults.point("warrant.revoke.effected")
            act.after = facts(order)
        faults.point("warrant.revoke.recorded")
        return {**told(order, effect), "revoked": format_rfc3339(order.ended_ns or moment)}

    def _stopping(self, order: Warrant) -> _Stopping:
        return _Stopping(self._effects, order)

    # ---- afterwards

    def close(self, actor: Actor, name: str) -> dict[str, Any]:
        """Seals an order that is over and delivered: its counts, its instruments, where the audit chain stood."""
        order = self._get(name)
        with self._record.act("warrant.close", actor=actor.to_json(), subject=order.id, before=facts(order)) as act:
            faults.point("warrant.close.intended")
            sealed = summary_of(self._home, order, self._record.chain.head, now_ns())
            order = self._store.close_order(order.id, now_ns(), sealed)
            faults.point("warrant.close.stored")
            act.after = {**facts(order), "sha256": sealed["sha256"]}
        faults.point("warrant.close.recorded")
        return {**told(order, "It is closed, with its final counts."), "summary": sealed}

    def destroy_key(self, actor: Actor, name: str) -> dict[str, Any]:
        """Makes all that names the subject of a closed order unreadable for good."""
        order = self._get(name)
        with self._record.act(
            "warrant.destroy-key", actor=actor.to_json(), subject=order.id, before=facts(order)
        ) as act:
            faults.point("warrant.destroy-key.intended")
            order = self._store.destroy_key(order.id, now_ns())
            faults.point("warrant.destroy-key.stored")
            act.after = facts(order)
        faults.point("warrant.destroy-key.recorded")
        return told(order, "Its key is gone: nobody can read whom it named.")

    # ---- inside

    def _get(self, name: str) -> Warrant:
        """From memory where it can be: who stops waits for no database, also for one that cannot be read."""
        return self._store.standing(text_of(name, "name")) or self._store.get(name)


class _Stopping:
    """Where an act that stops cannot be recorded, the kernel stops all the same, and the person is told."""

    def __init__(self, effects: Effects, order: Warrant) -> None:
        self._effects, self._order = effects, order

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, (MachineError, UnavailableError)):
            return
        self._effects.halt(self._order)
        raise MachineError(
            f"order {self._order.id} is stopped in the kernel, but that could not be kept: {error.what}",
            f"Do it again when that is put right; a restart before would arm it again. {error.fix}".strip(),
        ) from None


def read(store: Store, text: str, name: str) -> WarrantFile:
    """A warrant file that could be put into force: lawful, its agencies known, their formats able to carry it.

    Raises:
        LictlError: what is wrong with it.
    """
    file = load(text, now_ns(), name)
    for delivery in file.delivery:
        format_ = delivery.format or store.agency(delivery.agency).format
        mode: Literal["content", "headers"] = "content" if file.intercept.mode == "content" else "headers"
        if format_ not in formats(mode):
            raise RefusedError(
                f"{name}: the format {format_} of agency {delivery.agency} cannot carry an order for {mode}.",
                f"Choose one of {', '.join(formats(mode))}.",
            )
    return file


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
