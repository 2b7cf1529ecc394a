# SPDX-License-Identifier: Apache-2.0
"""The command as a real process: signals, pipes, environment."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bounded
import pytest
from test_cli_commands import warrant_file, when

from lictl.times import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A lictl process's outcome."""
    return subprocess.run(
        [sys.executable, "-m", "lictl", *arguments],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@contextlib.contextmanager
def receiver(into: Path) -> Iterator[subprocess.Popen[str]]:
    """An agency's receiver that listens by now."""
    argv = [sys.executable, "-m", "lictl", "--json", "receive", "--listen", "127.0.0.1:0", "--into", str(into)]
    with bounded.running(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "Listening" in bounded.line(process.stderr)
        yield process


def test_ctrl_c_ends_a_receiver_with_a_verdict(tmp_path: Path) -> None:
    """SIGINT is how a person ends it: files and verdict are complete, exit code 0."""
    with receiver(tmp_path / "e") as process:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert json.loads(output)["ok"] is True
    assert (tmp_path / "e" / "verdict.json").exists()


def test_a_receiver_whose_folder_is_gone_says_so(tmp_path: Path) -> None:
    """Its verdict cannot be written: named with what to do, and no defect."""
    with receiver(tmp_path / "e") as process:
        shutil.rmtree(tmp_path / "e")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 6
    assert "verdict.json cannot be written" in json.loads(told)["error"]["what"]


def test_ctrl_c_elsewhere_is_130(tmp_path: Path) -> None:
    """Without a traceback."""
    code = (
        "import os, signal, lictl.service.guard as g\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a caller in the background ignores it
        "g.find_home = lambda home: os.kill(os.getpid(), signal.SIGINT)\n"
        "import sys; sys.argv = ['lictl', 'status']\n"
        "from lictl.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


@pytest.mark.net
def test_a_reader_that_goes_away_is_no_error() -> None:
    """`lictl ... | head -1` says nothing on standard error."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m lictl doctor | head -c 1 >/dev/null; true"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    ("redirection", "code"),
    [("| head -n 1 >/dev/null", 0), (">/dev/full", 6), ("--json >/dev/full", 6), (">&-", 0), ("2>&- >&- <&-", 0)],
)
def test_where_the_outcome_cannot_go(redirection: str, code: int, tmp_path: Path) -> None:
    """A reader that has gone and a closed stream are no failure, a full disk is the machine's; none is a defect."""
    program = f"set -o pipefail; {sys.executable} -m lictl profile show us {redirection}"
    environment = {**os.environ, "LICTL_HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == code, done.stderr
    assert ("No space left" in done.stderr) == (code == 6)
    assert "defect" not in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    """LICTL_DEBUG=1 is for developers."""
    code = (
        "import lictl.service.guard as g\n"
        "def fail(home): raise ZeroDivisionError('details')\n"
        "g.open_home = fail\n"
        "import sys; sys.argv = ['lictl', 'status']\n"
        "from lictl.cli import main; main()\n"
    )
    environment = {**os.environ, "LICTL_DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == 1
    assert "ZeroDivisionError: details" in done.stderr


def test_home_of_the_environment(tmp_path: Path) -> None:
    """LICTL_HOME names it."""
    home = str(tmp_path / "h")
    assert run("init", "--operator", "X", "--country", "US", LICTL_HOME=home).returncode == 0
    assert run("agency", "list", LICTL_HOME=home).returncode == 0
    assert run("agency", "list", LICTL_HOME=str(tmp_path / "other")).returncode == 4


def test_completion_completes() -> None:
    """What the shell's script asks is answered with the commands that begin so; the option that sets it up is there."""
    for words, word, wanted in [("lictl warr", 1, "warrant"), ("lictl audit rec", 2, "reconcile")]:
        asked = {**os.environ, "_LICTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(word)}
        program = Path(sys.executable).with_name("lictl")
        done = subprocess.run([program], env=asked, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.split() == [wanted], done.stderr
    assert "--install-completion" in run("--help").stdout


# ---- replay


def packet(source: str, destination: str, payload: bytes) -> bytes:
    """Ethernet, IPv4, UDP."""
    udp = struct.pack(">HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    addresses = bytes(int(part) for part in f"{source}.{destination}".split("."))
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    return bytes(12) + b"\x08\x00" + ip + udp


def capture(path: Path, packets: list[tuple[float, bytes]]) -> Path:
    """A pcap file of nanosecond resolution; times in days from now."""
    data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    for days, frame in packets:
        seconds = parse_rfc3339(when(days)) // 1_000_000_000
        data += struct.pack("<IIII", seconds, 0, len(frame), len(frame)) + frame
    path.write_bytes(data)
    return path


@pytest.fixture
def wire(tmp_path: Path) -> Path:
    """Of four packets two are the target's, one of them before the window."""
    target, other = "203.0.113.7", "198.51.100.1"
    return capture(
        tmp_path / "wire.pcap",
        [
            (-3, packet(target, other, b"EARLY" * 8)),
            (-0.5, packet(target, other, b"TAKEN" * 8)),
            (-0.4, packet(other, target, b"TAKEN" * 8)),
            (-0.3, packet(other, "198.51.100.2", b"OTHER" * 8)),
        ],
    )


def test_replay_takes_what_the_order_names(tmp_path: Path, wire: Path) -> None:
    """Judged by the packets' own times; no home and no daemon are needed."""
    order = warrant_file(tmp_path)
    done = run("--json", "replay", str(wire), "--warrant", str(order), "--into", str(tmp_path / "e"))
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    (account,) = outcome["orders"]
    assert (outcome["packets"], account["seen"], account["matched"], account["delivered"]) == (4, 3, 2, 2)
    data = Path(account["file"]).read_bytes()
    assert data.count(b"TAKEN" * 8) == 2
    assert b"EARLY" not in data
    assert b"OTHER" not in data


def test_replay_of_a_pen_register_order_has_no_payload(tmp_path: Path, wire: Path) -> None:
    """Headers only, in every format."""
    order = warrant_file(tmp_path, kind='"pen-trap"', citation='"18 USC 3123"', mode='"headers"')
    for format_ in ("pcapng", "text", "msgpack"):
        into = tmp_path / format_
        done = run("--json", "replay", str(wire), "--warrant", str(order), "--into", str(into), "--format", format_)
        assert done.returncode == 0, done.stderr
        (account,) = json.loads(done.stdout)["orders"]
        assert account["delivered"] == 2
        data = Path(account["file"]).read_bytes()
        assert b"TAKEN" not in data
        assert b"TAKEN".hex().encode() not in data.lower()


def test_replay_of_an_order_that_is_over(tmp_path: Path, wire: Path) -> None:
    """For practice an old order is as good."""
    order = warrant_file(tmp_path, ends=when(-0.45))
    done = run("--json", "replay", str(wire), "--warrant", str(order), "--into", str(tmp_path / "e"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["orders"][0]["delivered"] == 1


@pytest.mark.parametrize("damage", [b"", b"not a capture file", b"\xd4\xc3\xb2\xa1"])
def test_replay_of_no_capture_file(tmp_path: Path, damage: bytes) -> None:
    """Refused, and nothing is left in the folder."""
    (tmp_path / "x.pcap").write_bytes(damage)
    order = warrant_file(tmp_path)
    done = run("replay", str(tmp_path / "x.pcap"), "--warrant", str(order), "--into", str(tmp_path / "e"))
    assert done.returncode == 2, done.stderr
    assert "x.pcap" in done.stderr
    assert not (tmp_path / "e").exists() or list((tmp_path / "e").iterdir()) == []


def test_replay_of_a_file_that_is_cut(tmp_path: Path, wire: Path) -> None:
    """It says where, and half a delivery is not left behind."""
    wire.write_bytes(wire.read_bytes()[:-10])
    order = warrant_file(tmp_path)
    done = run("replay", str(wire), "--warrant", str(order), "--into", str(tmp_path / "e"))
    assert done.returncode == 2
    assert list((tmp_path / "e").iterdir()) == []


def test_replay_does_not_overwrite(tmp_path: Path, wire: Path) -> None:
    """A second run into the same folder is refused and leaves the first's files."""
    order = warrant_file(tmp_path)
    argv = ["replay", str(wire), "--warrant", str(order), "--into", str(tmp_path / "e")]
    assert run(*argv).returncode == 0
    (file,) = (tmp_path / "e").iterdir()
    before = file.read_bytes()
    assert run(*argv).returncode == 3
    assert file.read_bytes() == before
