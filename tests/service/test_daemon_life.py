# SPDX-License-Identifier: Apache-2.0
"""The running daemon: orders begin and end, accounts close, restarts lose and repeat nothing."""

from __future__ import annotations

import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from daemon_rig import OTHER, TARGET, Rig, order

from lictl.delivery.config import Transport
from lictl.errors import LictlError, RefusedError, UnavailableError
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.net, pytest.mark.kernel]


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site with its wire; nothing runs yet."""
    with Rig(tmp_path, netns_prefix) as rig:
        yield rig


def test_from_order_to_agency_and_back_to_nothing(rig: Rig) -> None:
    """What the order names arrives, in order and whole; nothing before, nothing after, nothing of others; then the
    order is finished, and SIGTERM leaves nothing attached, mounted or pinned."""
    rig.receive()
    rig.serve()
    rig.send(10)
    assert rig.add("L1")["state"] == "active"
    rig.send(100)
    rig.send(50, destination=TARGET, source=OTHER)
    rig.send(30, source=OTHER, destination="198.51.100.2")
    account = rig.settled("L1", 150)
    assert account["delivered"] == 150
    warrant = rig.warrant("L1")
    assert warrant["state"] == warrant["lifecycle"] == "active", "the status has the word of `warrant list`"
    assert "armed" not in rig.run("status").stdout
    assert rig.alarms() == []
    rig.revoke("L1")
    rig.send(40)
    rig.gone("L1")
    assert rig.stop() == 0
    assert not rig.attached()
    assert not rig.pinned()
    assert rig.numbers() == list(range(10, 160))
    verdict = rig.verdict()
    assert verdict["ok"]
    assert [s["records"] for s in verdict["streams"]] == [150]
    assert verdict["streams"][0]["ended"]
    assert [p.name for p in (rig.home.spool / "agency").iterdir()] == ["worker.lock"]  # no content is kept


def test_a_killed_daemon_loses_nothing_that_fits_the_rings(rig: Rig) -> None:
    """After kill -9 the kernel goes on; the next daemon takes over, and the sum is every packet, each once."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.send(200)
    rig.stop(signal.SIGKILL)
    assert rig.attached()
    rig.send(300)
    rig.serve()
    assert rig.status()["daemon"]["took_over"]
    rig.send(100)
    account = rig.settled("L1", 600)
    assert account["delivered"] == 600
    assert sum(account["lost"].values()) == 0
    assert rig.alarms() == []
    rig.stop()
    assert rig.numbers() == list(range(600))
    assert rig.verdict()["ok"]


def test_kills_under_load_add_up(rig: Rig) -> None:
    """Killed three times while packets come: no packet is missing and none is there twice."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    for _ in range(3):
        rig.send(400)
        rig.stop(signal.SIGKILL)
        rig.send(200)
        rig.serve()
    account = rig.settled("L1", 1800)
    assert sum(account["lost"].values()) == 0
    rig.stop()
    assert rig.numbers() == list(range(1800))


def test_losses_are_counted_also_across_a_kill(rig: Rig) -> None:
    """More than the rings hold while the daemon is dead: delivered and lost together are what was sent."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.send(10)
    rig.settled("L1", 10)
    rig.stop(signal.SIGKILL)
    rig.send(2000, size=1200)  # one ring holds 1 MiB
    rig.serve()
    account = rig.settled("L1", 2010)
    lost = account["lost"]["ring"]
    assert lost > 0
    assert account["delivered"] == 2010 - lost
    rig.send(5)
    rig.settled("L1", 2015)
    assert "unaccounted" not in rig.alarms()
    rig.stop()
    verdict = rig.verdict()
    assert verdict["ok"]
    assert verdict["streams"][0]["lost"] == lost
    assert verdict["streams"][0]["records"] == 2015 - lost


def test_trailing_losses_stand_in_the_stream(rig: Rig) -> None:
    """Losses behind the last record, with no packet after them, become a gap of their own."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.stop(signal.SIGKILL)
    rig.send(2000, size=1200)
    rig.serve()
    account = rig.settled("L1", 2000)
    assert account["lost"]["ring"] > 0
    assert rig.status()["warrants"][0]["streams"][0]["in_ring"] == 0
    rig.stop()
    assert rig.verdict()["streams"][0]["lost"] == account["lost"]["ring"]


def test_a_clean_stop_and_start_goes_on_counting(rig: Rig) -> None:
    """The capture ends with the daemon and begins with the next; numbers and account go on, and the stream is whole."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.send(50)
    assert rig.stop() == 0
    rig.send(20)
    rig.serve()
    assert not rig.status()["daemon"]["took_over"]
    rig.send(30)
    assert rig.settled("L1", 80)["delivered"] == 80
    assert rig.alarms() == []
    rig.stop()
    assert rig.numbers() == [*range(50), *range(70, 100)]
    assert rig.verdict()["ok"]


