# SPDX-License-Identifier: Apache-2.0
"""Calls of the operating system that not every one has: an agency may receive on macOS or Windows."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_FILES = 1 << 20

BINARY = getattr(os, "O_BINARY", 0)
"""Windows rewrites line ends unless told not to."""
CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_BLOCK = getattr(os, "O_NONBLOCK", 0)

_seek = threading.Lock()


def _pread(fd: int, size: int, offset: int) -> bytes:
    with _seek:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)


def _pwrite(fd: int, data: bytes | memoryview, offset: int) -> int:
    with _seek:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)


pread: Callable[[int, int, int], bytes] = getattr(os, "pread", _pread)
"""Bytes of a file at an offset: descriptor, size, offset. Where it has to be imitated, the file's position moves."""
pwrite: Callable[[int, bytes | memoryview, int], int] = getattr(os, "pwrite", _pwrite)
"""Writes at an offset: descriptor, data, offset."""


def lock(fd: int) -> None:
    """Locks a file for this process alone; raises BlockingIOError where another one has it."""
    try:
        import fcntl
    except ImportError:
        windows: Any = importlib.import_module("msvcrt")
        try:
            windows.locking(fd, windows.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from None
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def raise_file_limit() -> None:
    """Raises the soft limit to the hard one: a stream takes about five files, Linux gives 1,024 by default."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _MOST_FILES) if hard != resource.RLIM_INFINITY else _MOST_FILES
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def sync_data(fd: int) -> None:
    """Puts a file's data on disk."""
    getattr(os, "fdatasync", os.fsync)(fd)
