# SPDX-License-Identifier: Apache-2.0
"""The store, opened for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lictl.home import Home

if TYPE_CHECKING:
    from lictl.warrants.store import Store


@contextmanager
def open_store(home: Home) -> Iterator[Store]:
    """The store of a home that is made and private."""
    from lictl.service.guard import open_home
    from lictl.warrants.store import Store

    store = Store.open(open_home(home).database)
    try:
        yield store
    finally:
        store.close()
