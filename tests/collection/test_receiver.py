# SPDX-License-Identifier: Apache-2.0
"""The sample agency over real sockets: what it keeps, acknowledges, refuses and judges."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from delivery_kit import MIB, wait_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sender_kit import SPOOL, Sender, Stream, block_frame, hello

from lictl.cli.collect import Live
from lictl.collection.receiver import Limits, Progress, Receiver
from lictl.collection.store import base_name
from lictl.delivery import wire
from lictl.delivery.blocks import FLAG_SEALED, HEADER_BYTES
from lictl.delivery.wire import FrameType, ProtocolError
from lictl.errors import IntegrityError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = ("127.0.0.1", 0)


def the_file(folder: Path) -> Path:
    """The only received file."""
    (path,) = (path for path in folder.iterdir() if not path.name.startswith(".") and path.suffix != ".json")
    return path


def test_payloads_make_up_the_file(tmp_path: Path) -> None:
    """Payloads one behind the other, acknowledged, private, and judged with their digest."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        stream = Stream()
        with Sender(receiver.address, hello()) as sender:
            assert sender.durable == 0
            for text in (b"one\n", b"two\n", b"three\n"):
                sender.send(block_frame(stream.data(text)))
            sender.wait_ack(3)
            path = the_file(tmp_path / "r")
            assert path.name == "L-1-W-1.txt"
            assert path.read_bytes() == b"one\ntwo\nthree\n"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o700
        verdict = receiver.write_verdict()
    digest = subprocess.run(
        ["sha256sum", str(path)], capture_output=True, check=True, text=True, timeout=60
    ).stdout.split()[0]
    plain = json.loads((tmp_path / "r" / "verdict.json").read_text())
    assert verdict.ok
    assert plain["ok"] is True
    assert plain["streams"][0]["sha256"] == digest
    assert plain["streams"][0]["first"] == "1970-01-01T00:00:01Z"
    assert plain["streams"][0]["last"] == "1970-01-01T00:00:02Z"


def test_resend_is_dropped_and_acknowledged(tmp_path: Path) -> None:
    """A sender that begins again gives the same file; it learns that all is there."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        blocks = [block_frame(Stream().data(b"first"))]
        stream = Stream()
        blocks = [block_frame(stream.data(text)) for text in (b"a", b"b", b"c")]
        for _ in range(2):
            with Sender(receiver.address, hello()) as sender:
                sender.send(b"".join(blocks))
                sender.wait_ack(3)
        with Sender(receiver.address, hello()) as sender:
            assert sender.durable == 3
        verdict = receiver.verdict()
    assert the_file(tmp_path / "r").read_bytes() == b"abc"
    assert (verdict.ok, verdict.streams[0].duplicates) == (True, 3)


def test_wrong_checksum_writes_nothing(tmp_path: Path) -> None:
    """A changed byte in header or payload: dropped with the reason, counted; the good resend is taken."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        stream = Stream()
        good = stream.data(b"payload")
        for place in (10, HEADER_BYTES + 2):
            bad = bytearray(good)
            bad[place] ^= 1
            with Sender(receiver.address, hello()) as sender:
                sender.send(block_frame(bytes(bad)))
                assert "checksum" in sender.refusal()
        assert the_file(tmp_path / "r").read_bytes() == b""
        with Sender(receiver.address, hello()) as sender:
            sender.send(block_frame(good))
            sender.wait_ack(1)
        verdict = receiver.verdict()
    assert the_file(tmp_path / "r").read_bytes() == b"payload"
    assert verdict.refused == {"bad checksum": 2}
    assert verdict.ok


