# SPDX-License-Identifier: Apache-2.0
"""The agencies that orders can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lictl import faults
from lictl.delivery.filing import Filing
from lictl.errors import UsageError
from lictl.handover.base import StreamInfo
from lictl.handover.registry import encoder, formats
from lictl.keys.agency import AgencyKeys
from lictl.warrants.model import Agency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.people.actor import Actor
    from lictl.service.record import Record
    from lictl.service.scrutiny import Scrutiny
    from lictl.service.site import Site
    from lictl.warrants.store import Store


class AgencyDesk:
    """Lists and changes them."""

    def __init__(self, site: Site, store: Store, record: Record, scrutiny: Scrutiny) -> None:
        self._site = site
        self._store = store
        self._record = record
        self._scrutiny = scrutiny

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {
            "agency.list": self.list_all, "agency.show": self.show, "agency.add": self.add,
            "agency.remove": self.remove,
        }  # fmt: skip

    def list_all(self, actor: Actor) -> list[dict[str, Any]]:
        """All agencies."""
        return [agency.to_plain() for agency in self._store.agencies()]

    def show(self, actor: Actor, name: str) -> dict[str, Any]:
        """One agency, and the site as a delivery names it."""
        return {"agency": self._store.agency(_text(name)).to_plain(), "site": self._site.model_dump()}

    def add(
        self,
        actor: Actor,
        name: str,
        host: str,
        port: int,
        format: str,
        options: dict[str, Any],
        profile: str | None = None,
    ) -> dict[str, Any]:
        """Adds an agency; orders can name it from then on. `profile`: its own jurisdiction, None: the site's."""
        if not (isinstance(port, int) and isinstance(options, dict)):
            raise UsageError("`port` is a number, `options` a map.")
        agency = Agency(_text(name), _text(host), port, _text(format), options)
        check_agency(agency)
        self._scrutiny.check_agency(agency, profile)
        added = {**agency.to_plain(), "profile": profile}
        with self._record.act("agency.add", actor=actor.to_json(), subject=name, after=added):
            faults.point("agency.add.intended")
            self._store.add_agency(agency)
            self._scrutiny.set_agency_profile(name, profile)
            faults.point("agency.add.stored")
        return added

    def remove(self, actor: Actor, name: str) -> dict[str, Any]:
        """Removes an agency that no order needs any more."""
        agency = self._store.agency(_text(name))
        with self._record.act("agency.remove", actor=actor.to_json(), subject=name, before=agency.to_plain()):
            faults.point("agency.remove.intended")
            self._store.remove_agency(name)
            faults.point("agency.remove.stored")
        return {"removed": name}


def check_agency(agency: Agency) -> None:
    """Refuses an agency whose format is not known or does not take its options.

    Raises:
        UsageError: what is wrong.
    """
    if agency.transport.kind == "files":
        Filing.of(agency.transport.files)
    modes: tuple[Literal["content", "headers"], ...] = ("content", "headers")
    for mode in modes:
        if agency.format in formats(mode) or mode == "content":
            # Any names and keys will do: the options alone are judged.
            info = StreamInfo(
                "X", "X", mode, "X", "X", "ZZ", agency.name, str, agency.options,
                "00000000-0000-4000-8000-000000000000", AgencyKeys(bytes(32)),
            )  # fmt: skip
            encoder(agency.format, info)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError("names, hosts and formats are text.")
    return value
