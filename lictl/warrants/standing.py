# SPDX-License-Identifier: Apache-2.0
"""Orders that are not over, in memory: who stops one does not wait for the database."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lictl.warrants.states import OVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lictl.warrants.records import Warrant


class Standing:
    """The orders as the last act of this process on each left them.

    Empty until `begin`: only where nobody else writes to the database, as under a daemon, is it what the database says.
    An act whose transaction fails changes nothing here: at worst an order stands here that the database knows to be
    over, and to stop that once more does no harm.

    Attributes:
        turn: to be held from an act's transaction until it is kept here, so that the last act stays.
    """

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self._begun = False
        self._orders: dict[str, Warrant] = {}
        self._of_liid: dict[str, frozenset[str]] = {}

    def begin(self, orders: Iterable[Warrant]) -> None:
        """Begins with every order that is not over."""
        self._begun = True
        for order in orders:
            self.keep(order)

    def keep(self, order: Warrant) -> None:
        """An act has made an order what it is here."""
        if not self._begun:
            return
        others = self._of_liid.get(order.liid, frozenset()) - {order.id}
        if order.state not in OVER:
            self._orders[order.id] = order
            self._of_liid[order.liid] = others | {order.id}
            return
        self._orders.pop(order.id, None)
        if others:
            self._of_liid[order.liid] = others
        else:
            self._of_liid.pop(order.liid, None)

    def change(self, warrant_id: str, **values: Any) -> None:
        """Some fields of an order have become these; nothing where it does not stand here."""
        order = self._orders.get(warrant_id)
        if order is not None:
            self._orders[warrant_id] = replace(order, **values)

    def find(self, name: str) -> Warrant | None:
        """The one order that an id or a LIID means; None where that is to be asked of the database.

        Takes no lock.
        """
        meant = self._of_liid.get(name, frozenset())
        if name in self._orders:
            meant |= {name}
        return self._orders.get(next(iter(meant))) if len(meant) == 1 else None
