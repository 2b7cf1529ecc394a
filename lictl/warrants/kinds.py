# SPDX-License-Identifier: Apache-2.0
"""What the store asks of a kind of authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.errors import RefusedError
from lictl.warrants.authorities import authorities

if TYPE_CHECKING:
    from lictl.warrants.authorities import Authority


def rule_of(kind: str) -> Authority:
    """The authority that is in force under a name.

    Raises:
        RefusedError: there is none, or it is none for an intercept.
    """
    rule = authorities().get(kind)
    if rule is None or not rule.arms:
        raise RefusedError(f"{kind} is no authority for an intercept.", "See docs/warrant-file.md for those that are.")
    return rule


def is_emergency(kind: str) -> bool:
    """Whether one person may put an order of this authority into force."""
    rule = authorities().get(kind)
    return rule is not None and rule.emergency


def may_follow(old: str, new: str) -> bool:
    """Whether an instrument of one kind may extend or amend an order that rests on another one."""
    rule = authorities().get(old)
    return new == old or (rule is not None and rule.becomes == new)
