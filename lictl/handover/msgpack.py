# SPDX-License-Identifier: Apache-2.0
"""msgpack for programs: a stream of arrays whose first element says what they are.

The elements, which the opening lists too: docs/formats/msgpack.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack

from lictl.handover.base import ContentEncoder, HeadersEncoder
from lictl.handover.msgpack_elements import (
    GAP,
    GAP_ELEMENTS,
    HEADER_ELEMENTS,
    HEADERS,
    INTERFACE,
    INTERFACE_ELEMENTS,
    OPENING,
    PACKET,
    PACKET_ELEMENTS,
    VERSION,
)
from lictl.handover.native import NativeEncoder
from lictl.handover.options import check_options
from lictl.probe.native import lib

if TYPE_CHECKING:
    from lictl.handover.base import Gap, StreamInfo
    from lictl.probe.batch import Batch, Selection


class _Msgpack(NativeEncoder):
    name = "msgpack"
    suffix = "msgpack"

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        check_options(info.options, {})

    def _begin(self) -> bytes:
        info = self._info
        record, elements = (HEADERS, HEADER_ELEMENTS) if info.mode == "headers" else (PACKET, PACKET_ELEMENTS)
        about = {
            "format": "lictl-msgpack", "version": VERSION, "mode": info.mode, "liid": info.liid, "case": info.case_id,
            "operator": info.operator, "element": info.element, "country": info.country, "agency": info.agency,
            "elements": [[record, elements], [GAP, GAP_ELEMENTS], [INTERFACE, INTERFACE_ELEMENTS]],
        }  # fmt: skip
        return _packed([OPENING, about])

    def _declare(self, number: int, name: str, hook: str) -> bytes:
        return _packed([INTERFACE, number, name, hook])

    def gap(self, gap: Gap) -> bytes:
        return _packed([GAP, gap.lost, gap.first_sequence, gap.reason, gap.from_ns, gap.to_ns])


class MsgpackContent(_Msgpack, ContentEncoder):
    """One array a packet: parsed fields and the frame."""

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(
            lib.ln_msgpack_packets(
                batch.c.recs, batch.c.data, selection.c, start,
                self._interfaces.c, len(self._interfaces.ids), out, room, done,
            )
        )  # fmt: skip


class MsgpackHeaders(_Msgpack, HeadersEncoder):
    """One array a packet: parsed fields, nil where the record does not prove one."""

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(
            lib.ln_msgpack_headers(
                batch.c.recs, selection.c, start,
                self._interfaces.c, len(self._interfaces.ids), out, room, done,
            )
        )  # fmt: skip


def _packed(value: object) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed
