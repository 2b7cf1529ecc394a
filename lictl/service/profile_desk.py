# SPDX-License-Identifier: Apache-2.0
"""The jurisdiction that a site is bound to, through the daemon or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl import faults
from lictl.errors import LictlError, UnavailableError, UsageError
from lictl.keys.site import SiteKey
from lictl.profiles import site_lock
from lictl.profiles.binding import choose
from lictl.service.site import read_site
from lictl.times import now_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.home import Home
    from lictl.people.actor import Actor
    from lictl.service.record import Record


class ProfileDesk:
    """Says how the site is bound, and binds it anew on an approver's word."""

    def __init__(self, home: Home, record: Record) -> None:
        self._home = home
        self._record = record

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {"profile.status": self.status, "profile.confirm": self.confirm}

    def status(self, actor: Actor) -> dict[str, Any]:
        """The lock, and all that is not as it says."""
        changes = site_lock.check(self._home, read_site(self._home).country)
        try:
            lock: dict[str, Any] | None = site_lock.read(self._home).to_json()
        except LictlError:
            lock = None
        return {
            "bound": lock is not None,
            "arms": not changes,
            "changes": [{"what": each.what, "was": each.was, "now": each.now} for each in changes],
            "lock": lock,
        }

    def confirm(self, actor: Actor, reason: str, profile_name: str | None = None) -> dict[str, Any]:
        """Binds the site to what it is now; `profile_name` None: to the profile that it has.

        Returns:
            `status`, with `before`: the lock that was replaced, None where there was none that holds.
        """
        if not isinstance(reason, str) or not (profile_name is None or isinstance(profile_name, str)):
            raise UsageError("`reason` and `profile_name` are text.")
        before = self.status(actor)
        if profile_name is None and before["lock"] is None:
            raise UnavailableError("The site is bound to no profile.", "Name one with --profile.")
        country = read_site(self._home).country
        chosen = choose(profile_name or before["lock"]["profile"], country, self._home.root)
        signer = SiteKey.open(self._home).signer
        lock = site_lock.made(self._home, chosen, country, actor.to_json(), now_ns(), reason)
        with self._record.act(
            "profile.confirm",
            actor=actor.to_json(),
            subject=chosen.name,
            before={"lock": before["lock"], "changes": before["changes"]},
            after=lock.to_json(),
        ):
            faults.point("profile.confirm.intended")
            site_lock.save(self._home, lock, signer)
            faults.point("profile.confirm.saved")
        return {**self.status(actor), "before": before["lock"]}
