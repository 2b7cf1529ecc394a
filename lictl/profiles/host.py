# SPDX-License-Identifier: Apache-2.0
"""Which machine this is, as far as a site's lock asks: an image that is moved or cloned is another machine."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_CONTEXT: Final = b"lictl site lock v1\0"
# Values that firmware leaves where nobody has set one.
_NO_UUID: Final = {"", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "not settable"}


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """What tells machines apart.

    Attributes:
        hostname: as the kernel has it.
        machine_id: SHA-256 over /etc/machine-id with a context of ours (machine-id(5) asks not to show it); None: none.
        hardware: the same over the DMI product UUID; None: none, or not readable by this user.
        macs: permanent addresses of the physical network cards, sorted.
    """

    hostname: str
    machine_id: str | None
    hardware: str | None
    macs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For the lock."""
        return {
            "hostname": self.hostname,
            "machine_id": self.machine_id,
            "hardware": self.hardware,
            "macs": list(self.macs),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> HostIdentity:
        """Back from the lock; KeyError or TypeError where it is none."""
        return cls(
            str(value["hostname"]), value["machine_id"], value["hardware"], tuple(str(mac) for mac in value["macs"])
        )


def read_identity(root: Path = Path("/")) -> HostIdentity:
    """This machine's identity.

    Args:
        root: where etc and sys are.
    """
    uuid = _text(root / "sys/class/dmi/id/product_uuid").lower()
    machine_id = _text(root / "etc/machine-id")
    return HostIdentity(
        hostname=socket.gethostname(),
        machine_id=_hash(machine_id) if machine_id else None,
        hardware=None if uuid in _NO_UUID else _hash(uuid),
        macs=_cards(root / "sys/class/net"),
    )


def differences(was: HostIdentity, now: HostIdentity) -> list[tuple[str, str, str]]:
    """(what, before, now) for everything that says this is another machine.

    Cards are replaced one at a time: only where none of the former ones is left it is another machine. A value that
    cannot be read says nothing, unless nothing is left that could tell machines apart.
    """
    found = []
    if was.hostname != now.hostname:
        found.append(("host name", was.hostname, now.hostname))
    for what, before, after in (
        ("machine id", was.machine_id, now.machine_id),
        ("hardware id", was.hardware, now.hardware),
    ):
        if before is not None and after is not None and before != after:
            found.append((what, before[:12], after[:12]))
    if was.macs and now.macs and not set(was.macs) & set(now.macs):
        found.append(("network cards", ", ".join(was.macs), ", ".join(now.macs)))
    comparable = any(
        before and after
        for before, after in ((was.machine_id, now.machine_id), (was.hardware, now.hardware), (was.macs, now.macs))
    )
    if not comparable and (was.machine_id or was.hardware or was.macs):
        found.append(("machine", "known", "nothing here tells which machine this is"))
    return found


def _cards(folder: Path) -> tuple[str, ...]:
    try:
        cards = [card for card in folder.iterdir() if (card / "device").exists()]
    except OSError:
        return ()
    return tuple(sorted({mac for card in cards if (mac := _text(card / "address")) not in ("", "00:00:00:00:00:00")}))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(_CONTEXT + text.encode()).hexdigest()
