# SPDX-License-Identifier: Apache-2.0
"""A daemon that delivers ETSI TS 102 232 sealed and signed, and an agency with the keys that the operator gave it."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from daemon_rig import order
from loopback_rig import Flow, LoopbackRig
from typer.testing import CliRunner

from lictl.cli.app import app
from lictl.delivery.config import Transport
from lictl.lab.people import lab_roles
from lictl.service.founding import found
from lictl.service.site import Site
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel


class GermanRig(LoopbackRig):
    """A site whose agencies read ETSI's formats."""

    def __enter__(self) -> GermanRig:
        found(self.home, Site(operator="ISP-7", element="box-1", country="DE"), lab_roles())
        return self


def german(liid: str) -> str:
    """An order of content under § 100a StPO."""
    text = order(liid, agencies=("lka",)).replace('"title-iii"', '"de-100a"').replace("18 USC 2518", "§ 100a StPO")
    kept = [
        line for line in text.splitlines() if not line.startswith(("predicate", "authorised", "communi", "ends_at"))
    ]
    return "\n".join(line for line in kept if not line.startswith("subject")) + "\n"


def test_what_is_sealed_here_opens_there(tmp_path: Path) -> None:
    """With the file of `agency keys`, and with no other: packets and events come out, digests and signatures hold."""
    with GermanRig(tmp_path) as rig:
        options = {"encryption": "aes-256-cbc", "integrity": "sha256", "signature": "eddsa"}
        store = Store.of(rig.home)
        store.add_agency(Agency("lka", "127.0.0.1", rig.port, "etsi-102232", options, Transport("tcp")))
        store.close()
        secret, public = tmp_path / "payload.key", tmp_path / "operator.pem"
        public.write_text(rig.run("agency", "keys", "lka", "--payload-key-to", str(secret)).stdout)
        log_file = tmp_path / "agency.log"
        argv = rig.lictl("receive", "--listen", f"127.0.0.1:{rig.port}", "--into", str(rig.evidence))
        with log_file.open("ab") as log:
            given = ("--payload-key", str(secret), "--key", str(public))
            rig.agency = subprocess.Popen([*argv, *given], stdout=log, stderr=log)
        rig.wait(lambda: "Listening" in log_file.read_text(), "the agency listens")
        rig.serve()
        rig.team.add(german("SEALED-1"))
        with Flow(rig) as flow:
            rig.wait(lambda: rig.stream("SEALED-1")["delivered"] >= 100, lambda: f"it is delivered: {rig.status()}")
        rig.revoke("SEALED-1")
        rig.gone("SEALED-1")
        rig.agency.send_signal(signal.SIGTERM)
        assert rig.agency.wait(30) == 0, log_file.read_text()
        (verdict,) = json.loads((rig.evidence / "verdict.json").read_text())["evidence"]
        assert (verdict["ok"], verdict["content"], verdict["sealed"], verdict["missing"]) == (True, flow.sent, 0, 0)
        assert verdict["ended"]
        assert (set(verdict["digests"]), set(verdict["signatures"])) == ({"good"}, {"good"})
        (stream,) = rig.evidence.glob("*.etsi-102232")
        decode = ["decode", str(stream), "--payload-key", str(secret)]
        opened = CliRunner().invoke(app, decode)
        assert (opened.exit_code, opened.stdout.count("198.51.100.1:5000")) == (0, flow.sent)
        secret.write_text("5a" * 32)
        wrong = CliRunner().invoke(app, decode)
        assert (wrong.exit_code, "does not open" in wrong.stderr) == (5, True)
