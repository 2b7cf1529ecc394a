# SPDX-License-Identifier: Apache-2.0
"""From rows of the store to orders, and from a warrant file to rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, bindparam, select

from lictl.targets import layout
from lictl.targets.grammar import parse
from lictl.targets.kinds import Target, access_only
from lictl.warrants.kinds import rule_of
from lictl.warrants.records import NO_SLOT, Approval, Delivery, Inability, Instrument, Overview, Warrant
from lictl.warrants.schema import deliveries, inabilities, instruments, warrant_keys, warrants
from lictl.warrants.who import Who
from lictl.warrants.window import term_of, term_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Select

    from lictl.warrants.tables import InterceptTable, WarrantFile
    from lictl.warrants.vault import Vault

_AT_ONCE: Final = 500
"""Numbers in one IN list."""

# Made once: to make a statement takes longer than to run it.
_NUMBERS: Final[BindParameter[Any]] = bindparam("numbers", expanding=True)
_ORDERS: Final = (
    select(warrants, warrant_keys.c.wrapped, warrant_keys.c.destroyed_ns)
    .outerjoin(warrant_keys, warrant_keys.c.warrant == warrants.c.number)
    .where(warrants.c.number.in_(_NUMBERS))
    .order_by(warrants.c.number)
)
_PAPERS: Final = (
    select(instruments)
    .where(instruments.c.warrant.in_(_NUMBERS))
    .order_by(instruments.c.warrant, instruments.c.position)
)
_DELIVERIES: Final = (
    select(deliveries).where(deliveries.c.warrant.in_(_NUMBERS)).order_by(deliveries.c.warrant, deliveries.c.position)
)
_INABILITIES: Final = (
    select(inabilities)
    .where(inabilities.c.warrant.in_(_NUMBERS))
    .order_by(inabilities.c.warrant, inabilities.c.position)
)
_LASTING: Final = select(inabilities.c.warrant).where(
    inabilities.c.warrant.in_(_NUMBERS), inabilities.c.restored_ns.is_(None)
)


class Reader:
    """Reads orders; keeps what it unsealed of those that hold a slot, as the daemon asks for them again and again."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened: dict[tuple[int, str], tuple[bytes, Any]] = {}

    def read(self, connection: Connection, numbers: Iterable[int] | None = None) -> list[Warrant]:
        """Orders by number, all where `numbers` is None; oldest first."""
        if numbers is None:
            numbers = connection.execute(select(warrants.c.number)).scalars().all()
        wanted = sorted(set(numbers))
        found: list[Warrant] = []
        for at in range(0, len(wanted), _AT_ONCE):
            found += self._some(connection, wanted[at : at + _AT_ONCE])
        return found

    def one(self, connection: Connection, number: int) -> Warrant:
        """The order of a number that is there."""
        return self._some(connection, [number])[0]

    def forget(self) -> None:
        """Drops what was kept unsealed."""
        self._opened.clear()

    def _some(self, connection: Connection, numbers: Sequence[int]) -> list[Warrant]:
        received = _receivers(connection, numbers)
        meant = {"numbers": list(numbers)}
        papers, unable = _by_order(connection, _PAPERS, meant), _by_order(connection, _INABILITIES, meant)
        return [
            self._warrant(
                row, papers.get(row.number, []), tuple(received.get(row.number, ())), unable.get(row.number, [])
            )
            for row in connection.execute(_ORDERS, meant)
        ]

    def _warrant(self, row: Any, papers: list[Any], receivers: tuple[Delivery, ...], unable: list[Any]) -> Warrant:
        if row.released:
            for known in [place for place in self._opened if place[0] == row.number]:
                del self._opened[known]
        opener = _Opener(self._vault, self._opened, row)
        made = tuple(_instrument(opener, paper) for paper in papers)
        return Warrant(
            id=f"W-{row.number}",
            liid=row.liid,
            case_id=row.case_id,
            mode=row.mode,
            state=row.state,
            starts_ns=row.starts_ns,
            ends_ns=row.ends_ns,
            slot=NO_SLOT if row.slot is None else row.slot,
            generation=row.generation or 0,
            flags=row.flags,
            targets=opener.targets("targets", row.sealed_targets) or (),
            deliveries=receivers,
            authority=made[0].authority,
            added_ns=row.added_ns,
            ended_ns=row.ended_ns,
            released=row.released,
            incarnation=None if row.incarnation is None else int(row.incarnation),
            base=json.loads(row.base),
            text=made[0].text,
            uuid=row.uuid,
            kind=row.kind,
            emergency=row.emergency,
            instruments=made,
            inabilities=tuple(_inability(opener, each) for each in unable),
            first_taken_ns=row.first_taken_ns,
            closed_ns=row.closed_ns,
            summary=None if row.summary is None else json.loads(row.summary),
            key_destroyed_ns=row.destroyed_ns,
        )


