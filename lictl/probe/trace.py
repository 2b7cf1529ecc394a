# SPDX-License-Identifier: Apache-2.0
"""What the kernel does to packets near the capture while traffic runs: tracepoints counted with bcc.

The capture itself is loaded through libbpf and needs none of this. :mod:`lictl.probe.trace_bcc` does the counting in
a process of the system's Python, for which Debian packages bcc (https://github.com/iovisor/bcc). Counts only: of the
whole machine, with interfaces, reasons and actions as names, and with nothing from any packet.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from lictl.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

SYSTEM_PYTHON = Path("/usr/bin/python3")
SOURCES = Path("/usr/src")
MODULES = Path("/lib/modules")
LONGEST_SECONDS = 3600.0
_LOAD_SECONDS = 120  # bcc compiles first, on a machine that may be busy
_PROGRAM = Path(__file__).with_name("trace_bcc.py")
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Frames that an XDP program ended in an exception (xdp:xdp_exception).

    Attributes:
        ifindex: of the interface, in whichever network namespace it is.
        interface: the name of that index in this network namespace; None where there is none.
        action: what the program returned: ABORTED, or TX, REDIRECT where the driver could not, or INVALID.
        count: frames.
    """

    ifindex: int
    interface: str | None
    action: str
    count: int


@dataclass(frozen=True, slots=True)
class RedirectError:
    """Frames that could not be redirected (xdp:xdp_redirect_err); fields as in Refusal, error as in errno.h."""

    ifindex: int
    interface: str | None
    error: str
    count: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Packets that the kernel threw away (skb:kfree_skb); the reason as in enum skb_drop_reason."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Polled:
    """How an interface's queues were emptied (napi:napi_poll).

    Attributes:
        interface: its name in its own network namespace; "(no_device)" for the kernel's own queues.
        polls: how often.
        packets: taken in all of them.
        full: polls that took as much as they were allowed to, so more was waiting.
    """

    interface: str
    polls: int
    packets: int
    full: int


@dataclass(frozen=True, slots=True)
class Raised:
    """How often receiving was asked for on one CPU (irq:softirq_raise, NET_RX)."""

    cpu: int
    count: int


@dataclass(frozen=True, slots=True)
class Observation:
    """Counts of one stretch of time.

    Attributes:
        seconds: how long it was.
        uncounted: events for which the tables had no room.
    """

    seconds: float
    xdp_exceptions: list[Refusal]
    redirect_errors: list[RedirectError]
    drops: list[Drop]
    polls: list[Polled]
    net_rx_softirqs: list[Raised]
    uncounted: int

    def only(self, interfaces: Collection[str]) -> Observation:
        """Without the rows of other interfaces; drops and softirqs are not known by interface and stay."""
        return replace(
            self,
            xdp_exceptions=[row for row in self.xdp_exceptions if row.interface in interfaces],
            redirect_errors=[row for row in self.redirect_errors if row.interface in interfaces],
            polls=[row for row in self.polls if row.interface in interfaces],
        )


def packages() -> str:
    """The Debian packages that watching needs here."""
    return f"python3-bpfcc linux-headers-{_DEBIAN.get(platform.machine(), platform.machine())}"


def watch(seconds: float) -> Observation:
    """Counts for this long; returns a little later, because bcc compiles first.

    Raises:
        UsageError: not a time between 0 and an hour.
        MachineError: no root, no bcc, no kernel headers, or a kernel without these tracepoints.
    """
    if not 0 < seconds <= LONGEST_SECONDS:
        raise UsageError(
            f"{seconds} seconds cannot be watched.", f"Give more than 0 and at most {LONGEST_SECONDS:.0f}."
        )
    if os.geteuid() != 0:
        raise MachineError("only root can watch the kernel's tracepoints.", "Run it with sudo.")
    source, flags = headers()
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **({"BCC_KERNEL_SOURCE": str(source)} if source else {})}
    command = [str(SYSTEM_PYTHON), "-I", str(_PROGRAM), str(seconds), *flags]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=seconds + _LOAD_SECONDS
        )
    except OSError as error:
        raise _lacking({"lack": "bcc", "said": f"{SYSTEM_PYTHON}: {error.strerror}"}) from error
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"bcc was not done {_LOAD_SECONDS} seconds after its time.", "Try again.") from error
    return _understood(done)


def headers() -> tuple[Path | None, list[str]]:
    """Where bcc finds kernel headers: BCC_KERNEL_SOURCE, and flags for its compiler; (None, []) where it knows itself.

    The tracepoints' shapes come from the running kernel, so headers of another version serve as well. Looked at in
    turn: BCC_KERNEL_SOURCE, the running kernel's own, the newest that are installed.

    Raises:
        MachineError: there are none.
    """
    given = os.environ.get("BCC_KERNEL_SOURCE")
    if not given and (MODULES / platform.release() / "build").is_dir():
        return None, []
    found = [Path(given)] if given else sorted(SOURCES.glob("linux-headers-*"), key=_version, reverse=True)
    for folder in found:
        if not (folder / "include/generated/autoconf.h").is_file():
            continue
        if (folder / "include/linux/kconfig.h").is_file():
            return folder, []
        common = _common(folder)
        if common is not None:
            generated = [p for arch in folder.glob("arch/*/include/generated") for p in (arch, arch / "uapi")]
            return common, [f"-I{p}" for p in (folder / "include", *generated, folder / "include/generated/uapi")]
    raise MachineError(
        f"no kernel headers in {given}." if given else f"no kernel headers for bcc in {MODULES} or {SOURCES}.",
        f"apt-get install {packages()}; or set BCC_KERNEL_SOURCE to a folder of headers.",
    )


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def _common(folder: Path) -> Path | None:
    """The folder with what all flavours of Debian's headers share; a flavour's Makefile names it."""
    makefile = folder / "Makefile"
    named = re.match(r"include (\S+)/Makefile\s*$", makefile.read_text()) if makefile.is_file() else None
    common = Path(named[1]) if named else None
    return common if common and (common / "include/linux/kconfig.h").is_file() else None


def _understood(done: subprocess.CompletedProcess[str]) -> Observation:
    """What the program printed."""
    last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    if done.returncode not in (0, 1):
        raise MachineError(f"bcc ended with status {done.returncode}; it said: {last}.", "Try again.")
    try:
        if done.returncode == 0:
            return TypeAdapter(Observation).validate_json(done.stdout)
        error = TypeAdapter(dict[str, str]).validate_json(done.stdout)
    except ValidationError:
        error = {"lack": "load", "said": last}
    raise _lacking(error)


def _lacking(error: dict[str, Any]) -> MachineError:
    """What is wrong and how to put it right."""
    install = f"apt-get install {packages()}"
    what, fix = {
        "bcc": ("bcc is not there for the system's Python", f"{install} (bcc on PyPI is another program)."),
        "tracefs": ("tracefs could not be mounted", "mount -t tracefs tracefs /sys/kernel/tracing"),
        "tracepoints": ("this kernel lacks tracepoints", "Boot a kernel of 6.1 or later (Debian 12)."),
    }.get(error["lack"], ("bcc could not load the counters", f"{install}; then try again."))
    return MachineError(f"{what}: {error['said']}.", fix)
