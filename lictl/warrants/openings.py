# SPDX-License-Identifier: Apache-2.0
"""What opening the streams of orders takes beside the orders: their keys, the agencies with theirs. Read together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from lictl.keys.agency import AgencyKeys
from lictl.warrants import agencies
from lictl.warrants.schema import agency_keys, warrant_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from lictl.warrants.records import Agency, Warrant
    from lictl.warrants.vault import Vault

_AT_ONCE: Final = 500
"""Numbers in one IN list."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """An agency.

    Attributes:
        agency: its transport with the private key of this side's certificate.
        keys: that this site has for it.
    """

    agency: Agency
    keys: AgencyKeys


class Openings:
    """As the database had it at one moment; may be used by several threads.

    Args:
        connection: read at once, not used later.
        vault: unseals.
        orders: whose keys may be asked for.
    """

    def __init__(self, connection: Connection, vault: Vault, orders: Iterable[Warrant]) -> None:
        self._vault = vault
        self._agencies = agencies.every(connection)
        self._secrets: dict[str, Any] = {row.agency: row for row in connection.execute(select(agency_keys))}
        self._receivers: dict[str, Receiver] = {}
        self._wrapped: dict[int, Any] = {}
        numbers = [order.number for order in orders]
        for at in range(0, len(numbers), _AT_ONCE):
            query = select(warrant_keys).where(warrant_keys.c.warrant.in_(numbers[at : at + _AT_ONCE]))
            self._wrapped |= {row.warrant: row for row in connection.execute(query)}

    def key(self, order: Warrant) -> bytes:
        """The order's own key.

        Raises:
            RefusedError: it was destroyed.
            IntegrityError: it is not there, or another site's key wrapped it.
        """
        return self._vault.open_key(self._wrapped.get(order.number), order.number, order.uuid)

    def receiver(self, name: str) -> Receiver:
        """An agency.

        Raises:
            UnavailableError: there is none of that name.
            IntegrityError: its keys are not there, were moved, or another site's key wrapped them.
        """
        known = self._receivers.get(name)
        if known is None:
            agency = agencies.among(self._agencies, name)
            secret, tls_key = self._vault.open_secrets(self._secrets.get(name), name)
            whole = replace(agency, transport=replace(agency.transport, key=tls_key))
            known = self._receivers[name] = Receiver(whole, AgencyKeys(secret))
        return known
