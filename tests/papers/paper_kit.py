# SPDX-License-Identifier: Apache-2.0
"""Records to certify, and a look at a PDF from outside: its words, their boxes and its ink (poppler)."""

from __future__ import annotations

import html
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lictl.papers.page import MARGIN
from lictl.papers.record import Counts, Event, Incident, Instrument, InterceptRecord
from lictl.times import parse_rfc3339

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

START = parse_rfc3339("2026-03-02T00:00:00Z")
DAY = 86_400_000_000_000
PAPER_SIZES = {"a4": (595.28, 841.89), "letter": (612.0, 792.0)}


def record(**changes: Any) -> InterceptRecord:
    """A pen register order with its whole life, names with diacritics included."""
    authority = {
        "kind": "pen-trap",
        "citation": "18 USC 3123",
        "court": "Superior Court of Example County",
        "docket": "26-mj-117",
        "signed_by": "Judge Jürgen Müßig-Łukaszewski",
        "signed_at": START - DAY,
        "presented_by": "Det. Đặng Thị Ếch",
    }
    values: dict[str, Any] = {
        "operator": "EXAMPLE-ISP",
        "element": "box-1",
        "country": "US",
        "id": "W-1",
        "liid": "LIID0117",
        "case_id": "CASE-2026-0117",
        "mode": "headers",
        "state": "closed",
        "type": "pen register or trap and trace order",
        "identifiers": ("ip:203.0.113.7", "ip:2001:db8::/64"),
        "instruments": (
            Instrument("original", authority, START, START + 30 * DAY, "approved", "alice (uid 1001)",
                       "bob (uid 1002)", ("ip:203.0.113.7", "ip:2001:db8::/64")),
        ),
        "enabled_ns": START + 5,
        "disabled_ns": START + 3 * DAY,
        "ending": "(revoked by bob)",
        "overseer": "Björk Þórðardóttir, Legal Compliance",
        "installed_by": ("alice (uid 1001) submitted it", "bob (uid 1002) approved it"),
        "configuration": ("mode headers", "ports reported", "delivered to county-sheriff as pcapng"),
        "changes": (Event(START + DAY, "bob (uid 1002)", "suspended: court's call", 12),),
        "accesses": (Event(START + 2 * DAY, "carol (uid 1003)", "read.warrant", 14, 1_500_000_000),),
        "counts": (Counts("county-sheriff", "pcapng", 12_345, 12_300, {"ring": 45}, 0, 0, START + 3 * DAY),),
        "collected": ("time of each packet", "source and destination address"),
        "audit_seq": 77,
        "audit_hash": "ab" * 32,
        "notes": ("the subscriber's name: this system does not hold it",),
    }  # fmt: skip
    return InterceptRecord(**{**values, **changes})


def unauthorised() -> InterceptRecord:
    """An interception that no order covers."""
    incident = Incident("An entry was put into the pinned map from outside.", START + DAY, "reconcile")
    return InterceptRecord("EXAMPLE-ISP", "box-1", "US", identifiers=("ip:203.0.113.9",), mode="content",
                           type="entry in the kernel's tables", enabled_ns=START, incident=incident)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """A word and its box; points from the page's upper left."""

    page: int
    text: str
    left: float
    top: float
    right: float
    bottom: float


def words(pdf: bytes) -> list[Box]:
    """Every word of a PDF with its box."""
    done = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True, timeout=60)
    found, page = [], 0
    shape = r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>'
    for line in done.stdout.decode().splitlines():
        page += "<page " in line
        match = re.search(shape, line)
        if match:
            left, top, right, bottom = (float(match[number]) for number in range(1, 5))
            found.append(Box(page, match[5], left, top, right, bottom))
    return found


def text(pdf: bytes) -> str:
    """The text of a PDF, its blanks and line ends taken out, so that wrapping does not matter."""
    done = subprocess.run(["pdftotext", "-raw", "-", "-"], input=pdf, capture_output=True, check=True, timeout=60)
    return squeezed(done.stdout.decode())


def beside_labels(pdf: bytes) -> str:
    """The text right of the labels alone: a value of several lines in one piece."""
    boxes = [box for box in words(pdf) if box.left > MARGIN + 0.35 * (PAPER_SIZES["a4"][0] - 2 * MARGIN)]
    return squeezed(html.unescape("".join(box.text for box in boxes)))


def squeezed(value: str) -> str:
    """Text without blanks."""
    return re.sub(r"\s+", "", value)


def pictures(pdf: bytes, folder: Path, dpi: int = 72) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Each page as grey values, uint8 [height, width]; 255 is white."""
    (folder / "paper.pdf").write_bytes(pdf)
    command = ["pdftoppm", "-gray", "-r", str(dpi), str(folder / "paper.pdf"), str(folder / "page")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    found = []
    for file in sorted(folder.glob("page-*.pgm")):
        data = file.read_bytes()
        head = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", data)
        assert head is not None
        wide, high = int(head[1]), int(head[2])
        found.append(np.frombuffer(data, np.uint8, wide * high, head.end()).reshape(high, wide))
        file.unlink()
    return found


def overlaps(boxes: list[Box]) -> list[tuple[str, str]]:
    """Pairs of words of one page whose boxes cover each other by more than a hair (a point each way)."""
    found = []
    for page in {box.page for box in boxes}:
        some = [box for box in boxes if box.page == page]
        edges = np.array([(b.left, b.top, b.right, b.bottom) for b in some])
        left, top, right, bottom = (edges[:, i] for i in range(4))
        wide = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
        high = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
        first, second = np.nonzero(np.triu((wide > 1) & (high > 1), 1))
        found += [(some[a].text, some[b].text) for a, b in zip(first, second, strict=True)]
    return found
