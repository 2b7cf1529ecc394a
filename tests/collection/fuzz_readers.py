# SPDX-License-Identifier: Apache-2.0
"""Fuzzes what reads deliveries for a stated time: `make fuzz`. Every format's reader and the receiver's books.

python tests/collection/fuzz_readers.py SECONDS [SEED]
"""

from __future__ import annotations

import contextlib
import io
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pdu_kit import Operator, ipcc, long_form, report

from lictl.collection import show
from lictl.collection.evidence_store import EvidenceStore
from lictl.collection.reading import formats, read
from lictl.errors import IntegrityError, UsageError
from lictl.handover.ber_reader import elements
from lictl.handover.decoded import DecodeError
from lictl.handover.etsi_pdu import tlv
from lictl.handover.pdu import Pdu
from lictl.handover.readers import PDU_FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDS = (
    ipcc(0) + long_form(ipcc(1)),
    Operator().checked([ipcc(0), ipcc(1)], 0),
    report(0),
    bytes.fromhex(
        "3072060b2a864886f8490201010000aa638009434153452d30303031810770726f62653031821432303235303330313132303030352e3132"
        "33345aa3088006434f52522d31a42da003820101a10ca0068104cb007107a1028200a20ca0068104c6336401a1028300830534303030308403"
        "343433"
    ),
    bytes.fromhex("000500020000003c0000001c0005000329f28e1cf230486aa860f5a784ab917700000000000000010008000400000000")
    + bytes(40),
    b"LICTL-TEXT VERSION=1 MODE=HEADERS\nABOUT LIID=L CASE=c OPERATOR=o ELEMENT=e COUNTRY=US AGENCY=a\n",
    bytes.fromhex("0000000f0100000101") + bytes(10),
)
LENGTHS = (b"\xff\xff\xff\xff", bytes(4), b"\x84\x7f\xff\xff", b"\x80\x30\x80\x30")
MOST_BYTES = 1 << 28


def grown(rng: random.Random, data: bytes, begin: int, end: int) -> bytes:
    """BER with the content of one element, somewhere within, replaced by more; all lengths are right."""
    out, parts = b"", list(elements(data, begin, end))
    chosen = rng.choice(parts) if parts else None
    for part in parts:
        content = data[part.begin : part.end]
        if part is chosen and part.tag & 0x20 and content and rng.random() < 0.9:
            content = grown(rng, data, part.begin, part.end)
        elif part is chosen:
            content = rng.randbytes(rng.choice((0, 1, 3, 9, 200, 4000)))
        out += tlv(part.tag, content)
    return out


def mutated(rng: random.Random, seeds: Sequence[bytes] = SEEDS) -> bytes:
    """A seed with a few octets changed, cut, doubled or put in."""
    data = bytearray(rng.choice(seeds))
    if data[0] == 0x30 and rng.random() < 0.3:
        with contextlib.suppress(DecodeError):
            return grown(rng, bytes(data), 0, len(data))
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randint(1, 16)]
            case 2:
                data[at:at] = data[at : at + rng.randint(1, 64)]
            case 3:
                data[at:at] = rng.randbytes(rng.randint(1, 16))
            case _:
                data[at : at + 4] = rng.choice(LENGTHS)
    return bytes(data)


def one(data: bytes, name: str, store: EvidenceStore) -> None:
    """Everything that an agency does with octets; only errors for people may come."""
    try:
        for found in read(io.BytesIO(data), name):
            text = show.line(found) if isinstance(found, Pdu) else show.item_line(found)
            if not text.isprintable():
                raise AssertionError("a line that steers a terminal")
            list(show.tree(found) if isinstance(found, Pdu) else show.item_tree(found))
            if isinstance(found, Pdu):
                store.take(PDU_FORMATS[found.format], found.raw, 1)
    except (IntegrityError, UsageError, DecodeError):
        pass


def check_memory() -> int:
    """Octets of memory that this process took at most."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if used > MOST_BYTES:
        raise AssertionError(f"{used} bytes of memory")
    return used


def main(seconds: float, seed: int) -> None:
    """Runs until the time is over; a finding is written to the current folder and ends it."""
    rng, end, count = random.Random(seed), time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as folder:
        store = EvidenceStore(Path(folder), 32)
        while time.monotonic() < end:
            data, name = mutated(rng), rng.choice(["", "", *formats()])
            try:
                one(data, name, store)
            except BaseException:
                Path(f"fuzz-finding-{seed}-{count}").write_bytes(data)
                raise
            count += 1
            if count % 1000 == 0:
                for evidence in store.files.values():
                    evidence.flush()
                    evidence.commit(evidence.snapshot(), durable=False)
        store.close()
    sys.stdout.write(f"{count} inputs, seed {seed}, {check_memory() >> 20} MiB, no finding\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32))
