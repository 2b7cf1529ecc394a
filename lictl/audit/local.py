# SPDX-License-Identifier: Apache-2.0
"""The chain for the owner of the home, without a daemon: its files, its anchor in the store, and the desk."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from lictl.audit.chain import Chain
from lictl.audit.desk import AuditDesk
from lictl.audit.files import FOLDER
from lictl.audit.verify import verify
from lictl.keys.site import SiteKey, read_audit_public
from lictl.warrants.anchor import StoreAnchor
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lictl.audit.anchor import Head
    from lictl.audit.verify import Progress, Verdict
    from lictl.home import Home


@contextmanager
def open_chain(home: Home, *, go_on: bool = False) -> Iterator[tuple[Chain, StoreAnchor]]:
    """The chain of a home that no daemon serves (hold `DaemonLock`), with its anchor in the store.

    Raises:
        LictlError: as of `SiteKey.open`, `Store.open` and `Chain.open`.
    """
    with ExitStack() as stack:
        signer = SiteKey.open(home).signer
        store = Store.open(home.database)
        stack.callback(store.close)
        anchor = StoreAnchor(store)
        yield stack.enter_context(Chain.open(home, signer, anchor, go_on=go_on)), anchor


@contextmanager
def open_desk(home: Home) -> Iterator[AuditDesk]:
    """The desk of a home that no daemon serves.

    Raises:
        LictlError: as of `open_chain`.
    """
    with open_chain(home) as (chain, anchor):
        yield AuditDesk(chain, SiteKey.open(home).signer, anchor)


def verify_home(
    home: Home,
    progress: Progress | None = None,
    *,
    public_key: bytes | None = None,
    heads: Sequence[Head] = (),
    thorough: bool = False,
) -> Verdict:
    """Verifies the chain of a home on its files, also while a daemon appends to it; changes nothing.

    Args:
        public_key: None: the home's own.

    Raises:
        LictlError: the home cannot be read.
    """
    key = public_key if public_key is not None else read_audit_public(home)
    store = Store.open(home.database)
    try:
        return verify(home.root / FOLDER, key, StoreAnchor(store), progress, heads=heads, thorough=thorough)
    finally:
        store.close()
