# SPDX-License-Identifier: Apache-2.0
"""A spool delivered by a real worker process, over real sockets, to the real receiver and to odd ones."""

from __future__ import annotations

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
import pytest
from agency_kit import OddAgency, ReceiverProcess
from delivery_kit import MIB, Agency, append, gap, mark, open_sealed, record, sealed_stream, segments_of, wait_for

import lictl
from lictl.collection.receiver import Receiver
from lictl.delivery import wire
from lictl.delivery.blocks import HEADER_BYTES, BlockKind, header_key, parse_header
from lictl.delivery.config import LinkState, StreamConfig, WorkerOptions
from lictl.delivery.supervisor import AgencyWorker
from lictl.delivery.wire import FrameType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lictl.delivery.spool import Spool

FAST = WorkerOptions(backoff_max_s=0.3)


@pytest.fixture
def workers() -> Iterator[list[AgencyWorker]]:
    """Ends every worker that a test started."""
    started: list[AgencyWorker] = []
    yield started
    for worker in started:
        worker.stop()


def start(
    workers: list[AgencyWorker],
    root: Path,
    port: int,
    *streams: StreamConfig,
    options: WorkerOptions = FAST,
    uid: int | None = None,
) -> AgencyWorker:
    """Starts a worker for the agency on a local port."""
    agency = Agency("lea", "127.0.0.1", port)
    worker = AgencyWorker(agency, root, streams or [sealed_stream()], uid=uid, options=options)
    worker.start()
    workers.append(worker)
    return worker


def link(worker: AgencyWorker, name: str = "W-1") -> LinkState:
    """State of one stream, a blank one before the first report."""
    return worker.state().streams.get(name, LinkState(name))


def delivered(spool: Spool) -> bool:
    """Everything is acknowledged."""
    return spool.acknowledged == spool.last_block


def expected(last: int) -> bytes:
    """File content for records 1 to `last`."""
    return b"".join(record(number) for number in range(1, last + 1))