def test_keep_leaves_the_capture_running(rig: Rig) -> None:
    """With --keep SIGTERM is like a crash that was prepared: the next daemon has every packet."""
    rig.receive()
    rig.serve("--keep")
    rig.add("L1")
    rig.send(50)
    assert rig.stop() == 0
    assert rig.attached()
    rig.send(20)
    rig.serve()
    assert rig.settled("L1", 70)["delivered"] == 70
    rig.stop()
    assert not rig.attached()


def test_fresh_takes_nothing_over(rig: Rig) -> None:
    """--fresh removes what a killed daemon left, and not before it can take its place."""
    rig.serve()
    rig.add("L1")
    rig.stop(signal.SIGKILL)
    assert rig.run("serve", "--fresh", "--mirror", "wire1", "--mirror", "nothere").returncode == 4
    assert rig.attached()
    rig.serve("--fresh")
    assert not rig.status()["daemon"]["took_over"]
    rig.send(7)
    rig.wait(lambda: rig.stream("L1")["matched"] == 7, "the order is armed anew")
    rig.stop()


def test_an_order_that_is_revoked_without_a_daemon_stops_in_the_kernel(rig: Rig) -> None:
    """The command line switches it off in the tables that the killed daemon left; nothing later is delivered."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.send(20)
    rig.stop(signal.SIGKILL)
    rig.send(10)
    done = rig.run("warrant", "revoke", "L1")
    assert done.returncode == 0, done.stderr
    assert "left running" in done.stdout
    rig.send(40)
    rig.serve()
    rig.gone("L1")
    rig.stop()
    assert rig.numbers() == list(range(30))
    assert rig.verdict()["streams"][0]["ended"]


def test_an_order_ends_by_itself(rig: Rig) -> None:
    """At its end it leaves kernel and store, and its stream is closed."""
    rig.receive()
    rig.serve()
    rig.add("L1", ends=6)
    rig.send(20)
    rig.gone("L1")
    rig.send(20)
    assert rig.team.auditor("warrant.show", name="L1")["state"] == "expired"
    rig.stop()
    assert rig.numbers() == list(range(20))


def test_an_order_that_ends_while_the_daemon_is_dead(rig: Rig) -> None:
    """What was captured inside its window is still delivered; what came later was never taken."""
    rig.receive()
    rig.serve()
    rig.add("L1", ends=5)
    rig.send(20)
    rig.stop(signal.SIGKILL)
    rig.send(10)
    rig.wait(lambda: not _in_window(rig), "the window is over")
    rig.send(30)
    rig.serve()
    rig.gone("L1")
    rig.stop()
    assert rig.numbers() == list(range(30))


def _in_window(rig: Rig) -> bool:
    from lictl.times import now_ns
    from lictl.warrants.store import Store

    store = Store.open(rig.home.database)
    try:
        return store.get("L1").ends_ns > now_ns()
    finally:
        store.close()


def test_an_order_waits_for_its_window(rig: Rig) -> None:
    """Before its window an order is in the store only; a revocation then leaves nothing."""
    rig.serve()
    assert rig.add("L1", starts=3000)["state"] == "approved"
    rig.send(5)
    assert rig.warrant("L1")["state"] == "waiting"
    assert rig.status()["totals"]["records"] == 0
    assert "waiting" in rig.run("status").stdout
    rig.revoke("L1")
    assert rig.status()["warrants"] == []
    rig.stop()


def test_an_order_is_armed_when_its_window_begins(rig: Rig) -> None:
    """Added fifteen seconds ahead, it takes what comes inside, judged by the kernel."""
    rig.serve()
    rig.add("L1", starts=11.5)
    assert rig.warrant("L1")["state"] == "waiting"
    rig.send(5)
    rig.wait(lambda: rig.warrant("L1")["state"] == "active", "the order is armed")
    rig.send(5)
    assert rig.stream("L1")["matched"] == 0
    rig.wait(lambda: _sent_inside(rig), "its window has begun")
    rig.stop()


def _sent_inside(rig: Rig) -> bool:
    rig.send(1)
    return bool(rig.stream("L1")["matched"] > 0)


def test_an_order_stored_without_a_daemon_is_armed_at_the_start(rig: Rig) -> None:
    """`warrant add` says so, and `serve` arms it."""
    done = rig.team.add(order("L1"))
    assert done["state"] == "approved"
    assert "lictl serve" in done["effect"]
    rig.serve()
    rig.send(9)
    rig.wait(lambda: rig.stream("L1")["matched"] == 9, "the order is armed")
    rig.stop()


def test_an_agency_that_is_away_gets_everything_later(rig: Rig) -> None:
    """Packets wait in the spool, are in flight meanwhile, and are delivered when it comes."""
    rig.serve()
    rig.add("L1")
    rig.send(100)
    rig.wait(lambda: rig.stream("L1")["in_spool"] == 100, "the spool has them")
    assert rig.stream("L1")["delivered"] == 0
    rig.receive()
    assert rig.settled("L1", 100)["delivered"] == 100
    rig.stop()
    assert rig.numbers() == list(range(100))


def test_a_quota_that_is_reached_is_counted_and_alarmed(rig: Rig) -> None:
    """Past the quota the loss has its class in the account, its place in the stream and an alarm."""
    rig.serve("--quota", "1M")
    rig.add("L1")
    for _ in range(4):
        rig.send(400, size=1200)
        rig.wait(lambda: rig.stream("L1")["in_ring"] == 0, "the rings are empty")
    rig.wait(lambda: "quota" in rig.alarms(), "the alarm stands")
    lost = rig.stream("L1")["lost"]["quota"]
    assert lost > 0
    rig.receive()
    rig.wait(lambda: rig.stream("L1")["in_flight"] == 0, "the agency has the rest")
    rig.send(10)
    account = rig.settled("L1", 1610)
    assert account["delivered"] == 1610 - account["lost"]["quota"]
    rig.wait(lambda: rig.alarms() == [], "the alarm is over")
    rig.stop()
    verdict = rig.verdict()
    assert verdict["ok"]
    assert verdict["streams"][0]["lost"] == account["lost"]["quota"]


def test_a_backlog_of_its_own_costs_an_agency_that_is_away_and_nobody_else(rig: Rig) -> None:
    """Two agencies of one order, one of them with less room on disk: only its stream loses packets, as its agency."""
    way = Transport(backlog_bytes=1 << 20)
    with closing(Store.of(rig.home)) as store:
        store.add_agency(Agency("small", "127.0.0.1", 9, "pcapng", transport=way))
    rig.serve()
    rig.add("L1", agencies=("agency", "small"))
    rig.receive()

    def streams() -> dict[str, Any]:
        return {each["agency"]: each for each in rig.warrant("L1")["streams"]}

    for sent in range(400, 2000, 400):  # the ring holds that many, however busy the machine is
        rig.send(400, size=1200)
        rig.wait(lambda sent=sent: streams()["agency"]["delivered"] == sent, "the other agency has all")
    assert streams()["small"]["lost"]["quota"] > 0
    assert sum(streams()["agency"]["lost"].values()) == 0


def test_two_orders_on_one_target(rig: Rig) -> None:
    """Each has its own stream and kind: the pen register order's file holds no byte of the payload."""
    rig.receive()
    rig.serve()
    rig.add("L1")
    rig.add("L2", mode="headers")
    rig.send(60)
    rig.settled("L1", 60)
    rig.settled("L2", 60)
    rig.stop()
    (headers,) = rig.evidence.glob("L2*.pcapng")
    assert b"\xa5" * 8 not in headers.read_bytes()
    (content,) = rig.evidence.glob("L1*.pcapng")
    assert content.read_bytes().count(b"\xa5" * 60) == 60


