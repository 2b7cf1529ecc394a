# SPDX-License-Identifier: Apache-2.0
"""Another key for the audit chain and the site lock, in steps of which a crash may cut off any.

The next key on disk - intent - the old key signs that the next one follows - the next one signs, in a file of its own -
the lock is signed anew - `audit.pub` names the next one - the old private key is overwritten - that is recorded - the
next one gets the old one's name - outcome. `settle` does the rest at the next start, or forgets a next key that the
chain does not name.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from lictl import faults
from lictl.audit.chain import DAEMON
from lictl.audit.entry import ROTATED
from lictl.audit.read import Query, entries, latest
from lictl.keys import succession
from lictl.keys.site import AUDIT_PUBLIC, FOLDER
from lictl.profiles import site_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lictl.audit.chain import Chain
    from lictl.home import Home
    from lictl.keys.signer import KeySigner
    from lictl.people.actor import Actor
    from lictl.service.record import Record

TAKEN: Final = "chain.key"


class KeyDesk:
    """Changes the key that signs."""

    def __init__(self, home: Home, record: Record) -> None:
        self._home = home
        self._record = record
        self._lock = threading.Lock()

    def table(self) -> Mapping[str, Callable[..., Any]]:
        """For the control server."""
        return {"audit.rotate-key": self.rotate}

    def rotate(self, actor: Actor) -> dict[str, Any]:
        """Makes a key that signs from now on, and destroys the one that signed.

        Returns:
            `key` and `before` (hex digits of the public keys), `entry` (number of the first one that the key signed),
            `file` (of the public key).

        Raises:
            MachineError: the chain or the keys cannot be written; what was begun is done at the next start, or now
                where it is asked for again.
        """
        chain, home = self._record.chain, self._home
        with self._lock:
            begun = _begun(home, chain)
            signer = begun or succession.make(home)
            faults.point("audit.rotate.made")
            with self._record.act(
                "audit.rotate-key", actor=actor.to_json(), subject=None, before={"key": chain.public_key.hex()},
                after={"key": signer.public_key.hex()},
            ):  # fmt: skip
                faults.point("audit.rotate.intended")
                if begun is None:
                    chain.hand_over(signer, actor.to_json())
                former, entry = _take_place(home, chain, signer)
        file = str(home.root / FOLDER / AUDIT_PUBLIC)
        return {"key": signer.public_key.hex(), "before": former, "entry": entry, "file": file}


def settle(home: Home, chain: Chain) -> None:
    """Does the rest of a change of keys that was cut off; nothing where there is none.

    Raises:
        LictlError: the chain or the keys cannot be written.
    """
    signer = _begun(home, chain)
    if signer is not None:
        _take_place(home, chain, signer)


def _begun(home: Home, chain: Chain) -> KeySigner | None:
    """The next key, where the chain is its own already; one that the chain does not name is forgotten."""
    signer = succession.upcoming(home)
    if signer is not None and chain.signer.public_key != signer.public_key:
        succession.drop(home)
        return None
    return signer


def _take_place(home: Home, chain: Chain, signer: KeySigner) -> tuple[str, int]:
    """The chain is the next key's already: so are lock and files from here on. Again does no harm.

    Returns:
        hex digits of the former key, and the number of the first entry that says that the next one took over.
    """
    (change,) = latest(chain.folder, 1, Query(action=ROTATED))
    former, key = str((change.after or {})["from"]), signer.public_key.hex()
    said = [entry.seq for entry in entries(chain.folder, Query(first=change.seq, action=TAKEN))]
    taken = said[0] if said else chain.append(TAKEN, actor=DAEMON, after={"key": key, "before": former})
    faults.point("audit.rotate.taken")
    site_lock.sign_anew(home, signer, bytes.fromhex(former))
    faults.point("audit.rotate.bound")
    succession.publish(home, signer)
    faults.point("audit.rotate.published")
    succession.destroy_former(home)
    faults.point("audit.rotate.destroyed")
    chain.append("chain.key-destroyed", actor=DAEMON, after={"key": former})
    faults.point("audit.rotate.recorded")
    succession.finish(home)
    faults.point("audit.rotate.finished")
    return former, taken
