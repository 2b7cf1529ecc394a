# SPDX-License-Identifier: Apache-2.0
"""A daemon that delivers ATIS-1000013 in mutual TLS, from the wire to the verdict; a certificate that ends alarms."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from daemon_rig import PORT, Rig

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


def test_from_the_wire_to_the_agency_in_tls(rig: Rig, tmp_path: Path) -> None:
    """The sealed key reaches the delivery process; packets and events arrive whole; our certificate is about to end."""
    ours = Authority(tmp_path, "ca")
    certificate, key = ours.issue("operator", days=2)
    theirs, their_key = ours.issue("agency", days=90)
    added = rig.run(
        "agency", "add", "marshal", "--host", "127.0.0.1", "--port", str(PORT), "--format", "atis-1000013",
        "--transport", "tcp", "--tls", "--tls-ca", str(ours.file), "--tls-certificate", str(certificate),
        "--tls-key", str(key),
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    listen = ("receive", "--listen", f"127.0.0.1:{PORT}", "--into", str(rig.evidence))
    secure = ("--tls-certificate", str(theirs), "--tls-key", str(their_key), "--tls-ca", str(ours.file))
    with (tmp_path / "agency.log").open("ab") as log:
        rig.agency = subprocess.Popen(rig.lictl(*listen, *secure), stdout=log, stderr=log)
    rig.wait(lambda: "Listening" in (tmp_path / "agency.log").read_text(), "the agency listens")
    rig.serve()
    rig.add("TLS-1", agencies=("marshal",))
    rig.send(60)
    rig.wait(lambda: rig.stream("TLS-1")["delivered"] == 60, lambda: f"it is delivered: {rig.stream('TLS-1')}")
    assert "certificate" in rig.alarms()
    rig.revoke("TLS-1")
    rig.wait(lambda: not rig.status()["warrants"], "the order is finished")
    assert rig.stop() == 0
    rig.agency.send_signal(signal.SIGTERM)
    assert rig.agency.wait(30) == 0, (tmp_path / "agency.log").read_text()
    (stream,) = rig.evidence.glob("*.atis-1000013")
    said = rig.run("decode", str(stream)).stdout
    assert said.count("CmC") + said.count("CC-APDU") >= 60
    assert "urveillance" in said
    secret = key.read_text().splitlines()[1]
    assert secret not in rig.log.read_text()
