# SPDX-License-Identifier: Apache-2.0
"""Agencies and warrants as the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lictl.targets import layout
from lictl.targets.orders import ArmedOrder
from lictl.warrants.fields import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lictl.targets.kinds import Target

MODE_NUMBERS: Final = {Mode.HEADERS: layout.MODE_HEADERS, Mode.CONTENT: layout.MODE_CONTENT}


@dataclass(frozen=True, slots=True)
class Agency:
    """Who receives, and how it is reached.

    Attributes:
        name: as warrant files write it; safe as a file name.
        host: name or address of its receiver.
        port: TCP port.
        format: handover format of its deliveries unless one says otherwise.
        options: for the format.
    """

    name: str
    host: str
    port: int
    format: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One agency that receives an order; `format` None: the agency's own."""

    agency: str
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Warrant:
    """One order of the store, with the slot of the kernel that it was given.

    Its targets stand in no log.

    Attributes:
        id: "W-1" and so on; never given out twice.
        liid: lawful interception identifier; unique among live orders of one agency.
        case_id: the agency's case; several orders may share it.
        mode: "headers" or "content".
        state: "active", "revoked" or "expired".
        starts_ns: UTC nanoseconds, first instant inside.
        ends_ns: UTC nanoseconds, first instant outside; of a revoked order not later than its revocation.
        slot: of the kernel's slot table.
        generation: of the slot.
        flags: SLOT_* bits.
        targets: what it names.
        deliveries: who receives.
        authority: [authority] of its file by key; `signed_at` in UTC nanoseconds.
        added_ns: when it was added.
        ended_ns: when it was revoked or expired, None before.
        released: True once its target entries are gone and its slot was given back.
        incarnation: of the kernel tables that `base` belongs to; None: never armed.
        base: counters of earlier incarnations, as the daemon wrote them.
        text: its file, as it was presented.
    """

    id: str
    liid: str
    case_id: str
    mode: str
    state: str
    starts_ns: int
    ends_ns: int
    slot: int
    generation: int
    flags: int
    targets: tuple[Target, ...] = field(repr=False)
    deliveries: tuple[Delivery, ...]
    authority: Mapping[str, Any] = field(repr=False)
    added_ns: int
    ended_ns: int | None
    released: bool
    incarnation: int | None
    base: Mapping[str, Any]
    text: str = field(repr=False)

    @property
    def claim(self) -> int:
        """Its name in target entries and records."""
        return layout.claim_of(self.slot, self.generation)


def to_armed(warrant: Warrant) -> ArmedOrder:
    """The order as `lictl.targets.compile` takes it."""
    return ArmedOrder(
        slot=warrant.slot,
        generation=warrant.generation,
        mode=MODE_NUMBERS[Mode(warrant.mode)],
        starts_ns=warrant.starts_ns,
        ends_ns=warrant.ends_ns,
        flags=warrant.flags,
        targets=warrant.targets,
        name=warrant.id,
    )
