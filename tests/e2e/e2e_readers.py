# SPDX-License-Identifier: Apache-2.0
"""What others than lictl read in deliveries: asn1tools with the standards' schemas, openssl, tshark, capinfos."""

from __future__ import annotations

import ipaddress
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parent.parent / "handover"))
from atis_schema import module
from etsi_schema import schema
from handover_tshark import fields
from handover_wire import TCP, capture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Ends = tuple[str, str, str, str]
"""Source, destination and their ports, "" where there are none."""

_OIDS = {
    bytes.fromhex("060b2a864886f8490201010000"): "CmII",
    bytes.fromhex("060b2a864886f8490201010200"): "CmII-Optional",
}
"""protocolIdentifier of each module that has one."""
_NAMES = (
    "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport",
    "udp.dstport", "udp.payload",
)  # fmt: skip


def tlvs(data: bytes) -> Iterator[bytes]:
    """The outermost BER elements, by their definite lengths (ITU-T X.690, 8.1.3)."""
    at = 0
    while at < len(data):
        first = data[at + 1]
        size = 2 + (first if first < 0x80 else (first & 0x7F) + int.from_bytes(data[at + 2 : at + 2 + (first & 0x7F)]))
        yield data[at : at + size]
        at += size
    assert at == len(data), "the last element is cut"


