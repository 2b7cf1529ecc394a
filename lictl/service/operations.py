# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a site: by the control socket, or by the owner of the home where no daemon runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lictl.papers.desk import PapersDesk
from lictl.papers.gather import Place
from lictl.service.agency_desk import AgencyDesk
from lictl.service.check_desk import CheckDesk
from lictl.service.inability_desk import InabilityDesk
from lictl.service.key_desk import KeyDesk
from lictl.service.listing import Listing
from lictl.service.order_desk import OrderDesk
from lictl.service.profile_desk import ProfileDesk
from lictl.service.role_desk import RoleDesk
from lictl.service.scrutiny import Scrutiny
from lictl.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.home import Home
    from lictl.people.actor import Actor
    from lictl.service.effects import Effects
    from lictl.service.record import Record
    from lictl.service.site import Site
    from lictl.warrants.store import Store


def operations(
    home: Home, site: Site, store: Store, record: Record, effects: Effects
) -> Mapping[str, Callable[..., Any]]:
    """Every operation that needs no running daemon, by name; `lictl.people.permits` says who may do which."""
    place = Place(site.operator, site.element, site.country)
    papers = PapersDesk(home, place, store, streams=lambda name: effects.streams(store.get(name)), note=record.note)
    scrutiny = Scrutiny(home, site, store)
    return {
        "ping": _ping,
        **RoleDesk(home, record).table(),
        **ProfileDesk(home, record).table(),
        **AgencyDesk(site, store, record, effects, scrutiny).table(),
        **KeyDesk(home, record).table(),
        **OrderDesk(home, store, record, effects, scrutiny).table(),
        **InabilityDesk(store, record).table(),
        **CheckDesk(scrutiny, store, record).table(),
        **Listing(store, record).table(),
        **papers.table(),
    }


def _ping(actor: Actor) -> dict[str, Any]:
    """Who answers."""
    return {"pid": os.getpid(), "version": __version__, "uid": actor.uid, "roles": sorted(actor.roles)}
