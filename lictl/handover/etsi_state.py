# SPDX-License-Identifier: Apache-2.0
"""What an ETSI stream counts beside its packets; stored beside each block of the spool."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from lictl.handover.base import MAX_STATE

SIGN_AFTER: Final = 15
"""Digests that one signature is over at most (TS 102 232-1, clause 7.2)."""
SIGN_NS: Final = 30_000_000_000
"""The longest that a digest waits for its signature."""
SKIPPED: Final = 1 << 16
"""More than can be sent before the disk has it."""
KINDS: Final = ("iri", "cc")
"""Each has a numbering and a hash stream of its own."""
_HEAD: Final = struct.Struct("<BQQQQIIQQQ")
_PENDING: Final = struct.Struct("<QBB")
_NUMBER: Final = struct.Struct("<I")
_VERSION: Final = 1


@dataclass(slots=True)
class Pending:
    """Digests that are delivered and not yet signed.

    Attributes:
        since_ns: time of the oldest.
        digests: sequence number (TRI) and value of each, in order; fewer than SIGN_AFTER between two calls.
    """

    since_ns: int = 0
    digests: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class State:
    """Where the stream's numberings stand.

    Attributes:
        last: sequence of the last packet, delivered or lost.
        iri: IRI PDUs that are not packets: events and summaries.
        tri: PDUs of type TRI, integrity checks aside.
        checks: integrity checks: a numbering of their own, so that a receiver sees a missing one.
        sealed_since: UTC seconds at which the first payload was sealed, 0 before.
        sealed: octets sealed since then, modulo 2^32.
        untold: packets taken into a summary that is not delivered.
        untold_first: sequence of the first of them.
        untold_ns: its time.
        pending: digests without a signature, by kind.
    """

    last: int = 0
    iri: int = 0
    tri: int = 0
    checks: int = 0
    sealed_since: int = 0
    sealed: int = 0
    untold: int = 0
    untold_first: int = 0
    untold_ns: int = 0
    pending: dict[str, Pending] = field(default_factory=lambda: {kind: Pending() for kind in KINDS})

    def skip(self) -> None:
        """Numbers that were given and lost with a disk's last blocks are given to nothing else."""
        self.iri += SKIPPED
        self.tri += SKIPPED
        self.checks += SKIPPED

    def to_bytes(self) -> bytes:
        """At most MAX_STATE octets."""
        out = _HEAD.pack(
            _VERSION, self.last, self.iri, self.tri, self.checks, self.sealed_since, self.sealed,
            self.untold, self.untold_first, self.untold_ns,
        )  # fmt: skip
        for kind in KINDS:
            pending = self.pending[kind]
            size = len(pending.digests[0][1]) if pending.digests else 0
            out += _PENDING.pack(pending.since_ns, len(pending.digests), size)
            out += b"".join(_NUMBER.pack(number) + value for number, value in pending.digests)
        if len(out) > MAX_STATE:
            raise AssertionError(f"an encoder's state has {len(out)} octets")
        return out

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """The inverse of `to_bytes`; a new stream where there is none, or one of another format."""
        if len(data) < _HEAD.size or data[0] != _VERSION:
            return cls()
        state = cls(*_HEAD.unpack_from(data)[1:])
        at = _HEAD.size
        for kind in KINDS:
            since, count, size = _PENDING.unpack_from(data, at)
            at += _PENDING.size
            digests = []
            for _ in range(count):
                (number,) = _NUMBER.unpack_from(data, at)
                digests.append((number, data[at + _NUMBER.size : at + _NUMBER.size + size]))
                at += _NUMBER.size + size
            state.pending[kind] = Pending(since, digests)
        return state
