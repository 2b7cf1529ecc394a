# SPDX-License-Identifier: Apache-2.0
"""``site.lock``: the profile that a site is bound to, on which machine, under which data; signed by the site.

Policy must not migrate with a machine that moves: where the host, the profile or the law's data are not those of the
lock any more, nothing is armed until an approver confirms them: a new lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from lictl.errors import IntegrityError, LictlError, RefusedError, UnavailableError, UsageError
from lictl.home import FILE_MODE, sync_folder
from lictl.keys.signer import signature_is_good
from lictl.keys.site import read_audit_public
from lictl.profiles import profile as profiles
from lictl.profiles.host import HostIdentity, differences, read_identity
from lictl.times import format_rfc3339
from lictl.warrants.additions import FOLDER as AUTHORITIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lictl.home import Home
    from lictl.keys.signer import Signer
    from lictl.profiles.profile import Profile

FILE: Final = "site.lock"
VERSION: Final = 1
MAX_REASON: Final = 500
_AGAIN_S: Final = 0.05
_DOMAIN: Final = b"lictl site lock v1\n"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as the lock says.

    Attributes:
        what: "host name", "machine id", "hardware id", "network cards", "profile", "authorities", "country", "lock" ...
        was: as it was bound.
        now: as it is.
    """

    what: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: was {self.was}, is {self.now}"


@dataclass(frozen=True, slots=True)
class SiteLock:
    """What was bound.

    Attributes:
        profile: name of the profile.
        country: of the site.
        digests: "profile", "families", "authorities" -> SHA-256 of the data, hexadecimal.
        host: the machine.
        bound: {"time", "by", "reason"}: who bound it, when, why.
    """

    profile: str
    country: str
    digests: Mapping[str, str]
    host: HostIdentity
    bound: Mapping[str, Any]

    def message(self) -> bytes:
        """What the signature covers."""
        return _DOMAIN + json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()

    def to_json(self) -> dict[str, Any]:
        """For the file and the audit chain."""
        return {
            "version": VERSION,
            "profile": self.profile,
            "country": self.country,
            "digests": dict(self.digests),
            "host": self.host.to_json(),
            "bound": dict(self.bound),
        }


def digests(home: Home, profile: Profile) -> dict[str, str]:
    """SHA-256 of the data that a site's law consists of."""
    law = hashlib.sha256(files("lictl.warrants").joinpath("authorities.toml").read_bytes())
    for path in sorted((home.root / AUTHORITIES).glob("*.toml")):
        law.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    families = files("lictl.profiles").joinpath("families.toml").read_bytes()
    return {
        "profile": profile.digest,
        "families": hashlib.sha256(families).hexdigest(),
        "authorities": law.hexdigest(),
    }


def made(
    home: Home,
    profile: Profile,
    country: str,
    by: Mapping[str, Any],
    now_ns: int,
    reason: str,
    host: HostIdentity | None = None,
) -> SiteLock:
    """The lock of the site as it is now; :func:`save` puts it into force.

    Args:
        home: the site's.
        profile: loaded with this home.
        country: of lictl.toml.
        by: who (`Actor.to_json()`).
        now_ns: UTC nanoseconds.
        reason: why, one line.
        host: this machine's; None: read here.

    Raises:
        UsageError: the reason is empty or too long.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise UsageError("A reason is one line of text.", f"Write 1 to {MAX_REASON} characters with --reason.")
    bound = {"time": format_rfc3339(now_ns), "by": dict(by), "reason": reason}
    return SiteLock(profile.name, country, digests(home, profile), host or read_identity(), bound)


def save(home: Home, lock: SiteLock, signer: Signer) -> None:
    """Signs the lock with the site's key (`SiteKey.open(home).signer`) and replaces the old one as a whole."""
    _replace(home.root / FILE, lock.to_json() | {"signature": signer.sign(lock.message()).hex()})


def sign_anew(home: Home, signer: Signer, former: bytes) -> None:
    """Puts another signature under a lock that the key `former` (32 bytes) signed; leaves any other as it is."""
    try:
        lock = read(home, former)
    except LictlError:
        return
    save(home, lock, signer)


def read(home: Home, public_key: bytes | None = None) -> SiteLock:
    """The lock of a site.

    Args:
        home: the site's.
        public_key: 32 bytes, of who signed it; None: the site's.

    Raises:
        UnavailableError: there is none.
        IntegrityError: it is damaged, or the site's key did not sign it.
    """
    if public_key is not None:
        return _read(home, public_key)
    try:
        return _read(home, read_audit_public(home))
    except IntegrityError:
        time.sleep(_AGAIN_S)  # the key may have been changed between the two files
        return _read(home, read_audit_public(home))


def _read(home: Home, public_key: bytes) -> SiteLock:
    path = home.root / FILE
    try:
        document = json.loads(path.read_text())
        signature = bytes.fromhex(document.pop("signature"))
        lock = SiteLock(
            profile=document["profile"],
            country=document["country"],
            digests={key: str(value) for key, value in document["digests"].items()},
            host=HostIdentity.from_json(document["host"]),
            bound=dict(document["bound"]),
        )
        whole = document == lock.to_json()
    except FileNotFoundError:
        raise UnavailableError("The site is bound to no profile.", _CONFIRM) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise IntegrityError(f"{path} is damaged.", _CONFIRM) from None
    if not whole or not signature_is_good(public_key, signature, lock.message()):
        raise IntegrityError(f"{path} was not signed by this site.", _CONFIRM)
    return lock


_CONFIRM: Final = 'An approver confirms it with `lictl profile confirm --profile NAME --reason "..."`.'


def check(home: Home, country: str | None = None, host: HostIdentity | None = None) -> list[Change]:
    """What is not as the lock says; nothing may be armed unless the list is empty.

    Args:
        home: the site's.
        country: of lictl.toml; None: not looked at.
        host: this machine's; None: read here.
    """
    try:
        lock = read(home)
    except UnavailableError as error:
        return [Change("lock", "signed", error.what.rstrip("."))]
    except LictlError as error:
        return [Change("lock", "signed by this site", error.what.rstrip("."))]
    changes = [Change(*each) for each in differences(lock.host, host or read_identity())]
    if country is not None and country != lock.country:
        changes.append(Change("country", lock.country, country))
    try:
        current = digests(home, profiles.load(lock.profile, home.root))
    except LictlError as error:
        return [*changes, Change("profile", lock.profile, error.what.rstrip("."))]
    for name, digest in current.items():
        before = lock.digests.get(name, "")
        if before != digest:
            changes.append(Change(f"{name} data", before[:12] or "none", digest[:12]))
    return changes


def require(home: Home, country: str | None = None) -> None:
    """Refuses to go on where host, profile or law are not as they were bound.

    Raises:
        RefusedError: with everything that has changed.
    """
    changes = check(home, country)
    if changes:
        what = "; ".join(map(str, changes))
        raise RefusedError(f"This site is not as it was bound: {what}. Nothing is armed.", _CONFIRM)


def bound_profile(home: Home) -> Profile:
    """The profile that the site is bound to; errors as of :func:`read` and `lictl.profiles.profile.load`."""
    return profiles.load(read(home).profile, home.root)


def _replace(path: Path, document: dict[str, Any]) -> None:
    half = path.with_suffix(".lock.new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), FILE_MODE)
        json.dump(document, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
    sync_folder(path.parent)
