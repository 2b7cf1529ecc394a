# SPDX-License-Identifier: Apache-2.0
"""A disk that refuses while an order is opened: nothing is half applied, and what is in force stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from daemon_rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [pytest.mark.net, pytest.mark.kernel]


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site; everything of it is gone afterwards."""
    with Rig(tmp_path, netns_prefix) as made:
        yield made


def test_an_order_whose_account_cannot_be_written_is_not_in_force(rig: Rig) -> None:
    """Approved, it waits outside of the kernel with an alarm, and is armed once its account can be written."""
    (rig.home.root / "accounts").touch(mode=0o600)  # in the way
    rig.serve()
    rig.add("L-1")
    assert "agency-gone" in rig.alarms()
    assert rig.warrant("L-1")["state"] == "waiting"
    rig.send(2)
    (rig.home.root / "accounts").unlink()
    rig.wait(lambda: rig.warrant("L-1")["state"] == "active", "it is armed")
    rig.send(3)
    rig.wait(lambda: rig.stream("L-1")["matched"] == 3, "it has what came since")
    assert "agency-gone" not in rig.alarms()
    assert rig.stop() == 0


def test_a_start_needs_no_room_for_accounts_that_did_not_change(rig: Rig) -> None:
    """After a kill on a full disk the daemon starts again and goes on."""
    rig.serve()
    rig.add("L-2")
    rig.send(3)
    rig.wait(lambda: rig.stream("L-2")["matched"] == 3, "matched")
    rig.stop(9)
    (account,) = (rig.home.root / "accounts").rglob("*.json")
    (account.with_suffix(".new")).mkdir(mode=0o700)  # where the new file would be written
    rig.serve()
    rig.send(2)
    rig.wait(lambda: rig.stream("L-2")["in_spool"] == 5, "spooled")
