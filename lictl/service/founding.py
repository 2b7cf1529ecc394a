# SPDX-License-Identifier: Apache-2.0
"""Making a site: its home, keys, store and the beginning of its audit chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.people.actor import this_process
from lictl.people.roles import Roles
from lictl.profiles.binding import bind_new, choose
from lictl.service.guard import DaemonLock
from lictl.service.office import open_office
from lictl.service.role_desk import table_of
from lictl.service.site import Site, make_site
from lictl.warrants.opening import check_new

if TYPE_CHECKING:
    from lictl.home import Home
    from lictl.profiles.profile import Profile


def found(home: Home, site: Site, roles: Roles | None = None, profile: str | None = None) -> Profile:
    """Makes a site; the first entry of its chain says who made it, and who may do what from the beginning.

    Args:
        home: not made yet.
        site: what its lictl.toml says.
        roles: who may do what.
        profile: name of the jurisdiction that it is bound to; None: the country's.

    Returns:
        the profile.

    Raises:
        UsageError: there is no such profile, or it is not for the country; the database's URL is none.
        UnavailableError: the database cannot be reached.
        RefusedError: something is there already; nothing was changed.
        LictlError: keys, store or chain cannot be made.
    """
    jurisdiction = choose(profile, site.country)
    if site.database is not None:
        check_new(site.database)
    make_site(home, site, roles)
    who = this_process(home)
    with DaemonLock(home), open_office(home) as office:
        after = {
            **site.model_dump(mode="json"), "profile": jurisdiction.name, "roles": table_of(roles or Roles({})),
        }  # fmt: skip
        office.record.note(who, "note.site", site.element, after)
    bind_new(home, jurisdiction, site.country, who.to_json())
    return jurisdiction
