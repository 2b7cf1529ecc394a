# SPDX-License-Identifier: Apache-2.0
"""Giving up every right that talking to an agency does not need."""

from __future__ import annotations

from lictl.errors import MachineError
from lictl.probe.native import ffi, lib


def drop_privileges(uid: int, gid: int) -> None:
    """Becomes `uid` and `gid` without capabilities, for good (no_new_privs), and cannot be dumped or traced.

    Raises:
        MachineError: the kernel refused; the process must not go on.
    """
    text = ffi.new("char[256]")
    if lib.ln_drop_privileges(uid, gid, text, len(text)) < 0:
        raise MachineError(ffi.string(text).decode(errors="replace"), "Start the daemon as root.")
