# SPDX-License-Identifier: Apache-2.0
"""Which key signed which file of a chain whose key was changed: as its own entries tell.

Each change is the last entry of a file, signed by the key that it hands over from. So whoever trusts one of the keys
can trust all: what stands in front of that key's signatures is under the hashes that they sign, and the key behind is
named by an entry that the key in front signed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lictl.audit.entry import ROTATED, parse_entry
from lictl.audit.files import last_entry, last_signed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_END: Final = 1 << 14
"""Bytes at the end of a file that are looked at: more than such an entry and its signature have."""


@dataclass(frozen=True, slots=True)
class Succession:
    """The keys of a chain.

    Attributes:
        keys: hex digits of each, in the order in which they signed; the one that an outsider gave where none changed.
        of_file: the place in `keys` of the key of each file.
        broken: name of a file whose change does not begin with the key that signed until then; "" where all do.
    """

    keys: tuple[str, ...]
    of_file: tuple[int, ...]
    broken: str = ""

    def key(self, file: int) -> bytes:
        """Of the file at this place."""
        return bytes.fromhex(self.keys[self.of_file[file]])


def succession(files: Sequence[Path], public_key: bytes) -> Succession:
    """The keys of a chain's files, as they tell; nothing is verified here.

    Args:
        files: in their order.
        public_key: 32 bytes: the key of a chain that never changed it.
    """
    keys: list[str] = []
    of_file: list[int] = []
    broken = ""
    for path in files:
        change = _change(path)
        if change is not None and not keys:
            keys = [change[0]]
            of_file = [0] * len(of_file)
        of_file.append(max(len(keys) - 1, 0))
        if change is not None:
            if change[0] != keys[-1]:
                broken = broken or path.name
            keys.append(change[1])
    return Succession(tuple(keys) or (public_key.hex(),), tuple(of_file), broken)


def _change(path: Path) -> tuple[str, str] | None:
    """From which key to which the last entry of a file hands over; None where it does not."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _END, 0))
        data = file.read()
    found = last_signed(data)
    if found is None:
        return None
    try:
        entry = parse_entry(last_entry(data, found[0]))
        after = entry.after or {}
        keys = str(after["from"]), str(after["to"])
        valid = entry.action == ROTATED and all(len(bytes.fromhex(key)) == 32 for key in keys)
    except (ValueError, KeyError):
        return None
    return keys if valid else None
