# SPDX-License-Identifier: Apache-2.0
"""The keys of one site, in `keys/` of its home: made once by `lictl init`, never overwritten."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lictl.errors import IntegrityError, RefusedError, UnavailableError
from lictl.home import FILE_MODE, FOLDER_MODE
from lictl.keys.sealer import KEY_BYTES, Sealer
from lictl.keys.signer import KeySigner, Signer, public_pem, read_public_pem
from lictl.keys.wrapper import FileWrapper, Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.home import Home

FOLDER: Final = "keys"
SITE_KEY: Final = "site.key"
AUDIT_KEY: Final = "audit.key"
AUDIT_PUBLIC: Final = "audit.pub"


@dataclass(frozen=True, slots=True)
class SiteKey:
    """The site's two keys, behind what may be done with them.

    Attributes:
        wrapper: wraps the keys of warrants.
        signer: signs the audit chain.
    """

    wrapper: Wrapper
    signer: Signer

    @property
    def sealer(self) -> Sealer:
        """Keys of warrants and what they seal."""
        return Sealer(self.wrapper)

    @classmethod
    def make(cls, home: Home) -> SiteKey:
        """Makes the keys, all of them or none: the folder gets its name when everything in it is on disk.

        Raises:
            RefusedError: the home has keys. What they sealed would be lost.
        """
        folder = home.root / FOLDER
        if folder.exists():
            raise RefusedError(f"{folder} exists already.", "Keys are never overwritten; move the folder away first.")
        half = home.root / f"{FOLDER}.new"
        shutil.rmtree(half, ignore_errors=True)
        home.make_folder(half)
        signer = KeySigner(Ed25519PrivateKey.generate().private_bytes_raw())
        _write(half / SITE_KEY, os.urandom(KEY_BYTES))
        _write(half / AUDIT_KEY, signer.to_pem())
        _write(half / AUDIT_PUBLIC, public_pem(signer.public_key))
        _sync(half)
        half.rename(folder)
        _sync(home.root)
        return cls.open(home)

    @classmethod
    def open(cls, home: Home) -> SiteKey:
        """Reads the keys.

        Raises:
            UnavailableError: there are none, or this user may not read them.
            RefusedError: others may read them.
            IntegrityError: they are damaged or do not belong together.
        """
        folder = home.root / FOLDER
        _check_private(folder, FOLDER_MODE)
        site = _read(folder / SITE_KEY)
        if len(site) != KEY_BYTES:
            raise _damaged(folder / SITE_KEY)
        signer = KeySigner(_private(folder / AUDIT_KEY))
        if signer.public_key != read_audit_public(home):
            raise IntegrityError(
                f"{folder / AUDIT_PUBLIC} does not belong to {AUDIT_KEY}.", "Restore both from one backup."
            )
        return cls(FileWrapper(site), signer)


def read_audit_public(home: Home) -> bytes:
    """The public key of the audit chain, 32 bytes.

    Raises:
        UnavailableError: it is not there.
        RefusedError: others may write or read it.
        UsageError: it is no public key.
    """
    return read_public_pem(_read(home.root / FOLDER / AUDIT_PUBLIC))


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    _check_private(path, FILE_MODE)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}.", "Restore it from a backup.") from None


def _check_private(path: Path, mode: int) -> None:
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


def _private(path: Path) -> bytes:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError):
        raise _damaged(path) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _damaged(path)
    return key.private_bytes_raw()


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(f"{path} is no key of lictl, or damaged.", "Restore it from a backup of this site.")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
