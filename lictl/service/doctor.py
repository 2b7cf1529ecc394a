# SPDX-License-Identifier: Apache-2.0
"""What this machine lacks, with the fix for each: kernel, permissions, interfaces, clock, disk, home."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lictl.service.guard import exposures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lictl.home import Home

LEAST_KERNEL = (6, 1)
LEAST_FREE_BYTES = 1 << 30
# linux/capability.h
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
_TOOLS = {
    "ip": "apt-get install iproute2",
    "ethtool": "apt-get install ethtool",
    "tshark": "apt-get install tshark",
}
# Offloads that change what the program sees: (name as `ethtool -k` prints it, name for `ethtool -K`, why).
_HARMFUL = (
    ("large-receive-offload", "lro", "packets are merged by the card before they are seen"),
    ("rx-lro", "lro", "packets are merged by the card before they are seen"),
    ("rx-vlan-hw-parse", "rxvlan", "the card takes VLAN tags off, so VLAN targets cannot match"),
    ("rx-gro-hw", "rx-gro-hw", "packets are merged by the card before they are seen"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination.

    Attributes:
        name: what was looked at.
        state: ok; warn: it works, but worse than it could; bad: it does not work.
        found: what was found.
        fix: what to do where the state is not ok.
    """

    name: str
    state: Literal["ok", "warn", "bad"]
    found: str
    fix: str = ""


def examine(home: Home, interfaces: Iterable[str]) -> list[Check]:
    """All checks; none of them changes anything.

    Args:
        home: of the site; need not be made yet.
        interfaces: names of the ports that will be served.
    """
    checks = [*_kernel(), *_capabilities(), *_bpffs(home), *_clock(), *_disk(home), *_permissions(home), *_tools()]
    for name in interfaces:
        checks += _interface(name)
    return checks


def _kernel() -> Iterator[Check]:
    release = platform.release()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    wanted = ".".join(map(str, LEAST_KERNEL))
    yield Check(
        "kernel",
        "ok" if version >= LEAST_KERNEL else "bad",
        release,
        f"Boot a kernel of {wanted} or later (Debian 12).",
    )
    if realtime(platform.version(), Path("/sys/kernel/realtime")):
        yield Check(
            "kernel preemption", "bad",
            "PREEMPT_RT: a packet's program can be interrupted by another one's on the same CPU, and their data mix",
            "Boot a kernel without PREEMPT_RT.",
        )  # fmt: skip
    yield _present("kernel types (BTF)", Path("/sys/kernel/btf/vmlinux"), "Boot a kernel with CONFIG_DEBUG_INFO_BTF=y.")
    from lictl.delivery.privilege import landlock_version
    from lictl.probe import features

    landlock = landlock_version()
    yield Check(
        "kernel feature Landlock", "ok" if landlock else "warn",
        f"version {landlock}" if landlock else "not there: delivery processes are confined by their user alone",
        "Boot with lsm=landlock,... (CONFIG_SECURITY_LANDLOCK=y).",
    )  # fmt: skip
    for feature in features.probe():
        yield Check(f"kernel feature {feature.name}", "ok" if feature.ok else "bad", feature.found, feature.fix)


def realtime(version: str, told: Path) -> bool:
    """Whether a kernel is fully preemptible.

    Args:
        version: as `uname -v` prints it.
        told: /sys/kernel/realtime, which older such kernels have.
    """
    with contextlib.suppress(OSError):
        return told.read_text().strip() == "1"
    return "PREEMPT_RT" in version.split()


def _present(name: str, path: Path, fix: str) -> Check:
    return Check(name, "ok", f"{path} is there") if path.exists() else Check(name, "bad", f"{path} is missing", fix)


def _capabilities() -> Iterator[Check]:
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        yield Check(
            "capabilities", "bad", f"missing: {', '.join(missing)}", "Run as root, or with the unit file's list."
        )
    else:
        yield Check("capabilities", "ok", ", ".join(_CAPABILITIES))


def _bpffs(home: Home) -> Iterator[Check]:
    if "\tbpf\n" not in Path("/proc/filesystems").read_text():
        yield Check("bpffs", "bad", "the kernel has no BPF file system", "Boot a kernel with CONFIG_BPF_SYSCALL=y.")
        return
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    mounted = [mount[1] for mount in mounts if mount[2] == "bpf"]
    here = str(home.bpf) in mounted
    yield Check("bpffs", "ok", f"mounted at {home.bpf}" if here else f"`lictl serve` mounts it at {home.bpf}")


def _clock() -> Iterator[Check]:
    from lictl.probe.clock import read_clock

    clock = read_clock()
    if clock.synchronised is False:
        yield Check(
            "clock", "bad", "the system clock is not synchronised", "apt-get install chrony, and give it servers."
        )
    elif clock.synchronised is None:
        yield Check(
            "clock", "warn", "whether the clock is synchronised is not known", "Check it with chronyc or timedatectl."
        )
    else:
        yield Check("clock", "ok", f"synchronised, estimated error {clock.kernel_error_ns / 1e6:.3f} ms")


def _disk(home: Home) -> Iterator[Check]:
    place = next(path for path in (home.spool, home.root, *home.root.parents) if path.is_dir())
    usage = shutil.disk_usage(place)
    found = f"{usage.free >> 20:,} MiB free at {place}"
    fix = "Free space, or put the home on a larger disk: past the quota of a stream losses begin."
    yield Check("disk", "ok" if usage.free >= LEAST_FREE_BYTES else "warn", found, fix)


def _permissions(home: Home) -> Iterator[Check]:
    if not home.exists:
        yield Check("home", "warn", f"{home.root} is not made yet", "lictl init --operator ID --country CC")
        return
    from lictl.service.users import delivery_uid

    problems = list(exposures(home, delivery_uid()))
    if not problems:
        yield Check("home", "ok", f"{home.root} is closed to other users, but for the way to the control socket")
    for what, fix in problems:
        yield Check("home", "bad", what, fix)


def _tools() -> Iterator[Check]:
    for tool, fix in _TOOLS.items():
        where = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        yield Check(f"tool {tool}", "ok" if where else "warn", where or "not installed", fix)


def _interface(name: str) -> Iterator[Check]:
    from lictl.errors import LictlError
    from lictl.probe import interfaces, superframes

    label = f"interface {name}"
    try:
        found = interfaces.find(name)
    except LictlError as error:
        yield Check(label, "bad", error.what, error.fix)
        return
    yield Check(label, "ok", f"driver {found.driver or 'not known'}, MTU {found.mtu}")
    for feature, option, why in _HARMFUL:
        if found.features.get(feature):
            yield Check(f"{label} {feature}", "bad", f"on: {why}", f"ethtool -K {name} {option} off")
    large = superframes.too_large(name)
    if large:
        yield Check(
            f"{label} BIG TCP", "bad",
            f"{', '.join(f'{limit} {value}' for limit, value in large.items())}: where leaving packets are captured "
            "(one port served alone), frames above 64 KiB have no IP length and match no order",
            f"ip link set dev {name} {' '.join(f'{limit} {superframes.LARGEST}' for limit in large)}",
        )  # fmt: skip
    if found.features.get("rx-gro"):
        yield Check(
            f"{label} generic-receive-offload", "warn",
            "on: with --generic, packets are merged before they are seen", f"ethtool -K {name} gro off",
        )  # fmt: skip
