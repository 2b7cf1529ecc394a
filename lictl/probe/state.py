# SPDX-License-Identifier: Apache-2.0
"""What a probe tells of itself: attachments, rings, counters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """One interface that the program looks at.

    Attributes:
        ifindex: of the interface.
        hook: AT_INGRESS or AT_EGRESS.
        mode: native, generic, offload or tc: what the kernel reports, not what was asked for.
        program_id: the kernel's number of the program.
        tag: 16 hex digits: the kernel's digest of the program.
        taken_over: it was attached before this process started.
    """

    ifindex: int
    hook: int
    mode: str
    program_id: int
    tag: str
    taken_over: bool


@dataclass(frozen=True, slots=True)
class RingState:
    """One CPU's ring.

    Attributes:
        cpu: its number.
        size: bytes.
        waiting: bytes not yet released.
        consumed: records released since this process opened the probe.
        damaged: records that contradict their own lengths, skipped since then: 0, or memory or kernel is at fault.
    """

    cpu: int
    size: int
    waiting: int
    consumed: int
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """Counters of one slot, summed over CPUs; matched = emitted + lost_ring + lost_matches + lost_frame.

    Attributes:
        seen: packets that name the target.
        matched: of them, inside the window, and of the mode and generation that live.
        emitted: records that went into a ring.
        lost_ring: the ring was full.
        lost_matches: the packet matched more orders than a packet can.
        lost_frame: the frame was too long or not readable.
        withheld: header order, but no header field is proven.
        bytes: frame bytes of matched packets.
    """

    seen: int
    matched: int
    emitted: int
    lost_ring: int
    lost_matches: int
    lost_frame: int
    withheld: int
    bytes: int
