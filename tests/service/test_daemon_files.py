# SPDX-License-Identifier: Apache-2.0
"""A daemon whose agency fetches files: from the wire to verified files, with the daemon killed on the way."""

from __future__ import annotations

import signal
import struct
import time
from typing import TYPE_CHECKING

import pytest
from loopback_rig import Flow, LoopbackRig

from lictl.collection.manifests import verify_folder
from lictl.delivery.config import Transport
from lictl.handover.decode_pcapng import decode_pcapng
from lictl.handover.decoded import Record
from lictl.lab.people import lab_roles
from lictl.service.founding import found
from lictl.service.site import Site
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel
_NUMBER = 14 + 20 + 8


class FilesRig(LoopbackRig):
    """Its agency fetches files of 100 packets; `pem` is the key that they are verified with."""

    def __enter__(self) -> FilesRig:
        found(self.home, Site(operator="ISP-7", element="box-1", country="US"), lab_roles())
        store = Store.of(self.home)
        transport = Transport("files", files={"packets": 100, "seconds": 3600})
        store.add_agency(Agency("agency", "", 0, "pcapng", {}, transport))
        self.pem = store.agency_keys("agency").eddsa_pem
        store.close()
        return self

    @property
    def outbox(self) -> Path:
        return self.home.outbox / "agency" / "files"

    def fetched(self) -> list[int]:
        """Numbers of the frames in all finished files, file by file."""
        numbers = []
        for path in sorted(self.outbox.glob("*/*.pcapng")):
            with path.open("rb") as file:
                frames = [item.data for item in decode_pcapng(file) if isinstance(item, Record)]
            numbers += [struct.unpack_from(">Q", data, _NUMBER)[0] for data in frames if data is not None]
        return numbers


def test_from_the_wire_to_verified_files(tmp_path: Path) -> None:
    """Every packet is in one file, in order, though the daemon is killed; files hold as many packets as was asked for,
    the events lie beside them, and the last file comes with the end of the order."""
    with FilesRig(tmp_path) as rig:
        rig.serve()
        rig.add("FILES")
        with Flow(rig, 2000) as flow:
            rig.wait(lambda: len(rig.fetched()) >= 300, "three files are finished")
            rig.stop(signal.SIGKILL)
            rig.serve()
            before = len(rig.fetched())
            rig.wait(lambda: len(rig.fetched()) >= before + 300, "more files are finished")
        time.sleep(0.1)
        rig.revoke("FILES")
        rig.wait(lambda: any(v.ended for v in verify_folder(rig.outbox, rig.pem)), "the last file is finished")
        (verdict,) = verify_folder(rig.outbox, rig.pem)
        assert verdict.complete, verdict
        assert (verdict.records, verdict.lost) == (flow.sent, 0)
        assert rig.fetched() == [*range(flow.sent)]
        events = "".join(path.read_text() for path in sorted(rig.outbox.glob("*/*.events.jsonl")))
        told = [line.split('"')[3] for line in events.splitlines()]
        assert [event for event in told if event != "rotation"] == ["begin", "continue", "end"]
