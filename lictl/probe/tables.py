# SPDX-License-Identifier: Apache-2.0
"""Writing compiled orders into the kernel, in an order in which no packet is ever taken that no live order names.

Revoke; widen the words in front; add entries; remove entries; narrow the words; arm. An entry of an order that is not
armed matches nothing (its claim's generation does not live), and an order that stays live keeps, at every step, all of
its entries or shorter prefixes that carry its claim.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from lictl.errors import MachineError
from lictl.probe import abi
from lictl.probe.words import LENGTH_LISTS, Words, filter_of, union
from lictl.targets.diff import Diff, diff
from lictl.targets.orders import Tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from lictl.probe.interfaces import HookConfig, PortConfig
    from lictl.probe.probe import Probe
    from lictl.targets.incremental import Change

# The port map before the addresses that send a packet there; the other way round when removing.
ADDING: Final = (
    abi.MAP_PORT,
    abi.MAP_FLOW,
    abi.MAP_MAC,
    abi.MAP_VLAN,
    abi.MAP_PPPOE,
    abi.MAP_V6,
    abi.MAP_V4,
)
EMPTY_SLOT: Final = bytes(abi.SLOT.itemsize)
STATE_BYTES: Final = 8
"""Of ``li_slot``: generation, mode and flags, written at once; a slot that is switched off keeps its old window."""


class KernelTables:
    """The tables of one probe; calls are serialised."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._words = Words(probe)
        self._lock = threading.Lock()

    def apply(self, old: Tables | None, new: Tables, *, keep_counters: Collection[int] = ()) -> None:
        """Makes the kernel's tables `new`.

        Args:
            old: what the kernel holds; None: it is asked (after a take-over).
            new: what it shall hold.
            keep_counters: slots whose order was armed before under the same claim and whose stream goes on: their
                counters are not zeroed when they are armed. Every other slot that gets a new owner begins at zero.

        Raises:
            MachineError: the kernel refused a write. Revoked slots stay revoked and nothing new is armed; target
                entries are as they were, as far as that could be restored.
        """
        with self._lock:
            self._apply(self._dump() if old is None else old, new, keep_counters)

    def change(self, change: Change, whole: Tables, *, keep_counters: Collection[int] = ()) -> None:
        """As `apply`, at the cost of what changes.

        Args:
            change: what the kernel holds is as it was before it.
            whole: what it shall hold.
            keep_counters: see `apply`.

        Raises:
            MachineError: as of `apply`.
        """
        with self._lock:
            if not _fits_behind(change, whole):
                self._apply(self._dump(), whole, keep_counters)
                return
            writes = change.diff
            for slot in writes.revoked:
                self._probe.write_slot(slot, EMPTY_SLOT)
            try:
                self._add(writes, change.was, change.will)
                if any(writes.gone.values()) or _words_of(change.was) != _words_of(change.will):
                    self._remove(writes, whole)
            except MachineError as error:
                self._restore(change.was, writes)
                raise _refusal(error) from None
            self._write_slots(change.was, writes, keep_counters)

    def _apply(self, before: Tables, new: Tables, keep_counters: Collection[int]) -> None:
        change = diff(before, new)
        if change.empty and _words_of(before) == _words_of(new):
            return
        for slot in change.revoked:
            self._probe.write_slot(slot, EMPTY_SLOT)
        self._entries(before, new, change)
        self._write_slots(before, change, keep_counters)

    def _write_slots(self, before: Tables, change: Diff, keep_counters: Collection[int]) -> None:
        for slot, value in change.changed.items():
            self._change(slot, before.slots[slot], value)
        self._arm(change, keep_counters)

    def revoke(self, slot: int) -> None:
        """Ends one order: when this returns, no packet makes a record of it any more."""
        with self._lock:
            self._probe.write_slot(slot, EMPTY_SLOT)
            self._probe.grace()

    def slot(self, slot: int) -> bytes:
        """The packed ``li_slot`` as it stands in the kernel."""
        value = np.zeros(1, abi.SLOT)
        self._probe.lookup(abi.MAP_SLOTS, np.array([slot], np.uint32), value)
        return value.tobytes()

    def dump(self) -> Tables:
        """What the kernel holds now."""
        with self._lock:
            return self._dump()

    def glance(self) -> Tables:
        """As `dump`, but waits for nobody: while a change is in work it may show a part of it."""
        return self._dump()

    def hidden(self, tables: Tables, *, show: bool = False) -> int:
        """How many bits of the filter that these tables need are clear; with `show` they are set."""
        needed = filter_of(tables.maps)
        clear = needed & ~self._probe.filter_words()
        count = int(np.unpackbits(clear.view(np.uint8)).sum())
        if show and count:
            with self._lock:
                self._words.show(needed)
        return count

    def ports(self, ports: Sequence[PortConfig]) -> None:
        """Sets what each interface may take; every other interface takes nothing."""
        with self._lock:
            wanted = {port.ifindex: pack_port(port) for port in ports}
            idle = self.port_values().keys() - wanted.keys()
            self._put_ports(dict.fromkeys(sorted(idle), bytes(abi.PORT.itemsize)))
            self._put_ports(wanted)

    def port_values(self) -> dict[int, bytes]:
        """The packed ``li_port`` of each interface that may take something, by interface index."""
        keys, values = self._probe.dump(abi.MAP_PORTS, np.dtype(np.uint32), abi.PORT, abi.MAX_IFINDEX)
        active = np.flatnonzero(values.view("u1").reshape(len(values), -1).any(axis=1))
        return {int(keys[index]): values[index].tobytes() for index in active}

    def _put_ports(self, ports: Mapping[int, bytes]) -> None:
        if ports:
            values = np.frombuffer(b"".join(ports.values()), abi.PORT)
            self._probe.update(abi.MAP_PORTS, np.array([*ports], np.uint32), values)

    def _dump(self) -> Tables:
        maps: dict[str, dict[bytes, bytes]] = {}
        for name, dtype in abi.KEY_DTYPES.items():
            keys, values = self._probe.dump(name, dtype, abi.TARGET, abi.MAX_TARGETS)
            maps[name] = dict(zip(_items(keys), _items(values), strict=True))
        numbers, slots = self._probe.dump(abi.MAP_SLOTS, np.dtype(np.uint32), abi.SLOT, abi.MAX_SLOTS)
        # By the whole state word: no order has generation 0, but entries of that generation would match such a slot.
        owned = np.flatnonzero(slots.view("u1").reshape(len(slots), -1)[:, :STATE_BYTES].any(axis=1))
        return Tables(
            maps=maps,
            slots={int(numbers[index]): slots[index].tobytes() for index in owned},
            kinds=self._words.kinds,
            **{name: self._words.lengths(name) for name in LENGTH_LISTS},
        )

    def _entries(self, old: Tables, new: Tables, change: Diff) -> None:
        try:
            # Both sets at once is the rule; where the kernel has no room for it, what goes makes room first.
            # That is safe too: the orders that stay keep the entries that both sets share.
            if _fits(old, new):
                self._add(change, old, new)
                self._remove(change, new)
            else:
                kept = _shared(old, new)
                self._remove(change, kept)
                self._add(change, kept, new)
        except MachineError as error:
            self._restore(old, change)
            raise _refusal(error) from None

    def _add(self, change: Diff, old: Tables, new: Tables) -> None:
        both = {name: old.maps[name].keys() | new.maps[name].keys() for name in ADDING}
        lengths = {name: union(_lengths(old)[name], _lengths(new)[name]) for name in LENGTH_LISTS}
        self._words.widen(old.kinds | new.kinds, lengths, filter_of(both))
        for name in ADDING:
            self._put(name, change.put[name])

    def _remove(self, change: Diff, rest: Tables) -> None:
        for name in reversed(ADDING):
            if change.gone[name]:
                self._probe.delete(name, np.frombuffer(b"".join(change.gone[name]), abi.KEY_DTYPES[name]))
        self._words.narrow(rest.kinds, _lengths(rest), filter_of(rest.maps))

    def _put(self, name: str, entries: Mapping[bytes, bytes]) -> None:
        if entries:
            keys = np.frombuffer(b"".join(entries), abi.KEY_DTYPES[name])
            self._probe.update(name, keys, np.frombuffer(b"".join(entries.values()), abi.TARGET))

    def _restore(self, old: Tables, change: Diff) -> None:
        try:
            self._words.widen(old.kinds, _lengths(old), filter_of(old.maps))
            for name in ADDING:
                touched = [key for key in (*change.put[name], *change.gone[name]) if key in old.maps[name]]
                self._put(name, {key: old.maps[name][key] for key in touched})
                added = [key for key in change.put[name] if key not in old.maps[name]]
                if added:
                    self._probe.delete(name, np.frombuffer(b"".join(added), abi.KEY_DTYPES[name]))
        except MachineError:
            return  # entries that are left over name generations that do not live

    def _arm(self, change: Diff, keep_counters: Collection[int]) -> None:
        if not change.armed:
            return
        if any(any(self.slot(slot)) for slot in change.armed):
            self._probe.grace()  # a packet that found the slot's last owner may be about to read the window
        for slot, value in change.armed.items():
            if slot not in keep_counters:
                self._probe.zero_slot(slot)
            self._probe.write_slot(slot, value)

    def _change(self, slot: int, old: bytes, new: bytes) -> None:
        """Another mode, other flags or another window for the same order."""
        for value in _way(old, new):
            self._probe.write_slot(slot, value)
            self._probe.grace()
        self._probe.write_slot(slot, new)