def asn1parse(path: Path) -> int:
    """Outermost elements of a file of BER as `openssl asn1parse` reads it; fails where it does not read the whole."""
    command = ["openssl", "asn1parse", "-inform", "DER", "-in", str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return sum(":d=0 " in line for line in text.splitlines())


def etsi(data: bytes) -> list[dict[str, Any]]:
    """PS-PDUs by LI-PS-PDU's schema, each of which the schema encodes to the same octets again."""
    values = []
    for raw in tlvs(data):
        value = schema().decode("PS-PDU", raw)
        assert schema().encode("PS-PDU", value) == raw
        values.append(value)
    return values


def etsi_packets(values: list[dict[str, Any]]) -> list[bytes]:
    """The IP packets, or the headers that stand for them, of IPCC and of iPIRIPacketReport (TS 102 232-3)."""
    found: list[bytes] = []
    for value in values:
        match value["payload"]:
            case "cCPayloadSequence", [{"cCContents": ("iPCC", {"iPCCContents": ("iPPackets", packet)})}]:
                found.append(packet)
            case "iRIPayloadSequence", [{"iRIContents": ("iPIRIPacketReport", {"report": ("header", report)})}]:
                found.append(report["header"])
    return found


def atis(data: bytes) -> tuple[list[bytes], list[Ends], list[str]]:
    """The packets of CmC, the ends of PDHR, and the names of all messages of CmII (ATIS-1000013 by its schemas)."""
    packets: list[bytes] = []
    reports: list[Ends] = []
    names: list[str] = []
    for raw in tlvs(data):
        known = next((name for oid, name in _OIDS.items() if oid in raw[:20]), "CmCC")
        if known == "CmCC":
            packets.append(module(known).decode("IAS-CC-APDU", raw)["payload"])
            continue
        name, value = module(known).decode("IasProtocol", raw)["iasMessage"]
        names.append(name)
        if name == "data-Header-Report":
            reports.append(_set(value["headerSet"]))
    return packets, reports, names


def _set(value: dict[str, Any]) -> Ends:
    source, destination = (
        str(ipaddress.ip_address(value[name]["address"][1])) for name in ("sourceIPaddress", "destinationIPaddress")
    )
    return source, destination, value.get("sourcePortNumber", ""), value.get("destinationPortNumber", "")


def x2x3(data: bytes, path: Path) -> tuple[list[bytes], list[Ends]]:
    """Payloads of X3, and the ends of all packets that tshark's dissector finds in X3 or that X2 names.

    Args:
        data: PDUs of TS 103 221-2 one behind the other.
        path: a file to make, for tshark: each PDU in a segment of its own, as its dissector needs it.
    """
    pdus, at = [], 0
    while at < len(data):
        size = sum(struct.unpack_from("!II", data, at + 4))  # of the header and of the payload
        pdus.append(data[at : at + size])
        at += size
    assert at == len(data), "the last PDU is cut"
    names = ("li5g.type", "li5g.srcip", "li5g.dstip", "li5g.srcipv6", "li5g.dstipv6", "li5g.srcport", "li5g.dstport")
    rows = fields(capture(path, pdus, TCP, 9999), (*names, *_NAMES), "-d", "tcp.port==9999,5gli", "-E", "occurrence=a")
    assert len(rows) == len(pdus)
    packets, ends = [], []
    for pdu, row in zip(pdus, rows, strict=True):
        if row["li5g.type"] == "2":
            packets.append(pdu[int.from_bytes(pdu[4:8]) :])
            ends.append(_inner(row, ":5gli:"))
        elif row["li5g.srcip"] or row["li5g.srcipv6"]:
            _, source, destination, source6, destination6, *ports = (row[name].partition(",")[0] for name in names)
            ends.append((source or source6, destination or destination6, ports[0], ports[1]))
    return packets, ends


def _inner(row: dict[str, str], behind: str) -> Ends:
    """The ends of the innermost packet in a row of all occurrences of _NAMES."""
    last = {name: value.rpartition(",")[2] for name, value in row.items()}
    inside = row["frame.protocols"].partition(behind)[2].split(":")
    ip = "ipv6" if "ipv6" in inside else "ip"
    kind = "tcp" if "tcp" in inside else "udp" if "udp" in inside else ""
    ports = (last[f"{kind}.srcport"], last[f"{kind}.dstport"]) if kind else ("", "")
    return last[f"{ip}.src"], last[f"{ip}.dst"], *ports


def datagrams(path: Path, wanted: str, *options: str) -> list[tuple[bytes, Ends]]:
    """Payload of each datagram, and the ends of the packet that tshark finds in it."""
    rows = fields(path, _NAMES, "-Y", wanted, "-E", "occurrence=a", *options)
    return [(bytes.fromhex(row["udp.payload"].partition(",")[0]), _inner(row, ":udp:")) for row in rows]


def followed(path: Path, port: int, keys: Path) -> tuple[list[tuple[str, set[str]]], bytes]:
    """What tshark sees of the only connection to a TLS port, with the keys of the session.

    Returns:
        version and types of handshake messages of each packet that has any (RFC 8446, B.3); the octets that were said.
    """
    secret = ("-o", f"tls.keylog_file:{keys}", "-d", f"tcp.port=={port},tls")
    names = ("tls.handshake.type", "tls.handshake.extensions.supported_version", "tcp.stream")
    rows = fields(path, names, *secret, "-Y", f"tls.handshake && tcp.port=={port}", "-E", "occurrence=a")
    (stream,) = {row["tcp.stream"] for row in rows}
    command = ["tshark", "-n", "-r", str(path), *secret, "-q", "-z", f"follow,tls,raw,{stream}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    said = b"".join(bytes.fromhex(line) for line in text.splitlines() if re.fullmatch(r"\t?[0-9a-f]+", line))
    return [(row[names[1]], set(row[names[0]].split(","))) for row in rows], said


def counted(paths: Sequence[Path]) -> int:
    """Packets of capture files, as capinfos counts them."""
    command = ["capinfos", "-c", "-M", "-T", "-r", *map(str, paths)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return sum(int(line.split("\t")[-1]) for line in text.splitlines())


def merged(paths: Sequence[Path]) -> Path:
    """One capture file behind another, as mergecap writes them."""
    path = paths[0].with_suffix(".merged")
    subprocess.run(["mergecap", "-a", "-w", path, *paths], check=True, capture_output=True, timeout=60)
    return path
