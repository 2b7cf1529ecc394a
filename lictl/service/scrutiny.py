# SPDX-License-Identifier: Apache-2.0
"""What an order would touch at this site: its file, the orders in force, the network plan and the profile together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from lictl.errors import LictlError, RefusedError, UsageError
from lictl.handover.base import StreamInfo
from lictl.handover.registry import encoder, formats
from lictl.keys.agency import AgencyKeys
from lictl.profiles import rules, site_lock
from lictl.profiles.profile import Profile, family_of, names
from lictl.profiles.profile import load as load_profile
from lictl.times import now_ns
from lictl.warrants import additions
from lictl.warrants.authorities import adopt
from lictl.warrants.blast import Blast, DeliveryView, Neighbours, Reach, Refusal, blast_radius
from lictl.warrants.model import load
from lictl.warrants.problems import Problem, faulty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lictl.home import Home
    from lictl.service.site import Site
    from lictl.warrants.model import Agency, Warrant, WarrantFile
    from lictl.warrants.store import Store


_FIX: Final = "see `lictl profile show`"


class Scrutiny:
    """Judges orders before anybody arms them; changes nothing.

    Args:
        home: of the site.
        site: its lictl.toml.
        store: its orders and agencies.
    """

    def __init__(self, home: Home, site: Site, store: Store) -> None:
        self._home = home
        self._site = site
        self._store = store
        adopt(additions.load(home.root))

    def read(self, text: str, name: str) -> WarrantFile:
        """A warrant file, judged by the site's own authorities too.

        Raises:
            LictlError: as of `lictl.warrants.file.load` and `lictl.warrants.additions.load`.
        """
        adopt(additions.load(self._home.root))
        return load(text, now_ns(), name)

    def admit(self, file: WarrantFile, name: str) -> None:
        """Refuses what nobody could put into force at this site; what an approver may confirm is left to him.

        Args:
            file: lawful by itself.
            name: how errors call it.

        Raises:
            UnlawfulWarrantError: the site's profile does not allow it, or a format cannot carry it.
        """
        never = [each for each in self._judged(file, []).refusals if not each.confirmable]
        if never:
            raise faulty(name, [Problem(each.where, each.what, each.fix or _FIX, unlawful=True) for each in never])

    def gate(self, file: WarrantFile, confirm_shared: bool, reason: str | None) -> None:
        """Refuses what must not be armed, and what an approver has not confirmed (`Blast.refuse`)."""
        self._judged(file, []).refuse(confirm_shared, reason)

    def blast(self, file: WarrantFile, instead: Warrant | None = None) -> Blast:
        """What the order would touch.

        Args:
            file: the order.
            instead: the order in force that it changes, which is no neighbour of its own.
        """
        live = [order for order in self._store.live(now_ns()) if instead is None or order.id != instead.id]
        return self._judged(file, live)

    def _judged(self, file: WarrantFile, live: list[Warrant]) -> Blast:
        plan = self._site.network
        neighbours = Neighbours(plan.shared, plan.infrastructure, plan.subscribers)
        agencies = {agency.name: agency for agency in self._store.agencies()}
        own = {name: profile for name in agencies if (profile := self.agency_profile(name)) is not None}
        try:
            profile = site_lock.bound_profile(self._home)
        except LictlError as error:
            against = [Refusal("authority", "the site", error.what.rstrip("."), error.fix.rstrip("."))]
            return blast_radius(file, live, neighbours, None, None, self._views(file, agencies, None, own), against)
        against = [
            Refusal("authority", problem.where, problem.what, problem.fix)
            for problem in rules.judge(file, profile, {}, {})  # deliveries have views of their own
        ]
        limits = profile.limits
        reach = Reach(limits.ipv4_prefix, limits.ipv6_prefix, limits.ports)
        return blast_radius(file, live, neighbours, None, reach, self._views(file, agencies, profile, own), against)

    def agency_profile(self, agency: str) -> Profile | None:
        """An agency's own profile; None where it has the site's."""
        name = self._store.note(rules.AGENCY_NOTE + agency)
        return load_profile(name, self._home.root) if name else None

    def check_agency(self, agency: Agency, profile: str | None) -> None:
        """Refuses an agency whose own format it cannot read, or this site must not send.

        Args:
            agency: to be added.
            profile: name of its own profile; None: the site's.

        Raises:
            UsageError: the name is no text.
            RefusedError: its format is not of a family that both profiles have.
            LictlError: there is no such profile; the site is bound to none.
        """
        if not (profile is None or isinstance(profile, str)):
            raise UsageError("`profile` is text.")
        own = None if profile is None else load_profile(profile, self._home.root)
        problem = rules.delivery_problem(agency.format, site_lock.bound_profile(self._home), own)
        if problem is not None:
            raise RefusedError(f"Agency {agency.name}: {problem}.", "Choose a format of a family that both have.")

    def formats(self) -> dict[str, Any]:
        """Which formats this site may hand over.

        Returns:
            `site`: name of its profile; `formats`: names by profile that an agency can have, of those with any.

        Raises:
            RefusedError: there is none.
            LictlError: the site is bound to no profile, or one of its own profiles is damaged.
        """
        site = site_lock.bound_profile(self._home)
        found = {}
        for name in names(self._home.root):
            own = None if name == site.name else load_profile(name, self._home.root)
            allowed = [each for each in formats("content") if rules.delivery_problem(each, site, own) is None]
            if allowed:
                found[name] = allowed
        if not found:
            raise RefusedError(f"Profile {site.name} allows no handover format that there is.", "See its `families`.")
        return {"site": site.name, "formats": found}

    def set_agency_profile(self, agency: str, profile: str | None) -> None:
        """Notes an agency's own profile; None: it has the site's."""
        self._store.keep_note(rules.AGENCY_NOTE + agency, profile or "")

    def _views(
        self,
        file: WarrantFile,
        agencies: Mapping[str, Agency],
        site: Profile | None,
        own: Mapping[str, Profile],
    ) -> tuple[DeliveryView, ...]:
        mode: Literal["content", "headers"] = "content" if file.intercept.mode == "content" else "headers"
        views = []
        for delivery in file.delivery:
            agency = agencies.get(delivery.agency)
            if agency is None:
                problem = "there is no agency of that name"
                views.append(DeliveryView(delivery.agency, "", 0, delivery.format or "", "", mode, problem))
                continue
            format_ = delivery.format or agency.format
            problem = ""
            if format_ not in formats(mode):
                problem = f"the format {format_} cannot carry an order for {mode}"
            elif site is not None:
                problem = rules.delivery_problem(format_, site, own.get(agency.name)) or ""
            problem = problem or self._unfit(file, agency, format_, mode)
            views.append(
                DeliveryView(agency.name, agency.host, agency.port, format_, family_of(format_) or "", mode, problem)
            )
        return tuple(views)

    def _unfit(self, file: WarrantFile, agency: Agency, format_: str, mode: Literal["content", "headers"]) -> str:
        """Why the format cannot name this order or site, such as an LIID that is too long for it; "" where it can."""
        order, site = file.intercept, self._site
        try:
            # Any uuid and keys will do: names and options are judged.
            info = StreamInfo(
                order.liid, order.case_id, mode, site.operator, site.element, site.country, agency.name, str,
                agency.options, "00000000-0000-4000-8000-000000000000", AgencyKeys(bytes(32)),
            )  # fmt: skip
            encoder(format_, info)
        except LictlError as error:
            return f"{error.what.rstrip('.')}; {error.fix[:1].lower()}{error.fix[1:].rstrip('.')}"
        return ""
