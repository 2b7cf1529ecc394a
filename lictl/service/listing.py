# SPDX-License-Identifier: Apache-2.0
"""Looking at orders. Each look is an entry of the audit chain before anything is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl.people.permits import sees_targets
from lictl.service.given import text_of
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.states import OPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.people.actor import Actor
    from lictl.service.record import Record
    from lictl.warrants.records import Inability, Instrument, Overview, Warrant
    from lictl.warrants.store import Store
    from lictl.warrants.who import Who


class Listing:
    """Lists and shows orders; whoever has the auditor's role alone is not told whom they name."""

    def __init__(self, store: Store, record: Record) -> None:
        self._store = store
        self._record = record

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {"warrant.list": self.list_all, "warrant.show": self.show}

    def list_all(self, actor: Actor, everything: bool = False) -> list[dict[str, Any]]:
        """Orders that are not over, or all of them; oldest first."""
        sees, states = sees_targets(actor), None if everything else OPEN
        self._record.note(actor, "read.warrants", None, {"all": everything is True, "targets": sees})
        if sees:
            return [summary(order) for order in self._store.list(states)]
        return [_outline(order) for order in self._store.overview(states)]

    def show(self, actor: Actor, name: str) -> dict[str, Any]:
        """Everything of one order."""
        order, sees = self._store.get(text_of(name, "name")), sees_targets(actor)
        self._record.note(actor, "read.warrant", order.id, {"targets": sees})
        return details(order) if sees else {**_withheld(details(order)), "targets": None, "file": None}


def told(order: Warrant, effect: str) -> dict[str, Any]:
    """What an act answers: the order as it is now, and a sentence on what the act did."""
    return {**summary(order), "effect": effect}


def summary(order: Warrant) -> dict[str, Any]:
    """An order for lists."""
    waits = order.pending
    return {
        "id": order.id,
        "liid": order.liid,
        "case_id": order.case_id,
        "kind": order.kind,
        "state": order.state,
        "emergency": order.emergency,
        "unable": order.unable,
        "waits": None if waits is None or waits.position == 1 else f"{waits.act} {waits.state}",
        "mode": str(order.mode),
        "starts": format_rfc3339(order.starts_ns),
        "ends": format_rfc3339(order.ends_ns),
        "targets": [str(target) for target in order.targets],
        "agencies": [delivery.agency for delivery in order.deliveries],
    }


def _outline(order: Overview) -> dict[str, Any]:
    return {
        "id": order.id,
        "liid": order.liid,
        "case_id": order.case_id,
        "kind": order.kind,
        "state": order.state,
        "emergency": order.emergency,
        "unable": order.unable,
        "waits": None,
        "mode": order.mode,
        "starts": format_rfc3339(order.starts_ns),
        "ends": format_rfc3339(order.ends_ns),
        "targets": None,
        "agencies": list(order.agencies),
    }


def details(order: Warrant) -> dict[str, Any]:
    """Everything of one order, for those who may see whom it names."""
    return {
        **summary(order),
        "added": format_rfc3339(order.added_ns),
        "first_taken": _time(order.first_taken_ns),
        "ended": _time(order.ended_ns),
        "closed": _time(order.closed_ns),
        "key_destroyed": _time(order.key_destroyed_ns),
        "left": _left(order),
        "authority": _authority(order.authority),
        "formats": [delivery.format for delivery in order.deliveries],
        "instruments": [_instrument(order, each) for each in order.instruments],
        "inabilities": [_inability(each) for each in order.inabilities],
        "summary": None if order.summary is None else dict(order.summary),
        "file": order.text,
    }


def _instrument(order: Warrant, each: Instrument) -> dict[str, Any]:
    return {
        "id": f"{order.id}/{each.position}",
        "act": each.act,
        "state": each.state,
        "kind": each.kind,
        "starts": format_rfc3339(each.starts_ns),
        "ends": format_rfc3339(each.ends_ns),
        "targets": [str(target) for target in each.targets],
        "authority": _authority(each.authority),
        "reason": each.reason,
        "confirmed_shared": each.confirmed_shared,
        "drafted": _act(each.drafted_by, each.drafted_ns),
        "submitted": _act(each.submitted_by, each.submitted_ns),
        "approved": _act(each.approved_by, each.approved_ns),
        "file": each.text,
    }


def _inability(each: Inability) -> dict[str, Any]:
    return {
        "noted": _act(each.noted_by, each.noted_ns),
        "reason": each.reason,
        "restored": _act(each.restored_by, each.restored_ns),
        "restored_reason": each.restored,
    }


def _withheld(told: dict[str, Any]) -> dict[str, Any]:
    """Without what names the subject: the authority's free fields and the files may."""
    hidden = {"authority": None, "targets": None, "file": None, "reason": None}
    instruments = [{**each, **hidden} for each in told["instruments"]]
    inabilities = [{**each, "reason": None, "restored_reason": None} for each in told["inabilities"]]
    return {**told, "authority": None, "instruments": instruments, "inabilities": inabilities}


def _authority(authority: Mapping[str, Any]) -> dict[str, Any]:
    times = {"signed_at", "recorded_at", "oral_at"}
    return {
        key: format_rfc3339(value) if key in times and isinstance(value, int) else value
        for key, value in authority.items()
    }


def _act(who: Who | None, moment: int | None) -> dict[str, Any] | None:
    if moment is None:
        return None
    if who is None:
        return {"at": format_rfc3339(moment), "by": None}
    return {"at": format_rfc3339(moment), "by": who.name, "uid": who.uid, "login_uid": who.login_uid}


def _time(moment: int | None) -> str | None:
    return None if moment is None else format_rfc3339(moment)


def _left(order: Warrant) -> float | None:
    """Seconds of the window that are left; None where it is over or the order is not in force."""
    left = order.ends_ns - now_ns()
    return round(left / 1e9, 3) if order.ended_ns is None and left > 0 else None
