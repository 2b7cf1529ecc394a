# SPDX-License-Identifier: Apache-2.0
"""The agencies that orders can name."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from lictl import faults
from lictl.errors import UsageError
from lictl.handover.base import StreamInfo
from lictl.handover.registry import encoder, formats
from lictl.keys.agency import AgencyKeys
from lictl.service.credentials import described, renewed
from lictl.service.transports import check_transport, read_transport
from lictl.warrants.model import Agency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.people.actor import Actor
    from lictl.service.effects import Effects
    from lictl.service.record import Record
    from lictl.service.scrutiny import Scrutiny
    from lictl.service.site import Site
    from lictl.warrants.store import Store


class AgencyDesk:
    """Lists and changes them."""

    def __init__(self, site: Site, store: Store, record: Record, effects: Effects, scrutiny: Scrutiny) -> None:
        self._site = site
        self._store = store
        self._record = record
        self._effects = effects
        self._scrutiny = scrutiny
        self._renewing = threading.Lock()

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {
            "agency.list": self.list_all, "agency.show": self.show, "agency.formats": self.formats,
            "agency.add": self.add, "agency.renew": self.renew, "agency.remove": self.remove, "agency.keys": self.keys,
        }  # fmt: skip

    def list_all(self, actor: Actor) -> list[dict[str, Any]]:
        """All agencies."""
        return [agency.to_plain() for agency in self._store.agencies()]

    def show(self, actor: Actor, name: str) -> dict[str, Any]:
        """One agency, and the site as a delivery names it."""
        return {"agency": self._store.agency(_text(name)).to_plain(), "site": self._site.model_dump()}

    def formats(self, actor: Actor) -> dict[str, Any]:
        """What an agency may be given here: `Scrutiny.formats`."""
        return self._scrutiny.formats()

    def add(
        self,
        actor: Actor,
        name: str,
        host: str,
        port: int,
        format: str,
        options: dict[str, Any],
        profile: str | None = None,
        transport: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Adds an agency; orders can name it from then on.

        Args:
            profile: its own jurisdiction; None: the site's.
            transport: fields of `lictl.delivery.config.Transport`; None: as it stands there.
        """
        if not (isinstance(port, int) and isinstance(options, dict) and isinstance(transport, dict | None)):
            raise UsageError("`port` is a number, `options` and `transport` are maps.")
        agency = Agency(_text(name), _text(host), port, _text(format), options, read_transport(transport or {}))
        check_agency(agency)
        self._scrutiny.check_agency(agency, profile)
        added = {**agency.to_plain(), "profile": profile}
        with self._record.act("agency.add", actor=actor.to_json(), subject=name, after=added):
            faults.point("agency.add.intended")
            self._store.add_agency(agency)
            self._scrutiny.set_agency_profile(name, profile)
            faults.point("agency.add.stored")
        return added

    def keys(self, actor: Actor, name: str, payload: bool = False) -> dict[str, str]:
        """The public halves of the keys that this site has for an agency, as PEM.

        Args:
            payload: also the key of sealed payloads, in hexadecimal; that it left is in the audit chain.
        """
        keys = self._store.agency_keys(_text(name))
        found = {"agency": name, "eddsa": keys.eddsa_pem.decode(), "ecdsa": keys.ecdsa_pem.decode()}
        if payload:
            with self._record.act("agency.payload-key", actor=actor.to_json(), subject=name):
                found["payload"] = keys.payload_key.hex()
        return found

    def renew(self, actor: Actor, name: str, ca: str = "", certificate: str = "", key: str = "") -> dict[str, Any]:
        """Replaces what TLS with an agency rests on, also while orders are delivered there.

        Args:
            actor: who.
            name: of the agency.
            ca: PEM of every authority that counts from now on, the old one too where both shall; "": as it is.
            certificate: PEM chain that is shown to the agency; "": as it is.
            key: PEM of its private key; "": as it is.

        Returns:
            The agency, `effect`: one sentence, and what `lictl.service.credentials.described` says.
        """
        with self._renewing:  # what one renews, another one at the same moment does not undo
            agency = self._store.agency(_text(name))
            transport = renewed(self._store.transport(name), *(_text(each) for each in (ca, certificate, key)))
            new = replace(agency, transport=transport).to_plain()
            with self._record.act(
                "agency.renew", actor=actor.to_json(), subject=name, before=agency.to_plain(), after=new
            ):
                faults.point("agency.renew.intended")
                self._store.renew_agency(name, transport)
                faults.point("agency.renew.stored")
                effect = self._effects.renewed(name)
        return {**new, "effect": effect, **described(transport)}

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
    modes: tuple[Literal["content", "headers"], ...] = ("content", "headers")
    for mode in modes:
        if agency.format in formats(mode) or mode == "content":
            # Any names and keys will do: the options alone are judged.
            info = StreamInfo(
                "X", "X", mode, "X", "X", "ZZ", agency.name, str, agency.options,
                "00000000-0000-4000-8000-000000000000", AgencyKeys(bytes(32)),
            )  # fmt: skip
            encoder(agency.format, info)
    check_transport(agency.transport, agency.format)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError("names, hosts and formats are text.")
    return value
