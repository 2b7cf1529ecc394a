# SPDX-License-Identifier: Apache-2.0
"""Where a stream's key goes: over the worker's pipe and nowhere else; what another key leads to."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from delivery_kit import (
    KEY,
    Agency,
    append,
    open_sealed,
    open_spool,
    record,
    sealed_stream,
    stream_config,
    wait_for,
)

from lictl.collection.receiver import Receiver
from lictl.delivery.config import LinkState, WorkerConfig, WorkerOptions
from lictl.delivery.supervisor import AgencyWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.delivery.config import StreamConfig

FAST = WorkerOptions(backoff_max_s=0.3)
NOBODY = 65534


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """The sample agency."""
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as running:
        yield running


def worker_for(root: Path, receiver: Receiver, *streams: StreamConfig, uid: int | None = None) -> AgencyWorker:
    """A worker that runs."""
    worker = AgencyWorker(Agency("lea", "127.0.0.1", receiver.address[1]), root, streams, uid=uid, options=FAST)
    worker.start()
    return worker


def link(worker: AgencyWorker, name: str = "W-1") -> LinkState:
    """State of one stream, a blank one before the first report."""
    return worker.state().streams.get(name, LinkState(name))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the worker becomes another user")
def test_key_is_in_the_pipe_alone(tmp_path: Path, root: Path, receiver: Receiver) -> None:
    """Not in the process title, its environment or a file; the worker, another user without rights, opens the spool."""
    tmp_path.chmod(0o700)
    with open_sealed(root / "W-1", owner_uid=NOBODY) as spool:
        append(spool, 100)
        worker = worker_for(root, receiver, sealed_stream(), uid=NOBODY)
        wait_for(lambda: spool.acknowledged == spool.last_block, what="for delivery")
        pid = worker.state().pid
        forms = (KEY, KEY.hex().encode())
        for name in ("cmdline", "environ", "comm"):
            seen = Path(f"/proc/{pid}/{name}").read_bytes()
            assert not any(form in seen for form in forms)
        for path in tmp_path.rglob("*"):
            if path.is_file():
                assert not any(form in path.read_bytes() for form in forms), path.name
        worker.stop()
    (file,) = (tmp_path / "received").glob("*.txt")
    assert file.read_bytes() == b"".join(record(number) for number in range(1, 101))


def test_key_is_in_no_repr() -> None:
    """A configuration that ends up in a log or a traceback does not show it."""
    stream = sealed_stream()
    config = WorkerConfig("lea", "/", "127.0.0.1", 1, streams={0: stream})
    for shown in (repr(stream), repr(config), str(config)):
        assert "key" not in shown
        assert repr(KEY)[2:-1] not in shown
    assert WorkerConfig.from_plain(config.to_plain()).streams[0].key == KEY


def test_wrong_key_delivers_nothing_until_it_is_put_right(tmp_path: Path, root: Path, receiver: Receiver) -> None:
    """The worker says what is wrong and sends no byte of content; with the right key everything arrives."""
    with open_sealed(root / "W-1") as spool:
        append(spool, 10)
        for key in (b"", bytes(32)):
            worker = worker_for(root, receiver, replace(sealed_stream(), key=key))
            wait_for(lambda worker=worker: "sealed" in link(worker).error, what="for the error")
            time.sleep(0.2)
            assert spool.acknowledged == 0
            worker.stop()
        assert receiver.progress().records == 0
        assert all(not path.stat().st_size for path in (tmp_path / "received").glob("*.txt"))
        worker = worker_for(root, receiver, sealed_stream())
        wait_for(lambda: spool.acknowledged == spool.last_block, what="for delivery")
        assert receiver.progress().records == 10
        worker.stop()


def test_streams_have_keys_of_their_own(root: Path, receiver: Receiver) -> None:
    """A stream that comes later brings its key; one with another's key is held up alone."""
    other = bytes(range(32))
    with open_sealed(root / "W-1") as first, open_spool(root / "W-2", key=other) as second, \
            open_spool(root / "W-3", key=other) as third:  # fmt: skip
        worker = worker_for(root, receiver, sealed_stream("W-1"))
        worker.add_stream(stream_config("W-2", other))
        worker.add_stream(sealed_stream("W-3"))
        for spool in (first, second, third):
            append(spool, 5)
        worker.wake()
        wait_for(lambda: first.acknowledged == second.acknowledged == 1, what="for delivery")
        wait_for(lambda: "sealed" in link(worker, "W-3").error, what="for the error")
        assert third.acknowledged == 0
        worker.stop()


def test_worker_that_died_gets_the_keys_again(root: Path, receiver: Receiver) -> None:
    """They live in the daemon's memory: the next process is told them, also of streams added since."""
    with open_sealed(root / "W-1") as first, open_sealed(root / "W-2") as second:
        worker = worker_for(root, receiver, sealed_stream("W-1"))
        worker.add_stream(sealed_stream("W-2"))
        append(first, 5)
        worker.wake()
        wait_for(lambda: first.acknowledged == 1, what="for delivery")
        pid = worker.state().pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: worker.state().pid not in (0, pid), what="for the next one")
        for spool in (first, second):
            append(spool, 5)
        worker.wake()
        wait_for(lambda: first.acknowledged == 2 and second.acknowledged == 1, what="for delivery")
        worker.stop()
