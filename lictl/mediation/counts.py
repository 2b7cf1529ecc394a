# SPDX-License-Identifier: Apache-2.0
"""What a stream counts in a daemon's life."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StreamCounts:
    """Packets since this daemon started.

    Attributes:
        records: written to the spool.
        bytes: payload bytes of them, openings and gaps included.
        lost_kernel: losses before the records reached user space.
        lost_quota: the spool was full.
        lost_disk: the spool could not be written.
        lost_fault: a defect of lictl.
        lost_format: the agency's format cannot carry them, such as frames without an IP packet.
        refused: outside the window or of the wrong kind; no number was given to them.
        duplicates: seen again after a restart.
        errors: failed attempts to write.
    """

    records: int = 0
    bytes: int = 0
    lost_kernel: int = 0
    lost_quota: int = 0
    lost_disk: int = 0
    lost_fault: int = 0
    lost_format: int = 0
    refused: int = 0
    duplicates: int = 0
    errors: int = 0

    @property
    def lost(self) -> int:
        """All losses, of whatever class."""
        return self.lost_kernel + self.lost_quota + self.lost_disk + self.lost_fault + self.lost_format
