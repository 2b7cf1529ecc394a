# SPDX-License-Identifier: Apache-2.0
"""The small files beside a spool's segments, as the one process that appends holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

from lictl.delivery.cursor import CursorFile
from lictl.delivery.folder import Folder, Owner
from lictl.delivery.marks import MarksFile
from lictl.delivery.segments import ID_FILE, ID_LENGTH, list_segments, read_id
from lictl.errors import IntegrityError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE = "writer.lock"


class SpoolFiles:
    """Folder, writer's lock, identity, marks and cursor of one spool.

    Args:
        path: of the folder; made with mode 0700.
        owner: who the delivery worker runs as; None: the files stay this process's.
        durable: what is made is on disk when this returns.

    Attributes:
        folder: held open.
        spool_id: 32 hex digits.
        marks: reserved numbers.
        cursor: what the agency acknowledged.

    Raises:
        UnavailableError: another process appends to the spool.
        IntegrityError: its identity is damaged or gone.
        OSError: the folder cannot be used.
    """

    def __init__(self, path: Path, owner: Owner | None, *, durable: bool) -> None:
        made = not path.is_dir()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            self.folder = Folder(path, owner)
            opened.callback(self.folder.close)
            lock = self.folder.open(LOCK_FILE, os.O_RDWR | os.O_CREAT)
            opened.callback(os.close, lock)
            self._take(lock)
            self.spool_id = self._identity()
            self.marks = MarksFile(self.folder)
            opened.callback(self.marks.close)
            self.cursor = CursorFile(self.folder)
            opened.callback(self.cursor.close)
            if made and durable:
                self.folder.sync()
                parent = Folder(path.parent)
                parent.sync()
                parent.close()
            self._opened = opened.pop_all()

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(
                f"Another process writes to the spool {self.folder.path}.", "Stop the other daemon first."
            ) from None

    def _identity(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return read_id(self.folder)
        if list_segments(self.folder.names()):
            raise IntegrityError(
                f"The spool {self.folder.path} has data but its file '{ID_FILE}' is gone.", "Restore that file."
            )
        text = secrets.token_hex(ID_LENGTH // 2)
        fd = self.folder.open(ID_FILE, os.O_WRONLY | os.O_CREAT)
        try:
            os.write(fd, text.encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        return text

    def close(self) -> None:
        """Closes everything and gives up the lock."""
        self._opened.close()

    def remove(self) -> None:
        """Closes and deletes the folder with all that is in it."""
        for name in self.folder.names():
            self.folder.unlink(name)
        self.close()
        self.folder.path.rmdir()
