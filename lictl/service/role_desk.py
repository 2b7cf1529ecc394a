# SPDX-License-Identifier: Apache-2.0
"""The role table, through the daemon or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl.errors import UsageError
from lictl.people.roles import Roles, known_user, role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.home import Home
    from lictl.people.actor import Actor


class RoleDesk:
    """Lists and changes who may do what. A change counts from the next request on."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {"role.list": self.show, "role.grant": self.grant, "role.withdraw": self.withdraw}

    def show(self, actor: Actor) -> list[dict[str, object]]:
        """Users and their roles."""
        return Roles.load(self._home).rows()

    def grant(self, actor: Actor, user: str, role: str) -> list[dict[str, object]]:
        """Gives a user a role; the table then."""
        return self._change(user, role, Roles.granted)

    def withdraw(self, actor: Actor, user: str, role: str) -> list[dict[str, object]]:
        """Takes a role from a user; the table then."""
        return self._change(user, role, Roles.withdrawn)

    def _change(self, user: str, name: str, change: Callable[..., Roles]) -> list[dict[str, object]]:
        if not (isinstance(user, str) and isinstance(name, str)):
            raise UsageError("`user` and `role` are text.")
        if change is Roles.granted:
            known_user(user)
        after = change(Roles.load(self._home), user, [role(name)])
        after.save(self._home)
        return after.rows()
