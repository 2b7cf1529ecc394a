# SPDX-License-Identifier: Apache-2.0
"""What is told of an interception beside its packets, in one form whatever the format: a line of JSON.

Made from events and gaps alone, which hold no content. Keys: docs/formats/store-and-forward.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from lictl.handover.base import Event, Gap
    from lictl.mediation.rotation import Cause
    from lictl.mediation.told import Told


@dataclass(frozen=True, slots=True)
class Note:
    """A line that is due, behind the block of the event or the gap that it is of."""

    line: bytes
    ns: int
    told: Told | None = None
    gap: Gap | None = None

    @classmethod
    def of_event(cls, told: Told) -> Note:
        """Of an event; its block is written, or the format has none."""
        return cls(of_event(told.event), told.event.ns, told)

    @classmethod
    def of_gap(cls, gap: Gap) -> Note:
        """Of a GAP block."""
        return cls(of_gap(gap), gap.to_ns, gap=gap)


def of_event(event: Event) -> bytes:
    """Begin, resume, continue, change, suspend or end."""
    window = {"starts": format_rfc3339(event.starts_ns), "ends": format_rfc3339(event.ends_ns)}
    suspended = {"suspended": True} if event.suspended and event.kind == "change" else {}
    return _line(
        event.kind, event.ns, addresses=event.addresses, window=window, records=event.records, lost=event.lost,
        **suspended,
    )  # fmt: skip


def of_gap(gap: Gap) -> bytes:
    """Packets that no file has."""
    return _line(
        "gap", gap.to_ns, lost=gap.lost, first_sequence=gap.first_sequence, last_sequence=gap.last_sequence,
        reason=gap.reason, since=format_rfc3339(gap.from_ns),
    )  # fmt: skip


def of_rotation(cause: Cause, ns: int) -> bytes:
    """The file ends here."""
    return _line("rotation", ns, cause=cause)


def _line(event: str, ns: int, **rest: Any) -> bytes:
    return json.dumps({"event": event, "time": format_rfc3339(ns), **rest}, separators=(",", ":")).encode() + b"\n"
