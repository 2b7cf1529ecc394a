# SPDX-License-Identifier: Apache-2.0
"""Network namespaces by name: make, enter, find what runs inside, remove.

A process is put into a namespace with ``nsenter --net``, never with ``ip netns exec``: that one gives it a private
mount namespace with a fresh /sys, in which no bpffs is mounted and in which a mount made by the daemon would be
invisible to everybody else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lictl.lab.thread import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH = 0x1000, 0x4000, 0x100000, 2
_libc = ctypes.CDLL(None, use_errno=True)


def create(name: str) -> None:
    """Makes a namespace with a name, as ``ip netns add`` does; OSError if it exists or is not allowed.

    A thread does it, not a fork: a forked child would run the caller's signal handlers and clean-up.
    """
    _share_folder()
    (FOLDER / name).touch(mode=0o444, exist_ok=False)

    def make() -> None:
        _call("unshare", _CLONE_NEWNET)
        _call("mount", b"/proc/thread-self/ns/net", bytes(FOLDER / name), b"none", _MS_BIND, None)

    in_thread(make)


def _share_folder() -> None:
    """Makes /run/netns a shared mount, so that a name made here is seen, and goes away, in every mount namespace."""
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    for _ in range(2):
        try:
            _call("mount", b"", bytes(FOLDER), b"none", _MS_SHARED | _MS_REC, None)
        except OSError:
            _call("mount", bytes(FOLDER), bytes(FOLDER), b"none", _MS_BIND | _MS_REC, None)
        else:
            return


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def names(prefix: str) -> list[str]:
    """The named namespaces that begin with ``prefix``."""
    return sorted(path.name for path in FOLDER.glob(f"{prefix}*")) if FOLDER.is_dir() else []


def command(name: str, argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` in a namespace; nsenter replaces itself, so the process id is that of ``argv``."""
    return ["nsenter", f"--net={FOLDER / name}", "--", *argv]


def inside(name: str, action: Callable[[], T]) -> T:
    """What ``action`` returns when called in a namespace, by a thread of its own; the caller's namespace stays."""

    def enter() -> T:
        with (FOLDER / name).open("rb") as handle:
            _call("setns", handle.fileno(), _CLONE_NEWNET)
        return action()

    return in_thread(enter)


def packet_socket(name: str, interface: str) -> socket.socket:
    """A raw packet socket that lives in a namespace, bound to one interface; it sends whole frames."""

    def make() -> socket.socket:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind((interface, 0))
        return raw

    return inside(name, make)


def processes(spaces: Iterable[str]) -> list[int]:
    """The processes that run in any of these namespaces, this one excepted."""
    inodes = set()
    for name in spaces:
        with contextlib.suppress(FileNotFoundError):
            inodes.add((FOLDER / name).stat().st_ino)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if (entry / "ns/net").stat().st_ino in inodes:
                    found.append(int(entry.name))
    return found


def end_processes(spaces: Sequence[str], patience_s: float = 2.0) -> None:
    """Ends every process in these namespaces: SIGTERM, and SIGKILL for those that are still there."""
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 10.0)):
        for pid in processes(spaces):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        limit = time.monotonic() + wait_s
        while time.monotonic() < limit:
            if not any(alive(pid) for pid in processes(spaces)):
                return
            time.sleep(0.02)


def remove(spaces: Sequence[str]) -> None:
    """Ends what runs in the namespaces and removes them; those that are not there are no error."""
    end_processes(spaces)
    for name in spaces:
        with contextlib.suppress(OSError):
            _call("umount2", bytes(FOLDER / name), _MNT_DETACH)
        (FOLDER / name).unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """False for a process that has ended, also when its parent has yet to ask how."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
