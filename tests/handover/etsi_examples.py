# SPDX-License-Identifier: Apache-2.0
"""The PDUs that docs/formats/etsi-102232.md explains; `python tests/handover/etsi_examples.py` writes them there."""

from __future__ import annotations

from typing import Any

from handover_examples import BLOCK, FORMATS, FRAME
from handover_records import T0, UDP, encode_all, header, info, packet

from lictl.handover import etsi_fields
from lictl.handover.base import Event, Gap
from lictl.handover.ber_reader import Element, element, elements
from lictl.handover.etsi_pdu import KEEPALIVE, SESSION, Names, tri
from lictl.handover.etsi_tree import fields
from lictl.handover.pdu import split
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder
from lictl.keys.agency import AgencyKeys

PAGE = FORMATS / "etsi-102232.md"
FORM = "etsi-102232"
WIDTH = 16


def explain(raw: bytes, begin: int = 0) -> str:
    """One line an element from offset `begin` on: where, its octets, what it is."""
    root = element(raw, 0, len(raw))
    lines = [_line(raw, 0, root, 0, "PS-PDU", "")]
    lines += _lines(raw, root, etsi_fields.PS_PDU, 1)
    return "".join(line for at, line in lines if at == 0 or at >= begin)


def _lines(raw: bytes, where: Element, table: Any, depth: int) -> list[tuple[int, str]]:
    found = []
    at = where.begin
    for child in elements(raw, where.begin, where.end):
        wanted = table[0] if isinstance(table, list) and not child.context else table
        wanted = wanted[0] if isinstance(wanted, list) else wanted
        if isinstance(wanted, dict) and child.context:
            name, kind = wanted[child.number]
        else:
            name, kind = ("SEQUENCE" if isinstance(wanted, dict) else "INTEGER"), wanted
        inner = isinstance(kind, dict | list)
        value = "" if inner else fields(raw, child, name, kind)[1].value
        found.append(_line(raw, at, child, depth, name, value))
        if inner:
            found += _lines(raw, child, kind, depth + 1)
        at = child.end
    return found


def _line(raw: bytes, at: int, where: Element, depth: int, name: str, value: str) -> tuple[int, str]:
    leaf = not where.tag & 0x20
    octets = raw[at : where.end if leaf else where.begin]
    shown = octets[:WIDTH].hex(" ") + (" .." if len(octets) > WIDTH else "")
    text = f"{'  ' * depth}{name}" + (f": {value}" if value else "")
    return at, f"{at:04x}  {shown:<50}  {text}\n"


def examples() -> dict[str, str]:
    """The text of every example, by its name."""
    report = header(l3_len=60)
    checked = encoder(FORM, info("content", {"integrity": "sha256", "signature": "eddsa"}, keys=AgencyKeys(bytes(32))))
    names = Names("LIID0001", "US", "OPER1", "probe01")
    plain = encoder(FORM, info("content"))
    content, _ = encode_all(checked, packet(FRAME, **UDP), [FRAME])
    begin = split(PDU_FORMATS[FORM], plain.event(Event("begin", T0, ("203.0.113.7", "2001:db8:7::/48"))))[-1]
    _, digest = split(PDU_FORMATS[FORM], content)
    *_, signature, _ = split(PDU_FORMATS[FORM], checked.event(Event("end", T0)))
    return {
        "etsi-ipcc": explain(split(PDU_FORMATS[FORM], content)[0]),
        "etsi-packet-report": _payload(encode_all(encoder(FORM, info("headers")), report)[0]),
        "etsi-iri-only": _payload(encode_all(encoder(FORM, info("headers", {"headers": "iri-only"})), report)[0]),
        "etsi-begin": _payload(begin),
        "etsi-digest": _payload(digest),
        "etsi-signature": _payload(signature),
        "etsi-gap": _payload(plain.gap(Gap(2, 5, "quota", T0 + 2000, T0 + 5000))),
        "etsi-keepalive": explain(names.pdu(7, T0, tri(KEEPALIVE), SESSION)),
    }


def _payload(raw: bytes) -> str:
    """The payload alone: the header is always the same."""
    root = element(raw, 0, len(raw))
    head, _ = elements(raw, root.begin, root.end)
    return explain(raw, head.end)


def main() -> None:
    """Writes the examples into the page."""
    found = examples()
    text = PAGE.read_text()
    PAGE.write_text(BLOCK.sub(lambda m: m[1] + found[m[2]] + m[4] if m[2] in found else m[0], text))


if __name__ == "__main__":
    main()
