# SPDX-License-Identifier: Apache-2.0
"""The life of an order: which state can follow which. Nothing else decides that."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from lictl.errors import RefusedError


class State(StrEnum):
    """Where an order is in its life."""

    ACTIVE = "active"
    """In force: armed in the kernel, which itself keeps to the window."""
    REVOKED = "revoked"
    """Ended by the operator before its window did."""
    EXPIRED = "expired"
    """Its window is over."""


TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.ACTIVE: frozenset({State.REVOKED, State.EXPIRED}),
    State.REVOKED: frozenset(),
    State.EXPIRED: frozenset(),
}

OVER: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)
"""States from which nothing follows: the order will never be armed again."""


def move(name: str, old: State, new: State) -> State:
    """The new state of order `name`, where the table allows it.

    Raises:
        RefusedError: it does not.
    """
    if new not in TRANSITIONS[old]:
        raise RefusedError(f"Order {name} is {old} and cannot become {new}.", "Nothing was changed.")
    return new