def _way(old: bytes, new: bytes) -> list[bytes]:
    """What a slot must hold in between, so that no packet is judged by a window or mode that neither value grants.

    A packet in work reads state and window one after the other, so only one of the three words (state, first instant,
    last instant) may change at a time.
    """
    was, will = np.frombuffer(old, abi.SLOT)[0], np.frombuffer(new, abi.SLOT)[0]
    state = bytes(old[:STATE_BYTES]) != bytes(new[:STATE_BYTES])
    first, last = was["not_before"] != will["not_before"], was["not_after"] != will["not_after"]
    between = np.frombuffer(old, abi.SLOT).copy()
    if state and (first or last):
        between["mode"], between["flags"] = abi.MODE_OFF, 0
    elif first and last and will["not_before"] < was["not_before"] and will["not_after"] <= was["not_after"]:
        between["not_after"] = will["not_after"]
    elif first and last:
        between["not_before"] = will["not_before"]
    else:
        return []
    return [between.tobytes()]


def _items(array: NDArray[np.void]) -> Iterable[bytes]:
    size, packed = array.dtype.itemsize, array.tobytes()
    return (packed[at : at + size] for at in range(0, len(packed), size))


def _lengths(tables: Tables) -> dict[str, tuple[int, ...]]:
    return {name: getattr(tables, name) for name in LENGTH_LISTS}