def test_everything_arrives_in_order(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """What was there before, what comes later, gaps and the end; the verdict is good."""
    spool = open_sealed(root / "W-1", segment_bytes=3000)
    append(spool, 50)
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        worker = start(workers, root, receiver.address[1])
        for _ in range(30):
            append(spool, 20, lost=1)
            worker.wake("W-1")
        gap(spool, 7)
        mark(spool, BlockKind.END, b"end\n")
        worker.wake()
        wait_for(lambda: delivered(spool), what="for delivery")
        wait_for(lambda: link(worker).phase == "done")
        verdict = receiver.write_verdict()
    (stream,) = verdict.streams
    assert verdict.ok
    assert (stream.records, stream.lost, stream.missing, stream.ended) == (650, 37, 0, True)
    assert (tmp_path / "received" / stream.file).read_bytes().startswith(expected(50))
    assert spool.waiting == (0, 0)
    spool.close()


def test_worker_has_no_rights_left(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """Another user, no capability, nothing to regain, not dumpable; it still reads its spool below a closed home."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the worker becomes another user")
    tmp_path.chmod(0o700)
    spool = open_sealed(root / "W-1", owner_uid=65534)
    append(spool, 3)
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        worker = start(workers, root, receiver.address[1], uid=65534)
        wait_for(lambda: delivered(spool), what="for delivery")
        pid = worker.state().pid
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^Uid:\t65534\t65534\t65534\t65534$", status, re.M)
        assert re.search(r"^Gid:\t65534\t65534\t65534\t65534$", status, re.M)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert re.search(rf"^{name}:\t0{{16}}$", status, re.M), name
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
        assert re.search(r"^Groups:\t\s*$", status, re.M)
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert command.endswith(b"lictl.delivery.worker\0lea\0")
        environment = Path(f"/proc/{pid}/environ")
        assert b"LIID" not in command + environment.read_bytes()
    spool.close()


def test_burst_tail_leaves_at_once(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """The last packet of a burst, with no traffic behind it, is at the agency within milliseconds."""
    spool = open_sealed(root / "W-1")
    with OddAgency() as agency:
        worker = start(workers, root, agency.port)
        agency.welcome()
        took = []
        for _ in range(60):
            time.sleep(0.005)
            begin = time.perf_counter()
            append(spool, 1)
            worker.wake("W-1")
            kind, _ = agency.next()
            took.append(time.perf_counter() - begin)
            assert kind is FrameType.BLOCK
        print(f"wake to agency: median {statistics.median(took) * 1e6:.0f} us, worst {max(took) * 1e6:.0f} us")
        assert statistics.median(took) < 0.05
    spool.close()


def test_agency_away_and_back(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """Refused connections are retried; what piled up meanwhile arrives once."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    spool = open_sealed(root / "W-1")
    append(spool, 5)
    worker = start(workers, root, port)
    wait_for(lambda: link(worker).attempts >= 2, what="for failed attempts")
    assert link(worker).error
    append(spool, 5)
    for round_ in (1, 2):
        with Receiver(("127.0.0.1", port), tmp_path / "received").start() as receiver:
            wait_for(lambda: delivered(spool), what="for delivery")
            verdict = receiver.verdict()
        assert verdict.ok
        assert verdict.streams[0].records == 10 * round_
        assert verdict.streams[0].duplicates == 0
        append(spool, 10)
    spool.close()


def test_reset_in_the_middle_of_a_block(root: Path, workers: list[AgencyWorker]) -> None:
    """After a reset the worker goes on exactly behind what the agency says it holds."""
    spool = open_sealed(root / "W-1")
    for _ in range(4):
        append(spool, 20_000)
    with OddAgency() as agency:
        start(workers, root, agency.port)
        agency.welcome()
        assert agency.sock is not None
        agency.sock.recv(100_000)  # a part of block 1
        agency.reset()
        agency.welcome(2)
        key = header_key(spool.spool_id)
        for number in (3, 4):
            kind, body = agency.next()
            assert kind is FrameType.BLOCK
            header = parse_header(key, body)
            assert header.block == number
            first, last = header.first_sequence, header.last_sequence
            assert body[HEADER_BYTES:] == b"".join(record(n) for n in range(first, last + 1))
        assert spool.acknowledged == 2  # WELCOME counts as an acknowledgement
        agency.send(wire.number_frame(FrameType.ACK, 4))
        wait_for(lambda: delivered(spool))
    spool.close()


def test_slow_agency_bounds_what_is_in_flight(root: Path, workers: list[AgencyWorker]) -> None:
    """Without acknowledgements the worker stops at the window and goes on when some come."""
    spool = open_sealed(root / "W-1")
    for _ in range(20):
        append(spool, 10)
    with OddAgency() as agency:
        worker = start(workers, root, agency.port, options=WorkerOptions(window_blocks=4))
        agency.welcome()
        for _ in range(4):
            assert agency.next()[0] is FrameType.BLOCK
        wait_for(lambda: link(worker).unacknowledged >= 4)
        assert agency.sock is not None
        agency.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            agency.next()
        agency.sock.settimeout(30)
        for block in range(4, 21, 4):
            agency.send(wire.number_frame(FrameType.ACK, block))
            for _ in range(4 if block < 20 else 0):
                assert agency.next()[0] is FrameType.BLOCK
        wait_for(lambda: delivered(spool))
    spool.close()


def test_one_dead_agency_stops_nobody_else(tmp_path: Path, workers: list[AgencyWorker]) -> None:
    """An agency that takes the connection and never reads holds up only itself."""
    spools = {}
    for name in ("dead", "alive"):
        (tmp_path / name).mkdir()
        spools[name] = open_sealed(tmp_path / name / "W-1")
    with OddAgency(4096) as dead, Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        stuck = start(workers, tmp_path / "dead", dead.port)
        dead.welcome()
        start(workers, tmp_path / "alive", receiver.address[1])
        for _ in range(20):
            append(spools["dead"], 1000, size=1600)
            append(spools["alive"], 1000, size=1600)
            for worker in workers:
                worker.wake()
        wait_for(lambda: delivered(spools["alive"]), what="for the living agency")
        assert spools["dead"].acknowledged == 0
        assert spools["dead"].waiting.records == 20_000
        wait_for(lambda: link(stuck).lag_s > 0)
    for spool in spools.values():
        spool.close()


def test_many_streams_and_late_ones(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """Streams added while the worker runs, also before their spool exists, and streams removed."""
    names = [f"W-{number}" for number in range(12)]
    spools = {name: open_sealed(root / name) for name in names[:6]}
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        worker = start(workers, root, receiver.address[1], *(sealed_stream(name) for name in names[:6]))
        for name in names[6:]:
            worker.add_stream(sealed_stream(name))
        wait_for(lambda: link(worker, names[11]).error != "", what="for the report of the missing spool")
        spools.update({name: open_sealed(root / name) for name in names[6:]})
        for spool in spools.values():
            append(spool, 10)
        worker.wake()
        for name, spool in spools.items():
            wait_for(lambda spool=spool: delivered(spool), what=f"for {name}")
        worker.remove_stream("W-3")
        append(spools["W-3"], 10)
        append(spools["W-4"], 10)
        worker.wake()
        wait_for(lambda: delivered(spools["W-4"]))
        assert not delivered(spools["W-3"])
        assert "W-3" not in worker.state().streams
        assert len(receiver.verdict().streams) == 12
    for spool in spools.values():
        spool.close()


def test_agency_that_lost_its_folder(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """It gets again what is still here; what is not is missing in its verdict; the cursor never goes back."""
    spool = open_sealed(root / "W-1", segment_bytes=2000)
    for _ in range(30):
        append(spool, 10)
    with Receiver(("127.0.0.1", 0), tmp_path / "first").start() as receiver:
        worker = start(workers, root, receiver.address[1])
        wait_for(lambda: delivered(spool))
        worker.stop()
    assert spool.trim() > 0
    first = segments_of(root / "W-1")[0]
    with Receiver(("127.0.0.1", 0), tmp_path / "second").start() as receiver:
        worker = start(workers, root, receiver.address[1])
        wait_for(lambda: receiver.progress().records == (31 - first) * 10, what="for what is left")
        (stream,) = receiver.verdict().streams
        assert (stream.ok, stream.missing) == (False, (first - 1) * 10)
        append(spool, 10)
        worker.wake()
        assert spool.acknowledged in (30, 31)
        wait_for(lambda: spool.acknowledged == 31)
    spool.close()


# ---- agencies that misbehave


@pytest.mark.parametrize(
    ("attack", "error"),
    [
        (wire.number_frame(FrameType.ACK, 99), "not sent"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not allowed"),
        (wire.refuse_frame("you are \x1b[31mnot welcome"), "refused: you are ?[31mnot welcome"),
        (wire.welcome_frame(1, 0), "out of turn"),
    ],
)
def test_wrong_answers_end_the_connection(root: Path, workers: list[AgencyWorker], attack: bytes, error: str) -> None:
    """The worker hangs up, says why, acknowledges nothing, and tries again."""
    spool = open_sealed(root / "W-1")
    append(spool, 5)
    with OddAgency() as agency:
        worker = start(workers, root, agency.port)
        agency.welcome()
        agency.send(attack)
        assert agency.closed_by_worker()
        wait_for(lambda: error in link(worker).error, what=f"for {error!r}, was {link(worker).error!r}")
        assert spool.acknowledged == 0
        agency.welcome()
        assert agency.next()[0] is FrameType.BLOCK
    spool.close()


def test_agency_cannot_claim_blocks_it_never_got(root: Path, workers: list[AgencyWorker]) -> None:
    """A WELCOME beyond the spool's end would let data be deleted undelivered: it is refused."""
    spool = open_sealed(root / "W-1")
    append(spool, 5)
    with OddAgency() as agency:
        worker = start(workers, root, agency.port)
        for block in (2, 2**64 - 1):
            agency.welcome(block)
            assert agency.closed_by_worker()
        wait_for(lambda: "never sent" in link(worker).error)
        assert spool.acknowledged == 0
    spool.close()


def test_silent_agency_is_given_up(root: Path, workers: list[AgencyWorker]) -> None:
    """A half-open connection is probed, dropped and made anew; no welcome at all likewise."""
    spool = open_sealed(root / "W-1")
    options = WorkerOptions(connect_s=0.5, ping_s=0.2, dead_s=1.0, backoff_max_s=0.2)
    with OddAgency() as agency:
        start(workers, root, agency.port, options=options)
        agency.accept()
        assert agency.closed_by_worker(), "no welcome"
        agency.welcome()
        assert agency.next()[0] is FrameType.PING
        assert agency.closed_by_worker(), "no pong"
        agency.welcome()
        for _ in range(8):  # alive as long as it answers
            kind, body = agency.next()
            assert kind is FrameType.PING
            agency.send(wire.number_frame(FrameType.PONG, wire.parse_number(memoryview(body))))
    spool.close()


# ---- kill -9


def test_killed_worker_is_replaced(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """The supervisor starts another one; the agency gets everything once and in order."""
    spool = open_sealed(root / "W-1", segment_bytes=100_000)
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        worker = start(workers, root, receiver.address[1])
        for kill in range(3):
            for _ in range(50):
                append(spool, 100)
                worker.wake("W-1")
            restarts = worker.state().restarts
            os.kill(worker.state().pid, signal.SIGKILL)
            wait_for(lambda restarts=restarts: worker.state().restarts > restarts, what=f"for restart {kill}")
        wait_for(lambda: delivered(spool), what="for delivery")
        verdict = receiver.verdict()
        assert verdict.ok
        assert verdict.streams[0].records == 15_000
        assert (tmp_path / "received" / verdict.streams[0].file).read_bytes() == expected(15_000)
    spool.close()


def test_killed_receiver_gets_the_rest(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """What a killed receiver had acknowledged is there, what it had not comes again, the file is whole."""
    spool = open_sealed(root / "W-1")
    port = 0
    worker = None
    for _ in range(3):
        with ReceiverProcess(tmp_path / "received", port) as receiver:
            port = receiver.port
            if worker is None:
                worker = start(workers, root, port)
            before = spool.acknowledged
            for _ in range(100):
                append(spool, 200)
                worker.wake("W-1")
            wait_for(lambda before=before: spool.acknowledged > before, what="for an acknowledgement")
            receiver.kill()
    with ReceiverProcess(tmp_path / "received", port) as receiver:
        wait_for(lambda: delivered(spool), what="for delivery")
        assert receiver.finish() == 0
    assert (tmp_path / "received" / "LIID-W-1-W-1.txt").read_bytes() == expected(60_000)
    spool.close()


def test_orphan_finishes_and_leaves(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """Without its daemon the worker delivers what is spooled, then ends."""
    spool = open_sealed(root / "W-1")
    append(spool, 10)
    with OddAgency() as agency:
        worker = start(workers, root, agency.port)
        agency.welcome()
        pid = worker.state().pid
        worker.stop(drain=True)
        assert agency.next()[0] is FrameType.BLOCK
        append(spool, 10)  # no wake-up comes any more: it looks by itself
        assert agency.next()[0] is FrameType.BLOCK
        agency.send(wire.number_frame(FrameType.ACK, 2))
        assert agency.closed_by_worker()
    wait_for(lambda: not alive(pid), what="for the orphan's end")
    assert delivered(spool)
    spool.close()


def test_orphan_makes_way_for_a_new_worker(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """While the agency is away the orphan stays; a new daemon's worker takes its place at once."""
    spool = open_sealed(root / "W-1")
    append(spool, 10)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    old = start(workers, root, port)
    wait_for(lambda: link(old).attempts > 0)
    pid = old.state().pid
    old.stop(drain=True)
    time.sleep(0.3)
    assert alive(pid)
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        start(workers, root, receiver.address[1])
        wait_for(lambda: not alive(pid), what="for the orphan's end")
        wait_for(lambda: delivered(spool), what="for delivery")
        assert receiver.verdict().ok
    spool.close()


def alive(pid: int) -> bool:
    """Whether a child process still runs."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return Path(f"/proc/{pid}").exists()


def test_damaged_spool_is_told_to_the_agency(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """A flipped bit costs its block and no other; the agency is told which numbers are gone."""
    spool = open_sealed(root / "W-1")
    ends = []
    for _ in range(5):
        append(spool, 10)
        ends.append(spool.totals.bytes)
    path = next((root / "W-1").glob("*.seg"))
    data = bytearray(path.read_bytes())
    data[ends[1] + HEADER_BYTES + 1] ^= 8
    path.write_bytes(data)
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        worker = start(workers, root, receiver.address[1])
        wait_for(lambda: delivered(spool), what="for delivery")
        verdict = receiver.verdict()
        assert verdict.ok
        assert (verdict.streams[0].records, verdict.streams[0].damaged) == (40, 10)
        wait_for(lambda: link(worker).damaged == 1)
    spool.close()


def test_power_loss_end_to_end(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """The agency has blocks that the disk lost; after the reboot new data is neither dropped nor mixed up."""
    spool = open_sealed(root / "W-1")
    append(spool, 10)
    on_disk = spool.totals.bytes
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        worker = start(workers, root, receiver.address[1])
        wait_for(lambda: delivered(spool))
        append(spool, 10)
        worker.wake()
        wait_for(lambda: delivered(spool))
        worker.stop()
        spool._close_files()  # the power fails: what was not flushed is gone, the cursor too
        os.truncate(next((root / "W-1").glob("*.seg")), on_disk)
        (root / "W-1" / "cursor").unlink()
        again = open_sealed(root / "W-1", boot_id=bytes(16))
        append(again, 5)
        start(workers, root, receiver.address[1])
        wait_for(lambda: delivered(again), what="for delivery")
        (stream,) = receiver.verdict().streams
        assert stream.ok
        assert (stream.records, stream.lost, stream.missing) == (25, 0, 0)
        assert stream.skipped == again.next_sequence - 1 - 25
        again.close()


def test_large_blocks_and_quota_recovery(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """Blocks of several MiB pass; when the agency confirms, a spool at its quota takes data again."""
    spool = open_sealed(root / "W-1", quota=32 * MIB, segment_bytes=4 * MIB)
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        worker = start(workers, root, receiver.address[1])
        for _ in range(40):
            wait_for(lambda: spool.totals.bytes + 3 * MIB <= 32 * MIB or delivered(spool), 60, what="for room")
            append(spool, 1000, size=2400)
            worker.wake()
        wait_for(lambda: delivered(spool), 60, what="for delivery")
        assert receiver.verdict().streams[0].records == 40_000
    spool.close()


_DAEMON = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from delivery_kit import Agency, append, open_sealed, sealed_stream
from lictl.delivery.supervisor import AgencyWorker
root = Path(sys.argv[1])
spool = open_sealed(root / "W-1")
worker = AgencyWorker(Agency("lea", "127.0.0.1", int(sys.argv[2])), root, [sealed_stream()])
worker.start()
for _ in range(200):
    append(spool, 50)
    worker.wake("W-1")
print(worker.state().pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_daemon_loses_nothing(tmp_path: Path, root: Path) -> None:
    """kill -9 of the daemon's side in the middle of work: its worker delivers the rest and ends by itself."""
    environment = {**os.environ, "PYTHONPATH": str(Path(lictl.__file__).parent.parent)}
    with Receiver(("127.0.0.1", 0), tmp_path / "received").start() as receiver:
        command = [sys.executable, "-c", _DAEMON, str(root), str(receiver.address[1]), str(Path(__file__).parent)]
        daemon = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False, timeout=60)
        assert daemon.returncode == -signal.SIGKILL
        pid = int(daemon.stdout)
        wait_for(lambda: not alive(pid), what="for the orphan's end")
        verdict = receiver.verdict()
        assert verdict.ok
        assert verdict.streams[0].records == 10_000
        assert (tmp_path / "received" / verdict.streams[0].file).read_bytes() == expected(10_000)
    spool = open_sealed(root / "W-1")
    assert (spool.restarted, spool.next_sequence) == (None, 10_001)
    assert delivered(spool)
    spool.close()


@pytest.mark.parametrize(
    "said",
    [
        b"\xc1",
        b"\x01",
        msgpack.packb({"streams": {0: {"name": "W-1", "peer_until": "soon"}}}),
        msgpack.packb({"streams": {0: {"name": "W-1", "peer_until": 1 << 60}}}),
        msgpack.packb({"streams": {0: {"name": "W-1", "lag_s": float("nan")}}}),
        msgpack.packb({"streams": {0: {"name": "W-1", "secret": 1}}}),
    ],
)
def test_a_worker_that_talks_nonsense_is_replaced(
    workers: list[AgencyWorker], root: Path, spool: Spool, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agency that took its worker over gets nothing into the daemon by what the worker reports."""
    odd = root.parent / "odd"
    odd.write_text(f"#!/bin/sh\nprintf '{''.join(f'{chr(92)}{octet:03o}' for octet in said)}'\nexec sleep 60\n")
    odd.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr("lictl.delivery.supervisor.sys.executable", str(odd))
        worker = start(workers, root, 9)
        process = worker.state().pid
        wait_for(lambda: worker.state().pid != process)
    wait_for(lambda: worker.state().restarts > 0 and worker.state().pid)
    assert all(state == replace(state, peer_until=0, lag_s=0.0) for state in worker.state().streams.values())
