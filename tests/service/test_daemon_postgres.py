# SPDX-License-Identifier: Apache-2.0
"""A daemon whose orders are in PostgreSQL, from `init` to `close`."""

from __future__ import annotations

import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from daemon_rig import OTHER, TARGET, frame
from loopback_rig import LoopbackRig

from lictl.errors import LictlError
from lictl.home import Home
from lictl.lab.loopback import Feed
from lictl.lab.people import LAB_ROLES
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import Server

pytestmark = pytest.mark.kernel


class PostgresRig(LoopbackRig):
    """A site that `lictl init` makes with a database of the server."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url

    def __enter__(self) -> PostgresRig:
        roles = [word for role in LAB_ROLES for word in ("--role", role)]
        made = self.run("init", "--operator", "ISP-7", "--country", "US", "--database", self.url, *roles)
        assert made.returncode == 0, made.stderr
        assert self.url not in made.stdout
        added = self.run("agency", "add", "agency", "--host", "127.0.0.1", "--port", str(self.port))
        assert added.returncode == 0, added.stderr
        return self


def take(rig: LoopbackRig, count: int) -> None:
    """Packets of the target."""
    with Feed(rig.home.bpf) as feed:
        for number in range(count):
            feed.send(frame(TARGET, OTHER, number.to_bytes(8, "big")))


def test_from_init_to_close(tmp_path: Path, postgres: Server) -> None:
    """Two people, packets, agency, restart, revocation and closing; no order is in the home. A second daemon on the
    database is refused, one whose server crashed can be told to stop an order and goes on when the server is back."""
    with PostgresRig(tmp_path, postgres.make_database()) as rig:
        rig.receive()
        rig.serve()
        assert not rig.home.database.exists()
        rig.add("L1")
        take(rig, 5)
        rig.settled("L1", 5)
        _second_daemon_is_refused(rig)
        assert rig.stop() == 0
        rig.serve()
        take(rig, 4)
        rig.wait(lambda: rig.stream("L1")["delivered"] == 9, "delivered")
        postgres.stop(signal.SIGQUIT)
        try:
            with pytest.raises(LictlError, match="stopped in the kernel"):
                rig.revoke("L1")
            take(rig, 3)
        finally:
            postgres.start()
        rig.revoke("L1")
        rig.gone("L1")
        assert rig.team.operator("warrant.close", name="L1")["state"] == "closed"
        assert rig.stop() == 0
        verdict = rig.verdict()
        assert [(stream["records"], stream["ended"]) for stream in verdict["streams"]] == [(9, True)]
        verified = rig.run("audit", "verify")
        assert verified.returncode == 0, verified.stdout


def _second_daemon_is_refused(rig: LoopbackRig) -> None:
    other = Home(rig.folder / "other")
    shutil.copytree(rig.home.root, other.root, ignore=shutil.ignore_patterns("run"))
    store = Store.of(other)
    assert [order.liid for order in store.list()] == ["L1"], "the same orders"
    store.close()
    argv = ["--home", str(other.root), "serve", "--mirror", "lo"]
    done = subprocess.run([*rig.lictl()[:-2], *argv], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert "Another daemon serves the database" in done.stderr


def test_a_database_that_is_in_use_makes_no_site(tmp_path: Path, postgres: Server) -> None:
    """Nor does one that cannot be reached; nothing is made, so that it can be tried again."""
    url = postgres.make_database()
    with PostgresRig(tmp_path / "first", url):
        second = LoopbackRig(tmp_path / "second")
        for wrong, reason in ((url, "is not empty"), ("postgresql+psycopg://u@/d?host=/nowhere", "cannot be reached")):
            done = second.run("init", "--operator", "ISP-7", "--country", "US", "--database", wrong)
            assert done.returncode in (3, 4), done.stderr
            assert reason in done.stderr
            assert not second.home.root.exists()
