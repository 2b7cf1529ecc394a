# SPDX-License-Identifier: Apache-2.0
"""What a request gives, judged before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.errors import UsageError
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from lictl.people.actor import Actor


def text_of(value: object, name: str) -> str:
    """Text; UsageError where the argument `name` is none."""
    if not isinstance(value, str):
        raise UsageError(f"`{name}` is text.")
    return value


def reason_of(value: object) -> str:
    """A reason without blanks around it; UsageError where it does not have 3 to 2000 characters."""
    text = text_of(value, "reason").strip()
    if not 3 <= len(text) <= 2000:
        raise UsageError("A reason has 3 to 2000 characters.", "Say it in a sentence.")
    return text


def who_of(actor: Actor) -> Who:
    """Who acts, as the store keeps it."""
    return Who(actor.uid, actor.name, actor.login_uid)
