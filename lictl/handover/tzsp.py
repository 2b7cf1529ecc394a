# SPDX-License-Identifier: Apache-2.0
"""TZSP, as MikroTik routers send it: one frame a UDP datagram (port 37008). Content only: docs/formats/tzsp.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lictl.handover.base import ContentEncoder
from lictl.handover.native import PduEncoder
from lictl.handover.options import check_options
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from lictl.handover.base import StreamInfo
    from lictl.probe.batch import Batch, Selection

OPTIONS: Final = {"link": ("ethernet", "raw"), "tags": ("no", "yes")}
ENCAPSULATION: Final = {"ethernet": 1, "raw": 7}
VERSION, RECEIVED = 1, 0
_NUMBER, _TIME, _END = b"\x28\x04" + bytes(4), b"\x52\x08" + bytes(8), b"\x01"


class TzspContent(PduEncoder, ContentEncoder):
    """Frames cut at the IP packet's end; with `tags=yes` each with its number and time."""

    name = "tzsp"
    suffix = "tzsp"
    framing = "length"

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        options = check_options(info.options, OPTIONS)
        tagged = options["tags"] == "yes"
        head = bytes([VERSION, RECEIVED]) + ENCAPSULATION[options["link"]].to_bytes(2)
        head += _NUMBER + _TIME + _END if tagged else _END
        self._c = ffi.new("struct ln_mirror *", {"head": list(head), "head_len": len(head), "timed": tagged})

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        c = batch.c
        size = int(lib.ln_tzsp_packets(c.recs, c.data, selection.c, start, self._c, out, room, done))
        self._unfit += self._c.unfit
        self.too_long += self._c.too_long
        return size
