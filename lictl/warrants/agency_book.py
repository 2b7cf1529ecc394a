# SPDX-License-Identifier: Apache-2.0
"""The agencies of a store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lictl.keys.agency import AgencyKeys
from lictl.warrants import agencies
from lictl.warrants.notes import Notes

if TYPE_CHECKING:
    from lictl.delivery.config import Transport
    from lictl.warrants.records import Agency
    from lictl.warrants.vault import Vault


class AgencyBook(Notes):
    """Each method is one transaction."""

    _vault: Vault

    def add_agency(self, agency: Agency) -> None:
        """Adds an agency; UsageError where it cannot be or is there already."""
        agencies.check(agency)
        with self._database.write() as connection:
            agencies.add(connection, self._vault, agency)

    def agencies(self) -> list[Agency]:
        """All agencies, by name."""
        with self._database.read() as connection:
            return agencies.every(connection)

    def agency(self, name: str) -> Agency:
        """One agency; UnavailableError where there is none of that name."""
        with self._database.read() as connection:
            return agencies.one(connection, name)

    def agency_keys(self, name: str) -> AgencyKeys:
        """The keys that this site has for an agency; UnavailableError where there is none of that name."""
        with self._database.read() as connection:
            agencies.one(connection, name)
            return AgencyKeys(self._vault.secrets(connection, name)[0])

    def transport(self, name: str) -> Transport:
        """How an agency is reached, with the private key; UnavailableError where there is none of that name."""
        with self._database.read() as connection:
            known = agencies.one(connection, name).transport
            return replace(known, key=self._vault.secrets(connection, name)[1])

    def renew_agency(self, name: str, transport: Transport) -> None:
        """Replaces how an agency is reached, whatever orders name it; UnavailableError where there is none."""
        with self._database.write() as connection:
            agencies.renew(connection, self._vault, name, transport)

    def remove_agency(self, name: str) -> None:
        """Removes an agency; RefusedError while an order that is not over names it."""
        with self._database.write() as connection:
            agencies.remove(connection, self._vault, name)
