# SPDX-License-Identifier: Apache-2.0
"""What the control socket offers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lictl import log
from lictl.errors import UsageError
from lictl.service import administration
from lictl.service.live import Phase
from lictl.service.role_desk import RoleDesk
from lictl.times import format_rfc3339, now_ns
from lictl.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.people.actor import Actor
    from lictl.service.registry import Registry
    from lictl.service.rooms import Rooms

_log = log.get("operations")
_EFFECTS = {
    Phase.ARMED: "It is in force: the kernel takes what it names from now on.",
    Phase.WAITING: "It will be put into the kernel just before its window begins.",
}


class Operations:
    """Changes and questions of the operator, by name."""

    def __init__(self, rooms: Rooms, registry: Registry, status: Callable[[], dict[str, Any]]) -> None:
        self._rooms = rooms
        self._registry = registry
        self._status = status

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {
            "ping": self.ping,
            "status": lambda actor: self._status(),
            "warrant.add": self.add,
            "warrant.revoke": self.revoke,
            **RoleDesk(self._rooms.home).table(),
        }

    def ping(self, actor: Actor) -> dict[str, Any]:
        """Who answers."""
        return {"pid": os.getpid(), "version": __version__}

    def add(self, actor: Actor, text: str, name: str) -> dict[str, Any]:
        """Puts an order into force.

        Args:
            text: the warrant file.
            name: how errors call the file.
        """
        if not (isinstance(text, str) and isinstance(name, str)):
            raise UsageError("`text` and `name` are text.")
        file = administration.read(self._rooms.store, text, name)
        self._registry.check(file)
        warrant = self._rooms.store.add_warrant(file, now_ns())
        try:
            phase = self._registry.add(warrant)
        except Exception as error:  # whatever it is: an order that the operator is told has failed is in force nowhere
            _log.error("order not armed", order=warrant.id, error=type(error).__name__)
            self._registry.withdraw(warrant)
            raise
        _log.info("order added", order=warrant.id, mode=warrant.mode, phase=phase.value)
        return {**administration.summary(warrant), "armed": phase is Phase.ARMED, "effect": _EFFECTS[phase]}

    def revoke(self, actor: Actor, name: str) -> dict[str, Any]:
        """Ends an order now; `name` is its id or LIID."""
        if not isinstance(name, str):
            raise UsageError("`name` is text.")
        ended = self._registry.revoke(self._rooms.store.get(name))
        _log.info("order revoked", order=ended.id)
        return {
            **administration.summary(ended),
            "revoked": format_rfc3339(ended.ended_ns or now_ns()),
            "effect": "The kernel takes nothing of it any more. What was taken before is being delivered.",
        }
