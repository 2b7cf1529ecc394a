# SPDX-License-Identifier: Apache-2.0
"""What acts on orders bring about in the running daemon (`lictl.service.effects`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl.errors import LictlError
from lictl.service.live import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.service.registry import Registry
    from lictl.warrants.records import Warrant
    from lictl.warrants.tables import WarrantFile

_WAITS = "It is approved. It will be put into the kernel just before its window begins."
_ARMED = "It is in force: the kernel takes what it names from now on."
_REFUSED = "It is approved, but the kernel does not have it yet: see the alarms of `lictl status`. It is tried again."


class InForce:
    """Effects on the registry.

    Args:
        registry: of the daemon.
        may_arm: raises where nothing may be armed at this site at present.
        accounts: an order's streams as `lictl status` tells them, by the order's id; None: it is not served.
    """

    def __init__(
        self,
        registry: Registry,
        may_arm: Callable[[], None],
        accounts: Callable[[str], list[dict[str, Any]] | None],
    ) -> None:
        self._registry = registry
        self._may_arm = may_arm
        self._accounts = accounts

    def may_arm(self) -> None:
        """See `Effects`."""
        self._may_arm()

    def check(self, file: WarrantFile, instead: Warrant | None = None) -> None:
        """See `Effects`."""
        self._registry.check(file, instead)

    def halt(self, order: Warrant) -> None:
        """See `Effects`."""
        self._registry.halt(order)

    def approved(self, order: Warrant) -> str:
        """See `Effects`."""
        if order.state == "suspended":
            self._registry.renew(order)
            return "It is approved, and has its effect when the order is resumed."
        try:
            phase = self._registry.enforce(order)
        except LictlError:  # it is approved all the same, and the daemon goes on trying
            return _REFUSED
        if phase is Phase.ACTIVE:
            return _ARMED
        return _WAITS if self._registry.early(order) else _REFUSED

    def stopped(self, order: Warrant) -> str:
        """See `Effects`."""
        self._registry.stopped(order)
        if order.state == "suspended":
            return "The kernel takes nothing of it until an approver resumes it."
        if not order.generation:
            return "It was never in force, and nothing was taken."
        return "The kernel takes nothing of it any more. What was taken before is being delivered."

    def renewed(self, agency: str) -> str:
        """See `Effects`."""
        if self._registry.reach_anew(agency):
            return "The connections are made anew with it; what was not confirmed is sent again, in order."
        return "It is used when an order is delivered there."

    def streams(self, order: Warrant) -> list[dict[str, Any]] | None:
        """See `Effects`."""
        return self._accounts(order.id)
