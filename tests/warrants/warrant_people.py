# SPDX-License-Identifier: Apache-2.0
"""Two people, and orders that they put into force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warrant_texts import NOW_NS

from lictl.warrants.who import Who

if TYPE_CHECKING:
    from lictl.warrants.model import Warrant, WarrantFile
    from lictl.warrants.store import Store

ALICE = Who(2001, "alice", 2001)
BOB = Who(2002, "bob", 2002)
CAROL = Who(2003, "carol", None)
ALICE_BY_SUDO = Who(0, "root", 2001)


def approved(store: Store, file: WarrantFile, now_ns: int = NOW_NS) -> Warrant:
    """An order that alice submitted and bob approved."""
    order = store.draft(file, ALICE, now_ns)
    store.submit(order.id, ALICE, now_ns)
    return store.approve(order.id, BOB, now_ns)


def in_force(store: Store, file: WarrantFile, now_ns: int = NOW_NS) -> Warrant:
    """An order that is also in the kernel."""
    return store.armed(approved(store, file, now_ns).id, now_ns)
