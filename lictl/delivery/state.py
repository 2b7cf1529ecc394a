# SPDX-License-Identifier: Apache-2.0
"""What a spool says about itself."""

from __future__ import annotations

from typing import Literal, NamedTuple

from lictl.errors import MachineError


class SpoolFull(MachineError):
    """A block was not taken; nothing of it is in the spool.

    Attributes:
        reason: "quota": the spool's own limit; "disk": the file system refused.
    """

    def __init__(self, reason: Literal["quota", "disk"], what: str, fix: str) -> None:
        super().__init__(what, fix)
        self.reason = reason


class Appended(NamedTuple):
    """A block that is in the spool.

    Attributes:
        block: its number.
        size: bytes that it takes on disk.
        synced: it is already on disk (fsync), not only in the page cache.
    """

    block: int
    size: int
    synced: bool


class Totals(NamedTuple):
    """What the stream had since its beginning: records and losses; last block number; bytes on disk now."""

    records: int = 0
    lost: int = 0
    blocks: int = 0
    bytes: int = 0


class Waiting(NamedTuple):
    """What the agency has not acknowledged: bytes on disk, and records."""

    bytes: int
    records: int


class Restart(NamedTuple):
    """Numbers that were skipped when the spool was opened, because the agency may have seen some of them."""

    first_sequence: int
    last_sequence: int
