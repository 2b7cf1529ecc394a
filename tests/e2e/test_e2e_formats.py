# SPDX-License-Identifier: Apache-2.0
"""One lab, one mix of traffic, and every format by every way to agencies of two countries: the same packets everywhere.

A content order and a headers order on the same subscriber go to all agencies at once. What came is compared with
tcpdump of the wire: by lictl's own decoders, and by readers that know nothing of lictl.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pytest
from e2e_agencies import ATIS_UDP, CCC, OPENSSL_PORTS, SECURE_PORT, TZSP, WAYS, Abroad, EveryWay, ways
from e2e_readers import Ends, asn1parse, atis, counted, datagrams, etsi, etsi_packets, followed, merged, tlvs, x2x3
from e2e_tshark import header_fields
from e2e_wire import cut, ip_offset
from etsi_agency import Agency

from lictl.collection.manifests import verify_folder
from lictl.collection.packets import headers
from lictl.handover.decode import Record, decode
from lictl.home import Home
from lictl.lab import services, topology, traffic, verify
from lictl.lab.capture import read
from lictl.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e_rig import Wires

    from lictl.handover.base import Mode

pytestmark = [pytest.mark.kernel, pytest.mark.net]

SUB1 = topology.SUB["sub1"]
TARGETS = (f"ip:{SUB1.v4}", f"ip:{SUB1.v6}")
OF_BARE_IP = frozenset({"atis-1000013", "ccc", "etsi-102232", "etsi-103221-2"})
BLIND = frozenset({"ccc", "pcap", "tzsp"})
"""Formats that have no field for the direction."""
MODES: tuple[Mode, ...] = ("content", "headers")
SFTP_SERVER = "/usr/lib/openssh/sftp-server"


@dataclass(frozen=True)
class Done:
    """The lab after the traffic.

    Attributes:
        site: where it was taken; nothing of it runs any more.
        wires: tcpdump of the box's two ports.
        names: LIID and XID of the order of each mode.
        word: what stands in the target's content and nowhere else.
    """

    site: Abroad
    wires: Wires
    names: dict[Mode, tuple[str, str]]
    word: bytes

    @cached_property
    def packets(self) -> list[bytes]:
        """The target's IP packets on the wire."""
        return verify.wire(self.wires.access, self.wires.core, SUB1)

    @cached_property
    def ends(self) -> Counter[Ends]:
        """Source, destination and ports of each, as tshark reads the captures of both ports."""
        sent = ends_of(self.wires.access, f"ip.src == {SUB1.v4} || ipv6.src == {SUB1.v6}")
        return sent + ends_of(self.wires.core, f"ip.dst == {SUB1.v4} || ipv6.dst == {SUB1.v6}")

    def evidence(self, name: str, mode: Mode) -> Path:
        """The file that one of lictl's receivers has of a delivery."""
        return self.site.evidence_file(name, *self.names[mode])

    def fetch(self, agency: str, folder: Path) -> Path:
        """What OpenSSH's sftp client fetches of an agency's files, through OpenSSH's sftp server that only reads."""
        there = Home(self.site.home).outbox / agency
        command = ["sftp", "-q", "-b", "-", "-D", f"{SFTP_SERVER} -R -d {there}"]
        subprocess.run(command, input=f"get -R . {folder}\n", check=True, capture_output=True, text=True, timeout=60)
        return folder


@pytest.fixture(scope="module")
def done() -> Iterator[Done]:
    """Both orders in force, the traffic of a target and of a bystander, everything delivered and over."""
    word = traffic.marker("sub1")
    with Lab() as lab:
        services.start_http(lab)
        services.start_dns(lab)
        site = Abroad(lab, "abroad")
        site.open()
        liids = {mode: site.order(mode, *TARGETS, agencies=(), kind=EveryWay) for mode in MODES}
        with site.wires() as wires:
            for command in (traffic.http(word, 40_000), traffic.dns(word), traffic.ping(word, ipv6=True)):
                lab.run("sub1", command)
            lab.run("sub3", traffic.http(word, 40_000))
        site.wait_delivered()
        names = {mode: (liid, site.xid(liid)) for mode, liid in liids.items()}
        for liid in liids.values():
            site.revoke(liid)
        site.end()
        yield Done(site, wires, names, word.encode())


def ends_of(path: Path, display_filter: str = "") -> Counter[Ends]:
    """Source, destination and ports of the packets in a capture file, by tshark."""
    rows = (row for _, row in header_fields(path, display_filter))
    return Counter((row[0] or row[4], row[1] or row[5], row[7] or row[10], row[8] or row[11]) for row in rows)


def packet(record: Record, name: str) -> bytes:
    """The IP packet in a record."""
    data = record.data or b""
    return data if name in OF_BARE_IP else data[ip_offset(data) or 0 :]


def reported(found: list[Record]) -> Counter[Ends]:
    """Source, destination and ports of header reports; those of pcap and pcapng are packets made from the fields."""
    rows: Counter[Ends] = Counter()
    for record in found:
        report = headers(record)
        source, destination = ("" if p is None else str(p) for p in (report.source_port, report.destination_port))
        rows[(str(report.source), str(report.destination), source, destination)] += 1
    return rows


@pytest.mark.parametrize("mode", MODES)
def test_every_format_by_every_way_carries_the_same_packets(done: Done, mode: Mode) -> None:
    """Number, time and direction are the same in all; content is tcpdump's of the wire, header fields are tshark's."""
    wire = Counter(cut(each.data)[14:] for each in done.wires.taken(SUB1))
    assert wire.total() > 50
    times = set()
    for name, way in ways(mode).items():
        if not way.evidence:
            continue
        with done.evidence(name, mode).open("rb") as file:
            taken = [item for item in decode(way.format, file) if isinstance(item, Record)]
        numbers = [record.sequence for record in taken]
        assert numbers == list(range(numbers[0], numbers[0] + wire.total())), name
        assert sum(record.lost_before for record in taken) == 0, name
        told = {(record.direction, headers(record).source in (SUB1.v4, SUB1.v6)) for record in taken}
        assert told == (
            {("unknown", True), ("unknown", False)} if way.format in BLIND else {("from", True), ("to", False)}
        )
        if mode == "content":
            assert Counter(packet(record, way.format) for record in taken) == wire, name
        else:
            assert reported(taken) == done.ends, name
        if way.format != "tzsp":
            times.add(tuple(record.utc_ns // 1000 for record in taken))
    assert len(times) == 1


def test_of_a_headers_order_no_content_leaves(done: Done) -> None:
    """The target's word is in no file of the headers order at any agency, in no form."""
    liid, xid = done.names["headers"]
    named = (liid, xid, f"CASE-{liid}")
    files = [path for path in done.site.folder.rglob("*") if path.is_file() and path.name.startswith(named)]
    files.append(done.site.taken_by_openssl("headers"))
    assert len(files) > 11
    held = b"".join(path.read_bytes() for path in files)
    assert not [name for name, form in verify.forms(done.word) if form in held]
    assert done.word in done.site.taken_by_openssl("content").read_bytes()


@pytest.mark.parametrize("mode", MODES)
def test_etsi_through_openssl_as_asn1tools_reads_it(done: Done, mode: Mode) -> None:
    """s_server's octets are PS-PDUs of the schema: an interception from begin to end, with every packet of the wire."""
    path = done.site.taken_by_openssl(mode)
    values = etsi(path.read_bytes())
    assert asn1parse(path) == len(values)
    packets = etsi_packets(values)
    if mode == "content":
        assert Counter(packets) == Counter(done.packets)
    else:
        assert Counter(map(verify.fields, packets)) == Counter(map(verify.fields, done.packets))
    events = [payload[0]["iRIType"] for kind, payload in (v["payload"] for v in values) if kind == "iRIPayloadSequence"]
    assert (events[0], events[-1]) == ("iRI-Begin", "iRI-End")
    assert {value["pSHeader"]["lawfulInterceptionIdentifier"].decode() for value in values} == {done.names[mode][0]}


def test_integrity_that_an_agency_recomputes(done: Done) -> None:
    """Every PDU is under a digest, every digest under a signature, by hashlib and the public key; so the verdict."""
    key = done.site.key_of("etsi-tls").read_bytes()
    for mode in MODES:
        checked = Agency(done.evidence("etsi-tls", mode).read_bytes(), key)
        assert checked.covered == set(checked.pdus)
        assert checked.signed == set(checked.digests)
        assert checked.signatures > 0
    verdict = json.loads((done.site.secure / "verdict.json").read_text())
    both = [each for each in verdict["evidence"] if each["format"] == "etsi-102232"]
    assert [each["ended"] for each in both] == [True, True]
    for each in both:
        assert each["signatures"]["good"] > 0
        assert not each["signatures"].get("bad")
        assert not each["signatures"].get("open")


@pytest.mark.parametrize("mode", MODES)
def test_tls_on_the_wire(done: Done, mode: Mode) -> None:
    """tshark sees TLS 1.3 with a certificate of each side, and with the keys the very octets that s_server got."""
    seen, said = followed(done.site.wire, OPENSSL_PORTS[mode], done.site.folder / f"{mode}.keys")
    assert said == done.site.taken_by_openssl(mode).read_bytes()
    hello, server, client, *_ = seen
    assert hello[1] == {"1"}
    assert server[0] == "0x0304"
    assert {"2", "13", "11"} <= server[1]  # ServerHello, CertificateRequest, Certificate
    assert "11" in client[1]


def test_what_is_in_tls_cannot_be_read_on_the_wire(done: Done) -> None:
    """The target's word passes in the clear to the agencies without TLS, and to no port with it."""
    secure: Counter[bool] = Counter()
    for each in read(done.site.wire):
        if each.data[12:14] == b"\x08\x00" and each.data[23] == 6 and done.word in each.data:
            secure[int.from_bytes(each.data[36:38]) in (SECURE_PORT, *OPENSSL_PORTS.values())] += 1
    assert secure[False] > 0
    assert secure[True] == 0


@pytest.mark.parametrize("way", ["tcp", "udp"])
def test_atis_as_asn1tools_reads_it(done: Done, way: str) -> None:
    """CmC with every packet, PDHR with the ends of each, the surveillance's events; a datagram is one message."""
    held: Counter[bytes] = Counter()
    for mode in MODES:
        path = done.evidence(f"atis-{way}", mode)
        data = path.read_bytes()
        held += Counter(tlvs(data))
        assert asn1parse(path) == len(list(tlvs(data)))
        packets, reports, names = atis(data)
        assert Counter(packets) == (Counter(done.packets) if mode == "content" else Counter())
        assert Counter(reports) == (Counter() if mode == "content" else done.ends)
        assert (names[0], names[-1]) == ("surveillanceActivation", "surveillanceDeActivation")
    if way == "udp":
        assert Counter(payload for payload, _ in datagrams(done.site.wire, f"udp.dstport=={ATIS_UDP}")) == held


@pytest.mark.parametrize("mode", MODES)
def test_x2_and_x3_as_tshark_dissects_them(done: Done, mode: Mode, tmp_path: Path) -> None:
    """X3 with every packet, X2 with the ends of each."""
    packets, ends = x2x3(done.evidence("x2x3-tls", mode).read_bytes(), tmp_path / "x2x3.pcap")
    assert Counter(packets) == (Counter(done.packets) if mode == "content" else Counter())
    assert Counter(ends) == done.ends


@pytest.mark.parametrize(
    ("port", "protocol", "head", "options"),
    [
        (TZSP, "tzsp", 5 + 14, ()),
        (CCC, "pcli", 12, ("-d", f"udp.port=={CCC},pcli12", "-d", "pcli.payload,ip")),
    ],
)
def test_datagrams_as_tshark_dissects_them(
    done: Done, port: int, protocol: str, head: int, options: tuple[str, ...]
) -> None:
    """On the wire to the agency, each datagram is the protocol's header and one packet of the target's."""
    found = datagrams(done.site.wire, f"udp.dstport=={port} && {protocol}", *options)
    assert Counter(payload[head:] for payload, _ in found) == Counter(done.packets)
    assert Counter(ends for _, ends in found) == done.ends


@pytest.mark.parametrize("agency", ["pcap-files", "pcapng-files"])
def test_files_that_the_sftp_client_fetches(done: Done, agency: str, tmp_path: Path) -> None:
    """capinfos counts every packet, tshark reads each; signatures hold, and the last file says that it is."""
    fetched = done.fetch(agency, tmp_path)
    for mode, (liid, _) in done.names.items():
        paths = sorted(fetched.rglob(f"{liid}*.{WAYS[agency].format}"))
        assert len(paths) > 1
        assert counted(paths) == len(done.packets)
        assert ends_of(merged(paths)) == done.ends
        if mode == "content":
            assert not verify.content_difference(done.packets, paths)
    verdicts = verify_folder(fetched, done.site.key_of(agency).read_bytes())
    assert [(each.complete, each.records) for each in verdicts] == [(True, len(done.packets))] * 2