class _Opener:
    """Opens what is sealed in the rows of one order."""

    def __init__(self, vault: Vault, opened: dict[tuple[int, str], tuple[bytes, Any]], row: Any) -> None:
        self._vault, self._opened, self._row = vault, opened, row
        self._key: bytes | None = None

    def value(self, place: str, blob: bytes | None) -> Any:
        """The JSON value; None where there is nothing to open, or nothing to open it with."""
        row = self._row
        if blob is None or row.wrapped is None:
            return None
        if self._key is None:
            self._key = self._vault.unwrap(row.wrapped, row.uuid)
        return self._vault.open(self._key, row.uuid, place, blob)

    def targets(self, place: str, blob: bytes | None) -> tuple[Target, ...] | None:
        """The targets of the order, parsed."""
        known = self._known(place, blob)
        if known is not None:
            return known  # type: ignore[no-any-return]
        texts = self.value(place, blob)
        return None if texts is None else self._keep(place, blob, tuple(parse(text) for text in texts))

    def document(self, place: str, blob: bytes | None) -> dict[str, Any]:
        """What an instrument holds: `targets` parsed, `authority`, `text`."""
        known = self._known(place, blob)
        if known is not None:
            return known  # type: ignore[no-any-return]
        value = self.value(place, blob)
        if value is None:
            return {"targets": (), "authority": {}, "text": ""}
        value["targets"] = tuple(parse(text) for text in value["targets"])
        return self._keep(place, blob, value)  # type: ignore[no-any-return]

    def _known(self, place: str, blob: bytes | None) -> Any:
        known = self._opened.get((self._row.number, place))
        return known[1] if known is not None and known[0] == blob else None

    def _keep(self, place: str, blob: bytes | None, value: Any) -> Any:
        if not self._row.released and blob is not None:
            self._opened[self._row.number, place] = (blob, value)
        return value


def _instrument(opener: _Opener, row: Any) -> Instrument:
    document = opener.document(f"document/{row.position}", row.sealed_document)
    return Instrument(
        position=row.position,
        act=row.act,
        state=row.state,
        kind=row.kind,
        emergency=row.emergency,
        origin=row.origin,
        starts_ns=row.starts_ns,
        ends_ns=row.ends_ns,
        signed_ns=row.signed_ns,
        term=term_of(row.term),
        targets=document["targets"],
        authority=document["authority"],
        text=document["text"],
        reason=opener.value(f"reason/{row.position}", row.sealed_reason),
        confirmed_shared=row.confirmed_shared,
        drafted_by=_who(row.drafted_by),
        drafted_ns=row.drafted_ns,
        submitted_by=_who(row.submitted_by),
        submitted_ns=row.submitted_ns,
        approved_by=_who(row.approved_by),
        approved_ns=row.approved_ns,
    )


def _inability(opener: _Opener, row: Any) -> Inability:
    return Inability(
        position=row.position,
        noted_by=Who.from_json(row.noted_by),
        noted_ns=row.noted_ns,
        reason=opener.value(f"inability/{row.position}", row.sealed_reason),
        restored_by=_who(row.restored_by),
        restored_ns=row.restored_ns,
        restored=opener.value(f"restored/{row.position}", row.sealed_restored),
    )


