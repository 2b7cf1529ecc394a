# SPDX-License-Identifier: Apache-2.0
"""What names a subscriber, sealed: each order has a key of its own, which the site key wraps. Likewise each agency.

A sealed value is bound to its order and its place: moved to another row or column it does not open.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update

from lictl.errors import IntegrityError, RefusedError
from lictl.keys.sealer import derive
from lictl.warrants.schema import agency_keys, warrant_keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lictl.keys.sealer import Sealer

_AGENCY: Final = b"lictl agency vault"


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
        return self.open_key(row, number, uuid)

    def open_key(self, row: Any, number: int, uuid: str) -> bytes:
        """As `key`, from the row of `warrant_keys`; None: there is none."""
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

    # ---- agencies

    def keep_secrets(self, connection: Connection, agency: str, tls_key: str) -> None:
        """Makes the secret of an agency, and seals the private key (PEM) of this side's certificate; "": none."""
        secret = self._sealer.new_key()
        values = {
            "wrapped": self._sealer.wrap(secret, _of_agency(agency, "secret")),
            "sealed_tls_key": self._sealed_tls_key(secret, agency, tls_key),
        }
        connection.execute(insert(agency_keys).values(agency=agency, **values))

    def renew_tls_key(self, connection: Connection, agency: str, tls_key: str) -> None:
        """Seals another private key in place of the one that is there; "": none. The secret stays."""
        sealed = self._sealed_tls_key(self.secrets(connection, agency)[0], agency, tls_key)
        connection.execute(update(agency_keys).where(agency_keys.c.agency == agency).values(sealed_tls_key=sealed))

    def _sealed_tls_key(self, secret: bytes, agency: str, tls_key: str) -> bytes | None:
        if not tls_key:
            return None
        return self._sealer.seal(derive(secret, _AGENCY), tls_key.encode(), _of_agency(agency, "tls_key"))

    def forget_secrets(self, connection: Connection, agency: str) -> None:
        """Removes them; what a backup holds stays there."""
        connection.execute(delete(agency_keys).where(agency_keys.c.agency == agency))

    def secrets(self, connection: Connection, agency: str) -> tuple[bytes, str]:
        """The secret of an agency (32 bytes, for `lictl.keys.agency.AgencyKeys`), and the private key, "" for none.

        Raises:
            IntegrityError: they are not there, were moved, or another site's key wrapped them.
        """
        row = connection.execute(select(agency_keys).where(agency_keys.c.agency == agency)).one_or_none()
        return self.open_secrets(row, agency)

    def open_secrets(self, row: Any, agency: str) -> tuple[bytes, str]:
        """As `secrets`, from the row of `agency_keys`; None: there is none."""
        if row is None:
            raise IntegrityError(f"Agency {agency} has no key.", "Restore the store from a backup.")
        secret = self._sealer.unwrap(row.wrapped, _of_agency(agency, "secret"))
        if row.sealed_tls_key is None:
            return secret, ""
        place = _of_agency(agency, "tls_key")
        return secret, self._sealer.open(derive(secret, _AGENCY), row.sealed_tls_key, place).decode()


def _of_agency(agency: str, place: str) -> bytes:
    return f"lictl.agencies/{agency}/{place}".encode()


def _context(uuid: str, place: str) -> bytes:
    return f"lictl.warrants/{uuid}/{place}".encode()
