# SPDX-License-Identifier: Apache-2.0
"""What closing an order seals."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from lictl.papers.desk import left_over
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from lictl.audit.anchor import Head
    from lictl.home import Home
    from lictl.papers.record import Counts
    from lictl.warrants.records import Inability, Instrument, Warrant


def summary_of(home: Home, order: Warrant, head: Head, now_ns: int) -> dict[str, Any]:
    """Final counts, manifest and hashes of an order that is over and delivered; nothing that names its subject.

    Returns:
        `streams`: counts of each, in the shape of `lictl status` (None: the account files are lost);
        `instruments`: manifest of what the order rested on, with the SHA-256 of each file;
        `inabilities`: from when until when (None: to the end) something kept it from being performed;
        `audit`: number and hash of the chain's head; `closed`: RFC 3339; `sha256`: of all the others as JSON with
        sorted keys and no spaces.
    """
    counts = [] if order.incarnation is None else left_over(home, order, now_ns)
    sealed: dict[str, Any] = {
        "streams": None if counts is None else [_stream(each) for each in counts],
        "instruments": [_instrument(each) for each in order.instruments],
        "inabilities": [_inability(each) for each in order.inabilities],
        "audit": {"seq": head.seq, "hash": head.hash},
        "closed": format_rfc3339(now_ns),
    }
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"))
    return {**sealed, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _stream(counts: Counts) -> dict[str, Any]:
    return {
        "agency": counts.agency,
        "format": counts.format,
        "matched": counts.matched,
        "delivered": counts.delivered,
        "lost": dict(counts.lost),
        "withheld": counts.withheld,
        "in_flight": counts.waiting,
    }


def _instrument(each: Instrument) -> dict[str, Any]:
    return {
        "act": each.act,
        "state": each.state,
        "kind": each.kind,
        "starts": format_rfc3339(each.starts_ns),
        "ends": format_rfc3339(each.ends_ns),
        "sha256": hashlib.sha256(each.text.encode()).hexdigest(),
    }


def _inability(each: Inability) -> dict[str, Any]:
    restored = None if each.restored_ns is None else format_rfc3339(each.restored_ns)
    return {"noted": format_rfc3339(each.noted_ns), "restored": restored}
