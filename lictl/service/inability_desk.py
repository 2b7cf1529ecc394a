# SPDX-License-Identifier: Apache-2.0
"""That an order cannot be performed, and why: a carrier can be within the law and unable, and has to show it.

Nothing in the kernel changes by it, and no agency is told: what is delivered of the order goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl import faults
from lictl.service.given import reason_of, text_of, who_of
from lictl.service.listing import told
from lictl.service.record import facts
from lictl.times import now_ns
from lictl.warrants.states import Act, State, move

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.people.actor import Actor
    from lictl.service.record import Record
    from lictl.warrants.records import Warrant
    from lictl.warrants.store import Store

PLACE = "audit/inability"
"""Where the reason is sealed in the chain (`Store.unseal`)."""
EFFECT = "It is kept with the order, and nothing else has changed."


class InabilityDesk:
    """Notes inabilities of orders that are not over, and their ends. The reason may name a subject: it is sealed."""

    def __init__(self, store: Store, record: Record) -> None:
        self._store = store
        self._record = record

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {"warrant.unable": self.unable, "warrant.able": self.able}

    def unable(self, actor: Actor, name: str, reason: str) -> dict[str, Any]:
        """Notes that an order cannot be performed, and why; a further time with a further reason."""
        order, reason = self._asked(name, Act.UNABLE, reason)
        with self._record.act(
            "warrant.unable", actor=actor.to_json(), subject=order.id, before=facts(order),
            sealed=self._store.seal(order.id, PLACE, reason),
        ) as act:  # fmt: skip
            faults.point("warrant.unable.intended")
            order = self._store.unable(order.id, reason, who_of(actor), now_ns())
            faults.point("warrant.unable.stored")
            act.after = facts(order)
        faults.point("warrant.unable.recorded")
        return told(order, EFFECT)

    def able(self, actor: Actor, name: str, reason: str) -> dict[str, Any]:
        """Notes that an order can be performed again, and what was put right: every inability that lasted ends."""
        order, reason = self._asked(name, Act.ABLE, reason)
        with self._record.act(
            "warrant.able", actor=actor.to_json(), subject=order.id, before=facts(order),
            sealed=self._store.seal(order.id, PLACE, reason),
        ) as act:  # fmt: skip
            faults.point("warrant.able.intended")
            order = self._store.able(order.id, reason, who_of(actor), now_ns())
            faults.point("warrant.able.stored")
            act.after = facts(order)
        faults.point("warrant.able.recorded")
        return told(order, EFFECT)

    def _asked(self, name: str, act: Act, reason: str) -> tuple[Warrant, str]:
        """The order as it is and the reason; refused before an entry is made where the order is over."""
        order = self._store.get(text_of(name, "name"))
        move(order.id, State(order.state), act)
        return order, reason_of(reason)
