# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of our own: a Unix socket in a temporary folder, no network, gone with the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path("/usr/lib/postgresql")
USER = "postgres"


def programs() -> Path:
    """Where Debian keeps the newest server; skips the test where it is not installed."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("Debian's package postgresql is not installed")
    return found[-1].parent


class Server:
    """One server process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # PostgreSQL refuses to run as root.
        self._as: dict[str, Any] = {"user": USER, "group": USER} if os.geteuid() == 0 else {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, with a new cluster the first time; returns when it answers."""
        data = self.folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-sync")
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            # After a crash it syncs its folder before it answers: in one call, not file by file.
            [
                programs() / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses=",
                "-c", "recovery_init_sync_method=syncfs",
            ],
            stdout=log, stderr=log, cwd=self.folder, **self._as,
        )  # fmt: skip
        log.close()
        until = time.monotonic() + 200
        while time.monotonic() < until:
            try:
                psycopg.connect(self.conninfo("postgres"), connect_timeout=10).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
            else:
                return
        raise TimeoutError("PostgreSQL does not answer")

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ends it: SIGINT in order, SIGQUIT as a crash does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def conninfo(self, database: str) -> str:
        """For psycopg."""
        return f"host={self.folder} user={USER} dbname={database}"

    def url(self, database: str) -> str:
        """For the store."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self.folder}"

    def make_database(self) -> str:
        """A new, empty database; returns its URL."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True, connect_timeout=10) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")  # type: ignore[call-overload, unused-ignore]
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [programs() / program, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, timeout=120, **self._as)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server, one for the whole run."""
    programs()
    folder = Path(tempfile.mkdtemp(prefix="lictl-pg-"))  # short: a socket's path has at most 107 bytes
    server = Server(folder)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)  # no checkpoint: the folder goes anyway
        shutil.rmtree(folder, ignore_errors=True)
