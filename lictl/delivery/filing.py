# SPDX-License-Identifier: Apache-2.0
"""How an agency wants its files: what `Transport.files` may hold."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lictl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lictl.delivery.config import Transport

MIB = 1 << 20
DIGESTS = ("md5", "sha1")
SETTINGS = {
    "quota_bytes": "Most that the folder may hold; more waits in the spool.",
    "packets": "A file ends with exactly so many packets; 0: no limit.",
    "seconds": "A file ends so many seconds after its first packet or event; 0: no limit.",
    "bytes": "A file ends at this size; 0: a quarter of the spool.",
    "folder": "Absolute path of the agency's files; empty: below the home.",
    "retention_days": "Finished files go after so many days, fetched or not; 0: never.",
    "digests": "Beside SHA-256, for tools that know no better: md5, sha1, both with a comma.",
}
"""What may be set, and what it means, in an order in which each can be judged by those before."""
_YEAR_S = 366 * 86_400
_LEAST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Filing:
    """Rotation and keeping of files; a file ends at whichever limit is reached first.

    Attributes:
        seconds: after its first packet or event; 0: no limit.
        bytes: size; a little more is possible (docs/formats/store-and-forward.md). 0: a quarter of the spool.
        packets: exactly; 0: no limit.
        folder: of this agency's files, absolute; "": below the home.
        retention_days: finished files are removed after so many days, fetched or not; 0: never.
        quota_bytes: most that the folder may hold; more waits in the spool.
        digests: beside SHA-256, for tools of an agency that know no better: "md5", "sha1", both with a comma.
    """

    seconds: int = 300
    bytes: int = 64 * MIB
    packets: int = 0
    folder: str = ""
    retention_days: int = 0
    quota_bytes: int = 10_240 * MIB
    digests: str = ""

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Filing:
        """Reads `Transport.files`; numbers may be text.

        Raises:
            UsageError: what is wrong with it.
        """
        known = [each.name for each in fields(cls)]
        for name in plain:
            if name not in known:
                raise UsageError(f"files have no setting {name!r}.", f"Settings of files: {', '.join(known)}.")
        values: dict[str, Any] = {name: _read(name, value) for name, value in plain.items()}
        made = cls(**values)
        made._check()
        return made

    def _check(self) -> None:
        if not (self.seconds or self.bytes or self.packets):
            raise UsageError("files would never end.", "Give seconds, bytes or packets.")
        if self.seconds > _YEAR_S:
            raise UsageError("a file of more than a year would keep everything back.", "Give fewer seconds.")
        if 0 < self.bytes < _LEAST_BYTES:
            raise UsageError(f"files of {self.bytes} bytes are too small.", f"Give {_LEAST_BYTES} or more.")
        if self.quota_bytes < 4 * max(self.bytes, MIB):
            raise UsageError("the folder could not hold four files.", "Give a larger quota_bytes, or fewer bytes.")
        path = PurePosixPath(self.folder)
        if self.folder and (not path.is_absolute() or ".." in path.parts or len(path.parts) < 3):
            raise UsageError(f"{self.folder} is no folder for an agency.", "Write an absolute path of its own.")
        for name in self.names:
            if name not in DIGESTS:
                raise UsageError(f"there is no digest {name!r} here.", f"Choose from {', '.join(DIGESTS)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The further digests."""
        return tuple(name for name in self.digests.split(",") if name)


_TEXTS = ("folder", "digests")


def placed(transport: Transport, folder: Path) -> Transport:
    """The transport with the folder that its files go to; `folder` where it names none. Others are left as they are."""
    if transport.kind != "files" or transport.files.get("folder"):
        return transport
    return replace(transport, files={**transport.files, "folder": str(folder)})


def _read(name: str, value: object) -> object:
    if name in _TEXTS:
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 18:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 60:
        raise UsageError(f"{name} of files cannot be {value!r}.", "Write a whole number, 0 or more.")
    return value
