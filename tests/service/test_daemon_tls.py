# SPDX-License-Identifier: Apache-2.0
"""A daemon that delivers ATIS-1000013, in mutual TLS and in datagrams: what alarms, and what is renewed under way."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from daemon_rig import PORT, Rig

from lictl.delivery.config import Transport
from lictl.lab import namespace
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

sys.path.append(str(Path(__file__).parent.parent / "delivery"))
from authority_kit import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.net, pytest.mark.kernel]


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site; everything of it is gone afterwards."""
    with Rig(tmp_path, netns_prefix) as made:
        yield made


def receive(rig: Rig, tmp_path: Path, pair: tuple[Path, Path], authority: Path) -> None:
    """Starts the agency, in mutual TLS."""
    log_file = tmp_path / "agency.log"
    before = log_file.read_text().count("Listening") if log_file.exists() else 0
    listen = ("receive", "--listen", f"127.0.0.1:{PORT}", "--into", str(rig.evidence))
    secure = ("--tls-certificate", str(pair[0]), "--tls-key", str(pair[1]), "--tls-ca", str(authority))
    with log_file.open("ab") as log:
        rig.agency = subprocess.Popen(rig.lictl(*listen, *secure), stdout=log, stderr=log)
    rig.wait(lambda: log_file.read_text().count("Listening") > before, "the agency listens")


def stop_agency(rig: Rig, tmp_path: Path) -> None:
    """Ends it; its verdict is good."""
    assert rig.agency is not None
    rig.agency.send_signal(signal.SIGTERM)
    assert rig.agency.wait(30) == 0, (tmp_path / "agency.log").read_text()


def test_from_the_wire_to_the_agency_in_tls(rig: Rig, tmp_path: Path) -> None:
    """The sealed key reaches the delivery process; packets and events arrive whole; certificates that end alarm.

    Then the agency changes to another authority: what comes meanwhile waits, and follows in order once both sides'
    credentials are renewed, with the order in force all the time.
    """
    ours, theirs = Authority(tmp_path, "ca", days=400), Authority(tmp_path, "anew", days=400)
    certificate, key = ours.issue("operator", days=2)
    added = rig.run(
        "agency", "add", "marshal", "--host", "127.0.0.1", "--port", str(PORT), "--format", "atis-1000013",
        "--transport", "tcp", "--tls", "--tls-ca", str(ours.file), "--tls-certificate", str(certificate),
        "--tls-key", str(key),
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    receive(rig, tmp_path, ours.issue("agency", days=10), ours.file)
    rig.serve()
    rig.add("TLS-1", agencies=("marshal",))
    rig.send(60)
    rig.wait(lambda: rig.stream("TLS-1")["delivered"] == 60, lambda: f"it is delivered: {rig.stream('TLS-1')}")
    both = {"marshal our", "marshal the agency's"}
    rig.wait(lambda: alarmed(rig) == both, lambda: f"both certificates are about to end: {rig.status()['alarms']}")
    stop_agency(rig, tmp_path)
    receive(rig, tmp_path, theirs.issue("agency", days=90), theirs.file)
    rig.send(20)
    rig.wait(lambda: "another CA" in str(rig.status()["deliveries"]), lambda: f"it waits: {rig.status()}")
    overlap = tmp_path / "overlap.pem"
    overlap.write_bytes(ours.file.read_bytes() + theirs.file.read_bytes())
    new, new_key = theirs.issue("renewed", days=90)
    renewed = rig.run(
        "agency", "renew", "marshal", "--tls-ca", str(overlap), "--tls-certificate", str(new), "--tls-key", str(new_key)
    )
    assert "made anew" in renewed.stdout, renewed.stderr
    rig.send(20)
    rig.wait(lambda: rig.stream("TLS-1")["delivered"] == 100, lambda: f"it goes on: {rig.stream('TLS-1')}")
    rig.wait(lambda: not alarmed(rig), lambda: f"no alarm is left: {rig.status()['alarms']}")
    rig.revoke("TLS-1")
    rig.wait(lambda: not rig.status()["warrants"], "the order is finished")
    assert rig.stop() == 0
    stop_agency(rig, tmp_path)
    assert rig.run("audit", "verify").returncode == 0
    (stream,) = rig.evidence.glob("*.atis-1000013")
    said = rig.run("decode", str(stream), "-v").stdout
    assert [int(n) for n in re.findall(r"sequenceNumber.*?(\d+)", said)] == list(range(1, 101)), said[:3000]
    assert "urveillance" in said
    for secret in (key, new_key):
        assert secret.read_text().splitlines()[1] not in rig.log.read_text()


def test_packets_too_long_for_a_datagram_alarm(rig: Rig) -> None:
    """An agency that is reached by UDP gets what a datagram can hold; the rest is counted, with what to do."""
    for side in ("wire0", "wire1"):
        subprocess.run(rig.inside("ip", "link", "set", side, "mtu", "65535"), check=True, timeout=60)
    store = Store.of(rig.home)
    store.add_agency(Agency("county", "127.0.0.1", PORT, "atis-1000013", {}, Transport("udp")))
    store.close()
    with namespace.inside(rig.space, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as agency:
        agency.bind(("127.0.0.1", PORT))
        agency.settimeout(30)
        rig.serve()
        rig.add("UDP-1", agencies=("county",))
        rig.send(1, size=65_480)
        rig.send(2, size=64)
        rig.wait(lambda: "too-long" in rig.alarms(), lambda: f"the alarm: {rig.status()}")
        (alarm,) = [alarm for alarm in rig.status()["alarms"] if alarm["name"] == "too-long"]
        assert alarm["subject"] == "county"
        assert alarm["what"].startswith("1 packets for county")
        assert "TCP" in alarm["fix"]
        account = rig.settled("UDP-1", 3)
        assert (account["delivered"], account["lost"]["other"]) == (2, 1)
        got = [agency.recv(1 << 16) for _ in range(3)]  # the event of the beginning, and the short ones
        assert all(len(each) < 1000 for each in got)


def alarmed(rig: Rig) -> set[str]:
    """Whose certificates are about to end."""
    return {alarm["subject"] for alarm in rig.status()["alarms"] if alarm["name"] == "certificate"}
