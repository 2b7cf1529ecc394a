# SPDX-License-Identifier: Apache-2.0
"""Many orders at one moment, orders that cannot be served at once, and claims that were another order's."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from daemon_rig import OTHER, PORT, Rig, order

from lictl.service.live import accounts_folder
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.net, pytest.mark.kernel]


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site with its wire; nothing runs yet."""
    with Rig(tmp_path, netns_prefix) as made:
        yield made


def _phases(rig: Rig) -> list[str]:
    return [warrant["state"] for warrant in rig.status()["warrants"]]


def test_windows_that_begin_together(rig: Rig) -> None:
    """All are armed; one that the disk refuses is alarmed and tried again, and holds up none of the others."""
    rig.serve()
    store = Store.open(rig.home.database)
    for number in range(4):
        assert rig.add(f"L{number}", starts=14, targets=f"ip:203.0.113.{number + 1}")["state"] == "approved"
        if number == 1:
            in_the_way = accounts_folder(rig.home, store.get("L1"))
            in_the_way.parent.mkdir(mode=0o700)
            in_the_way.touch(mode=0o600)
    store.close()
    rig.wait(lambda: _phases(rig).count("active") == 3, lambda: f"three are armed: {_phases(rig)}")
    assert sorted(_phases(rig)) == ["active", "active", "active", "waiting"]
    assert "agency-gone" in rig.alarms()
    in_the_way.unlink()
    rig.wait(lambda: _phases(rig) == ["active"] * 4, lambda: f"all are armed: {_phases(rig)}")
    assert rig.alarms() == []


def test_windows_that_end_together(rig: Rig) -> None:
    """All are taken out, and their streams end."""
    rig.receive()
    rig.serve()
    for number in range(6):
        rig.add(f"L{number}", ends=6, targets=f"ip:203.0.113.{number + 1}")
    rig.wait(lambda: not _phases(rig), lambda: f"all are finished: {_phases(rig)}")
    verdict = rig.verdict()
    assert [stream["ended"] for stream in verdict["streams"]] == [True] * 6


def test_an_order_that_waits_for_the_disk_at_the_start_is_served_later(rig: Rig) -> None:
    """An order whose streams cannot be opened when the daemon starts is not left out until the next start."""
    store = Store.open(rig.home.database)
    rig.team.add(order("L1"))
    in_the_way = accounts_folder(rig.home, store.get("L1"))
    store.close()
    in_the_way.parent.mkdir(mode=0o700)
    in_the_way.touch(mode=0o600)
    rig.serve()
    assert _phases(rig) == ["waiting"]
    in_the_way.unlink()
    rig.wait(lambda: _phases(rig) == ["active"], lambda: f"it is armed: {_phases(rig)}")
    rig.send(5)
    rig.wait(lambda: rig.stream("L1")["in_spool"] == 5, "its packets are spooled")


def test_records_of_another_order_that_had_the_same_claim_are_not_delivered(rig: Rig) -> None:
    """A killed daemon's records wait in the rings; a store that was made anew gives their claim to a new order."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.stop(9)
    rig.send(20)
    for path in (rig.home.spool, rig.home.root / "accounts"):
        shutil.rmtree(path)
    for path in rig.home.root.glob("warrants.db*"):
        path.unlink()
    store = Store.open(rig.home.database)
    store.add_agency(Agency("agency", "127.0.0.1", PORT, "pcapng"))
    store.close()
    rig.home.make_folder(rig.home.spool)
    rig.team.add(order("L2", targets=f"ip:{OTHER}"))
    rig.serve()
    rig.send(7, source=OTHER, destination="198.51.100.2")
    rig.settled("L2", 7)
    rig.revoke("L2")
    rig.gone("L2")
    rig.verdict()
    assert rig.numbers() == list(range(20, 27))


def test_an_order_that_waits_again_after_the_clock_was_put_back(rig: Rig) -> None:
    """It is out of the kernel; when it is revoked then, what it took before is delivered and its stream ends."""
    rig.serve()
    rig.add("L1", starts=-60)
    rig.send(6)
    rig.wait(lambda: rig.stream("L1")["in_spool"] == 6, "spooled")
    rig.stop(9)
    rig.serve(env={"LICTL_CLOCK_OFFSET_NS": str(-7200 * 10**9)})
    rig.send(3)
    assert _phases(rig) == ["waiting"]
    rig.revoke("L1")
    rig.receive()
    rig.gone("L1")
    verdict = rig.verdict()
    assert [(stream["records"], stream["ended"]) for stream in verdict["streams"]] == [(6, True)]
    assert rig.numbers() == list(range(6))
