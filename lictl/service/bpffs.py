# SPDX-License-Identifier: Apache-2.0
"""The BPF file system that pinned maps and links live on."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from lictl.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

BPF_FS_MAGIC = 0xCAFE4A11  # linux/magic.h
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


class _Statfs(ctypes.Structure):
    # struct statfs of x86-64 and arm64 begins with f_type; the rest is not looked at.
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_byte * 256))


def is_bpffs(folder: Path) -> bool:
    """True where the folder lies on a bpffs."""
    found = _Statfs()
    return bool(_libc.statfs(os.fsencode(folder), ctypes.byref(found)) == 0 and found.f_type == BPF_FS_MAGIC)


def ensure(folder: Path) -> Path:
    """The folder, on a bpffs: one is mounted there (mode 0700) where none is.

    Raises:
        MachineError: it cannot be made or mounted.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"{folder} cannot be made: {error.strerror}.", "Name another folder with --pin-dir."
        ) from None
    if not is_bpffs(folder) and _libc.mount(b"bpf", os.fsencode(folder), b"bpf", 0, b"mode=0700") != 0:
        reason = os.strerror(ctypes.get_errno())
        raise MachineError(
            f"no BPF file system can be mounted at {folder}: {reason}.",
            "Run as root, or name a folder on a mounted one with --pin-dir (such as /sys/fs/bpf/lictl).",
        )
    return folder


def remove(folder: Path) -> None:
    """Unmounts a bpffs that is mounted right here and holds no pin; one that lies further up stays."""
    pins = (path for part in folder.iterdir() if part.is_dir() for path in part.iterdir())  # beside the kernel's own
    if is_bpffs(folder) and not is_bpffs(folder.parent) and not any(pins):
        _libc.umount2(os.fsencode(folder), _MNT_DETACH)
