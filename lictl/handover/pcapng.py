# SPDX-License-Identifier: Apache-2.0
"""pcapng (draft-ietf-opsawg-pcapng): frames for content orders, synthesised headers for header orders.

What stands where, and why: docs/formats/pcapng.md.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from lictl.handover.base import ContentEncoder, HeadersEncoder
from lictl.handover.native import NativeEncoder
from lictl.handover.options import Choice, check_options
from lictl.probe.native import ffi, lib
from lictl.times import format_rfc3339
from lictl.version import __version__

if TYPE_CHECKING:
    from lictl.handover.base import Gap, StreamInfo
    from lictl.handover.options import Option
    from lictl.probe.batch import Batch, Selection

LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
# An agency's options hold for its orders of both modes; that of the other mode changes nothing.
OPTIONS: Final[dict[str, Option]] = {
    "link": Choice(("ethernet", "raw"), "Link type of content; raw is for replays of bare IP."),
}
GAP_INTERFACE = "lictl-gaps"
_ROOM = 16384
_STATISTICS = struct.Struct("<IIIII")


class _Pcapng(NativeEncoder):
    name = "pcapng"
    suffix = "pcapng"
    _link_type: int
    _what: str

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._options = check_options(info.options, OPTIONS)
        self._gap_number = -1
        self._gap_lost = 0

    def _begin(self) -> bytes:
        info = self._info
        self._gap_number, self._gap_lost = -1, 0
        comment = (
            f"LIID={info.liid} case={info.case_id} operator={info.operator} element={info.element} "
            f"country={info.country} mode={info.mode}"
        )
        out = ffi.new("uint8_t[]", _ROOM)
        return _taken(out, lib.ln_pcapng_section(f"lictl {__version__}".encode(), comment.encode(), out, _ROOM))

    def _declare(self, number: int, name: str, hook: str) -> bytes:
        out = ffi.new("uint8_t[]", _ROOM)
        description = f"{hook}, {self._what}".encode()
        return _taken(out, lib.ln_pcapng_interface(name.encode(), description, self._link_type, out, _ROOM))

    def gap(self, gap: Gap) -> bytes:
        """An interface statistics block of a pseudo interface; its drop counter runs since the section's start."""
        declaration = b""
        if self._gap_number < 0:
            declaration = self._declare(self._interfaces.count, GAP_INTERFACE, "losses")
            self._gap_number = self._interfaces.count
            self._interfaces.count += 1
        self._gap_lost += gap.lost
        comment = (
            f"LIID={self._info.liid} gap lost={gap.lost} seq={gap.first_sequence}-{gap.last_sequence} "
            f"reason={gap.reason} from={format_rfc3339(gap.from_ns)} to={format_rfc3339(gap.to_ns)}"
        ).encode()
        options = b"".join(
            (
                _option(1, comment),
                _option(2, _timestamp(gap.from_ns)),
                _option(3, _timestamp(gap.to_ns)),
                _option(5, struct.pack("<Q", self._gap_lost)),
                _option(0, b""),
            )
        )
        size = _STATISTICS.size + len(options) + 4
        head = struct.pack("<III", 5, size, self._gap_number) + _timestamp(gap.to_ns)
        return declaration + head + options + struct.pack("<I", size)


class PcapngContent(_Pcapng, ContentEncoder):
    """Frames as they were, cut at the IP packet's end. Option `link`: "ethernet", or "raw" for files of bare IP."""

    _what = "frames without link-layer trailers"

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._link_type = LINKTYPE_RAW if self._options["link"] == "raw" else LINKTYPE_ETHERNET

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(
            lib.ln_pcapng_packets(
                batch.c.recs, batch.c.data, selection.c, start, self._liid,
                self._interfaces.c, len(self._interfaces.ids), out, room, done,
            )
        )  # fmt: skip


class PcapngHeaders(_Pcapng, HeadersEncoder):
    """IP and transport headers made from the record's fields; whatever is not in the record is zero."""

    _what = "synthesised headers"
    _link_type = LINKTYPE_RAW

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(
            lib.ln_pcapng_headers(
                batch.c.recs, selection.c, start, self._liid,
                self._interfaces.c, len(self._interfaces.ids), out, room, done,
            )
        )  # fmt: skip


def _taken(out: Any, size: int) -> bytes:
    if size < 0:
        raise AssertionError(f"a pcapng block does not fit: {size}")
    return bytes(ffi.buffer(out, size))


def _timestamp(ns: int) -> bytes:
    return struct.pack("<II", ns >> 32, ns & 0xFFFFFFFF)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
