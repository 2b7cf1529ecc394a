# SPDX-License-Identifier: Apache-2.0
"""A site whose orders go to agencies of several countries at once, each in its format and by its way.

Three receivers listen on the agency's host: lictl's own without TLS, lictl's own with it, and `openssl s_server`, which
knows nothing of lictl; tcpdump keeps everything that reaches that host.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from e2e_rig import Rig, wait_until

from lictl.handover.registry import formats
from lictl.home import Home
from lictl.lab import topology
from lictl.lab.capture import Capture
from lictl.lab.people import lab_roles
from lictl.lab.site import AGENCY_NAME, AGENCY_PORT, Order
from lictl.profiles.profile import FOLDER, text_of
from lictl.service.administration import call
from lictl.service.founding import found
from lictl.service.site import check_site
from lictl.times import now_ns
from lictl.warrants.store import Store

sys.path.append(str(Path(__file__).parent.parent / "delivery"))
from authority_kit import Authority

if TYPE_CHECKING:
    from lictl.handover.base import Mode
    from lictl.lab.lab import Lab

HOST = topology.AGENCY.v4
PROFILE = "lab-any"
SECURE_PORT, ATIS_TCP, ATIS_UDP, TZSP, CCC = 41901, 41818, 41817, 37008, 9001
OPENSSL_PORTS: dict[Mode, int] = {"content": 41911, "headers": 41912}
BOTH: tuple[Mode, ...] = ("content", "headers")
CCCID = "4711"
CHECKS = {"integrity": "sha256", "signature": "eddsa"}
ROTATION = {"packets": 40, "seconds": 1}


@dataclass(frozen=True, slots=True)
class Way:
    """How one agency gets its orders.

    Attributes:
        format: handover format.
        kind: of `lictl.delivery.config.Transport`.
        port: on the agency's host.
        tls: TLS 1.3 with certificates of both sides.
        profile: the agency's jurisdiction; None: the site's.
        modes: of the orders that name it.
        options: for the format.
        evidence: folder of the receiver that listens there; "": none of lictl's does.
        shared: it is the lab's agency, which gets an order in many formats.
    """

    format: str
    kind: str = "lictl"
    port: int = AGENCY_PORT
    tls: bool = False
    profile: str | None = None
    modes: tuple[Mode, ...] = BOTH
    options: dict[str, str] = field(default_factory=dict)
    evidence: str = "evidence"
    shared: bool = False


WAYS: dict[str, Way] = {
    **{
        f"in-{name}": Way(name, modes=BOTH if name in formats("headers") else ("content",), shared=True)
        for name in formats("content")
    },
    "pcapng-tls": Way("pcapng", port=SECURE_PORT, tls=True, evidence="secure"),
    "etsi-tls": Way("etsi-102232", "tcp", SECURE_PORT, True, "eu", options=CHECKS, evidence="secure"),
    "x2x3-tls": Way("etsi-103221-2", "tcp", SECURE_PORT, True, "eu", evidence="secure"),
    **{
        f"etsi-openssl-{mode}": Way("etsi-102232", "tcp", port, True, "eu", (mode,), evidence="")
        for mode, port in OPENSSL_PORTS.items()
    },
    "atis-tcp": Way("atis-1000013", "tcp", ATIS_TCP, profile="us"),
    "atis-udp": Way("atis-1000013", "udp", ATIS_UDP, profile="us", evidence="secure"),
    "tzsp-udp": Way("tzsp", "udp", TZSP, modes=("content",)),
    "ccc-udp": Way("ccc", "udp", CCC, modes=("content",), options={"cccid": CCCID}),
    "pcap-files": Way("pcap", "files", evidence=""),
    "pcapng-files": Way("pcapng", "files", evidence=""),
}
"""Every delivery by name; where the agency is not the lab's, its name is that of the delivery."""


def ways(mode: Mode) -> dict[str, Way]:
    """The deliveries of an order of this mode."""
    return {name: way for name, way in WAYS.items() if mode in way.modes}


class EveryWay(Order):
    """An order with all deliveries of its mode."""

    def toml(self) -> str:
        """The warrant file."""
        mode: Mode = "content" if self.mode == "content" else "headers"
        lines = [super().toml()]
        for name, way in ways(mode).items():
            agency = AGENCY_NAME if way.shared else name
            lines.append(f'[[delivery]]\nagency = "{agency}"\nformat = "{way.format}"\n')
        return "\n".join(lines)


class Abroad(Rig):
    """A site bound to a profile of its own, which knows every family of formats."""

    def __init__(self, lab: Lab, name: str) -> None:
        super().__init__(lab, name)
        self.secure = self.folder / "secure"
        self.wire = self.folder / "agency.pcap"
        self._authority = Authority(self.folder, "authority")
        self._servers: list[subprocess.Popen[bytes]] = []
        self._capture = Capture(lab, "agency", topology.AGENCY.name, self.wire)

    def init(self, *, handover: str = "pcapng") -> None:
        """Founds the site under the law of the country that it is in and adds the agencies, abroad and at home."""
        home = Home(self.home)
        found(home, check_site("LAB-ISP", "lab-box", "US"), lab_roles())
        home.make_folder(self.home / FOLDER)
        text = (
            text_of("us").replace('name = "us"', f'name = "{PROFILE}"').replace("families = [", 'families = ["etsi", ')
        )
        own = self.home / FOLDER / f"{PROFILE}.toml"
        own.touch(0o600)
        own.write_text(text)
        self.team.approver("profile.confirm", reason="treaty with two countries", profile_name=PROFILE)
        certificate, key = self._authority.issue("operator", days=90)
        secure = {"tls": True, "certificate": certificate.read_text(), "key": key.read_text()}
        secure["ca"] = self._authority.file.read_text()
        self.add_agency(AGENCY_NAME, handover)
        for name, way in WAYS.items():
            if way.shared:
                continue
            files = {"files": ROTATION} if way.kind == "files" else {}
            transport = {"kind": way.kind, **files, **(secure if way.tls else {})}
            how = {"options": way.options, "profile": way.profile, "transport": transport}
            place = {"host": "", "port": 0} if way.kind == "files" else {"host": HOST, "port": way.port}
            call(home, "agency.add", name=name, format=way.format, **place, **how)

    def key_of(self, agency: str) -> Path:
        """PEM file of the public key that an agency verifies signatures with, as `lictl agency keys` prints it."""
        path = self.folder / f"{agency}.public.pem"
        if not path.exists():
            path.write_text(call(Home(self.home), "agency.keys", name=agency)["eddsa"])
        return path

    def open(self) -> None:
        """Everything listens, the daemon runs."""
        self._capture.start()
        self.init()
        key = self.key_of("etsi-tls")
        self.start_daemon(wait=False)
        chain, secret = self._authority.issue("agency", days=90, host=HOST)
        tls = ("-cert", str(chain), "-key", str(secret), "-CAfile", str(self._authority.file))
        for mode, port in OPENSSL_PORTS.items():
            argv = ["openssl", "s_server", "-accept", f"{HOST}:{port}", *tls, "-tls1_3", "-Verify", "1", "-quiet"]
            argv += ["-verify_return_error", "-keylogfile", str(self.folder / f"{mode}.keys")]
            with self.taken_by_openssl(mode).open("wb") as file:
                # It ends when its input does.
                self._servers.append(self.lab.start("agency", argv, stdin=subprocess.PIPE, stdout=file))
        listen = ("--listen", f"{HOST}:{ATIS_TCP}=atis-1000013")
        self.start_receiver(*listen, "--udp", f"{HOST}:{TZSP}=tzsp", "--udp", f"{HOST}:{CCC}=ccc", wait=False)
        argv = self.argv("receive", "--listen", f"{HOST}:{SECURE_PORT}", "--udp", f"{HOST}:{ATIS_UDP}=atis-1000013")
        argv += ["--into", str(self.secure), "--key", str(key), "--tls-ca", str(self._authority.file)]
        argv += ["--tls-certificate", str(chain), "--tls-key", str(secret)]
        with (self.folder / "secure.log").open("ab") as log:
            self._servers.append(self.lab.start("agency", argv, stdout=log, stderr=log))
        self.await_receiver()
        self.lab.wait_for_port("agency", SECURE_PORT)
        self.await_daemon()

    def end(self) -> None:
        """Every order is over and delivered; the daemon ends, then the agencies."""
        wait_until(lambda: not self.status()["warrants"], 20, "every stream has ended")
        assert self.stop(self.daemon) == 0, self.log()[-2000:]
        self._capture.stop()
        *servers, secure = self._servers
        assert self.stop(secure) == 0, self.log("secure.log")[-2000:]
        assert self.stop(self.receiver) == 0, self.log("receiver.log")[-2000:]
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait(10)

    def taken_by_openssl(self, mode: Mode) -> Path:
        """What `openssl s_server` got of the order of that mode."""
        return self.folder / f"{mode}.openssl"

    def evidence_file(self, name: str, liid: str, xid: str) -> Path:
        """The file in which one of lictl's receivers has a delivery of an order."""
        way = WAYS[name]
        folder = self.folder / way.evidence
        if way.kind == "lictl":
            (path,) = folder.glob(f"{liid}-*.{SUFFIXES[way.format]}")
            return path
        names = {f"{each}.{way.format}" for each in (liid, f"CASE-{liid}", xid, CCCID, f"unnamed-port-{way.port}")}
        (path,) = [path for path in folder.iterdir() if path.name in names]
        return path

    def xid(self, liid: str) -> str:
        """What X2 and X3 call an order (TS 103 221-2, 5.2.6)."""
        with closing(Store.of(Home(self.home))) as store:
            (found,) = [order.uuid for order in store.live(now_ns()) if order.liid == liid]
        return str(uuid.UUID(found))


SUFFIXES = {
    "pcapng": "pcapng", "text": "txt", "msgpack": "msgpack", "etsi-102232": "etsi", "etsi-103221-2": "x2x3",
    "tzsp": "tzsp", "ccc": "ccc", "pcap": "pcap", "atis-1000013": "ber",
}  # fmt: skip
"""Of the files that the delivery protocol names."""