def test_the_seventeenth_order_on_a_target_changes_nothing(rig: Rig) -> None:
    """It is refused with the reason, is not in the store, and the sixteen go on."""
    rig.serve()
    for number in range(16):
        rig.add(f"L{number}")
    with pytest.raises(RefusedError):
        rig.add("L16")
    with pytest.raises(UnavailableError):
        rig.revoke("L16")
    rig.send(5)
    rig.wait(lambda: [w["streams"][0]["matched"] for w in rig.status()["warrants"]] == [5] * 16, "sixteen take")
    rig.stop()


def test_a_second_daemon_is_refused(rig: Rig) -> None:
    """With the first one's process id, and the first goes on."""
    daemon = rig.serve()
    done = rig.run("serve", "--mirror", "wire1")
    assert done.returncode == 3
    assert str(daemon.pid) in done.stderr
    assert rig.attached()
    assert rig.call("ping")["pid"] == daemon.pid
    rig.stop()


def test_a_start_that_fails_leaves_nothing(rig: Rig) -> None:
    """An interface that is not there: exit code 4, and the other port is not attached."""
    done = rig.run("serve", "--mirror", "wire1", "--mirror", "nothere")
    assert done.returncode == 4, done.stderr
    assert "nothere" in done.stderr
    assert not rig.attached()
    assert not rig.pinned()


