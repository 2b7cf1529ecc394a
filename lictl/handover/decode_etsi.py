# SPDX-License-Identifier: Apache-2.0
"""Reads PS-PDUs of ETSI TS 102 232-1 and -3: what lictl writes, and what others write where the parts are the same.

Plain Python; only sealed payloads need the package cryptography. Fields: docs/formats/etsi-102232.md.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import re
from typing import Any, ClassVar, Final

from lictl.handover import etsi_fields as names
from lictl.handover.ber_reader import element, head
from lictl.handover.decoded import DecodeError, Loss, Record
from lictl.handover.etsi_tree import fields
from lictl.handover.pdu import MAX_PDU, Check, Node, Pdu, PduKind
from lictl.times import parse_rfc3339

NAME: Final = "etsi-102232"
_PS_PDU: Final = 0x30
_DOMAIN: Final = bytes.fromhex("0400020205")
_DIRECTIONS: Final = {0: "from", 1: "to", 3: "both"}
_HASHES: Final = ("", "sha1", "sha256", "sha384", "sha512")
_SIGNATURES: Final = ("", "dsa", "ecdsa", "eddsa")
_TRI_KINDS: Final[dict[str, PduKind]] = {
    "integrityCheck": "integrity", "testPDU": "test", "keep-alive": "keepalive",
    "keep-aliveResponse": "keepalive-response", "pDUAcknowledgementRequest": "acknowledgement",
    "pDUAcknowledgementResponse": "acknowledgement",
}  # fmt: skip
_EVENTS: Final = ("", "begin", "end", "continue", "report")
_GAP: Final = re.compile(
    rb"lictl gap of=(?P<of>cc|iri) lost=(?P<lost>\d{1,20}) (?P<how>seq|within)=(?P<first>\d{1,10})-(?P<last>\d{1,10}) "
    rb"reason=(?P<reason>[\w-]+) from=(?P<begin>\S{1,40}) to=(?P<end>\S{1,40})"
)
_TIME: Final = re.compile(r"(\d{14})(?:[.,](\d{1,9}))?\d*(?:Z|\+0000)?")
_AES_256_CBC: Final = 4
_BLOCK: Final = 16


class EtsiFormat:
    """The format, as `lictl.handover.pdu.PduFormat` has it.

    Args:
        payload_keys: open sealed payloads (AES-256), whichever fits; none: they stay as they are.
    """

    name: ClassVar[str] = NAME

    def __init__(self, *payload_keys: bytes) -> None:
        self._keys = payload_keys

    def length(self, data: memoryview) -> int:
        """Octets of the first PDU; 0: too few to tell."""
        if data and data[0] != _PS_PDU:
            raise DecodeError("no PS-PDU begins like this")
        found = head(data, 0, len(data))
        if found is None:
            return 0
        if found.end > MAX_PDU:
            raise DecodeError(f"a PS-PDU of {found.end} octets")
        if found.begin < len(data) and data[found.begin] != 0xA1:
            raise DecodeError("a PS-PDU begins with its header")
        return found.end

    def decode(self, pdu: bytes) -> Pdu:
        """Reads one whole PDU.

        Raises:
            DecodeError: it is none.
            WrongKeyError: its payload is sealed, and none of the keys opens it.
        """
        root = element(pdu, 0, len(pdu))
        if root.tag != _PS_PDU or root.end != len(pdu):
            raise DecodeError("not exactly one PS-PDU")
        whole, tree = fields(pdu, root, "PS-PDU", names.PS_PDU)
        header, payload = whole.get("pSHeader"), whole.get("payload")
        if not isinstance(header, dict) or not isinstance(payload, dict) or len(payload) != 1:
            raise DecodeError("a PS-PDU has a header and one payload")
        if not header.get("li-psDomainId", b"").startswith(_DOMAIN) or "sequenceNumber" not in header:
            raise DecodeError("the header names no domain of LI-PS-PDU or has no sequence number")
        (choice, content) = next(iter(payload.items()))
        if choice != "encryptionContainer" or not self._keys:
            return _pdu(pdu, header, choice, content, tree.parts)
        for key in self._keys:
            with contextlib.suppress(DecodeError):
                (choice, inner), opened = _opened(content, key, header["sequenceNumber"])
                return _pdu(pdu, header, choice, inner, (*tree.parts, opened))
        raise WrongKeyError(_pdu(pdu, header, choice, content, tree.parts))


class WrongKeyError(DecodeError):
    """A sealed payload that none of the keys opens.

    Attributes:
        closed: the PDU as it is without a key.
    """

    def __init__(self, closed: Pdu) -> None:
        super().__init__("a sealed payload does not open with the key that was given")
        self.closed = closed


def _opened(container: dict[str, Any], key: bytes, number: int) -> tuple[tuple[str, Any], Node]:
    """Choice and content of the payload, and its tree; DecodeError: another key, or another way to seal."""
    from lictl.handover.etsi_seal import unseal

    if container.get("encryptionType") != _AES_256_CBC:
        raise DecodeError("sealed in a way that is not known here")
    try:
        plain = unseal(container.get("encryptedPayload", b""), key, number % 2**32)
    except ValueError as error:
        raise DecodeError(f"a sealed payload: {error}") from None
    inner = element(plain, 0, len(plain))
    if inner.tag != _PS_PDU or len(plain) - inner.end >= _BLOCK:
        raise DecodeError("no EncryptedPayload")
    table = {0: ("byteCounter", "int"), 1: ("payload", names.PAYLOAD)}
    values, node = fields(plain, inner, "EncryptedPayload", table)
    payload = values.get("payload")
    if not isinstance(payload, dict) or len(payload) != 1:
        raise DecodeError("no EncryptedPayload")
    return next(iter(payload.items())), node


def _pdu(raw: bytes, header: dict[str, Any], choice: str, content: Any, tree: tuple[Node, ...]) -> Pdu:
    number, utc_ns = header["sequenceNumber"], _time(header)
    common: dict[str, Any] = {
        "format": NAME, "raw": raw, "liid": header.get("lawfulInterceptionIdentifier", b"").decode("ascii", "replace"),
        "stream": str(header.get("communicationIdentifier", {}).get("communicationIdentityNumber", "")),
        "sequence": number, "utc_ns": utc_ns, "tree": tree,
    }  # fmt: skip
    if choice == "tRIPayload":
        return _tri(content, common)
    if choice == "encryptionContainer":
        return Pdu(kind="sealed", message=choice, **common)
    first = content[0] if content and isinstance(content[0], dict) else {}
    if choice == "cCPayloadSequence":
        return Pdu(kind="cc", message="IPCC", record=_content(first, number, utc_ns or _time(first)), **common)
    contents = first.get("iRIContents", {})
    message = next(iter(contents), "IRI")
    iri_type = first.get("iRIType", 0)
    event = _EVENTS[iri_type] if message == "iPIRI" and 0 <= iri_type < len(_EVENTS) else ""
    record = _report(first, contents, number, utc_ns or _time(first))
    return Pdu(kind="iri", message="IPIRI" + message[5:], event=event, record=record, **common)


def _tri(content: dict[str, Any], common: dict[str, Any]) -> Pdu:
    message: str
    value: Any
    message, value = next(iter(content.items()), ("tRIPayload", {}))
    loss = check = None
    if message == "operatorLeaMessage":
        loss = _loss(value.get("message", b""))
    elif message == "integrityCheck":
        check = _check(value)
    return Pdu(kind=_TRI_KINDS.get(message, "other"), message=message, loss=loss, check=check, **common)


def _check(value: dict[str, Any]) -> Check | None:
    signature = value.get("checkType") == 2
    chosen, names_ = (
        (value.get("signatureAlgorithm", 0), _SIGNATURES) if signature else (value.get("hashAlgorithm", 1), _HASHES)
    )
    hash_ = value.get("hashAlgorithm", 0)
    return Check(
        numbers=tuple(value.get("includedSequenceNumbers", ())),
        of="iri" if value.get("dataType") == 1 else "cc",
        signature=signature,
        algorithm=names_[chosen] if 0 <= chosen < len(names_) else "",
        value=value.get("checkValue", b""),
        hash=_HASHES[hash_] if 0 <= hash_ < len(_HASHES) else "",
    )


def _loss(message: bytes) -> Loss | None:
    match = _GAP.fullmatch(message)
    if match is None:
        return None
    try:
        begin, end = parse_rfc3339(match["begin"].decode()), parse_rfc3339(match["end"].decode())
    except ValueError:
        return None
    within = int(match["last"]) if match["how"] == b"within" else 0
    return Loss(int(match["lost"]), int(match["first"]), match["reason"].decode(), begin, end, within)


def _time(holder: dict[str, Any]) -> int | None:
    """UTC ns of a timeStamp or microSecondTimeStamp."""
    precise = holder.get("microSecondTimeStamp")
    if isinstance(precise, dict) and "seconds" in precise:
        return int(precise["seconds"]) * 1_000_000_000 + int(precise.get("microSeconds", 0)) * 1000
    text = holder.get("timeStamp")
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        moment = dt.datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    whole = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (whole.days * 86_400 + whole.seconds) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))


def _content(payload: dict[str, Any], number: int, utc_ns: int | None) -> Record | None:
    contents = payload.get("cCContents", {}).get("iPCC", {}).get("iPCCContents", {})
    data = contents.get("iPPackets", contents.get("iPTruncatedPacket", {}).get("truncatedPacket"))
    if data is None:
        return None
    direction = _DIRECTIONS.get(payload.get("payloadDirection", 2), "unknown")
    version = data[0] >> 4 if data else None
    return Record(
        number, utc_ns or 0, 0, 0, direction, ip_version=version, wire_length=len(data), ip_offset=0, data=data
    )


def _report(payload: dict[str, Any], contents: dict[str, Any], number: int, utc_ns: int | None) -> Record | None:
    """The header report of a packet; summaries and events are none."""
    direction = _DIRECTIONS.get(payload.get("payloadDirection", 2), "unknown")
    found: dict[str, Any] | None = None
    if "iPIRIPacketReport" in contents:
        octets = contents["iPIRIPacketReport"].get("report", {}).get("header", {}).get("header")
        found = None if octets is None else {**_synthetic(octets), "data": octets, "ip_offset": 0}
    elif "iPIRIOnly" in contents and "pDSRInformation" not in contents["iPIRIOnly"]:
        found = _iri_only(contents["iPIRIOnly"])
    return None if found is None else Record(number, utc_ns or 0, 0, 0, direction, **found)


def _iri_only(report: dict[str, Any]) -> dict[str, Any]:
    information = report.get("iPInformation", {})
    version = 4 if "iPv4Information" in information else 6
    ip = information.get(f"iPv{version}Information", {})
    protocol = ip.get("protocol" if version == 4 else "nextHeader")
    length = ip.get("totalLength" if version == 4 else "payloadLength")
    transport = report.get("protocolInformation", {})
    ports = transport.get("tCPInformation", transport.get("uDPInformation"))
    ports = ports if isinstance(ports, dict) else {}
    flags = ports.get("controlBits")
    return {
        "ip_version": version, "source": ip.get("source"), "destination": ip.get("destination"),
        "protocol": _number(protocol), "source_port": _number(ports.get("sourcePort")),
        "destination_port": _number(ports.get("destinationPort")),
        "ip_length": None if length is None else (_number(length) or 0) + (0 if version == 4 else 40),
        "tcp_flags": flags[1] >> 2 if flags and len(flags) == 2 else None,
    }  # fmt: skip


def _number(octets: bytes | None) -> int | None:
    """A field of a header: IPIRIOnly has up to 32 bits for one (payloadLength)."""
    if octets and len(octets) > 4:
        raise DecodeError(f"a field of a header with {len(octets)} octets")
    return int.from_bytes(octets) if octets else None


def _synthetic(header: bytes) -> dict[str, Any]:
    """The fields of a synthesised header (native/synthetic.h); of anything else at least nothing wrong."""
    if len(header) >= 20 and header[0] >> 4 == 4:
        offset, length, protocol, at = int.from_bytes(header[6:8]), int.from_bytes(header[2:4]), header[9], 20
        later, first = bool(offset & 0x1FFF), bool(offset & 0x2000)
        source, destination = header[12:16], header[16:20]
    elif len(header) >= 40 and header[0] >> 4 == 6:
        payload, protocol, at = int.from_bytes(header[4:6]), header[6], 40
        length = payload and payload + 40  # 0 also stands for more than the field can say
        source, destination, later, first = header[8:24], header[24:40], False, False
        if protocol == 44 and len(header) < 48:  # the packet's own length leaves no room for what follows
            return {"ip_version": 6, "ip_length": length or None, "source": str(ipaddress.ip_address(source)),
                    "destination": str(ipaddress.ip_address(destination))}  # fmt: skip
        if protocol == 44:
            offset, protocol, at = int.from_bytes(header[42:44]), header[40], 48
            later, first = bool(offset & 0xFFF8), bool(offset & 1)
    else:
        return {}
    found: dict[str, Any] = {
        "ip_version": header[0] >> 4, "protocol": protocol, "ip_length": length or None,
        "source": str(ipaddress.ip_address(source)), "destination": str(ipaddress.ip_address(destination)),
        "fragment": "later" if later else "first" if first else "none",
    }  # fmt: skip
    rest = b"" if later else header[at:]
    if protocol in (1, 58) and len(rest) >= 2:
        found |= {"icmp_type": rest[0], "icmp_code": rest[1]}
    elif len(rest) >= 4:
        found |= {"source_port": int.from_bytes(rest[:2]), "destination_port": int.from_bytes(rest[2:4])}
        found |= {"tcp_flags": rest[13]} if protocol == 6 and len(rest) >= 14 else {}
    return found


PS_PDUS: Final = EtsiFormat()
