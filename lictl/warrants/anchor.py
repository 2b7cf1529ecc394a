# SPDX-License-Identifier: Apache-2.0
"""The head of the audit chain, kept in the database (`lictl.audit.anchor.Anchor`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.times import now_ns

if TYPE_CHECKING:
    from lictl.warrants.store import Store


class StoreAnchor:
    """An anchor outside the chain's files.

    Args:
        store: of the same home; open as long as the anchor is used.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, seq: int, hash: str) -> None:
        """See `Anchor.write`."""
        self._store.set_audit_head(seq, hash, now_ns())

    def read(self) -> tuple[int, str] | None:
        """See `Anchor.read`."""
        return self._store.audit_head()
