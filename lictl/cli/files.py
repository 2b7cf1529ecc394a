# SPDX-License-Identifier: Apache-2.0
"""Files that a person names on the command line: read with a bound, written for nobody else to read."""

from __future__ import annotations

import os
from pathlib import Path

from lictl.errors import MachineError, UsageError
from lictl.home import FILE_MODE

MAX_FILE = 1 << 20


def read_text(file: Path, what: str) -> str:
    """The text of a small file.

    Args:
        file: as it was named.
        what: it should be, such as "a warrant file".

    Raises:
        UsageError: it cannot be read, is too large, or is no UTF-8.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", f"Name {what}.") from None
    if len(data) > MAX_FILE:
        raise UsageError(f"{file} has {len(data)} bytes.", f"{what.capitalize()} has at most {MAX_FILE}.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a text file in UTF-8.", f"Name {what}.") from None


def require_place(file: Path) -> None:
    """Before work that takes long: whether its outcome could be written here.

    Raises:
        MachineError: it could not.
    """
    if file.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
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