def test_gap_makes_the_verdict_bad(tmp_path: Path) -> None:
    """Numbers that nothing explains are named in the verdict."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        stream = Stream()
        with Sender(receiver.address, hello()) as sender:
            sender.send(block_frame(stream.data(b"a")))
            stream.sequence += 41
            sender.send(block_frame(stream.data(b"b")))
            sender.wait_ack(2)
        verdict = receiver.write_verdict()
    assert not verdict.ok
    assert (verdict.streams[0].missing, verdict.streams[0].gaps) == (41, 1)
    assert json.loads((tmp_path / "r" / "verdict.json").read_text())["ok"] is False


def test_state_survives_a_restart(tmp_path: Path) -> None:
    """Another receiver in the same folder goes on; what was written and not committed is cut."""
    stream = Stream()
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Sender(receiver.address, hello()) as sender:
        sender.send(block_frame(stream.data(b"kept")))
        sender.wait_ack(1)
    path = the_file(tmp_path / "r")
    with path.open("ab") as file:
        file.write(b"written, not committed")
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Sender(receiver.address, hello()) as sender:
        assert path.read_bytes() == b"kept"
        assert sender.durable == 1
        sender.send(block_frame(stream.data(b" and more")))
        sender.wait_ack(2)
        assert receiver.verdict().ok
    assert path.read_bytes() == b"kept and more"


def test_damaged_state_is_no_silent_new_beginning(tmp_path: Path) -> None:
    """A receiver whose state does not verify says so instead of cutting the file."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Sender(receiver.address, hello()) as sender:
        sender.send(block_frame(Stream().data(b"kept")))
        sender.wait_ack(1)
    (tmp_path / "r" / ".L-1-W-1.state").write_bytes(b"x" * 8192)
    with pytest.raises(IntegrityError):
        Receiver(LOCAL, tmp_path / "r")
    assert the_file(tmp_path / "r").read_bytes() == b"kept"


def test_another_spool_is_another_file(tmp_path: Path) -> None:
    """Block numbers that began anew never mix with the ones before."""
    other = "f" * 32
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        for spool, text in ((SPOOL, b"old"), (other, b"new"), (SPOOL, b"old")):
            with Sender(receiver.address, hello(spool=spool)) as sender:
                sender.send(block_frame(Stream(spool).data(text)))
                sender.wait_ack(1)
        assert {stream.file for stream in receiver.verdict().streams} == {"L-1-W-1.txt", "L-1-W-1.2.txt"}
    assert (tmp_path / "r" / "L-1-W-1.txt").read_bytes() == b"old"
    assert (tmp_path / "r" / "L-1-W-1.2.txt").read_bytes() == b"new"


def test_newest_connection_of_a_stream_counts(tmp_path: Path) -> None:
    """A half-open connection does not keep its sender out."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        stream = Stream()
        with Sender(receiver.address, hello()) as old, Sender(receiver.address, hello()) as new:
            assert old.refusal() == ""
            new.send(block_frame(stream.data(b"a")))
            new.wait_ack(1)


def test_ping_is_answered(tmp_path: Path) -> None:
    """With the number that was sent."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Sender(receiver.address, hello()) as sender:
        sender.send(wire.number_frame(FrameType.PING, 77))
        assert sender.next() == (FrameType.PONG, (77).to_bytes(8, "little"))


def test_acknowledgement_is_prompt_when_idle(tmp_path: Path) -> None:
    """One block and nothing behind it is acknowledged without waiting for a batch."""
    with Receiver(LOCAL, tmp_path / "r", durable=False).start() as receiver:
        stream = Stream()
        with Sender(receiver.address, hello()) as sender:
            took = []
            for number in range(1, 21):
                time.sleep(0.03)
                begin = time.perf_counter()
                sender.send(block_frame(stream.data(b"x")))
                sender.wait_ack(number)
                took.append(time.perf_counter() - begin)
            assert min(took) < 0.015


