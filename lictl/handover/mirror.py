# SPDX-License-Identifier: Apache-2.0
"""What TZSP and CCC share: one packet a UDP datagram, without numbers of losses or events. Content only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from lictl.handover.base import ContentEncoder
from lictl.handover.native import PduEncoder
from lictl.probe.native import ffi

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.handover.base import Framing, StreamInfo
    from lictl.probe.batch import Batch, Selection


class MirrorContent(PduEncoder, ContentEncoder):
    """An encoder of `native/mirror.c`; what a datagram cannot carry counts as lost."""

    framing: ClassVar[Framing] = "length"

    def __init__(self, info: StreamInfo, encode: Callable[..., int], head: bytes, *, timed: bool) -> None:
        """A stream.

        Args:
            info: of the stream.
            encode: the C function.
            head: of each datagram, zero where a record's values go; at most 32 octets.
            timed: there is such a place.
        """
        super().__init__(info)
        self._encode = encode
        self._c = ffi.new("struct ln_mirror *", {"head": list(head), "head_len": len(head), "timed": timed})

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        c = batch.c
        size = int(self._encode(c.recs, c.data, selection.c, start, self._c, out, room, done))
        self._unfit += self._c.unfit
        self.too_long += self._c.too_long
        return size