def _words_of(tables: Tables) -> tuple[object, ...]:
    return (tables.kinds, *_lengths(tables).values())


def _refusal(error: MachineError) -> MachineError:
    return MachineError(f"the kernel refused a change of its target tables: {error.what}", "Nothing new is armed.")


def _fits_behind(change: Change, whole: Tables) -> bool:
    """Whether there is room for what goes beside what comes."""
    return all(len(whole.maps[name]) + len(change.diff.gone[name]) <= abi.MAX_TARGETS for name in ADDING) and all(
        len(union(_lengths(change.was)[name], _lengths(change.will)[name])) <= room
        for name, room in LENGTH_LISTS.items()
    )


def _fits(old: Tables, new: Tables) -> bool:
    return all(len(old.maps[name].keys() | new.maps[name].keys()) <= abi.MAX_TARGETS for name in ADDING) and all(
        len(union(_lengths(old)[name], _lengths(new)[name])) <= room for name, room in LENGTH_LISTS.items()
    )


def _shared(old: Tables, new: Tables) -> Tables:
    """What stays of `old` on the way to `new`: its entries that `new` has too, and the words that those need."""
    maps = {name: {key: value for key, value in old.maps[name].items() if key in new.maps[name]} for name in ADDING}
    lengths = {name: tuple(n for n in _lengths(old)[name] if n in _lengths(new)[name]) for name in LENGTH_LISTS}
    return Tables(maps=maps, slots={}, kinds=old.kinds & new.kinds, **lengths)


def pack_port(port: PortConfig) -> bytes:
    """The packed ``li_port``."""
    value = np.zeros(1, abi.PORT)
    value["role"] = port.role
    for name, hook in (("ingress", port.ingress), ("egress", port.egress)):
        _pack_hook(value, name, hook)
    return value.tobytes()


def _pack_hook(value: NDArray[np.void], name: str, hook: HookConfig) -> None:
    value[name]["flags"] = hook.flags
    value[name]["sides"] = hook.sides
    value[name]["access_sides"] = hook.access_sides
    value[name]["vlan_dir"] = hook.vlan_dir