def test_another_program_on_the_port_is_left_alone(rig: Rig) -> None:
    """Without --replace the daemon of a second home is refused, and the first one's capture goes on."""
    rig.serve()
    other = rig.folder / "other"
    subprocess.run(
        rig.lictl("--home", str(other), "init", "--operator", "X", "--country", "US"), check=True, timeout=120
    )
    try:
        done = subprocess.run(
            rig.lictl("serve", "--home", str(other), "--mirror", "wire1", "--ring-mib", "1"),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert "wire1" in done.stderr
    finally:
        subprocess.run(["umount", "-l", str(other / "run" / "bpf")], capture_output=True, check=False, timeout=60)
    rig.add("L1")
    rig.send(3)
    rig.wait(lambda: rig.stream("L1")["matched"] == 3, "the first goes on")
    rig.stop()


def test_no_identifier_stands_in_the_log_or_the_process_list(rig: Rig) -> None:
    """Neither the target, nor the LIID, nor the case; at the most talkative level, through errors, kill and restart."""
    rig.serve()
    rig.add("SECRETLIID")
    rig.send(5)
    with pytest.raises(LictlError):
        rig.add("SECRETLIID")
    titles = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=60).stdout
    rig.stop(signal.SIGKILL)
    rig.serve()
    rig.revoke("W-1")  # the refused one has the same name
    rig.stop()
    for secret in (TARGET, "SECRETLIID", "CASE-"):
        assert secret not in rig.log.read_text()
        assert secret not in titles


def test_status_shows_what_is_attached(rig: Rig) -> None:
    """Interface, role, hook, mode, program tag, rings and clock; as text for people too."""
    rig.serve()
    report = rig.status()
    (port,) = report["interfaces"]
    assert (port["name"], port["role"], port["hook"], port["mode"]) == ("wire1", "mirror", "ingress", "native")
    assert len(port["tag"]) == 16
    assert report["rings"]
    assert report["clock"]["error_ns"] > 0
    shown = rig.run("status")
    assert shown.returncode == 0, shown.stderr
    assert "wire1" in shown.stdout
    assert "mirror" in shown.stdout
    rig.stop()


def test_a_port_that_goes_down_is_alarmed(rig: Rig) -> None:
    """While it is down, and not longer."""
    rig.serve()
    subprocess.run(rig.inside("ip", "link", "set", "wire1", "down"), check=True, timeout=60)
    rig.wait(lambda: "interface" in rig.alarms(), "the alarm stands")
    subprocess.run(rig.inside("ip", "link", "set", "wire1", "up"), check=True, timeout=60)
    rig.wait(lambda: rig.alarms() == [], "the alarm is over")
    rig.stop()


def test_the_delivery_process_holds_no_capability(rig: Rig) -> None:
    """It runs as another user, without capabilities, and cannot gain any."""
    rig.serve()
    rig.add("L1")
    rig.wait(lambda: bool(rig.status()["deliveries"]), "the delivery runs")
    (delivery,) = rig.status()["deliveries"]

    def facts() -> dict[str, str]:
        lines = Path(f"/proc/{delivery['worker']}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    rig.wait(lambda: facts()["CapEff"].strip("0") == "", "capabilities are gone")
    assert facts()["CapPrm"].strip("0") == ""
    assert facts()["NoNewPrivs"] == "1"
    assert facts()["Uid"].split()[0] != "0"
    rig.stop()
