# SPDX-License-Identifier: Apache-2.0
"""Files of keys: private, durable, never half written."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lictl.errors import IntegrityError, RefusedError, UnavailableError
from lictl.home import FILE_MODE, sync_folder

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Makes a file that is not there yet; its name is durable after `sync` of the folder."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Puts a file in the place of one that is there: the old one or the new one, never a part."""
    half = path.with_name(f"{path.name}.half")
    half.unlink(missing_ok=True)
    write(half, content)
    half.rename(path)
    sync_folder(path.parent)


def read(path: Path) -> bytes:
    """What a private file holds.

    Raises:
        UnavailableError: it is not there, or this user may not read it.
        RefusedError: others may read it.
    """
    check_private(path, FILE_MODE)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}.", "Restore it from a backup.") from None


def check_private(path: Path, mode: int) -> None:
    """Refuses a file or folder that has more than these bits, or another owner."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise UnavailableError(
            f"{path} is not there.", "`lictl init` makes the keys of a new home; restore those of an old one."
        ) from None
    except PermissionError:
        raise UnavailableError(f"{path} is not yours to read.", "Run lictl as the owner of its home.") from None
    if stat.S_ISLNK(found.st_mode) or stat.S_IMODE(found.st_mode) & ~mode or found.st_uid not in (0, os.geteuid()):
        raise RefusedError(
            f"{path} is not private (mode {stat.S_IMODE(found.st_mode):04o}, uid {found.st_uid}).",
            f"Find out who could read it; then chmod {mode:o} and chown it to the owner of the home.",
        )


def read_private_key(path: Path) -> bytes:
    """The 32 bytes of an Ed25519 private key (PKCS#8, RFC 8410); IntegrityError where it is none."""
    try:
        key = load_pem_private_key(read(path), password=None)
    except (ValueError, TypeError):
        raise damaged(path) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise damaged(path)
    return key.private_bytes_raw()


def damaged(path: Path) -> IntegrityError:
    """For people."""
    return IntegrityError(f"{path} is no key of lictl, or damaged.", "Restore it from a backup of this site.")
