# SPDX-License-Identifier: Apache-2.0
"""The parts of a home that every act needs: store, keys, audit chain. Opened by its daemon, or by its owner."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl import log
from lictl.audit.anchor import Anchors, SyslogAnchor
from lictl.audit.chain import Chain
from lictl.keys import succession
from lictl.keys.site import SiteKey
from lictl.service import key_desk
from lictl.service.late_anchor import LateAnchor
from lictl.service.record import Record
from lictl.service.site import Site, read_site
from lictl.warrants.anchor import StoreAnchor
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lictl.home import Home

_log = log.get("office")


@dataclass(frozen=True, slots=True)
class Office:
    """An open home.

    Attributes:
        home: made and private.
        site: what its lictl.toml says.
        keys: of the site.
        store: its orders.
        record: its audit chain.
        hold: keeps other daemons from its database; to be called now and then.
    """

    home: Home
    site: Site
    keys: SiteKey
    store: Store
    record: Record
    hold: Callable[[], None]


@contextlib.contextmanager
def open_office(home: Home, unwritten: Callable[[int], None] = lambda seq: None) -> Iterator[Office]:
    """Opens a home whose daemon lock the caller holds.

    Args:
        home: made and private.
        unwritten: see `Record`.

    Raises:
        LictlError: store, keys or chain cannot be used.
    """
    with contextlib.ExitStack() as stack:
        site = read_site(home)
        store = Store.of(home)
        stack.callback(store.close)
        hold = stack.enter_context(store.hold())
        keys, upcoming = SiteKey.open(home), succession.upcoming(home)
        # A chain that was changed from outside is told by an alarm and by its verification; orders are served on.
        anchor = Anchors(StoreAnchor(store), SyslogAnchor()) if site.audit_syslog else StoreAnchor(store)
        late = LateAnchor(anchor)
        stack.callback(late.stop)
        chain = Chain.open(home, keys.signer, late, upcoming=upcoming, go_on=True)
        stack.callback(chain.close)
        key_desk.settle(home, chain)
        if chain.damage:
            _log.error("the audit chain was changed from outside")
        yield Office(home, site, keys, store, Record(chain, unwritten), hold)
