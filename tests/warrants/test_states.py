# SPDX-License-Identifier: Apache-2.0
"""The table of acts: what leads where, who may, and that the documents show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lictl.errors import RefusedError
from lictl.warrants.states import (
    APPROVER,
    BEFORE,
    HELD,
    LIVE,
    OPEN,
    OPERATOR,
    OVER,
    TRANSITIONS,
    Act,
    State,
    diagram,
    move,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "warrants.md"


def after(states: set[State], acts: set[Act]) -> set[State]:
    """Every state that these acts lead to, however often they are done."""
    while True:
        more = {
            target
            for act in acts
            for target in [TRANSITIONS[act].target]
            if target and TRANSITIONS[act].sources & states
        }
        if more <= states:
            return states
        states = states | more


@pytest.mark.parametrize("act", list(Act))
def test_move_is_the_table(act: Act) -> None:
    """An act is possible from its sources alone, leads to its target, and else says what it needs."""
    for old in State:
        if old in TRANSITIONS[act].sources:
            assert move("W-1", old, act) is (TRANSITIONS[act].target or old)
        else:
            with pytest.raises(RefusedError, match=f"Order W-1 is {old}: {act} is not possible"):
                move("W-1", old, act)


def test_each_act_is_in_the_table() -> None:
    """No act without a row."""
    assert list(TRANSITIONS) == list(Act)


def test_nothing_is_live_without_an_approval() -> None:
    """Without approve, no sequence of acts leads from a draft to a state that may be armed or was."""
    reached = after({State.DRAFT}, set(Act) - {Act.APPROVE})
    assert reached == BEFORE | OVER


def test_nothing_is_approved_without_being_submitted() -> None:
    """Approval follows a submission, never a draft."""
    assert State.APPROVED not in after({State.DRAFT}, set(Act) - {Act.SUBMIT})


def test_what_is_over_stays_over() -> None:
    """From an ended order nothing leads but to closed."""
    assert after({State.EXPIRED}, set(Act)) == {State.EXPIRED, State.CLOSED}
    assert after({State.REVOKED}, set(Act)) == {State.REVOKED, State.CLOSED}
    assert after({State.CLOSED}, set(Act)) == {State.CLOSED}


def test_every_open_order_can_be_stopped() -> None:
    """Stopping is never hard: revoke from every state that is not over, by an operator and by an approver."""
    assert TRANSITIONS[Act.REVOKE].sources == OPEN == TRANSITIONS[Act.EXPIRE].sources
    assert TRANSITIONS[Act.REVOKE].roles == {OPERATOR, APPROVER} == TRANSITIONS[Act.SUSPEND].roles
    assert TRANSITIONS[Act.SUSPEND].sources == LIVE


def test_an_inability_is_noted_while_an_order_is_not_over_and_changes_nothing() -> None:
    """By an operator or an approver, in every open state; it leads nowhere, arms nothing and stops nothing."""
    for act in (Act.UNABLE, Act.ABLE):
        transition = TRANSITIONS[act]
        assert (transition.sources, transition.target) == (OPEN, None)
        assert transition.roles == {OPERATOR, APPROVER}
        assert not transition.arms
        assert not transition.stops


def test_what_arms_needs_an_approver_or_is_the_daemon() -> None:
    """An operator alone arms nothing; what stops never arms."""
    for transition in TRANSITIONS.values():
        if transition.arms:
            assert OPERATOR not in transition.roles
            assert transition.target in LIVE
            assert not transition.stops
        if transition.stops:
            assert transition.target not in LIVE


def test_the_kinds_of_states_part_them() -> None:
    """Each state is before approval, held, or over."""
    assert set(State) == BEFORE | HELD | OVER
    assert not BEFORE & HELD
    assert not OPEN & OVER
    assert LIVE < HELD


@pytest.mark.tree
def test_the_document_shows_the_table() -> None:
    """docs/warrants.md holds the diagram that the table makes."""
    assert f"```mermaid\n{diagram()}```" in DOCUMENT.read_text()
