# SPDX-License-Identifier: Apache-2.0
"""What a profile lets a site take and hand over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lictl.profiles.profile import Profile, families, family_of
from lictl.warrants.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lictl.warrants.records import Agency
    from lictl.warrants.tables import WarrantFile

AGENCY_NOTE: Final = "agency.profile."
"""Key of a store's note with an agency's own profile, with the agency's name behind it."""


def delivery_problem(format_: str, site: Profile, agency: Profile | None = None) -> str | None:
    """Why a format must not go from this site to this agency, in words; None where it may.

    Args:
        format_: handover format.
        site: the profile that the site is bound to.
        agency: the agency's own; None: it has the site's.
    """
    family = family_of(format_)
    if family is None:
        return f"the format {format_} belongs to no family of formats"
    if family not in site.families:
        return f"{format_} is of the family {family} ({families()[family].title}), not allowed by profile {site.name}"
    if agency is not None and family not in agency.families:
        return f"{format_} is of the family {family}, which an agency with profile {agency.name} cannot read"
    return None


def judge(
    file: WarrantFile, site: Profile, agencies: Mapping[str, Agency], profiles: Mapping[str, Profile]
) -> Iterator[Problem]:
    """Everything in a warrant file that its site's profile does not allow.

    Args:
        file: lawful by itself.
        site: the profile that the site is bound to.
        agencies: by name; those that the file names and that are not here are left to the store.
        profiles: agency -> its own profile, where it has one.
    """
    kind = file.authority.kind
    if kind not in site.authorities:
        what = f"{kind} is no authority at a site with profile {site.name} ({site.title})"
        fix = f"get one of {', '.join(site.authorities)}"
        yield Problem("authority.kind", what, fix, unlawful=True)
    for index, delivery in enumerate(file.delivery, 1):
        agency = agencies.get(delivery.agency)
        if agency is None:
            continue
        format_ = delivery.format or agency.format
        problem = delivery_problem(format_, site, profiles.get(delivery.agency))
        if problem is not None:
            fix = "choose a format that the agency reads, or set its profile right"
            yield Problem(f"delivery[{index}].format", problem, fix, unlawful=True)
