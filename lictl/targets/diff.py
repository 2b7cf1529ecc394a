# SPDX-License-Identifier: Apache-2.0
"""What must be written so that the kernel goes from one set of tables to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.targets import layout

if TYPE_CHECKING:
    from lictl.targets.orders import Tables


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference of two tables; every map name of KIND_OF_MAP is there.

    Attributes:
        put: map name -> packed key -> packed value: entries that are new or have other claims.
        gone: map name -> packed keys that stand for nobody now.
        revoked: slots that are empty now or have another owner: to be cleared before anything else is written.
        changed: slots with the same owner and another mode, flags or window: packed ``li_slot``.
        armed: slots with a new owner: packed ``li_slot``, to be written after everything else.
    """

    put: dict[str, dict[bytes, bytes]]
    gone: dict[str, list[bytes]]
    revoked: list[int]
    changed: dict[int, bytes]
    armed: dict[int, bytes]

    @property
    def empty(self) -> bool:
        """True where the two tables hold the same entries and slots."""
        maps = (*self.put.values(), *self.gone.values())
        return not (any(maps) or self.revoked or self.changed or self.armed)


def diff(old: Tables, new: Tables) -> Diff:
    """The smallest set of writes that makes `old` into `new`."""
    put, gone = {}, {}
    for name in layout.KIND_OF_MAP:
        before, after = old.maps[name], new.maps[name]
        put[name] = {key: value for key, value in after.items() if before.get(key) != value}
        gone[name] = [key for key in before if key not in after]
    stays = {
        slot for slot, value in new.slots.items() if slot in old.slots and _owner(value) == _owner(old.slots[slot])
    }
    return Diff(
        put,
        gone,
        revoked=[slot for slot in old.slots if slot not in stays],
        changed={slot: new.slots[slot] for slot in stays if new.slots[slot] != old.slots[slot]},
        armed={slot: value for slot, value in new.slots.items() if slot not in stays},
    )


def _owner(value: bytes) -> int:
    generation: int = layout.SLOT.unpack(value)[0]
    return generation
