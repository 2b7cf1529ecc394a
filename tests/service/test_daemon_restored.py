# SPDX-License-Identifier: Apache-2.0
"""A database that was restored from a backup gives ids out again; no order gets what was another's. And the accounts
of orders that are finished."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from daemon_rig import OTHER, Rig

from lictl.service.finished import finished
from lictl.service.live import stream_name
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lictl.warrants.model import Warrant


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site in a namespace of its own."""
    with Rig(tmp_path, netns_prefix) as made:
        yield made


def streams(rig: Rig) -> set[str]:
    """Names of the streams that the daemon serves."""
    return {stream["stream"] for order in rig.status()["warrants"] for stream in order["streams"]}


def test_a_stream_is_named_after_its_order_and_format() -> None:
    """Not after the id, which a restored store gives out again."""
    one, other = (cast("Warrant", SimpleNamespace(id="W-1", uuid=uuid)) for uuid in ("5f0e", "77aa"))
    names = {stream_name(order, format_) for order in (one, other) for format_ in ("pcapng", "text")}
    assert len(names) == 4


@pytest.mark.kernel
@pytest.mark.net
def test_an_id_that_is_given_out_again_begins_a_stream_of_its_own(rig: Rig) -> None:
    """What the earlier order W-1 had in its spool is not delivered under the new one, nor counted there; it is left
    where it is, and alarmed."""
    backup = rig.folder / "backup"
    backup.mkdir()
    for path in rig.home.root.glob("warrants.db*"):
        shutil.copy(path, backup)
    rig.serve()
    first = rig.add("L1")
    rig.send(8)
    rig.wait(lambda: rig.stream("L1")["in_spool"] == 8, "spooled")
    rig.stop()
    for path in rig.home.root.glob("warrants.db*"):
        path.unlink()
    for path in backup.iterdir():
        shutil.copy2(path, rig.home.root)
        (rig.home.root / path.name).chmod(0o600)
    rig.receive()
    rig.serve()
    second = rig.add("L2", targets=f"ip:{OTHER}")
    assert first["id"] == second["id"]
    (left,) = [
        path for path in (rig.home.spool / "agency").iterdir() if path.is_dir() and path.name not in streams(rig)
    ]
    before = {path: path.read_bytes() for path in left.rglob("*") if path.is_file()}
    rig.wait(lambda: "unknown-order" in rig.alarms(), "the earlier order's spool is alarmed")
    told = {alarm["subject"] for alarm in rig.status()["alarms"] if alarm["name"] == "unknown-order"}
    assert told == {f"unknown-spool agency/{left.name}", f"unknown-account {left.name.removesuffix('-pcapng')}"}
    rig.send(3, source=OTHER, destination="198.51.100.2")
    stream = rig.settled("L2", 3)
    assert stream["delivered"] == 3
    rig.revoke("L2")
    rig.gone("L2")
    assert [(one["records"], one["lost"]) for one in rig.verdict()["streams"]] == [(3, 0)]
    assert rig.numbers() == [8, 9, 10]
    assert {path: path.read_bytes() for path in left.rglob("*") if path.is_file()} == before


@pytest.mark.kernel
@pytest.mark.net
def test_a_finished_order_keeps_its_account(rig: Rig) -> None:
    """Revoked and delivered: its final account adds up, also after the daemon's end; the newest come first."""
    rig.receive()
    rig.serve()
    for number in (1, 2, 3):
        rig.add(f"L{number}")
        rig.send(4 * number)
        rig.settled(f"L{number}", 4 * number)
        rig.revoke(f"L{number}")
        rig.gone(f"L{number}")
    report = rig.status()
    assert all(ring["damaged"] == 0 for ring in report["rings"])
    shown = rig.run("status", "--all")
    assert shown.returncode == 0, shown.stderr
    assert "FINISHED" in shown.stdout
    rig.stop()
    store = Store.open(rig.home.database)
    newest = finished(rig.home, store, most=2)
    store.close()
    assert [(order["liid"], order["state"]) for order in newest] == [("L3", "revoked"), ("L2", "revoked")]
    for order, count in zip(newest, (12, 8), strict=True):
        (stream,) = order["streams"]
        assert stream["matched"] == stream["delivered"] == count
        assert stream["withheld"] == sum(cast("dict[str, int]", stream["lost"]).values()) == 0
