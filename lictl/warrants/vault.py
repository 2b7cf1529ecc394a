# SPDX-License-Identifier: Apache-2.0
"""What names a subscriber, sealed: each order has a key of its own, which the site key wraps.

A sealed value is bound to its order and its place: moved to another row or column it does not open.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from lictl.errors import IntegrityError, RefusedError
from lictl.warrants.schema import warrant_keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lictl.keys.sealer import Sealer


class Vault:
    """Keys of orders, and what they seal.

    Args:
        sealer: of this site.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def make_key(self, connection: Connection, number: int, uuid: str) -> bytes:
        """A new order's key; stored wrapped."""
        key = self._sealer.new_key()
        wrapped = self._sealer.wrap(key, _context(uuid, "key"))
        connection.execute(insert(warrant_keys).values(warrant=number, wrapped=wrapped, destroyed_ns=None))
        return key

    def unwrap(self, wrapped: bytes, uuid: str) -> bytes:
        """An order's key from its stored form; IntegrityError where another site key wrapped it."""
        return self._sealer.unwrap(wrapped, _context(uuid, "key"))

    def key(self, connection: Connection, number: int, uuid: str) -> bytes:
        """An order's key.

        Raises:
            RefusedError: it was destroyed.
            IntegrityError: it is not there, or another site's key wrapped it.
        """
        row = connection.execute(select(warrant_keys).where(warrant_keys.c.warrant == number)).one_or_none()
        if row is None:
            raise IntegrityError(f"Order W-{number} has no key.", "Restore the store from a backup.")
        if row.wrapped is None:
            raise RefusedError(f"The key of order W-{number} was destroyed.", "What it sealed cannot be read any more.")
        return self.unwrap(row.wrapped, uuid)

    def destroy_key(self, connection: Connection, number: int, now_ns: int) -> None:
        """Forgets an order's key; what it sealed can never be read again, in no backup made later."""
        values = {"wrapped": None, "destroyed_ns": now_ns}
        connection.execute(update(warrant_keys).where(warrant_keys.c.warrant == number).values(values))

    def seal(self, key: bytes, uuid: str, place: str, value: Any) -> bytes:
        """A JSON value, sealed.

        Args:
            key: of the order.
            uuid: of the order.
            place: column and row it is for, such as "targets" or "document/2".
            value: what JSON can hold.
        """
        return self._sealer.seal(key, json.dumps(value).encode(), _context(uuid, place))

    def open(self, key: bytes, uuid: str, place: str, blob: bytes) -> Any:
        """The value again; IntegrityError where it was changed or moved."""
        return json.loads(self._sealer.open(key, blob, _context(uuid, place)))


def _context(uuid: str, place: str) -> bytes:
    return f"lictl.warrants/{uuid}/{place}".encode()
