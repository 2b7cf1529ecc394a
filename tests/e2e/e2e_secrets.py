# SPDX-License-Identifier: Apache-2.0
"""Every way in which a target could stand somewhere, and a search for all of them."""

from __future__ import annotations

import ipaddress
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What role holders come through: the folders can be searched, the socket asked; every request is judged.
PASSAGES = {"": 0o711, "run": 0o711, "run/control.sock": 0o666}


def of_address(text: str) -> set[bytes]:
    """Forms of an IP address: text, also in full, reversed for DNS, network order as bytes and hex, as a number."""
    address = ipaddress.ip_address(text)
    packed = address.packed
    forms = {text, str(address), address.exploded, address.reverse_pointer, packed.hex(), packed.hex(":")}
    if address.version == 4:
        forms |= {str(int(address)), str(int.from_bytes(packed, "little")), packed[::-1].hex()}
    return _bytes(forms) | {packed, packed[::-1]}


def of_mac(text: str) -> set[bytes]:
    """Forms of a MAC address: with colons, dashes, dots, without; as bytes."""
    packed = bytes.fromhex(re.sub("[^0-9a-fA-F]", "", text))
    plain = packed.hex()
    return _bytes({plain, packed.hex(":"), packed.hex("-"), packed.hex(".", 2)}) | {packed, packed[::-1]}


def _bytes(texts: Iterable[str]) -> set[bytes]:
    return {form.encode() for text in texts for form in (text, text.upper(), text.lower())}


class Secrets:
    """What must not be found.

    Args:
        forms: name of a secret to its forms; none shorter than four bytes, which would be found by chance.
    """

    def __init__(self, forms: Mapping[str, set[bytes]]) -> None:
        self._names = {form: name for name, some in forms.items() for form in some}
        assert min(map(len, self._names)) >= 4
        self._pattern = re.compile(b"|".join(re.escape(form) for form in sorted(self._names, key=len, reverse=True)))

    def within(self, data: bytes) -> set[str]:
        """Names of the secrets that stand in these bytes."""
        return {self._names[found] for found in self._pattern.findall(data)}

    def assert_absent(self, where: str, data: bytes | str) -> None:
        """Fails, naming place and neighbourhood, where one is found."""
        raw = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        found = self._pattern.search(raw)
        if found:
            around = raw[max(found.start() - 200, 0) : found.end() + 100]
            raise AssertionError(f"{where} holds {self._names[found[0]]} at {found.start()}: {around!r}")


def files_of(home: Path) -> list[Path]:
    """Everything in a home but what the kernel shows below run/bpf, whose maps hold targets by their nature."""
    return [path for path in (home, *home.rglob("*")) if not path.is_relative_to(home / "run" / "bpf")]


def exposed(home: Path) -> list[str]:
    """What another user could open."""
    found = []
    for path in files_of(home):
        mode = path.lstat().st_mode
        name = "" if path == home else str(path.relative_to(home))
        allowed = PASSAGES.get(name, 0o700 if stat.S_ISDIR(mode) else 0o600)
        if stat.S_IMODE(mode) & ~allowed or stat.S_ISLNK(mode):
            found.append(f"{name or 'the home'} {stat.S_IMODE(mode):04o}")
    return found


def shown_of(pid: int) -> dict[str, bytes]:
    """What /proc tells of a process to others: titles of all threads, command line, environment."""
    root = Path(f"/proc/{pid}")
    places = [root / "cmdline", root / "environ", *root.glob("task/*/comm")]
    return {str(place): place.read_bytes() for place in places}


def core_limit(pid: int) -> list[str]:
    """Soft and hard limit of a core file."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4:6] for line in lines if line.startswith("Max core file size"))
