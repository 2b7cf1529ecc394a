# SPDX-License-Identifier: Apache-2.0
"""A daemon whose only port is loopback, fed by BPF_PROG_TEST_RUN: real kernel tables and rings, no link, no namespace.

Nothing is attached: the pinned program is run on frames as if they were received on interface 1. As a script
(``python -m lictl.lab.loopback HOME RING_MIB``) it serves a home, and takes shifts of its clock (decimal ns) from
standard input, one a line: both clock sources of lictl add LICTL_CLOCK_OFFSET_NS, the machine's clock is never touched.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from lictl.home import Home
from lictl.probe import abi, clock
from lictl.probe.interfaces import PortConfig, PortRequest, port_plan
from lictl.probe.native import check, ffi, lib
from lictl.service import guard
from lictl.service.daemon import Daemon
from lictl.service.options import PortSpec, ServeOptions, ring_bytes
from lictl.service.ports import Ports

if TYPE_CHECKING:
    from lictl.probe.probe import Probe
    from lictl.probe.tables import KernelTables

IFINDEX: Final = 1
"""Loopback, in every network namespace."""
OFFSET: Final = "LICTL_CLOCK_OFFSET_NS"
_PORT: Final = PortSpec("lo", "mirror")
_BPF_OBJ_GET: Final = 7  # linux/bpf.h
_BPF_SYSCALL: Final = {"x86_64": 321, "aarch64": 280}


class LoopbackPorts(Ports):
    """Loopback as a mirror port that nothing is attached to."""

    def _planned(self) -> list[PortConfig]:
        self.by_index[IFINDEX], self._names[IFINDEX] = _PORT, _PORT.name
        return port_plan([PortRequest(IFINDEX, _PORT.role, name=_PORT.name)])

    def attach(self, probe: Probe, tables: KernelTables) -> None:
        """Says what loopback may take."""
        tables.ports(self._plan)

    def watch(self, probe: Probe, tables: KernelTables) -> None:
        """Nothing can go away."""


class LoopbackDaemon(Daemon):
    """The daemon, on that port."""

    PORTS = LoopbackPorts


class Feed:
    """The sender's end: runs pinned programs on frames, and reads pinned counters. From any process.

    Args:
        folder: where the daemon's maps and programs are pinned (`Home.bpf`).
    """

    def __init__(self, folder: Path) -> None:
        self._program = _pinned(folder / "progs" / abi.PROG_INGRESS)
        self._counts = _pinned(folder / "maps" / abi.MAP_SLOT_COUNT)
        self._value = np.zeros(lib.ln_possible_cpus(), abi.SLOT_COUNT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._program)
        os.close(self._counts)

    def send(self, frame: bytes, repeat: int = 1) -> None:
        """A frame as if received.

        Raises:
            MachineError: the kernel does not take it.
        """
        result = lib.ln_test_run_fd(self._program, IFINDEX, ffi.from_buffer(frame), len(frame), repeat, 0, 0, ffi.NULL)
        check(result, None, "a test run")

    def matched(self, slot: int) -> int:
        """Packets of a slot's order that the kernel has taken."""
        key = ffi.new("uint32_t *", slot)
        check(lib.ln_map_lookup(self._counts, key, ffi.cast("void *", self._value.ctypes.data)), None, "reading counts")
        return int(self._value["matched"].sum())


def _pinned(path: Path) -> int:
    """A descriptor of what is pinned there (bpf(2), BPF_OBJ_GET)."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    attributes = (ctypes.c_uint64 * 3)(ctypes.addressof(name), 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    number, command = ctypes.c_long(_BPF_SYSCALL[platform.machine()]), ctypes.c_long(_BPF_OBJ_GET)
    found = int(libc.syscall(number, command, ctypes.byref(attributes), ctypes.c_long(ctypes.sizeof(attributes))))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{path} is not pinned: {os.strerror(code)}")
    return found


def _follow() -> None:
    for line in sys.stdin:
        os.environ[OFFSET] = line.strip()  # os.environ calls setenv, which the native clock reads
        clock.inject(0)  # wakes the clock's thread, as the kernel does when the real clock is stepped


def main() -> None:
    """Serves until SIGTERM."""
    from lictl import log

    log.configure(None)
    threading.Thread(target=_follow, daemon=True).start()
    home = guard.open_home(Home(Path(sys.argv[1])))
    LoopbackDaemon(home, ServeOptions(ports=(), ring_bytes=ring_bytes(int(sys.argv[2])))).run()


if __name__ == "__main__":
    main()
