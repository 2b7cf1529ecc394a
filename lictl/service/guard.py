# SPDX-License-Identifier: Apache-2.0
"""What protects a home: its permissions, its one daemon, and the memory of the process that serves it."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from typing import TYPE_CHECKING

from lictl.errors import MachineError, RefusedError, UnavailableError
from lictl.home import FILE_MODE, FOLDER_MODE, PASSAGE_MODE, Home

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_home(home: Home) -> Home:
    """The home, once it is made and nobody else can read it. What works on its files starts here.

    Raises:
        UnavailableError: there is no home.
        RefusedError: another user owns a part of it or may open it.
    """
    if not home.exists:
        raise UnavailableError(
            f"{home.root} is not the home of a site.",
            "Make one with `lictl init`, or name it with --home or LICTL_HOME.",
        )
    for problem in _essentials(home):
        raise RefusedError(*problem)
    return home


def find_home(home: Home) -> Home:
    """As `open_home`; of a home of another user it is only told that it is there: its daemon may be asked.

    Raises:
        UnavailableError, RefusedError: as of `open_home`.
    """
    try:
        if home.exists and home.root.stat().st_uid != os.geteuid():
            return home
    except PermissionError:
        return home
    return open_home(home)


def check_files(home: Home, uid: int | None) -> None:
    """Looks at every folder and file of the home; the daemon does so on each start.

    Args:
        uid: who owns the spools, where that is not this process's user.

    Raises:
        RefusedError: another user owns a part of it or may open it; names the first.
    """
    open_home(home)
    for problem in exposures(home, uid):
        raise RefusedError(*problem)


def exposures(home: Home, uid: int | None) -> Iterator[tuple[str, str]]:
    """Everything of a home that another user owns or may open: what is wrong, and the fix.

    Args:
        uid: who owns the spools, where that is not this process's user.
    """
    yield from (problem for path in home.passages if (problem := exposure(path, allowed=PASSAGE_MODE)))
    judged_apart = {os.fspath(home.run), os.fspath(home.socket)}
    bpf, spool, outbox = os.fspath(home.bpf), os.fspath(home.spool), os.fspath(home.outbox)
    ours: tuple[int, ...] = (os.geteuid(),)
    theirs = ours if uid is None else (*ours, uid)
    folders = [(os.fspath(home.root), ours)]
    while folders:
        folder, owners = folders.pop()
        for entry in _entries(folder):
            if entry.path == bpf:  # the kernel's own
                continue
            if entry.path not in judged_apart and (problem := exposure(entry.path, owners=owners)):
                yield problem
            # Agencies read in the outbox, and reach it through their SFTP session's chroot alone.
            if entry.is_dir(follow_symlinks=False) and entry.path != outbox:
                folders.append((entry.path, theirs if entry.path == spool else owners))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Texts, not Paths: of a thousand orders there are ten thousand, and to make Paths takes longer than to look."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # gone meanwhile; or what is wrong with the folder itself is told
        return []


def open_passages(home: Home) -> None:
    """Lets role holders come to the control socket, and nowhere else, in a home that an older lictl made, too."""
    if home.accounts.is_dir():
        home.accounts.chmod(FOLDER_MODE)
    for path in home.passages:
        path.chmod(PASSAGE_MODE)


def _essentials(home: Home) -> Iterator[tuple[str, str]]:
    yield from (problem for path in home.passages if (problem := exposure(path, allowed=PASSAGE_MODE)))
    private = (home.site_file, home.roles, home.database, home.spool)
    yield from (problem for path in private if (problem := exposure(path)))


def exposure(path: Path | str, *, allowed: int = 0o700, owners: Iterable[int] | None = None) -> tuple[str, str] | None:
    """What is wrong with a path's owner or permissions and how to put it right; None where nothing is (or no file).

    Args:
        path: a folder or a file.
        allowed: the most that others may.
        owners: who may own it; this process's user where None.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    except PermissionError:
        return f"{path} belongs to another user.", "Run lictl as the owner of its home, usually root."
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a symbolic link.", "Name the real folder with --home."
    if found.st_uid not in (owners or (os.geteuid(),)):
        return (
            f"{path} belongs to uid {found.st_uid}, not to uid {os.geteuid()}.",
            "Run lictl as the owner of its home.",
        )
    if found.st_mode & _OTHERS & ~allowed:
        wanted = f"{allowed:o}" if stat.S_ISDIR(found.st_mode) else "600"
        return f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}).", f"chmod {wanted} {path}"
    return None


class DaemonLock:
    """Held by the one process that may change the kernel state of a home (flock on run/daemon.lock)."""

    def __init__(self, home: Home) -> None:
        self._path = home.lock
        home.make_folder(home.run)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)

    def take(self) -> DaemonLock:
        """Takes the lock and writes this process's id into it.

        Raises:
            RefusedError: another process holds it; names its id.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise MachineError(f"{self._path} cannot be locked: {error.strerror}.") from None
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            self.release()
            raise RefusedError(
                f"this home is already served by process {holder}.", "Stop that daemon first; `lictl status` shows it."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def release(self) -> None:
        """Gives the lock back; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> DaemonLock:
        return self.take()

    def __exit__(self, *_: object) -> None:
        self.release()


def raise_file_limit() -> None:
    """As many open files as this process may have: each stream needs a few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