def test_two_receivers_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one is refused; so is a port that is taken."""
    with Receiver(LOCAL, tmp_path / "r") as receiver:
        with pytest.raises(UnavailableError):
            Receiver(LOCAL, tmp_path / "r")
        with pytest.raises(UnavailableError):
            Receiver(receiver.address, tmp_path / "other")


def test_ipv6(tmp_path: Path) -> None:
    """It listens where it is told, IPv6 included."""
    with Receiver(("::1", 0), tmp_path / "r").start() as receiver, Sender(receiver.address, hello()) as sender:
        assert sender.durable == 0


def test_live_line(tmp_path: Path) -> None:
    """Progress is reported while it runs."""
    seen: list[Progress] = []
    with Receiver(LOCAL, tmp_path / "r", on_progress=seen.append).start() as receiver:
        with Sender(receiver.address, hello()) as sender:
            sender.send(block_frame(Stream().data(b"abc", 3, 2)))
            wait_for(lambda: seen and seen[-1].records == 3)
        assert (seen[-1].streams, seen[-1].lost, seen[-1].bytes) == (1, 2, 3)


# ---- hostile senders


@pytest.mark.parametrize(
    ("liid", "stream", "name"),
    [
        ("LIID-0007", "W-1", "LIID-0007-W-1"),
        ("../../etc/passwd", "x", "%2E.%2F..%2Fetc%2Fpasswd-x"),
        ("..", "..", "%2E.-.."),
        (".hidden", "s", "%2Ehidden-s"),
        ("a/b\0c", "d e", "a%2Fb%00c-d%20e"),
        ("\u202eabc", "x", "%E2%80%AEabc-x"),
    ],
)
def test_names_cannot_leave_the_folder(tmp_path: Path, liid: str, stream: str, name: str) -> None:
    """Whatever a sender calls itself, its file lies in the folder, is not hidden, and there is no other."""
    greeting = hello(liid, stream)
    assert base_name(greeting) == name
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Sender(receiver.address, greeting) as sender:
        sender.send(block_frame(Stream().data(b"x")))
        sender.wait_ack(1)
    assert the_file(tmp_path / "r").name == f"{name}.txt"
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_any_name_is_clean_or_refused(liid: str, stream: str) -> None:
    """No text gives a path separator, a hidden file or a control character."""
    try:
        name = base_name(hello(liid, stream))
    except ProtocolError:
        return
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set("/\\ ")
    assert not name.startswith(".")


@pytest.mark.parametrize(
    "greeting",
    [
        hello(suffix="../x"),
        hello(suffix="TXT"),
        hello(suffix="a" * 17),
        hello(spool="xyz"),
        hello(liid=""),
        hello(stream=""),
        hello(liid="x" * 129),
        hello(liid="/" * 100),
    ],
)
def test_impossible_greetings_are_refused(tmp_path: Path, greeting: wire.Hello) -> None:
    """Refused with a reason; nothing is made."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver:
        with Sender(receiver.address) as sender:
            sender.send(wire.hello_frame(greeting))
            assert sender.refusal()
        assert receiver.verdict().streams == ()
        assert receiver.refused["protocol error"] == 1


def test_unknown_version_is_refused(tmp_path: Path) -> None:
    """A sender that speaks none of our versions is told so."""
    greeting = wire.Hello("L", "s", SPOOL, "text", "txt", versions=(7, 8))
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Sender(receiver.address) as sender:
        sender.send(wire.hello_frame(greeting))
        assert "version" in sender.refusal()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400), st.booleans())
def test_garbage_does_no_harm(running: Receiver, data: bytes, greeted: bool) -> None:
    """Arbitrary bytes, before or behind a greeting: the receiver goes on serving others."""
    with Sender(running.address, hello("garbage") if greeted else None) as sender:
        sender.send(data)
        with contextlib.suppress(OSError):  # it may have hung up by now
            sender.sock.shutdown(socket.SHUT_WR)
        sender.refusal()
    with Sender(running.address, hello("honest")) as honest:
        honest.send(wire.number_frame(FrameType.PING, 1))
        assert honest.next()[0] is FrameType.PONG


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Receiver:
    """One receiver for many attacks."""
    with Receiver(LOCAL, tmp_path_factory.mktemp("garbage") / "r").start() as receiver:
        yield receiver


