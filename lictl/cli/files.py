# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes where a person says: for nobody else to read."""

from __future__ import annotations

import os
from pathlib import Path

from lictl.errors import MachineError
from lictl.home import FILE_MODE


def require_place(file: Path) -> None:
    """Before work that takes long: whether its outcome could be written here.

    Raises:
        MachineError: it could not.
    """
    try:
        possible = os.access(file.parent, os.W_OK | os.X_OK) and not file.is_dir()
    except OSError:  # a name that is too long, a link into a closed folder
        possible = False
    if not possible:
        raise MachineError(f"{file} cannot be written.", "Name a file in a folder of yours.")


def write_private(file: Path, data: bytes) -> None:
    """Writes a file of mode 0600, whole or not at all; one that is there is replaced.

    Raises:
        MachineError: it cannot be written.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            new.replace(file)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineError(
            f"{file} cannot be written: {error.strerror}.", "Name a file in a folder of yours."
        ) from None
