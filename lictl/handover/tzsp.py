# SPDX-License-Identifier: Apache-2.0
"""TZSP, as MikroTik routers send it: one frame a UDP datagram (port 37008). Content only: docs/formats/tzsp.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lictl.handover.mirror import MirrorContent
from lictl.handover.options import Choice, check_options
from lictl.probe.native import lib

if TYPE_CHECKING:
    from lictl.handover.base import StreamInfo
    from lictl.handover.options import Option

OPTIONS: Final[dict[str, Option]] = {
    "link": Choice(("ethernet", "raw"), "Link type of the frames; raw is for replays of bare IP."),
    "tags": Choice(("no", "yes"), "Whether a datagram has its number and time; some collectors expect nothing there."),
}
ENCAPSULATION: Final = {"ethernet": 1, "raw": 7}
VERSION, RECEIVED = 1, 0
_NUMBER, _TIME, _END = b"\x28\x04" + bytes(4), b"\x52\x08" + bytes(8), b"\x01"


class TzspContent(MirrorContent):
    """Frames cut at the IP packet's end; with `tags=yes` each with its number and time."""

    name = "tzsp"
    suffix = "tzsp"

    def __init__(self, info: StreamInfo) -> None:
        options = check_options(info.options, OPTIONS)
        tagged = options["tags"] == "yes"
        head = bytes([VERSION, RECEIVED]) + ENCAPSULATION[options["link"]].to_bytes(2)
        head += _NUMBER + _TIME + _END if tagged else _END
        super().__init__(info, lib.ln_tzsp_packets, head, timed=tagged)
