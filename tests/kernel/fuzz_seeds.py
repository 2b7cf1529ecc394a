# SPDX-License-Identifier: Apache-2.0
"""Writes the fixtures' frames as a seed corpus of the fuzz harnesses: ``fuzz_seeds.py FOLDER``."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[2]))

import fixtures_ipv4
import fixtures_ipv6
import fixtures_link
import fixtures_sites
import fixtures_transport
from fixtures_common import MARK
from fixtures_hidden import HIDDEN

LONGEST = 1600
ENCODERS = 19  # of encode_fuzz.c, the blocks of pcapng that are no packets included
MODULES = (fixtures_link, fixtures_ipv4, fixtures_ipv6, fixtures_transport, fixtures_sites)


def frames() -> list[bytes]:
    """Every different frame of the fixtures, none longer than a harness takes."""
    fixtures = [case.frame for module in MODULES for case in module.CASES]
    hidden = [frame for place in HIDDEN for frame in place.frames(MARK)]
    return sorted({frame for frame in fixtures + hidden if len(frame) <= LONGEST})


def pcap(packets: list[bytes], magic: int = 0xA1B2C3D4, link: int = 1) -> bytes:
    """A pcap file (draft-ietf-opsawg-pcap)."""
    records = (struct.pack("<IIII", 1_700_000_000, 5, len(packet), len(packet)) + packet for packet in packets)
    return struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 65535, link) + b"".join(records)


def pcapng(packets: list[bytes], link: int = 1) -> bytes:
    """A pcapng file (draft-ietf-opsawg-pcapng) with one interface of nanosecond resolution."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + size + body + size

    head = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    head += block(1, struct.pack("<HHI", link, 0, 65535) + b"\x09\0\1\0\x09\0\0\0" + bytes(4))
    return head + b"".join(
        block(6, struct.pack("<IIIII", 0, 0x18, 0x1234, len(packet), len(packet)) + packet) for packet in packets
    )


def main(folder: Path) -> None:
    """Writes ``FOLDER/HARNESS/*``."""
    some = frames()
    inputs = [b"\0\0\0" + frame for frame in some] + [b"\1\0\0" + frame[14:] for frame in some if len(frame) > 34]
    raw = [frame[14:] for frame in some if frame[12:14] == b"\x08\0"][:5]
    files = [pcap(some[at : at + 4]) for at in range(0, len(some), 40)] + [pcap(raw, link=101), pcap(raw, 0xA1B23C4D)]
    files += [pcapng(some[at : at + 3]) for at in range(0, len(some), 40)] + [pcapng(raw, link=101)]
    # Some scenes for each format: its number, and what chance begins with.
    scenes = [bytes((number, 0, 0, 0, chance)) for number in range(ENCODERS) for chance in range(8)]
    for name, seeds in (("parse_fuzz", inputs), ("file_fuzz", files), ("encode_fuzz", scenes)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / name / f"{number:04}").write_bytes(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
