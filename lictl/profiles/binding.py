# SPDX-License-Identifier: Apache-2.0
"""Which profile a site gets, and its first lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lictl.errors import UsageError
from lictl.keys.site import SiteKey
from lictl.profiles import profile, site_lock
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lictl.home import Home
    from lictl.profiles.profile import Profile

FIRST: Final = "lictl init"


def choose(name: str | None, country: str, home: Path | None = None) -> Profile:
    """The profile that a site is to be bound to.

    Args:
        name: as the command line has it; None: the one of the country.
        country: of the site.
        home: the site's folder, where it has profiles of its own; None: not looked at.

    Raises:
        UsageError: it is not for that country, or no profile is for the country alone.
        LictlError: as of `lictl.profiles.profile.load`.
    """
    chosen = profile.load(name or profile.for_country(country), home)
    if country not in chosen.countries:
        raise UsageError(
            f"Profile {chosen.name} is not for country {country}.",
            f"It is for {', '.join(chosen.countries)}; `lictl profile show template` begins one of your own.",
        )
    return chosen


def bind_new(home: Home, chosen: Profile, country: str, by: Mapping[str, Any]) -> None:
    """Binds a site that was just made, on the word of the person who makes it."""
    lock = site_lock.made(home, chosen, country, by, now_ns(), FIRST)
    site_lock.save(home, lock, SiteKey.open(home).signer)
