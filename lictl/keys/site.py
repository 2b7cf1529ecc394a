# SPDX-License-Identifier: Apache-2.0
"""The keys of one site, in `keys/` of its home: made once by `lictl init`, never overwritten."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lictl.errors import IntegrityError, RefusedError, UnavailableError
from lictl.home import FOLDER_MODE, sync_folder
from lictl.keys import files
from lictl.keys.sealer import KEY_BYTES, Sealer
from lictl.keys.signer import KeySigner, Signer, public_pem, read_public_pem
from lictl.keys.wrapper import FileWrapper, Wrapper

if TYPE_CHECKING:
    from lictl.home import Home

FOLDER: Final = "keys"
SITE_KEY: Final = "site.key"
AUDIT_KEY: Final = "audit.key"
AUDIT_PUBLIC: Final = "audit.pub"
NEXT_KEY: Final = "audit.key.next"


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
        files.write(half / SITE_KEY, os.urandom(KEY_BYTES))
        files.write(half / AUDIT_KEY, signer.to_pem())
        files.write(half / AUDIT_PUBLIC, public_pem(signer.public_key))
        sync_folder(half)
        half.rename(folder)
        sync_folder(home.root)
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
        files.check_private(folder, FOLDER_MODE)
        site = files.read(folder / SITE_KEY)
        if len(site) != KEY_BYTES:
            raise files.damaged(folder / SITE_KEY)
        signer = _in_force(home)
        return cls(FileWrapper(site), signer)


def read_audit_public(home: Home) -> bytes:
    """The public key of the audit chain, 32 bytes.

    Raises:
        UnavailableError: it is not there.
        RefusedError: others may write or read it.
        UsageError: it is no public key.
    """
    return read_public_pem(files.read(home.root / FOLDER / AUDIT_PUBLIC))


def _in_force(home: Home) -> KeySigner:
    """The key that `audit.pub` names: the next one, too, while it takes the place of the former (`succession`)."""
    folder = home.root / FOLDER
    for name in (AUDIT_KEY, NEXT_KEY) * 2:  # twice: somebody may put the one in the place of the other right now
        try:
            signer = KeySigner(files.read_private_key(folder / name))
        except (IntegrityError, UnavailableError):
            continue
        if signer.public_key == read_audit_public(home):
            return signer
    files.read_private_key(folder / AUDIT_KEY)
    raise IntegrityError(f"{folder / AUDIT_PUBLIC} does not belong to {AUDIT_KEY}.", "Restore both from one backup.")
