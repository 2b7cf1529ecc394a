# SPDX-License-Identifier: Apache-2.0
"""What goes into the compiler and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lictl.errors import RefusedError
from lictl.targets import layout

if TYPE_CHECKING:
    from lictl.targets.kinds import Target


@dataclass(frozen=True, slots=True)
class ArmedOrder:
    """One order that owns a slot of the kernel; its repr does not show its targets.

    Attributes:
        slot: 0..4095.
        generation: 1..2^20-1, how often the slot was given out.
        mode: MODE_HEADERS or MODE_CONTENT.
        starts_ns: UTC nanoseconds, first instant inside.
        ends_ns: UTC nanoseconds, first instant outside.
        flags: SLOT_* bits; SLOT_ACCESS_ONLY follows from the targets and is added by the compiler.
        targets: at least one.
        name: how errors name the order to the operator (its warrant's id); empty: by its slot.
    """

    slot: int
    generation: int
    mode: int
    starts_ns: int
    ends_ns: int
    flags: int
    targets: tuple[Target, ...] = field(repr=False)
    name: str = ""

    @property
    def claim(self) -> int:
        """The order's name in target entries and records."""
        return layout.claim_of(self.slot, self.generation)


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything about orders that the kernel is to hold.

    Attributes:
        maps: of each target map (all names of KIND_OF_MAP, empty ones too) packed key -> packed ``li_target``.
        slots: slot -> packed ``li_slot``; a slot that is not named is empty.
        kinds: KIND_* bits of the maps that are not empty.
        v4_lens: IPv4 prefix lengths in use, longest first.
        v6_lens: IPv6 prefix lengths in use, longest first.
        port_lens: port prefix lengths in use, longest first.
    """

    maps: dict[str, dict[bytes, bytes]] = field(default_factory=lambda: {name: {} for name in layout.KIND_OF_MAP})
    slots: dict[int, bytes] = field(default_factory=dict)
    kinds: int = 0
    v4_lens: tuple[int, ...] = ()
    v6_lens: tuple[int, ...] = ()
    port_lens: tuple[int, ...] = ()


class TargetLimitError(RefusedError):
    """More than the kernel's tables hold.

    The text names the target: it is for the operator's own terminal and stands in no log.

    Attributes:
        target: canonical text of the target concerned, empty where the limit is one of the whole.
        orders: names of the orders concerned.
    """

    def __init__(self, what: str, fix: str, target: str = "", orders: tuple[str, ...] = ()) -> None:
        super().__init__(what, fix)
        self.target = target
        self.orders = orders
