# SPDX-License-Identifier: Apache-2.0
"""The key that shall sign next, while it takes the place of the one that signs now.

`audit.pub` names the key in force. `audit.key.next` is there from the moment when the next key is made until it is
`audit.key`, so what a crash left half done is seen and done to its end: see `lictl.service.key_desk` for the order.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lictl.errors import IntegrityError
from lictl.home import sync_folder
from lictl.keys import files
from lictl.keys.signer import KeySigner, public_pem
from lictl.keys.site import AUDIT_KEY, AUDIT_PUBLIC, FOLDER, NEXT_KEY

if TYPE_CHECKING:
    from lictl.home import Home


def make(home: Home) -> KeySigner:
    """Makes the next key; there is none yet. It is on disk on return."""
    folder = home.root / FOLDER
    signer = KeySigner(Ed25519PrivateKey.generate().private_bytes_raw())
    half = folder / f"{NEXT_KEY}.half"
    half.unlink(missing_ok=True)
    files.write(half, signer.to_pem())
    half.rename(folder / NEXT_KEY)
    sync_folder(folder)
    return signer


def upcoming(home: Home) -> KeySigner | None:
    """The next key; None where none was made.

    Raises:
        LictlError: it cannot be read.
    """
    path = home.root / FOLDER / NEXT_KEY
    return KeySigner(files.read_private_key(path)) if path.exists() else None


def drop(home: Home) -> None:
    """Forgets a next key that nothing names."""
    path = home.root / FOLDER / NEXT_KEY
    _overwrite(home, NEXT_KEY)
    path.unlink()
    sync_folder(path.parent)


def publish(home: Home, signer: KeySigner) -> None:
    """From here on the next key is the one in force."""
    files.replace(home.root / FOLDER / AUDIT_PUBLIC, public_pem(signer.public_key))


def destroy_former(home: Home) -> None:
    """Overwrites the private key that is not in force any more; again does no harm."""
    _overwrite(home, AUDIT_KEY)


def finish(home: Home) -> None:
    """The key in force gets its lasting name; what was left of the former one is gone with that."""
    folder = home.root / FOLDER
    (folder / NEXT_KEY).rename(folder / AUDIT_KEY)
    sync_folder(folder)


def _overwrite(home: Home, name: str) -> None:
    path = home.root / FOLDER / name
    try:
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise IntegrityError(f"{path} cannot be overwritten: {error.strerror}.", "Do it again when it can.") from None
