# SPDX-License-Identifier: Apache-2.0
"""The role table, through the daemon or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl import faults
from lictl.errors import UsageError
from lictl.people.roles import Roles, known_user, role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.home import Home
    from lictl.people.actor import Actor
    from lictl.service.record import Record


class RoleDesk:
    """Lists and changes who may do what. A change counts from the next request on."""

    def __init__(self, home: Home, record: Record) -> None:
        self._home = home
        self._record = record

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {"role.list": self.show, "role.grant": self.grant, "role.withdraw": self.withdraw}

    def show(self, actor: Actor) -> list[dict[str, object]]:
        """Users and their roles."""
        return Roles.load(self._home).rows()

    def grant(self, actor: Actor, user: str, role: str) -> list[dict[str, object]]:
        """Gives a user a role; the table then."""
        known_user(_text(user))
        return self._change("role.grant", actor, user, role, Roles.granted)

    def withdraw(self, actor: Actor, user: str, role: str) -> list[dict[str, object]]:
        """Takes a role from a user; the table then."""
        return self._change("role.withdraw", actor, _text(user), role, Roles.withdrawn)

    def _change(
        self, action: str, actor: Actor, user: str, name: str, change: Callable[..., Roles]
    ) -> list[dict[str, object]]:
        old = Roles.load(self._home)
        new = change(old, user, [role(_text(name))])
        with self._record.act(
            action, actor=actor.to_json(), subject=user, before=table_of(old), after=table_of(new)
        ) as act:  # fmt: skip
            faults.point("role.change.intended")
            new.save(self._home)
            faults.point("role.change.saved")
            act.after = table_of(new)
        faults.point("role.change.recorded")
        return new.rows()


def table_of(roles: Roles) -> dict[str, Any]:
    """The table for the audit chain: user to roles."""
    return {user: sorted(names) for user, names in sorted(roles.entries.items())}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError("`user` and `role` are text.")
    return value
