# SPDX-License-Identifier: Apache-2.0
"""The folder that an agency fetches from, held open: nobody can lead the delivery process elsewhere.

    FOLDER/              root's: what the agency's SFTP session is locked into (sshd_config(5), ChrootDirectory)
    FOLDER/files/        finished files, a folder for each stream; the agency's group reads them
    FOLDER/.unfinished/  files while they are written, for the delivery user alone

Both lie in one file system, so that a rename publishes a file whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING

from lictl.delivery.filing import MIB, Filing
from lictl.delivery.folder import Folder
from lictl.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lictl.delivery.config import StreamConfig

FILES = "files"
UNFINISHED = ".unfinished"
FILE_MODE = 0o640
SHARED_MODE = 0o2750
_PRIVATE_MODE = 0o700
_WORK_MODE = 0o2700
"""Files get the agency's group while they are written: a rename does not change it."""
_MARGIN = 2 * MIB
_COUNT_S = 10.0
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64
_DAY_S = 86_400


class Shelf:
    """One agency's outbox; all streams of its worker share it. Not for several threads.

    Args:
        folder: as above; the three folders must be there (`prepare`).
        filing: see Filing.
        agency: its name.

    Attributes:
        filing: as given.
        agency: as given.

    Raises:
        OSError: the folders cannot be used.
    """

    def __init__(self, folder: Path, filing: Filing, agency: str) -> None:
        self.filing = filing
        self.agency = agency
        self._files = Folder(folder / FILES)
        self._unfinished = Folder(folder / UNFINISHED)
        self._used = 0
        self._counted = 0.0
        self._pruned = 0.0

    def open(self, stream: StreamConfig) -> tuple[Folder, Folder]:
        """The stream's folders for finished and for unfinished files; made where they are not there."""
        with _umask(0o007):
            # Not chmod: who is not in the agency's group would clear the bit by which files inherit it.
            mode = os.fstat(self._files.fd).st_mode & 0o770
            finished = _inside(self._files, f"{safe(stream.liid)}-{stream.name}", mode)
        return finished, _inside(self._unfinished, stream.name, _PRIVATE_MODE)

    def holds_back(self, unfinished: int) -> bool:
        """The quota does not take another chunk beside a file of so many bytes."""
        now = time.monotonic()
        if not self._counted or now - self._counted > _COUNT_S:
            self._used = sum(status.st_size for _, _, status in self._walk())
            self._counted = now
        return self._used + unfinished + _MARGIN > self.filing.quota_bytes

    def added(self, size: int) -> None:
        """A file of so many bytes was published."""
        self._used += size

    def prune(self, now_s: float) -> int:
        """Removes what is older than the retention; returns bytes freed. `now_s`: seconds since 1970."""
        days = self.filing.retention_days
        if not days or now_s - self._pruned < min(_COUNT_S * 6, days * _DAY_S):
            return 0
        self._pruned = now_s
        freed = 0
        for folder, name, status in self._walk():
            if status.st_mtime < now_s - days * _DAY_S:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                    freed += status.st_size
        self._used -= freed
        return freed

    def _walk(self) -> Iterator[tuple[int, str, os.stat_result]]:
        """Descriptor of the folder, name and status of every finished file."""
        for name in self._files.names():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._files.fd)
                try:
                    for each in os.listdir(fd):  # noqa: PTH208  by descriptor
                        with contextlib.suppress(FileNotFoundError):
                            yield fd, each, os.stat(each, dir_fd=fd, follow_symlinks=False)
                finally:
                    os.close(fd)

    def close(self) -> None:
        """Closes the folders."""
        self._files.close()
        self._unfinished.close()


def prepare(folder: Path, uid: int | None) -> None:
    """Makes the folders where they are not there, and gives them to who writes; what is there keeps its group.

    Args:
        folder: of the agency.
        uid: of the delivery user; None: this process's.

    Raises:
        MachineError: they cannot be made.
    """
    try:
        folder.parent.mkdir(mode=_PRIVATE_MODE, parents=True, exist_ok=True)
        folder.mkdir(mode=0o755, exist_ok=True)
        for name, mode in ((FILES, SHARED_MODE), (UNFINISHED, _WORK_MODE)):
            path = folder / name
            fresh = not path.exists()
            path.mkdir(mode=mode, exist_ok=True)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if uid is not None:
                    os.fchown(fd, uid, -1)
                if fresh:
                    os.fchmod(fd, mode)
            finally:
                os.close(fd)
        if fresh:
            folder.chmod(0o755)
    except OSError as error:
        raise MachineError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Check the disk and who owns the way there."
        ) from None


def safe(text: str) -> str:
    """A name for files that any system takes: letters, digits, - and _, at most 64."""
    return _UNSAFE.sub("_", text)[:_LONGEST]


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _inside(folder: Folder, name: str, mode: int) -> Folder:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=folder.fd)
        folder.sync()
    return Folder(folder.path / name, within=folder)
