# SPDX-License-Identifier: Apache-2.0
"""Descriptive text: one line of TAG=value pairs a record, for people and line tools.

Grammar: docs/formats/descriptive-text.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lictl.handover.base import ContentEncoder, HeadersEncoder
from lictl.handover.native import NativeEncoder
from lictl.handover.options import Choice, check_options
from lictl.probe.native import lib
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from lictl.handover.base import Gap, StreamInfo
    from lictl.handover.options import Option
    from lictl.probe.batch import Batch, Selection

VERSION = 1
# An agency's options hold for its orders of both modes; that of the other mode changes nothing.
OPTIONS: Final[dict[str, Option]] = {
    "encoding": Choice(("hex", "ascii"), "How the octets of content are written."),
}


def escape(text: str) -> str:
    r"""The text's UTF-8 octets as visible ASCII: whatever else, and backslash and space, as ``\xHH``."""
    return "".join(chr(b) if 0x21 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in text.encode())


def precise(ns: int) -> str:
    """RFC 3339 in UTC, always with nine digits of fraction."""
    text = format_rfc3339(ns)
    return text if "." in text else f"{text[:-1]}.000000000Z"


class _Text(NativeEncoder):
    name = "text"
    suffix = "txt"
    _encoding = ""

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._options = check_options(info.options, OPTIONS)

    def _begin(self) -> bytes:
        info = self._info
        encoding = f" ENCODING={self._encoding.upper()}" if self._encoding else ""
        return (
            f"LICTL-TEXT VERSION={VERSION} MODE={info.mode.upper()}{encoding}\n"
            f"ABOUT LIID={info.liid} CASE={escape(info.case_id)} OPERATOR={escape(info.operator)} "
            f"ELEMENT={escape(info.element)} COUNTRY={escape(info.country)} AGENCY={escape(info.agency)}\n"
        ).encode("ascii")

    def _declare(self, number: int, name: str, hook: str) -> bytes:
        return f"INTERFACE ID={number} HOOK={hook.upper()} NAME={escape(name)}\n".encode("ascii")

    def gap(self, gap: Gap) -> bytes:
        return (
            f"GAP LIID={self._info.liid} LOST={gap.lost} FIRST={gap.first_sequence} LAST={gap.last_sequence} "
            f"REASON={gap.reason.upper()} FROM={precise(gap.from_ns)} TO={precise(gap.to_ns)}\n"
        ).encode("ascii")


class TextContent(_Text, ContentEncoder):
    """Headers, data and time stamps under tags. Option `encoding` of the data: "hex" or "ascii"."""

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        self._encoding = self._options["encoding"]
        self._ascii = int(self._encoding == "ascii")

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(
            lib.ln_text_packets(
                batch.c.recs, batch.c.data, selection.c, start, self._liid,
                self._interfaces.c, len(self._interfaces.ids), self._ascii, out, room, done,
            )
        )  # fmt: skip


class TextHeaders(_Text, HeadersEncoder):
    """The record's proven fields under tags."""

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(
            lib.ln_text_headers(
                batch.c.recs, selection.c, start, self._liid,
                self._interfaces.c, len(self._interfaces.ids), out, room, done,
            )
        )  # fmt: skip
