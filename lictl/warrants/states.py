# SPDX-License-Identifier: Apache-2.0
"""The life of an order: which act leads from which state to which, and who may do it. Nothing else decides that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lictl.errors import RefusedError


class State(StrEnum):
    """Where an order is in its life."""

    DRAFT = "draft"
    """Written down; nobody has asked for it yet."""
    SUBMITTED = "submitted"
    """One person asks another one to approve it."""
    APPROVED = "approved"
    """It has a slot; the daemon arms it when its window is due."""
    ACTIVE = "active"
    """In force: armed in the kernel, which itself keeps to the window."""
    SUSPENDED = "suspended"
    """Out of the kernel until a person who may approve lets it go on."""
    EXPIRED = "expired"
    """Its window is over."""
    REVOKED = "revoked"
    """Ended by a person before its window did."""
    CLOSED = "closed"
    """Over, delivered, and sealed with its final counts."""


class Act(StrEnum):
    """What changes an order. Each is one transaction of the store and one entry of the audit chain."""

    ADD = "add"
    SUBMIT = "submit"
    REJECT = "reject"
    APPROVE = "approve"
    ARM = "arm"
    SUSPEND = "suspend"
    RESUME = "resume"
    REVOKE = "revoke"
    EXPIRE = "expire"
    CLOSE = "close"
    EXTEND = "extend"
    AMEND = "amend"
    UNABLE = "unable"
    ABLE = "able"


OPERATOR: Final = "operator"
APPROVER: Final = "approver"


@dataclass(frozen=True, slots=True)
class Transition:
    """One act.

    Attributes:
        sources: states in which it can be done; empty: it makes the order.
        target: the state it leads to; None: the order stays as it is.
        roles: who may do it, each of them; empty: the daemon alone.
        arms: what it leads to may be put into the kernel.
        stops: the kernel takes nothing of the order once it is done.
    """

    sources: frozenset[State]
    target: State | None
    roles: frozenset[str]
    arms: bool = False
    stops: bool = False


def _from(*sources: State) -> frozenset[State]:
    return frozenset(sources)


_BOTH: Final = frozenset({OPERATOR, APPROVER})
_ONE: Final = frozenset({OPERATOR})
_TWO: Final = frozenset({APPROVER})
_DAEMON: Final[frozenset[str]] = frozenset()

BEFORE: Final = _from(State.DRAFT, State.SUBMITTED)
"""No approval yet: no slot, nothing of it in the kernel."""
LIVE: Final = _from(State.APPROVED, State.ACTIVE)
"""To be armed while inside the window."""
HELD: Final = LIVE | {State.SUSPENDED}
"""Approved and not over."""
OPEN: Final = BEFORE | HELD
"""Not over."""
OVER: Final = frozenset(State) - OPEN
"""The order will never be armed again."""

TRANSITIONS: Final[dict[Act, Transition]] = {
    Act.ADD: Transition(_from(), State.DRAFT, _ONE),
    Act.SUBMIT: Transition(_from(State.DRAFT), State.SUBMITTED, _ONE),
    Act.REJECT: Transition(_from(State.SUBMITTED), State.DRAFT, _TWO),
    Act.APPROVE: Transition(_from(State.SUBMITTED), State.APPROVED, _TWO, arms=True),
    Act.ARM: Transition(_from(State.APPROVED), State.ACTIVE, _DAEMON, arms=True),
    Act.SUSPEND: Transition(LIVE, State.SUSPENDED, _BOTH, stops=True),
    Act.RESUME: Transition(_from(State.SUSPENDED), State.APPROVED, _TWO, arms=True),
    Act.REVOKE: Transition(OPEN, State.REVOKED, _BOTH, stops=True),
    Act.EXPIRE: Transition(OPEN, State.EXPIRED, _DAEMON, stops=True),
    Act.CLOSE: Transition(_from(State.EXPIRED, State.REVOKED), State.CLOSED, _ONE),
    Act.EXTEND: Transition(HELD, None, _ONE),
    Act.AMEND: Transition(HELD, None, _ONE),
    Act.UNABLE: Transition(OPEN, None, _BOTH),
    Act.ABLE: Transition(OPEN, None, _BOTH),
}
"""Extending and amending write down a further instrument. It is submitted, rejected and approved as the order was
(`lictl.warrants.instruments`) and changes nothing before its approval. An inability and its end are only noted
(`lictl.warrants.inabilities`)."""


def move(name: str, old: State, act: Act) -> State:
    """The state of order `name` after an act, where the table allows it.

    Raises:
        RefusedError: it does not.
    """
    transition = TRANSITIONS[act]
    if old not in transition.sources:
        possible = ", ".join(state for state in State if state in transition.sources)
        raise RefusedError(
            f"Order {name} is {old}: {act} is not possible.",
            f"It is possible for an order that is {possible}. Nothing was changed.",
        )
    return transition.target or old


def diagram() -> str:
    """The table as a Mermaid state diagram, for docs/warrants.md."""
    lines = ["stateDiagram-v2"]
    for act, transition in TRANSITIONS.items():
        who = " or ".join(role for role in (OPERATOR, APPROVER) if role in transition.roles) or "daemon"
        if not transition.sources:
            lines.append(f"    [*] --> {transition.target}: {act} ({who})")
        lines += [
            f"    {source} --> {transition.target or source}: {act} ({who})"
            for source in State
            if source in transition.sources
        ]
    lines.append(f"    {State.CLOSED} --> [*]")
    return "\n".join(lines) + "\n"
