# SPDX-License-Identifier: Apache-2.0
"""Verification for the owner of the home, on its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.audit.files import FOLDER
from lictl.audit.verify import verify
from lictl.keys.site import read_audit_public
from lictl.warrants.anchor import StoreAnchor
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lictl.audit.anchor import Head
    from lictl.audit.verify import Progress, Verdict
    from lictl.home import Home


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
    store = Store.of(home)
    try:
        return verify(home.root / FOLDER, key, StoreAnchor(store), progress, heads=heads, thorough=thorough)
    finally:
        store.close()
