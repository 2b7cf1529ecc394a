# SPDX-License-Identifier: Apache-2.0
"""What `lictl serve` was asked to do, checked before anything is touched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

ROLES = ("access", "core", "mirror")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_IFNAMSIZ = 15  # linux/if.h, without the terminating zero


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One interface and its role.

    Attributes:
        name: of the interface.
        role: access, core or mirror.
        drop: mirror only: the copy is dropped after the look at it.
    """

    name: str
    role: str
    drop: bool = False


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """See `lictl serve --help`.

    Attributes:
        ports: `lictl serve` asks for one at least; without any, orders are kept and nothing is captured.
        ring_bytes: of each CPU's ring, a power of two.
        quota_bytes: that one stream's spool may take on the disk.
        pin_dir: folder on a bpffs for pinned maps; None: run/bpf below the home.
        keep: on SIGTERM leave the capture attached for the next daemon to take over.
        trust_clock: who starts it vouches for the clock.
    """

    ports: tuple[PortSpec, ...]
    generic: bool = False
    replace: bool = False
    hairpin: bool = False
    ring_bytes: int = 64 << 20
    fresh: bool = False
    keep: bool = False
    pin_dir: Path | None = None
    quota_bytes: int = 10 << 30
    trust_clock: bool = False


def read_ports(interfaces: list[str], mirrors: list[str]) -> tuple[PortSpec, ...]:
    """Ports from `--interface NAME=ROLE` and `--mirror NAME[+drop]`.

    Raises:
        UsageError: no port, an unknown role, a name twice, or mirrors together with inline ports.
    """
    ports = [_interface(text) for text in interfaces] + [_mirror(text) for text in mirrors]
    if not ports:
        raise UsageError(
            "no interface is named.", "Give --interface NAME=access and --interface NAME=core, or --mirror NAME."
        )
    names = [port.name for port in ports]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"interface {', '.join(sorted(twice))} is named twice.", "Give each interface one role.")
    return tuple(ports)


def _interface(text: str) -> PortSpec:
    name, equals, role = text.rpartition("=")
    if not equals or role not in ROLES:
        raise UsageError(f"--interface {text} is not NAME=ROLE.", f"Roles are {', '.join(ROLES)}: eth1=access.")
    return PortSpec(_name(name), role)


def _mirror(text: str) -> PortSpec:
    name, plus, option = text.partition("+")
    if plus and option != "drop":
        raise UsageError(f"--mirror {text} is not NAME or NAME+drop.", "Write --mirror eth3 or --mirror eth3+drop.")
    return PortSpec(_name(name), "mirror", bool(plus))


def _name(text: str) -> str:
    octets = len(text.encode("utf-8", "surrogatepass"))
    if not 0 < octets <= _IFNAMSIZ or not text.isprintable() or "/" in text or " " in text:
        raise UsageError(f"{text!r} is not the name of an interface.", "`ip link` lists them.")
    return text


def read_size(text: str) -> int:
    """Bytes from a size such as 500M or 10G (powers of 1024).

    Raises:
        UsageError: no size.
    """
    match = re.fullmatch(r"(\d{1,12})([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{text!r} is not a size.", "Write a number with K, M, G or T, such as 10G.")
    return int(match[1]) * _UNITS[match[2].upper()]


def ring_bytes(mebibytes: int) -> int:
    """Bytes of one CPU's ring; the kernel wants a power of two.

    Raises:
        UsageError: not a power of two in 1..2048.
    """
    if not 1 <= mebibytes <= 2048 or mebibytes & (mebibytes - 1):
        raise UsageError(
            f"a ring of {mebibytes} MiB is not possible.", "Take a power of two from 1 to 2048, such as 64."
        )
    return mebibytes << 20
