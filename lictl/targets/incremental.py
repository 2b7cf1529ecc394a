# SPDX-License-Identifier: Apache-2.0
"""The tables of a set of orders that changes: what a change costs depends on what it touches, not on what is there.

Always equal to `lictl.targets.compile.compile` of the same orders; a test holds the two against each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lictl.targets import layout
from lictl.targets.compile import Collected, Packer, exact_key, pack_slot
from lictl.targets.diff import Diff
from lictl.targets.kinds import IpTarget, PortTarget
from lictl.targets.orders import ArmedOrder, Tables, TargetLimitError
from lictl.targets.prefixes import closure, range_prefixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lictl.targets.kinds import Target
    from lictl.targets.prefixes import Owned

_WIDTH: Final = {4: 32, 6: 128}
_MAP: Final = {4: (layout.MAP_V4, layout.KEY_V4), 6: (layout.MAP_V6, layout.KEY_V6)}
_PORT_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the tables.

    Attributes:
        diff: what must be written.
        was: of what is touched, how it was; its words are those of the whole.
        will: likewise, how it will be.
    """

    diff: Diff
    was: Tables
    will: Tables


class LiveTables:
    """Used by one thread at a time.

    Attributes:
        tables: of all orders; read only, and changed in place by `change`.
    """

    def __init__(self) -> None:
        self.tables = Tables()
        self._owned = Collected()
        self._names: dict[int, str] = {}
        self._port_keys: dict[tuple[int, int], dict[bytes, bytes]] = {}
        self._port_lens: Counter[int] = Counter()

    def change(self, gone: Sequence[ArmedOrder], new: Sequence[ArmedOrder]) -> Change:
        """Takes orders out and puts others in; on an error nothing was changed.

        Args:
            gone: as they were put in.
            new: their slots are free, or those of `gone`.

        Raises:
            TargetLimitError, ValueError: as of `lictl.targets.compile.compile`.
        """
        slots = self._slots(gone, new)
        names = {order.claim: order.name or f"slot {order.slot}" for order in new}
        touched = _Touched()
        self._own(gone, new, touched)
        try:
            packed = self._packed(touched, Packer(self._names | names))
            words = self._words(packed)
        except TargetLimitError:
            self._own(new, gone, _Touched())
            raise
        for order in gone:
            self._names.pop(order.claim, None)
        self._names |= names
        return self._commit(packed, slots, words, touched)

    def _slots(self, gone: Sequence[ArmedOrder], new: Sequence[ArmedOrder]) -> dict[int, bytes | None]:
        slots: dict[int, bytes | None] = {order.slot: None for order in gone}
        taken = self.tables.slots.keys() - slots.keys()
        for order in new:
            if order.slot in taken:
                raise ValueError(f"two orders own slot {order.slot}")
            taken.add(order.slot)
            slots[order.slot] = pack_slot(order)
        return slots

    # ---- who names what

    def _own(self, gone: Iterable[ArmedOrder], new: Iterable[ArmedOrder], touched: _Touched) -> None:
        for order in gone:
            for target in order.targets:
                touched.add(target)
                self._disown(target, order.claim)
        for order in new:
            for target in order.targets:
                touched.add(target)
                self._owned.add(target, order.claim)
        for version, address in touched.ports:
            self._settle_address(version, address)

    def _disown(self, target: Target, claim: int) -> None:
        if isinstance(target, IpTarget):
            length, bits = _prefix(target)
            self._owned.networks[target.network.version][length][bits].remove(claim)
            self._drop(target.network.version, length, bits)
        elif isinstance(target, PortTarget):
            owned = self._owned.ports[target.address.version, int(target.address)]
            for length, bits in range_prefixes(target.lo, target.hi, _PORT_BITS):
                owned[length][bits].remove(claim)
                _drop(owned, length, bits)
        else:
            name, key = exact_key(target)
            claims = self._owned.exact[name][key]
            claims.remove(claim)
            if not claims:
                del self._owned.exact[name][key]

    def _drop(self, version: int, length: int, bits: int) -> None:
        """Forgets a prefix that nobody names; an address with ports keeps its own."""
        if length != _WIDTH[version] or not self._owned.ports.get((version, bits)):
            _drop(self._owned.networks[version], length, bits)

    def _settle_address(self, version: int, address: int) -> None:
        if not self._owned.ports.get((version, address)):
            self._owned.ports.pop((version, address), None)
            if address in self._owned.networks[version].get(_WIDTH[version], {}):
                self._drop(version, _WIDTH[version], address)

    # ---- entries

    def _packed(self, touched: _Touched, packer: Packer) -> dict[str, dict[bytes, bytes | None]]:
        """Every entry that may be another one now; None: there is none."""
        packed: dict[str, dict[bytes, bytes | None]] = {name: {} for name in layout.KIND_OF_MAP}
        for version in _WIDTH:
            name, key = _MAP[version]
            for length, bits in self._below(version, touched.networks[version]):
                packed_key = key.pack((bits << _WIDTH[version] - length).to_bytes(_WIDTH[version] // 8, "big"), length)
                packed[name][packed_key] = self._network(version, length, bits, packed_key, packer)
        for address in touched.ports:
            entries = self._ports(address, packer)
            packed[layout.MAP_PORT] |= dict.fromkeys(self._port_keys.get(address, {}))
            packed[layout.MAP_PORT] |= entries
        for name, exact in touched.exact:
            claims = self._owned.exact[name].get(exact)
            packed[name][exact] = packer.pack(name, exact, tuple(sorted(set(claims)))) if claims else None
        return packed

    def _below(self, version: int, touched: dict[int, set[int]]) -> Iterator[tuple[int, int]]:
        """Touched prefixes, and those in use that they cover; some of them twice."""
        for length, some in touched.items():
            yield from ((length, bits) for bits in some)
            for longer, entries in self._owned.networks[version].items():
                shift = longer - length
                if shift > 0:
                    if len(some) << min(shift, 32) <= len(entries):
                        inside = (bits << shift | low for bits in some for low in range(1 << shift))
                        yield from ((longer, bits) for bits in inside if bits in entries)
                    else:
                        yield from ((longer, bits) for bits in entries if bits >> shift in some)

    def _network(self, version: int, length: int, bits: int, key: bytes, packer: Packer) -> bytes | None:
        networks = self._owned.networks[version]
        if bits not in networks.get(length, {}):
            return None
        claims: set[int] = set()
        for shorter, entries in networks.items():
            if shorter <= length:
                claims.update(entries.get(bits >> length - shorter, ()))
        has_ports = length == _WIDTH[version] and (version, bits) in self._owned.ports
        flags = layout.TARGET_HAS_PORTS if has_ports else 0
        return packer.pack(_MAP[version][0], key, tuple(sorted(claims)), flags)

    def _ports(self, address: tuple[int, int], packer: Packer) -> dict[bytes, bytes]:
        owned = self._owned.ports.get(address)
        if not owned:
            return {}
        local = layout.mapped(address[1].to_bytes(_WIDTH[address[0]] // 8, "big"))
        found = {}
        for length, entries in closure(owned).items():
            for bits, claims in entries.items():
                key = layout.KEY_PORT.pack(local, bits << (_PORT_BITS - length), length)
                found[key] = packer.pack(layout.MAP_PORT, key, claims)
        return found

    # ---- the whole

    def _words(self, packed: dict[str, dict[bytes, bytes | None]]) -> dict[str, tuple[int, ...]]:
        """Prefix lengths in use; TargetLimitError where the kernel's tables have no room."""
        lens = {}
        for version, most in ((4, layout.MAX_V4_LENS), (6, layout.MAX_V6_LENS)):
            used = tuple(sorted((n for n, some in self._owned.networks[version].items() if some), reverse=True))
            if len(used) > most:
                raise TargetLimitError(
                    f"The live orders use {len(used)} different IPv{version} prefix lengths; the kernel looks up "
                    f"{most}.",
                    "Write targets of a length that is in use already: two longer prefixes for one shorter.",
                )
            lens[f"v{version}_lens"] = used
        for name, entries in packed.items():
            held = self.tables.maps[name]
            count = len(held) + sum((value is not None) - (key in held) for key, value in entries.items())
            if count > layout.MAX_TARGETS:
                raise TargetLimitError(
                    f"The live orders need {count} entries in {name}; the kernel's table holds {layout.MAX_TARGETS}.",
                    "Write prefixes for neighbouring addresses, or revoke orders that have ended.",
                )
        return lens

    def _commit(
        self,
        packed: dict[str, dict[bytes, bytes | None]],
        slots: dict[int, bytes | None],
        lens: dict[str, tuple[int, ...]],
        touched: _Touched,
    ) -> Change:
        before = self.tables
        put: dict[str, dict[bytes, bytes]] = {}
        gone: dict[str, list[bytes]] = {}
        old: dict[str, dict[bytes, bytes]] = {}
        for name, entries in packed.items():
            held = before.maps[name]
            old[name] = {key: held[key] for key in entries if key in held}
            put[name] = {key: value for key, value in entries.items() if value is not None and held.get(key) != value}
            gone[name] = [key for key, value in entries.items() if value is None and key in held]
            held |= put[name]
            for key in gone[name]:
                del held[key]
        self._count_ports(touched)
        old_slots = {slot: before.slots[slot] for slot in slots if slot in before.slots}
        new_slots = {slot: value for slot, value in slots.items() if value is not None}
        for slot in slots:
            before.slots.pop(slot, None)
        before.slots.update(new_slots)
        kinds = sum(kind for name, kind in layout.KIND_OF_MAP.items() if before.maps[name])
        port_lens = tuple(sorted(self._port_lens, reverse=True))
        was = Tables(old, old_slots, before.kinds, before.v4_lens, before.v6_lens, before.port_lens)
        will = Tables(put, new_slots, kinds, lens["v4_lens"], lens["v6_lens"], port_lens)
        self.tables = Tables(before.maps, before.slots, kinds, will.v4_lens, will.v6_lens, port_lens)
        return Change(_diff(put, gone, old_slots, new_slots), was, will)

    def _count_ports(self, touched: _Touched) -> None:
        held = self.tables.maps[layout.MAP_PORT]
        for address in touched.ports:
            old = self._port_keys.pop(address, {})
            self._port_lens -= Counter(_port_len(key) for key in old)
            owned = self._owned.ports.get(address)
            if owned:
                local = layout.mapped(address[1].to_bytes(_WIDTH[address[0]] // 8, "big"))
                keys = [
                    layout.KEY_PORT.pack(local, bits << (_PORT_BITS - length), length)
                    for length, entries in owned.items()
                    for bits in entries
                ]
                self._port_keys[address] = {key: held[key] for key in keys}
                self._port_lens += Counter(map(_port_len, keys))


class _Touched:
    """Keys that a change concerns."""

    def __init__(self) -> None:
        self.networks: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        self.ports: set[tuple[int, int]] = set()
        self.exact: set[tuple[str, bytes]] = set()

    def add(self, target: Target) -> None:
        if isinstance(target, IpTarget):
            length, bits = _prefix(target)
            self.networks[target.network.version].setdefault(length, set()).add(bits)
        elif isinstance(target, PortTarget):
            address = target.address
            self.ports.add((address.version, int(address)))
            self.networks[address.version].setdefault(address.max_prefixlen, set()).add(int(address))
        else:
            self.exact.add(exact_key(target))


def _prefix(target: IpTarget) -> tuple[int, int]:
    network = target.network
    return network.prefixlen, int(network.network_address) >> (network.max_prefixlen - network.prefixlen)


def _drop(owned: Owned, length: int, bits: int) -> None:
    if not owned[length][bits]:
        del owned[length][bits]
        if not owned[length]:
            del owned[length]


def _port_len(key: bytes) -> int:
    length: int = layout.KEY_PORT.unpack(key)[2]
    return length


def _diff(
    put: dict[str, dict[bytes, bytes]],
    gone: dict[str, list[bytes]],
    old: dict[int, bytes],
    new: dict[int, bytes],
) -> Diff:
    owner = layout.SLOT.unpack
    stays = {slot for slot, value in new.items() if slot in old and owner(value)[0] == owner(old[slot])[0]}
    return Diff(
        put,
        gone,
        revoked=[slot for slot in old if slot not in stays],
        changed={slot: new[slot] for slot in stays if new[slot] != old[slot]},
        armed={slot: value for slot, value in new.items() if slot not in stays},
    )
