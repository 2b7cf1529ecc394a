# SPDX-License-Identifier: Apache-2.0
"""Orders that are over and delivered, with their final accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl.service import accounts
from lictl.service.live import accounts_folder
from lictl.times import format_rfc3339
from lictl.warrants.states import OVER

if TYPE_CHECKING:
    from lictl.home import Home
    from lictl.warrants.records import Overview
    from lictl.warrants.store import Store

MOST = 100


def finished(home: Home, store: Store, most: int = MOST) -> list[dict[str, Any]]:
    """The orders that the daemon has no more work for, newest first, at most so many.

    Returns:
        `{"id", "liid", "state", "mode", "starts", "ends", "ended", "streams": [{"agency", "format", "matched",
        "delivered", "lost": {class: int}, "withheld"}]}`; matched = delivered + lost + withheld; no stream: the order
        ended before it was armed, or its account file is lost.
    """
    over = [order for order in store.overview(OVER) if order.released]
    return [_order(home, order) for order in reversed(over[-most:])]


def _order(home: Home, warrant: Overview) -> dict[str, Any]:
    streams = [_stream(home, warrant, name) for name in dict.fromkeys(warrant.agencies)]
    return {
        "id": warrant.id,
        "liid": warrant.liid,
        "state": warrant.state,
        "mode": str(warrant.mode),
        "starts": format_rfc3339(warrant.starts_ns),
        "ends": format_rfc3339(warrant.ends_ns),
        "ended": format_rfc3339(warrant.ended_ns) if warrant.ended_ns else None,
        "streams": [stream for some in streams for stream in some],
    }


def _stream(home: Home, warrant: Overview, agency: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted(accounts_folder(home, warrant).glob(f"{agency}-*.json")):
        saved = accounts.load(path)
        if saved is not None:
            base, lost = saved.base, dict(saved.base.classes)
            found.append(
                {
                    "agency": agency,
                    "format": path.stem.removeprefix(f"{agency}-"),
                    "matched": base.matched,
                    "delivered": base.records,
                    "lost": lost,
                    "withheld": base.withheld,
                }
            )
    return found
