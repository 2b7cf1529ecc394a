# SPDX-License-Identifier: Apache-2.0
"""Classic pcap (draft-ietf-opsawg-pcap), little-endian, nanoseconds: docs/formats/pcap.md.

It has no place for numbers, losses or directions; where those matter, pcapng is the format.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from lictl.handover.base import ContentEncoder, HeadersEncoder
from lictl.handover.native import PduEncoder
from lictl.handover.options import Choice, check_options
from lictl.probe.native import lib

if TYPE_CHECKING:
    from lictl.handover.base import StreamInfo
    from lictl.handover.options import Option
    from lictl.probe.batch import Batch, Selection

OPTIONS: Final[dict[str, Option]] = {
    "link": Choice(("ethernet", "raw"), "Link type of content; raw is for replays of bare IP."),
}
LINKTYPES: Final = {"ethernet": 1, "raw": 101}
SNAP_LENGTH: Final = 1 << 18
_HEADER: Final = struct.Struct("<IHHiIII")


class _Pcap(PduEncoder):
    name = "pcap"
    suffix = "pcap"
    _link_type: int

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._options = check_options(info.options, OPTIONS)

    def _begin(self) -> bytes:
        """The file header: nothing is cut to the snap length in it, which readers take for the longest packet."""
        return _HEADER.pack(0xA1B23C4D, 2, 4, 0, 0, SNAP_LENGTH, self._link_type)


class PcapContent(_Pcap, ContentEncoder):
    """Frames cut at the IP packet's end. Option `link`: "ethernet", or "raw" for files of bare IP."""

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._link_type = LINKTYPES[self._options["link"]]

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(lib.ln_pcap_packets(batch.c.recs, batch.c.data, selection.c, start, out, room, done))


class PcapHeaders(_Pcap, HeadersEncoder):
    """IP and transport headers made from the record's fields, as in pcapng."""

    _link_type = LINKTYPES["raw"]

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(lib.ln_pcap_headers(batch.c.recs, selection.c, start, out, room, done))
