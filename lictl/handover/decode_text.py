# SPDX-License-Identifier: Apache-2.0
"""Reads descriptive text; grammar: docs/formats/descriptive-text.md."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, BinaryIO

from lictl.handover.decoded import MAX_ITEM, DecodeError, Interface, Item, Loss, Opening, Record
from lictl.times import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_NUMBER = re.compile(r"\d{1,20}")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_HEAD = ("LIID", "SEQ", "TIME", "LOST", "IF", "DIR", "CLOCK")
_FIELDS = ("IP", "PROTO", "SRC", "DST", "SPORT", "DPORT", "LENGTH", "FLAGS", "TYPE", "CODE", "FRAG")
_LINES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "LICTL-TEXT": (("VERSION", "MODE"), ("ENCODING",)),
    "ABOUT": (("LIID", "CASE", "OPERATOR", "ELEMENT", "COUNTRY", "AGENCY"), ()),
    "INTERFACE": (("ID", "HOOK", "NAME"), ()),
    "HEADERS": (_HEAD, _FIELDS),
    "PACKET": ((*_HEAD, "FRAME", "WIRE", "DATA"), (*_FIELDS, "LINK")),
    "GAP": (("LIID", "LOST", "FIRST", "LAST", "REASON", "FROM", "TO"), ()),
}


def decode_text(stream: BinaryIO) -> Iterator[Item]:
    """Openings, interfaces, records and losses.

    Raises:
        DecodeError: not descriptive text, or damaged; names the line.
    """
    state = _Text()
    number = 0
    while line := stream.readline(MAX_ITEM):
        number += 1
        try:
            if not line.endswith(b"\n"):
                raise ValueError("it is too long or not finished")
            item = state.line(line[:-1].decode("ascii"))
        except ValueError as error:
            raise DecodeError(f"line {number}: {error}") from None
        if item is not None:
            yield item


class _Text:
    def __init__(self) -> None:
        self._mode = self._encoding = ""

    def line(self, text: str) -> Item | None:
        kind, tags = _split(text)
        if kind == "LICTL-TEXT":
            self._begin(tags)
            return None
        if not self._mode:
            raise ValueError("there is no LICTL-TEXT line before it")
        makers: Mapping[str, Callable[[Mapping[str, str]], Item]] = {
            "ABOUT": self._about, "INTERFACE": _interface, "HEADERS": self._headers, "PACKET": self._packet,
            "GAP": _loss,
        }  # fmt: skip
        return makers[kind](tags)

    def _begin(self, tags: Mapping[str, str]) -> None:
        if tags["VERSION"] != "1":
            raise ValueError(f"version {tags['VERSION']} is not known here")
        self._mode = _one_of(tags["MODE"], "HEADERS", "CONTENT")
        self._encoding = _one_of(tags.get("ENCODING", "HEX"), "HEX", "ASCII")

    def _about(self, tags: Mapping[str, str]) -> Opening:
        about = {name.lower(): _plain(value) for name, value in tags.items()}
        return Opening(self._mode.lower(), tags["LIID"], about)

    def _headers(self, tags: Mapping[str, str]) -> Record:
        if self._mode != "HEADERS":
            raise ValueError("a HEADERS line in a stream of content")
        return _record(tags, None)

    def _packet(self, tags: Mapping[str, str]) -> Record:
        if self._mode != "CONTENT":
            raise ValueError("a PACKET line in a stream of headers")
        data = _unhex(tags.get("LINK", ""))
        data += _unhex(tags["DATA"]) if self._encoding == "HEX" else _unescape(tags["DATA"])
        if len(data) != _number(tags["FRAME"]):
            raise ValueError(f"{len(data)} octets of a frame of {tags['FRAME']}")
        return _record(tags, data)


def _split(text: str) -> tuple[str, dict[str, str]]:
    """A line's kind and its tags; each one known, in place once, all required ones there."""
    head, mark, data = text.partition(" DATA=")
    kind, *pairs = head.split(" ")
    if kind not in _LINES:
        raise ValueError("it is of no known kind")
    required, optional = _LINES[kind]
    tags: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value or name in tags or name not in (*required, *optional):
            raise ValueError("a tag is unknown, doubled or without a value")
        tags[name] = value
    if mark:
        tags["DATA"] = data
    if any(name not in tags for name in required) or (mark and "DATA" not in required):
        raise ValueError("a tag is missing or out of place")
    return kind, tags


def _interface(tags: Mapping[str, str]) -> Interface:
    hook = _one_of(tags["HOOK"], "INGRESS", "EGRESS").lower()
    return Interface(_number(tags["ID"]), _plain(tags["NAME"]), hook)


def _loss(tags: Mapping[str, str]) -> Loss:
    lost, first, last = (_number(tags[name]) for name in ("LOST", "FIRST", "LAST"))
    if last - first + 1 != lost:
        raise ValueError("LOST does not fit FIRST and LAST")
    return Loss(lost, first, tags["REASON"].lower(), _time(tags["FROM"]), _time(tags["TO"]))


def _record(tags: Mapping[str, str], data: bytes | None) -> Record:
    def number(name: str) -> int | None:
        return _number(tags[name]) if name in tags else None

    def address(name: str) -> str | None:
        return str(ipaddress.ip_address(tags[name])) if name in tags else None

    return Record(
        sequence=_number(tags["SEQ"]),
        utc_ns=_time(tags["TIME"]),
        lost_before=_number(tags["LOST"]),
        interface=_number(tags["IF"]),
        direction=_one_of(tags["DIR"], "FROM", "TO", "BOTH", "UNKNOWN").lower(),
        clock=_one_of(tags["CLOCK"], "KERNEL", "HARDWARE", "FILE").lower(),
        ip_version=number("IP"),
        protocol=number("PROTO"),
        source=address("SRC"),
        destination=address("DST"),
        source_port=number("SPORT"),
        destination_port=number("DPORT"),
        ip_length=number("LENGTH"),
        tcp_flags=_tcp_flags(tags["FLAGS"]) if "FLAGS" in tags else None,
        icmp_type=number("TYPE"),
        icmp_code=number("CODE"),
        fragment=_one_of(tags.get("FRAG", "NONE"), "NONE", "FIRST", "LATER").lower(),
        wire_length=number("WIRE"),
        ip_offset=len(tags.get("LINK", "")) // 2 if data is not None else None,
        data=data,
    )


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:24]!r} is not a number")
    return int(text)


def _time(text: str) -> int:
    if not _TIME.fullmatch(text):
        raise ValueError("a time is not of the form 2026-03-01T12:00:00.123456789Z")
    return parse_rfc3339(text)


def _one_of(text: str, *allowed: str) -> str:
    if text not in allowed:
        raise ValueError(f"{text[:24]!r} is none of {', '.join(allowed)}")
    return text


def _tcp_flags(text: str) -> int:
    if text == "NONE":
        return 0
    return sum(1 << _FLAGS.index(_one_of(name, *_FLAGS)) for name in set(text.split(",")))


def _unhex(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError("octets are not in lower-case hex")
    return bytes.fromhex(text)


def _unescape(text: str) -> bytes:
    if "\\" in _ESCAPE.sub("", text) or not text.isprintable():
        raise ValueError("an escape is not of the form \\xHH")
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")


def _plain(text: str) -> str:
    return _unescape(text).decode("utf-8")
