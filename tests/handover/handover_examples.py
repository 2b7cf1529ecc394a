# SPDX-License-Identifier: Apache-2.0
"""The streams that docs/formats/*.md show. `python tests/handover/handover_examples.py` writes them into the pages."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
import numpy as np
from handover_records import T0, UDP, encode_all, header, info, packet

from lictl import handover
from lictl.handover.base import Event, Gap
from lictl.probe import abi

if TYPE_CHECKING:
    from lictl.handover.base import ContentEncoder, HeadersEncoder, Mode

FORMATS = Path(__file__).resolve().parents[2] / "docs" / "formats"
BLOCK = re.compile(r"(<!-- example: ([\w-]+) -->\n```\w*\n)(.*?)(```\n)", re.DOTALL)
FRAME = (
    bytes.fromhex("020000000001 020000000002 0800")
    + bytes.fromhex("4500002300010000401100 00cb007107c6336401")
    + bytes.fromhex("14e90035000f0000")
    + b"hello\r\n"
)


def stream(form: str, mode: Mode, **options: str) -> bytes:
    """An opening, two packets with a loss between them, and a gap."""
    encoder: ContentEncoder | HeadersEncoder = handover.encoder(form, info(mode, options))
    if mode == "headers":
        recs = np.concatenate(
            [
                header(l3_len=60),
                header(**{**UDP, "l3_len": 71}, ip_version=6, src="2001:db8:7::1", dst="2001:db8::53", slot_seq=4,
                       dir=abi.DIR_TO, utc_ns=T0 + 1500),
            ]
        )  # fmt: skip
        data, _ = encode_all(encoder, recs)
    else:
        data, _ = encode_all(encoder, packet(FRAME, **UDP, slot_seq=3), [FRAME])
    return data + encoder.gap(Gap(2, 5, "quota", T0 + 2000, T0 + 5000))


def dump(data: bytes) -> str:
    """Octets as offset, hex and text, sixteen a line."""
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        text = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in part)
        lines.append(f"{at:04x}  {part.hex(' '):<47}  {text}")
    return "\n".join(lines) + "\n"


def objects(data: bytes) -> str:
    """msgpack objects, one a line, as Python writes them."""
    return "".join(f"{item!r}\n" for item in msgpack.Unpacker(io.BytesIO(data)))


def last_objects(data: bytes, n: int) -> bytes:
    """The octets of the last n msgpack objects."""
    unpacker = msgpack.Unpacker(io.BytesIO(data))
    ends = [0, *(unpacker.tell() for _ in unpacker)]
    return data[ends[-1 - n] :]


def behind_section(data: bytes) -> bytes:
    """pcapng without its first block, which names the program's version."""
    return data[struct.unpack_from("<I", data, 4)[0] :]


def examples() -> dict[str, str]:
    """The text of every example, by its name."""
    return {
        "text-headers": stream("text", "headers").decode(),
        "text-content-hex": stream("text", "content").decode(),
        "text-content-ascii": stream("text", "content", encoding="ascii").decode(),
        "msgpack-headers": objects(stream("msgpack", "headers")),
        "msgpack-content": objects(stream("msgpack", "content")),
        "msgpack-octets": dump(last_objects(stream("msgpack", "headers"), 2)),
        "x3-content": dump(stream("etsi-103221-2", "content")),
        "x2-headers": dump(stream("etsi-103221-2", "headers", fields="all")),
        "tzsp-content": dump(stream("tzsp", "content")),
        "tzsp-tags": dump(stream("tzsp", "content", tags="yes")),
        "ccc-content": dump(stream("ccc", "content", header="20")),
        "pcap-content": dump(stream("pcap", "content")),
        "pcap-headers": dump(stream("pcap", "headers")),
        "pcapng-content": dump(behind_section(stream("pcapng", "content"))),
        "atis-content": dump(stream("atis-1000013", "content")),
        "atis-headers": dump(stream("atis-1000013", "headers")),
        "atis-events": dump(atis_events()),
        "pcapng-headers": dump(behind_section(stream("pcapng", "headers"))),
    }


def atis_events() -> bytes:
    """What an order's begin tells."""
    encoder = handover.encoder("atis-1000013", info("headers"))
    return encoder.event(Event("begin", T0, ("203.0.113.7",), T0, T0 + 10**9 * 86400))


def main() -> None:
    """Writes the examples into the pages."""
    found = examples()
    for page in FORMATS.glob("*.md"):
        text = page.read_text()
        page.write_text(BLOCK.sub(lambda m: m[1] + found[m[2]] + m[4] if m[2] in found else m[0], text))


if __name__ == "__main__":
    main()
