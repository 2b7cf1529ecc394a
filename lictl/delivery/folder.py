# SPDX-License-Identifier: Apache-2.0
"""A folder held open, and files in it, opened so that nobody can redirect them.

The daemon writes as root into folders that belong to the delivery user, whose process talks to the outside. Were that
process taken over, a symbolic link, a pipe or a hard link in place of a file must not lead root anywhere else. So
every file is reached through the folder's descriptor, never followed, and must be a plain file with one name.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from lictl.portable import BINARY, CLOSE_ON_EXEC, NO_BLOCK, NO_FOLLOW

if TYPE_CHECKING:
    from pathlib import Path

Owner = tuple[int, int]
_SAFE = NO_FOLLOW | NO_BLOCK | CLOSE_ON_EXEC | BINARY
_BY_DESCRIPTOR = os.open in os.supports_dir_fd
"""Not on Windows, where only agencies receive: there files are opened by their path."""


class Folder:
    """One open folder.

    Args:
        path: of the folder.
        owner: user and group that files made here are given to; None leaves them.
        within: the folder that it is directly in, which the way there begins at; None: the way begins at the root.

    Attributes:
        fd: descriptor of the folder.
        path: for messages.
    """

    def __init__(self, path: Path, owner: Owner | None = None, within: Folder | None = None) -> None:
        self.path = path
        self._owner = owner
        self.fd = -1
        if _BY_DESCRIPTOR:
            way, at = (path, None) if within is None else (path.name, within.fd)
            self.fd = os.open(way, os.O_RDONLY | os.O_DIRECTORY | _SAFE, dir_fd=at)
        if owner is not None:
            os.fchown(self.fd, *owner)

    @property
    def _at(self) -> int | None:
        return self.fd if _BY_DESCRIPTOR else None

    def _named(self, name: str) -> str:
        return name if _BY_DESCRIPTOR else str(self.path / name)

    def open(self, name: str, flags: int) -> int:
        """Opens a plain file, mode 0600 if it is made; gives it to the owner where this process may make files."""
        fd = os.open(self._named(name), flags | _SAFE, 0o600, dir_fd=self._at)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise OSError(errno.EPERM, "not a plain file", name)
            if self._owner is not None and flags & os.O_CREAT:
                os.fchown(fd, *self._owner)
        except OSError:
            os.close(fd)
            raise
        return fd

    def read(self, name: str) -> bytes:
        """The whole content of a file."""
        fd = self.open(name, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def size(self, name: str) -> int:
        """Bytes of a file; -1 where there is none."""
        try:
            return os.stat(self._named(name), dir_fd=self._at, follow_symlinks=False).st_size
        except FileNotFoundError:
            return -1

    def names(self) -> list[str]:
        """Names of everything in the folder."""
        return os.listdir(self.fd if _BY_DESCRIPTOR else self.path)  # noqa: PTH208  by descriptor

    def truncate(self, name: str, size: int) -> None:
        """Cuts a file."""
        fd = self.open(name, os.O_WRONLY)
        try:
            os.ftruncate(fd, size)
        finally:
            os.close(fd)

    def rename(self, name: str, to: str) -> None:
        """Renames a file within the folder."""
        os.replace(self._named(name), self._named(to), src_dir_fd=self._at, dst_dir_fd=self._at)

    def unlink(self, name: str) -> None:
        """Removes a file; absent is not an error."""
        try:
            os.unlink(self._named(name), dir_fd=self._at)
        except FileNotFoundError:
            return

    def sync(self) -> None:
        """Flushes the folder: names made and removed."""
        if _BY_DESCRIPTOR:
            os.fsync(self.fd)

    def close(self) -> None:
        """Closes it; may be called again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
