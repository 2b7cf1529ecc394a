# SPDX-License-Identifier: Apache-2.0
"""A lab with a site in it, and the few steps that every end-to-end test takes."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_wire import taken

from lictl.home import Home
from lictl.lab import namespace, topology
from lictl.lab.capture import Capture, Packet, read
from lictl.lab.people import lab_roles
from lictl.lab.site import AGENCY_NAME, AGENCY_PORT, Order, Site
from lictl.service.client import Client
from lictl.service.founding import found
from lictl.service.site import check_site
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.model import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lictl.lab.topology import Port

SECOND = 1_000_000_000
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Wires:
    """tcpdump's files of the box's two ports."""

    access: Path
    core: Path

    def taken(self, target: Port) -> list[Packet]:
        """What an order on this host's addresses takes, both ports attached."""
        return taken(self.access, self.core, target)


class Rig(Site):
    """A site whose status is asked without starting a process, and which knows the deliveries of its orders."""

    def status(self) -> dict[str, Any]:
        """The running daemon's report."""
        report = Client(Home(self.home), timeout_s=10).call("status")
        assert isinstance(report, dict)
        return report

    def init(self, *, handover: str = "pcapng") -> None:
        """As `lictl init` and `lictl agency add` do, without their start-up time."""
        home = Home(self.home)
        found(home, check_site("LAB-ISP", "lab-box", "US"), lab_roles())
        self.add_agency(AGENCY_NAME, handover)

    def add_agency(self, name: str, handover: str) -> None:
        """As `lictl agency add` does."""
        store = Store.of(Home(self.home))
        store.add_agency(Agency(name=name, host=topology.AGENCY.v4, port=AGENCY_PORT, format=handover, options={}))
        store.close()

    def up(self, *arguments: str, handover: str = "pcapng") -> Rig:
        """Home, receiver and daemon."""
        self.init(handover=handover)
        self.start_daemon(*arguments, wait=False)
        self.start_receiver()
        self.await_daemon()
        return self

    def order(
        self,
        mode: str,
        *targets: str,
        starts_ns: int | None = None,
        ends_ns: int | None = None,
        agencies: Sequence[str] = (AGENCY_NAME,),
        kind: type[Order] = Order,
    ) -> str:
        """Puts an order with a new LIID into force, by default from five minutes ago for an hour; returns the LIID."""
        liid = f"LIID{next(_numbers):04d}"
        starts = format_rfc3339(now_ns() - 300 * SECOND if starts_ns is None else starts_ns)
        ends = format_rfc3339(now_ns() + 3600 * SECOND if ends_ns is None else ends_ns)
        self.add(kind(liid, mode, targets, starts, ends, agencies))
        return liid

    def files(self, liid: str = "") -> list[Path]:
        """The agency's capture files of an order, or of all."""
        return sorted(path for path in self.evidence.rglob("*.pcapng") if path.name.startswith(liid))

    def delivered(self, liid: str) -> list[Packet]:
        """The packets that the agency has of an order, in its files' order."""
        return [packet for path in self.files(liid) for packet in read(path)]

    def account(self, liid: str) -> dict[str, Any]:
        """The accounting of an order's only stream, checked to add up."""
        streams = [s for w in self.status()["warrants"] if w["liid"] == liid for s in w["streams"]]
        assert len(streams) == 1, f"{liid}: {len(streams)} streams"
        stream = dict(streams[0])
        parts = stream["delivered"] + sum(stream["lost"].values()) + stream["withheld"] + stream["in_flight"]
        assert stream["matched"] == parts, f"{liid} does not add up: {stream}"
        return stream

    def settled(self, liid: str, timeout: float = 15) -> dict[str, Any]:
        """Waits until all is delivered; the order's account then."""
        self.wait_delivered(timeout)
        return self.account(liid)

    def alarmed(self, *names: str) -> bool:
        """True where one of these alarms stands for an order or a stream."""
        return any(alarm["name"] in names and alarm["subject"] not in ("", "disk") for alarm in self.status()["alarms"])

    def receiver_streams(self) -> list[dict[str, str]]:
        """File name, LIID and format of each stream at the agency, told from the files' suffixes."""
        suffixes = {".pcapng": "pcapng", ".txt": "text", ".msgpack": "msgpack"}
        paths = [path for path in sorted(self.evidence.iterdir()) if path.suffix in suffixes]
        return [{"file": p.name, "liid": p.name.split("-")[0], "format": suffixes[p.suffix]} for p in paths]

    def verdict(self) -> dict[str, Any]:
        """Ends the receiver and returns its verdict."""
        self.stop(self.receiver)
        self.receiver = None
        found = json.loads((self.evidence / "verdict.json").read_text())
        assert isinstance(found, dict)
        return found

    @contextlib.contextmanager
    def wires(self, name: str = "", access_way: str = "in") -> Iterator[Wires]:
        """Captures both ports of the box for the length of the block, and a little longer."""
        stem = f"{name or 'wire'}{next(_numbers)}"
        wires = Wires(self.folder / f"{stem}-access.pcap", self.folder / f"{stem}-core.pcap")
        with (
            Capture(self.lab, "isp", topology.ACCESS, wires.access, way=access_way),
            Capture(self.lab, "isp", topology.CORE, wires.core, way="in"),
        ):
            yield wires

    def pid_of_worker(self, missing: int | None = None) -> int:
        """The process that delivers to the agency; ``missing``, or an error, if there is none."""
        for pid in namespace.processes([self.lab.name("isp")]):
            with contextlib.suppress(OSError):
                if b"lictl.delivery.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        assert missing is not None, "no delivery worker runs"
        return missing


def wait_until(condition: Any, timeout: float = 10, what: str = "") -> None:
    """Polls until the condition holds."""
    limit = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < limit, f"not within {timeout:g} s: {what or condition}"
        time.sleep(0.05)
