# SPDX-License-Identifier: Apache-2.0
"""What the capture needs of this kernel, found out by doing it on a small scale. Nothing is left behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lictl.errors import LictlError
from lictl.probe.native import ffi, lib
from lictl.probe.probe import Probe

_SMALL_RING: Final = 4096
_BITS: Final = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}  # linux/capability.h


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that is there or not.

    Attributes:
        name: what was tried.
        ok: it is there.
        found: what was seen.
        fix: what to do where it is not.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""


def probe() -> list[Feature]:
    """Every kernel feature that the capture program needs, and whether the program itself loads."""
    found = [*_kernel()]
    found.append(_program())
    return found


def missing_capabilities() -> list[str]:
    """Capabilities that this process lacks: CAP_BPF, CAP_NET_ADMIN, and CAP_PERFMON or CAP_SYS_ADMIN."""
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
    held = {name for name, bit in _BITS.items() if effective >> bit & 1}
    if "CAP_SYS_ADMIN" in held:
        held |= {"CAP_BPF", "CAP_PERFMON"}
    return [name for name in ("CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON") if name not in held]


def _kernel() -> list[Feature]:
    name = ffi.new("const char **")
    fix = "Boot a kernel of 6.1 or later with BPF (Debian 12), and run as root."
    features: list[Feature] = []
    while (there := lib.ln_feature(len(features), name)) >= 0:
        text = ffi.string(name[0]).decode()
        features.append(Feature(text, bool(there), "there" if there else "not there", "" if there else fix))
    return features


def _program() -> Feature:
    try:
        with Probe.open(None, _SMALL_RING):
            return Feature("capture program", True, "the kernel's verifier accepts it")
    except LictlError as error:
        return Feature("capture program", False, error.what, error.fix)
