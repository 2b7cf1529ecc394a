# SPDX-License-Identifier: Apache-2.0
"""Which operation needs which role. The one table; what does not stand in it is permitted to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lictl.errors import RefusedError
from lictl.people.roles import Role

if TYPE_CHECKING:
    from lictl.people.actor import Actor

_OPERATOR: Final = frozenset({Role.OPERATOR})
_APPROVER: Final = frozenset({Role.APPROVER})
_STOPPERS: Final = _OPERATOR | _APPROVER
_ADMIN: Final = frozenset({Role.COLLECTOR_ADMIN})
_READERS: Final = _STOPPERS | {Role.AUDITOR}
_ANYBODY: Final = frozenset(Role)
_OWNER_ONLY: Final[frozenset[Role]] = frozenset()

PERMITS: Final[dict[str, frozenset[Role]]] = {
    "ping": _ANYBODY,
    "status": _ANYBODY,
    "status.finished": _ANYBODY,
    "role.list": _ANYBODY,
    "role.grant": _OWNER_ONLY,
    "role.withdraw": _OWNER_ONLY,
    "agency.list": _ANYBODY,
    "agency.show": _ANYBODY,
    "agency.formats": _ADMIN,
    "agency.add": _ADMIN,
    "agency.keys": _ADMIN,
    "agency.renew": _ADMIN,
    "agency.remove": _ADMIN,
    "warrant.list": _READERS,
    "warrant.show": _READERS,
    "warrant.check": _STOPPERS,
    "warrant.certificate": _READERS,
    "warrant.add": _OPERATOR,
    "warrant.submit": _OPERATOR,
    "warrant.emergency": _OPERATOR,
    "warrant.extend": _OPERATOR,
    "warrant.amend": _OPERATOR,
    "warrant.approve": _APPROVER,
    "warrant.reject": _APPROVER,
    "warrant.resume": _APPROVER,
    "warrant.suspend": _STOPPERS,
    "warrant.withdraw": _OPERATOR,
    "warrant.unable": _STOPPERS,
    "warrant.able": _STOPPERS,
    "warrant.revoke": _STOPPERS,
    "warrant.close": _OPERATOR,
    "warrant.destroy-key": _APPROVER,
    "profile.status": _ANYBODY,
    "profile.confirm": _APPROVER,
    "report": _READERS,
    "drill.begin": _STOPPERS,
    "drill.end": _STOPPERS,
    "audit.verify": _READERS,
    "audit.show": frozenset({Role.AUDITOR}),
    "audit.export": frozenset({Role.AUDITOR}),
    "audit.head": _READERS,
    "audit.reconcile": _READERS,
    "audit.rotate-key": _OWNER_ONLY,
}
"""Operation to the roles of which one is enough. Whoever reads with the auditor's role alone sees no target."""

OWNER: Final = frozenset(
    {
        "ping",
        "status",
        "status.finished",
        "role.list",
        "role.grant",
        "role.withdraw",
        "profile.status",
        "warrant.suspend",
        "warrant.revoke",
        "audit.verify",
        "audit.head",
        "audit.reconcile",
        "audit.rotate-key",
        "drill.begin",
        "drill.end",
    }
)
"""What root and the owner of the home may do without a role: found the site, verify it, and stop what it does."""


def may(actor: Actor, op: str) -> bool:
    """Whether a person may do something."""
    return bool(actor.roles & PERMITS.get(op, frozenset())) or (actor.owner and op in OWNER)


def check(actor: Actor, op: str) -> None:
    """Refuses what a person may not do.

    Raises:
        RefusedError: it names the roles that may.
    """
    if may(actor, op):
        return
    wanted = sorted(PERMITS.get(op, frozenset()))
    has = ", ".join(sorted(actor.roles)) or "none"
    who = " or ".join(wanted) if wanted else "root or the owner of the home"
    raise RefusedError(
        f"{actor.name} (uid {actor.uid}) may not do {op}: it takes the role {who}; yours: {has}."
        if wanted
        else f"{actor.name} (uid {actor.uid}) may not do {op}: it takes {who}.",
        "Ask the owner of the home for `lictl role grant`." if wanted else "Run it as root.",
    )


def sees_targets(actor: Actor) -> bool:
    """Whether a person may read whom an order names."""
    return bool(actor.roles & _STOPPERS)
