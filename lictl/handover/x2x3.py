# SPDX-License-Identifier: Apache-2.0
"""ETSI TS 103 221-2, X2 and X3: what a network element hands to a mediation function.

Content is X3, one PDU an IP packet; header reports are X2; events of the interception are X2 too, with text for a
payload. Every field, and what is configurable because sources differ: docs/formats/etsi-103221-2.md.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from lictl.errors import RefusedError
from lictl.handover.base import ContentEncoder, HeadersEncoder
from lictl.handover.native import PduEncoder
from lictl.handover.options import check_options
from lictl.handover.x2x3_elements import (
    ATTRIBUTE,
    FORMAT_PROPRIETARY,
    HEAD,
    NOT_APPLICABLE,
    OPTIONS,
    SEQUENCE,
    TIMES,
    TIMESTAMP,
)
from lictl.handover.x2x3_elements import X2 as TYPE_X2
from lictl.handover.x2x3_elements import X3 as TYPE_X3
from lictl.probe.native import ffi, lib
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lictl.handover.base import Event, Gap, StreamInfo
    from lictl.probe.batch import Batch, Selection


def correlation_of(xid: uuid.UUID, option: str) -> int:
    """The correlation id of all PDUs of one order: the option's number, or 63 bits that only the XID decides."""
    if option != "xid":
        return int(option)
    return int.from_bytes(hashlib.sha256(b"lictl correlation" + xid.bytes).digest()[:8]) >> 1 or 1


class _X2X3(PduEncoder):
    name = "etsi-103221-2"
    suffix = "x2x3"
    _type: int

    def __init__(self, info: StreamInfo) -> None:
        """Raises RefusedError where the order has no UUID: an XID is one (TS 103 221-1)."""
        super().__init__(info)
        options = check_options(info.options, OPTIONS)
        try:
            self._xid = uuid.UUID(info.uuid)
        except ValueError:
            raise RefusedError(
                "the order has no UUID, and an XID of TS 103 221 is one.",
                "Orders made by an old lictl have none: choose another format, or make the order anew.",
            ) from None
        self._version = int(options["version"], 16)
        self._correlation = correlation_of(self._xid, options["correlation"])
        self._time = TIMES[int(options["timestamp"])]
        self._seconds = 0xFFFFFFFF if self._time.size == 8 else 2**64 - 1
        self._events = options["events"] == "yes"
        self._c = ffi.new("struct ln_x2x3 *")
        self._c.time_len = self._time.size
        self._c.all_fields = options["fields"] == "all"
        ffi.memmove(self._c.head, head := self._template(), len(head))

    def _template(self) -> bytes:
        """Header and the two attributes that every record has."""
        payload_format = FORMAT_PROPRIETARY if self._type == TYPE_X2 else 0
        attributes = ATTRIBUTE.pack(SEQUENCE, 4) + bytes(4) + ATTRIBUTE.pack(TIMESTAMP, self._time.size)
        size = HEAD.size + len(attributes) + self._time.size
        return self._head(self._type, size, 0, payload_format, 0) + attributes

    def _head(self, type_: int, size: int, payload: int, payload_format: int, direction: int) -> bytes:
        return HEAD.pack(
            self._version, type_, size, payload, payload_format, direction, self._xid.bytes, self._correlation
        )

    def event(self, event: Event) -> bytes:
        """An X2 PDU without a sequence number: those count records."""
        told = {
            "event": event.kind, "targets": event.addresses,
            "from": format_rfc3339(event.starts_ns), "to": format_rfc3339(event.ends_ns),
            "records": event.records, "lost": event.lost,
        }  # fmt: skip
        if event.suspended and event.kind == "change":
            told["suspended"] = True
        return self._tell(event.ns, told)

    def gap(self, gap: Gap) -> bytes:
        """Likewise; with `events=no` b"", and the jump of the sequence number tells."""
        told = {
            "event": "gap", "lost": gap.lost, "first": gap.first_sequence - 1, "reason": gap.reason,
            "from": format_rfc3339(gap.from_ns), "to": format_rfc3339(gap.to_ns),
        }  # fmt: skip
        return self._tell(gap.to_ns, told)

    def _tell(self, ns: int, told: Mapping[str, object]) -> bytes:
        if not self._events:
            return b""
        payload = json.dumps(told).encode()
        seconds, rest = divmod(ns, 10**9)
        stamp = ATTRIBUTE.pack(TIMESTAMP, self._time.size) + self._time.pack(seconds & self._seconds, rest)
        size = HEAD.size + len(stamp)
        return self._head(TYPE_X2, size, len(payload), FORMAT_PROPRIETARY, NOT_APPLICABLE) + stamp + payload


class X3Content(_X2X3, ContentEncoder):
    """X3: the IP packet as it is; a frame that holds none as an Ethernet frame."""

    _type = TYPE_X3

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(lib.ln_x3_packets(batch.c.recs, batch.c.data, selection.c, start, self._c, out, room, done))


class X2Headers(_X2X3, HeadersEncoder):
    """X2: the fields as attributes; no payload."""

    _type = TYPE_X2

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        return int(lib.ln_x2_headers(batch.c.recs, selection.c, start, self._c, out, room, done))
