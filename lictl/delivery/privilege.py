# SPDX-License-Identifier: Apache-2.0
"""Giving up every right that talking to an agency does not need."""

from __future__ import annotations

import ctypes
import os
import resource

from lictl.errors import MachineError
from lictl.probe.native import ffi, lib

_PR_SET_DUMPABLE = 4


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
