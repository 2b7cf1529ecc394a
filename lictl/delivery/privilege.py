# SPDX-License-Identifier: Apache-2.0
"""Giving up every right that talking to an agency does not need."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lictl
from lictl.errors import MachineError
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterable

_PR_SET_DUMPABLE = 4
_NAMES: Final = ("/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd")
"""What name resolution reads."""
_CODE: Final = ("/usr", "/lib", "/lib64", sys.prefix, sys.base_prefix, str(Path(lictl.__file__).parent))
"""What Python loads when it is needed."""


def hide_memory() -> None:
    """From here on this process leaves no core file, and no other process of its user reads its memory (prctl(2)).

    Raises:
        MachineError: the kernel refused; the process must not learn a key.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise MachineError(f"the process cannot be made undumpable: {os.strerror(ctypes.get_errno())}.")


def drop_privileges(uid: int, gid: int) -> None:
    """Becomes `uid` and `gid` without capabilities, for good (no_new_privs), and cannot be dumped or traced.

    Raises:
        MachineError: the kernel refused; the process must not go on.
    """
    text = ffi.new("char[256]")
    if lib.ln_drop_privileges(uid, gid, text, len(text)) < 0:
        raise MachineError(ffi.string(text).decode(errors="replace"), "Start the daemon as root.")


class Folders:
    """What a confined process keeps, opened while it still may.

    Args:
        kept: below these it reads and writes.

    Raises:
        OSError: one of them is not there.
    """

    def __init__(self, kept: Iterable[Path]) -> None:
        self._opened = contextlib.ExitStack()
        self._kept = [self._open(path) for path in kept]
        self._read = []
        for path in (*_NAMES, *_CODE):
            with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                self._read.append(self._open(Path(path)))

    def _open(self, path: Path) -> int:
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._opened.callback(os.close, fd)
        return fd

    def confine(self) -> int:
        """For good: writes below the folders that are kept, reads nothing else but programs and what resolves names,
        starts no program, listens on no port, and makes no system call that delivering never makes.

        Returns:
            The version of the kernel's Landlock; 0: it has none, and only the system calls are restricted.

        Raises:
            MachineError: the kernel refused; the process must not go on.
        """
        text = ffi.new("char[256]")
        folders = ffi.new("int[]", [*self._kept, *self._read])
        done = int(lib.ln_confine(folders, len(self._kept), len(folders), text, len(text)))
        self._opened.close()
        if done < 0:
            raise MachineError(ffi.string(text).decode(errors="replace"), "Please report this, with `uname -a`.")
        return done


def landlock_version() -> int:
    """Of the running kernel; 0: it has none."""
    return int(lib.ln_landlock_abi())