def _by_order(connection: Connection, query: Select[Any], meant: dict[str, list[int]]) -> dict[int, list[Any]]:
    """Rows by the order that they belong to, in their order."""
    found: dict[int, list[Any]] = {}
    for row in connection.execute(query, meant):
        found.setdefault(row.warrant, []).append(row)
    return found


def _who(text: str | None) -> Who | None:
    return None if text is None else Who.from_json(text)


def _receivers(connection: Connection, numbers: Sequence[int]) -> dict[int, list[Delivery]]:
    received: dict[int, list[Delivery]] = {}
    for row in connection.execute(_DELIVERIES, {"numbers": list(numbers)}):
        received.setdefault(row.warrant, []).append(Delivery(row.agency, row.format))
    return received


def overviews(connection: Connection, query: Select[Any]) -> list[Overview]:
    """Orders without their sealed parts; `query` selects rows of `warrants`."""
    rows = connection.execute(query.order_by(warrants.c.number)).all()
    agencies: dict[int, dict[str, None]] = {}
    unable: set[int] = set()
    for at in range(0, len(rows), _AT_ONCE):
        numbers = [row.number for row in rows[at : at + _AT_ONCE]]
        unable.update(connection.execute(_LASTING, {"numbers": numbers}).scalars())
        for number, receivers in _receivers(connection, numbers).items():
            agencies[number] = dict.fromkeys(receiver.agency for receiver in receivers)
    return [
        Overview(
            id=f"W-{row.number}",
            uuid=row.uuid,
            liid=row.liid,
            case_id=row.case_id,
            mode=row.mode,
            kind=row.kind,
            emergency=row.emergency,
            state=row.state,
            starts_ns=row.starts_ns,
            ends_ns=row.ends_ns,
            added_ns=row.added_ns,
            ended_ns=row.ended_ns,
            closed_ns=row.closed_ns,
            first_taken_ns=row.first_taken_ns,
            released=row.released,
            agencies=tuple(agencies.get(row.number, ())),
            unable=row.number in unable and row.ended_ns is None,
        )
        for row in rows
    ]


def approvals(connection: Connection) -> list[Approval]:
    """Every approved instrument, those of one order together and the original first."""
    query = (
        select(
            warrants.c.number, warrants.c.kind, warrants.c.mode, warrants.c.emergency, warrants.c.state,
            instruments.c.act, instruments.c.approved_ns, instruments.c.starts_ns, instruments.c.ends_ns,
        )
        .join(instruments, instruments.c.warrant == warrants.c.number)
        .where(instruments.c.state == "approved", instruments.c.approved_ns.is_not(None))
        .order_by(warrants.c.number, instruments.c.position)
    )  # fmt: skip
    return [Approval(f"W-{number}", *rest) for number, *rest in connection.execute(query)]


def slot_flags(order: InterceptTable) -> int:
    """SLOT_* bits that an order's file asks for."""
    return (
        target_flags(order.targets)
        | (layout.SLOT_NO_PORTS if order.ports is False else 0)
        | (layout.SLOT_NO_LENGTH if order.length is False else 0)
    )


def target_flags(targets: tuple[Target, ...]) -> int:
    """The SLOT_* bit that comes of the kinds of target."""
    return layout.SLOT_ACCESS_ONLY if access_only(targets) else 0


def target_texts(targets: Iterable[Target]) -> list[str]:
    """Canonical texts, as they are sealed."""
    return [str(target) for target in targets]


def document(file: WarrantFile) -> dict[str, Any]:
    """What of a file is sealed."""
    return {
        "targets": target_texts(file.intercept.targets),
        "authority": file.authority.model_dump(),
        "text": file.text,
    }


def clock(file: WarrantFile) -> dict[str, Any]:
    """What of a file decides its window."""
    rule = rule_of(file.authority.kind)
    return {
        "kind": rule.kind,
        "starts_ns": file.intercept.starts,
        "ends_ns": file.intercept.ends,
        "signed_ns": file.authority.signed_at,
        "term": term_text(rule.term),
    }