def test_limits(tmp_path: Path) -> None:
    """Connections, streams, silence and memory are bounded; honest senders go on."""
    limits = Limits(connections=3, streams=2, memory=6 * MIB, hello_s=0.5, silence_s=60)
    with Receiver(LOCAL, tmp_path / "r", limits=limits).start() as receiver:
        honest = Sender(receiver.address, hello("honest"))
        silent = Sender(receiver.address)
        assert silent.refusal() == ""
        second = Sender(receiver.address, hello("second"))
        with Sender(receiver.address) as third:
            third.send(wire.hello_frame(hello("third")))
            assert "streams" in third.refusal()
        greedy = Sender(receiver.address, hello("second"))
        greedy.send(wire.frame_head(FrameType.BLOCK, 32 * MIB) + bytes(200_000))
        greedy.refusal()
        crowd = [Sender(receiver.address) for _ in range(4)]
        wait_for(lambda: receiver.refused["too many connections"] >= 2)
        honest.send(block_frame(Stream().data(b"still here")))
        honest.wait_ack(1)
        assert receiver.refused["not introduced"] >= 1
        assert receiver.refused["out of memory"] == 1
        for sender in (honest, silent, second, greedy, *crowd):
            sender.close()


def test_time_for_an_introduction_runs_from_the_beginning(tmp_path: Path) -> None:
    """Octets of a greeting one by one, before or after it is plain what they begin, buy no time; a known sender has
    all that is its own."""

    def drip(sender: Sender) -> None:
        for octet in wire.hello_frame(hello("slow")):
            sender.send(bytes([octet]))
            time.sleep(0.03)

    limits = Limits(hello_s=0.6, silence_s=60)
    with (
        Receiver(LOCAL, tmp_path / "r", limits=limits).start() as receiver,
        Sender(receiver.address, hello("honest")) as honest,
        Sender(receiver.address) as slow,
    ):
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            drip(slow)
        assert receiver.refused == {"not introduced": 1}
        honest.send(wire.number_frame(FrameType.PING, 1))
        assert honest.next()[0] is FrameType.PONG


def test_sender_that_reads_no_answers(tmp_path: Path) -> None:
    """A flood of pings whose answers nobody reads ends that connection and fills no memory."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Sender(receiver.address, hello()) as sender:
        flood = memoryview(wire.number_frame(FrameType.PING, 1) * 10_000)
        with contextlib.suppress(OSError):  # reset or broken pipe
            for _ in range(1000):
                sender.send(flood)
        wait_for(lambda: receiver.refused)
        assert receiver.refused["does not read its acknowledgements"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a tmpfs")
def test_full_disk_at_the_agency(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not fit is not acknowledged and leaves nothing half; with room again the resend completes it.

    Who sits at the receiver is told once.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "lictl-test", str(disk)], check=True, timeout=60)
    try:
        (disk / "ballast").write_bytes(bytes(MIB // 2))
        with Receiver(LOCAL, disk / "r").start() as receiver:
            stream = Stream()
            small, large = stream.data(b"a" * 1000), stream.data(b"b" * 700_000)
            with Sender(receiver.address, hello()) as sender:
                sender.send(block_frame(small))
                sender.wait_ack(1)
                sender.send(block_frame(large))
                sender.refusal()
            assert receiver.refused["disk error"] == 1
            live = Live(receiver, once=False)
            for _ in range(2):
                live(receiver.progress())
            assert capsys.readouterr().err.count("refuses what comes") == 1
            assert the_file(disk / "r").stat().st_size == 1000
            (disk / "ballast").unlink()
            with Sender(receiver.address, hello()) as sender:
                assert sender.durable == 1
                sender.send(block_frame(large))
                sender.wait_ack(2)
            assert receiver.verdict().ok
            assert the_file(disk / "r").read_bytes() == b"a" * 1000 + b"b" * 700_000
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True, timeout=60)


def test_sealed_block_is_refused(tmp_path: Path) -> None:
    """Ciphertext never becomes evidence: a sender that does not open its spool's blocks is told so."""
    with Receiver(("127.0.0.1", 0), tmp_path).start() as receiver, Sender(receiver.address, hello()) as sender:
        sender.send(block_frame(Stream().data(bytes(64), flags=FLAG_SEALED)))
        assert "sealed" in sender.refusal()
