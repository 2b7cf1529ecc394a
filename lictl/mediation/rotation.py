# SPDX-License-Identifier: Apache-2.0
"""When the file that a stream's agency will fetch has to end and the next one to begin.

It is decided here, before packets are encoded, not where the files are written. A file has to be complete for itself:
pcapng needs its section and the interfaces that its packets name, pcap its header, msgpack its opening. Only the
encoder knows what it has declared; a delivery process that cut the finished bytes would have to read every format and
to declare things again. So the stream lets its encoder begin anew, with the OPEN block that every format has already
for a restart, and whoever writes files begins one at each OPEN block. The cut then lies in the spool: a file that is
made again after a crash is the same to the last byte.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.filing import Filing

Cause = Literal["", "packets", "bytes", "seconds", "event"]
MOST = 1024
"""Packets between two looks at the size: by so many a file may be larger than it was asked to be."""


class Rotation:
    """The count of one stream's present file.

    Args:
        filing: the limits; whichever is reached first ends the file.
        spool_bytes: quota of the spool: what is in an unfinished file stays there, so a file takes a quarter at most.
        clock: seconds, monotonic.
    """

    def __init__(self, filing: Filing, spool_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._filing = filing
        self._bytes = min(filing.bytes or spool_bytes, spool_bytes // 4)
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """A file begins; nothing but its opening is in it."""
        self._records = self._size = 0
        self._since: float | None = None
        self._told = False

    def add(self, records: int, size: int) -> None:
        """The file got so many packets, events or gaps (0 packets) in so many bytes."""
        self._records += records
        self._size += size
        if self._since is None:
            self._since = self._clock()

    def tell(self) -> None:
        """The file got an event of the interception: the agency should not wait for it."""
        self._told = True

    @property
    def cause(self) -> Cause:
        """Why the file has to end now; "": it goes on. A file with nothing in it never ends."""
        filing = self._filing
        if self._since is None:
            return ""
        if filing.packets and self._records >= filing.packets:
            return "packets"
        if self._size >= self._bytes:
            return "bytes"
        if filing.seconds and self._clock() - self._since >= filing.seconds:
            return "seconds"
        return "event" if self._told else ""

    @property
    def room(self) -> int:
        """Most packets to encode before `cause` is looked at again; at least one."""
        packets = self._filing.packets
        return max(min(MOST, packets - self._records), 1) if packets else MOST
