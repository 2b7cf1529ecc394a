# SPDX-License-Identifier: Apache-2.0
"""Alarms, account files, notes of pins, systemd's socket, the log, steps side by side, the greeting of agencies."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lictl import log
from lictl.delivery.config import Transport
from lictl.errors import UnavailableError
from lictl.home import Home
from lictl.service import accounts, notify, pins
from lictl.service.alarms import FIXES, Alarms
from lictl.service.greeting import greet
from lictl.service.parallel import in_parallel
from lictl.service.site import Site
from lictl.warrants.model import Agency

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operator-guide.md"


def test_an_alarm_stands_until_it_is_cleared() -> None:
    """Setting it again keeps its beginning; clearing what does not stand does nothing."""
    alarms = Alarms()
    alarms.set("quota", "W-1", "first.")
    (before,) = alarms.report()
    alarms.when(True, "quota", "W-1", "second.")
    (after,) = alarms.report()
    assert (after["since"], after["what"]) == (before["since"], "second.")
    alarms.clear("clock")
    alarms.when(False, "quota", "W-1", "")
    assert alarms.report() == []


@pytest.mark.skipif(not GUIDE.exists(), reason="the documents are not here")
def test_the_guide_explains_every_alarm() -> None:
    """A row in the operator guide for each."""
    text = GUIDE.read_text()
    assert [name for name in FIXES if f"| `{name}` |" not in text] == []


def test_an_account_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """All of it."""
    base, waiting = accounts.Base(5, 3, 1, {"ring": 3}), ((3, "suspend", 7),)
    saved = accounts.Saved(77, 2**64 - 1, base, quota=2, other=1, ended=True, waiting=waiting)
    accounts.save(tmp_path / "a" / "x.json", saved)
    assert accounts.load(tmp_path / "a" / "x.json") == saved
    assert (tmp_path / "a" / "x.json").stat().st_mode & 0o777 == 0o600


DAMAGED = [b"{}", b"[]", b'{"base": {}}', b'{"claim": 1}', b'"x"', b'{"waiting": [[1, "x", 2]]}']


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=50), st.sampled_from(DAMAGED)))
def test_a_damaged_account_file_is_no_account(tmp_path: Path, data: bytes) -> None:
    """Never an error: the sums are found again without it."""
    (tmp_path / "x.json").write_bytes(data)
    assert accounts.load(tmp_path / "x.json") is None


def test_pins_are_found_while_they_are_there(tmp_path: Path) -> None:
    """A note of pins that are gone counts for nothing."""
    home = Home(tmp_path)
    home.make_folder(home.run)
    assert pins.left_behind(home) is None
    pins.note(home, pins.Pins(str(tmp_path / "bpf"), 4096))
    assert pins.left_behind(home) is None
    (tmp_path / "bpf" / "maps").mkdir(parents=True)
    (tmp_path / "bpf" / "maps" / "li_config").touch()
    assert pins.left_behind(home) == pins.Pins(str(tmp_path / "bpf"), 4096)
    pins.forget(home)
    assert pins.left_behind(home) is None


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    """One datagram to NOTIFY_SOCKET, in the file system or abstract; without one, nothing."""
    name = f"lictl-test-{tmp_path.name}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}" if abstract else name)
        listener.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
        assert notify.notify("READY=1")
        assert listener.recv(100) == b"READY=1"
    assert not notify.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not notify.notify("READY=1")


def test_log_lines_are_json_with_time_and_level(capfd: pytest.CaptureFixture[str]) -> None:
    """And lines below the level are not written."""
    log.configure("warning")
    log.get("test").info("quiet")
    log.get("test").warning("loud", order="W-1")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["part"], line["event"], line["order"], line["level"]) == ("test", "loud", "W-1", "warning")
    assert line["time"].endswith("Z")


def test_an_exception_is_logged_by_place_only() -> None:
    """Its message may quote a target."""
    try:
        raise ValueError("203.0.113.7")
    except ValueError as error:
        place = log.place(error)
    assert "test_small_parts.py" in place["at"]
    assert "203.0.113.7" not in str(place)


def test_steps_beside_each_other_end_all_before_the_first_failure_is_told() -> None:
    """Results stand in the order of the items."""
    done: list[int] = []

    def step(item: int) -> int:
        if item == 2:
            raise OSError("the disk")
        done.append(item)
        return item * 10

    assert in_parallel(step, [1, 3]) == [10, 30]
    with pytest.raises(OSError, match="the disk"):
        in_parallel(step, range(6))
    assert sorted(done) == [0, 1, 1, 3, 3, 4, 5]


def test_a_forked_process_has_threads_of_its_own() -> None:
    """Those of its parent are not there: steps must not wait for them for ever."""
    code = (  # of a process with no other threads: a test's process has some, and handles SIGALRM
        "import os, signal\n"
        "from lictl.service.parallel import in_parallel\n"
        "in_parallel(abs, [1])\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    signal.alarm(20)\n"
        "    os._exit(0 if in_parallel(abs, [-7]) == [7] else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


def test_an_agency_that_talks_without_end_has_not_answered() -> None:
    """What is well formed and answers nothing, however much of it comes: the test of an agency ends in its time."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                while not done.is_set():
                    connection.sendall(bytes.fromhex("3002a100") * 256)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        agency = Agency("a", "127.0.0.1", server.getsockname()[1], "etsi-102232", {}, Transport("tcp"))
        limit = threading.Timer(5, done.set)
        limit.start()
        with pytest.raises(UnavailableError, match="in time"):
            greet(agency, Site(operator="OPER1", element="probe01", country="US"), 0.3)
        limit.cancel()
        done.set()
        thread.join(10)
