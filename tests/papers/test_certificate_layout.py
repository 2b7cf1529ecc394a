# SPDX-License-Identifier: Apache-2.0
"""Certificates as pictures: everything stands on the page, inside the margins, over nothing else."""

from __future__ import annotations

import string
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paper_kit import PAPER_SIZES, beside_labels, overlaps, pictures, record, squeezed, text, unauthorised, words
from paper_kit import START as NOW

from lictl.papers import fonts
from lictl.papers.certificate import Certificate, certificate
from lictl.papers.page import MARGIN, Grid, Paper, Size, Text, render
from lictl.papers.record import Event
from lictl.papers.rules import FORMS, Rule

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

BOTH = [pytest.param(rule, size, id=f"{rule}-{size}") for rule in Rule for size in Size]
LONG = {
    "identifiers": tuple(f"ip:2001:db8:{n:x}::/64" for n in range(400)),
    "overseer": "Ṽ" * 300,
    "ending": "because " * 200,
    "changes": tuple(Event(NOW + n, "alice", "x" * n, n) for n in range(0, 900, 60)),
}


def check_layout(paper: Certificate, size: Size, folder: Path) -> None:
    """Ink only inside the margins, on a sheet of the right size, and no word over another."""
    wide, high = PAPER_SIZES[size]
    shown = pictures(paper.pdf, folder)
    for picture in shown:
        assert picture.shape == pytest.approx((high, wide), abs=1)
        ink = (picture < 128).nonzero()
        assert ink[0].size, "an empty page"
        assert ink[0].min() >= MARGIN - 2
        assert ink[0].max() <= high - MARGIN + 2
        assert ink[1].min() >= MARGIN - 2
        assert ink[1].max() <= wide - MARGIN + 2
    boxes = words(paper.pdf)
    assert overlaps(boxes) == []
    pages = {box.page for box in boxes}
    assert pages == set(range(1, len(shown) + 1))
    for number in pages:
        line = [box.text for box in boxes if box.page == number]
        assert "".join(line).count(f"page{number}of{len(pages)}") == 1
        assert paper.digest in line


@pytest.mark.parametrize(("rule", "size"), BOTH)
def test_nothing_is_clipped(rule: Rule, size: Size, tmp_path: Path) -> None:
    """Both certificates on both sheets keep to their margins and no word lies on another."""
    check_layout(certificate(record(), rule, NOW, size), size, tmp_path)


@pytest.mark.parametrize(("rule", "size"), BOTH)
def test_long_values_go_on_over_pages(rule: Rule, size: Size, tmp_path: Path) -> None:
    """Hundreds of targets, a name without a blank and an essay are wrapped, on as many pages as it takes."""
    paper = certificate(record(**LONG), rule, NOW, size)
    check_layout(paper, size, tmp_path)
    shown = text(paper.pdf)
    assert "(continued)" in shown
    for each in paper.json["required"]:
        for value in each["values"]:
            assert squeezed(value)[:40] in shown


@pytest.mark.parametrize("size", Size)
def test_unauthorised_variant_fits(size: Size, tmp_path: Path) -> None:
    """The record of an interception without authority is a page like the others."""
    check_layout(certificate(unauthorised(), Rule.CALEA, NOW, size), size, tmp_path)


@pytest.mark.parametrize(("rule", "size"), BOTH)
def test_every_field_is_printed(rule: Rule, size: Size) -> None:
    """Each label, clause and value of the JSON record can be read from the paper, diacritics included."""
    paper = certificate(record(), rule, NOW, size)
    shown = text(paper.pdf) + beside_labels(paper.pdf)
    assert len(paper.json["required"]) == len(FORMS[rule].asks)
    wanted = [paper.json["made"], *paper.json["notes"], paper.json["audit"]["hash"], "12,345", "ring 45"]
    for each in paper.json["required"]:
        wanted += [each["clause"], *each["values"], *each["label"].split()]
    for instrument in paper.json["instruments"]:
        wanted += [*map(str, instrument["authority"].values()), *instrument["targets"], instrument["ends"]]
    assert [value for value in wanted if squeezed(value) not in shown] == []
    assert squeezed("Judge Jürgen Müßig-Łukaszewski") in shown
    assert squeezed("Björk Þórðardóttir") in shown


def test_signature_lines_stand_on_one_page() -> None:
    """The words that are signed and the lines to sign on are never parted, however much stands above them."""
    for number in range(60):
        notes = tuple(f"note {n}" for n in range(number))
        boxes = words(certificate(record(notes=notes), Rule.CALEA, NOW).pdf)
        places = {box.page for box in boxes if box.text in ("certify", "Signature")}
        assert len(places) == 1, number


def test_fonts_are_embedded() -> None:
    """No font of the reader's machine is needed."""
    pdf = certificate(record(), Rule.CALEA, NOW).pdf
    done = subprocess.run(["pdffonts", "-"], input=pdf, capture_output=True, check=True, timeout=60)
    lines = done.stdout.decode().splitlines()[2:]
    assert lines
    assert [line for line in lines if "DejaVuSans" not in line or "yes yes yes" not in line] == []


@pytest.mark.parametrize("block", [(0x00C0, 0x0180), (0x0180, 0x0250), (0x1E00, 0x1EFA), (0x0391, 0x03CA),
                                   (0x0400, 0x0460)])  # fmt: skip
def test_all_latin_greek_and_cyrillic_letters_print(block: tuple[int, int]) -> None:
    """No letter of these blocks is replaced."""
    letters = "".join(chr(code) for code in range(*block) if chr(code).isalpha())
    assert len(letters) > 50
    assert fonts.printable(letters) == letters


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("中", "<U+4E2D>"),
        ("😀", "<U+1F600>"),
        ("ש", "<U+05E9>"),
        ("a\nSigned by: x", "a<U+000A>Signed by: x"),
        ("\u202eabc", "<U+202E>abc"),
        ("\ud800", "<U+D800>"),
        ("e\u0301", "é"),
        ("a\u00a0b\u2003c", "a b c"),
    ],
)
def test_what_cannot_be_shown_is_named(given_: str, shown: str) -> None:
    """No empty boxes, no line that a value makes up, no text from right to left: code points instead."""
    assert fonts.printable(given_) == shown


def test_code_points_are_explained() -> None:
    """A paper with replaced characters says what they mean; one without does not."""
    note = squeezed("A character written as <U+...>")
    assert note in text(certificate(record(overseer="王芳"), Rule.CALEA, NOW).pdf)
    assert note not in text(certificate(record(), Rule.CALEA, NOW).pdf)


@given(st.text(alphabet=string.ascii_letters + "ÄßŁệ -/.:", max_size=300), st.floats(40, 500))
def test_wrapping_loses_nothing(value: str, room: float) -> None:
    """Every line fits, and the lines together are the text."""
    lines = fonts.wrap(value, fonts.PLAIN, 9, room)
    assert squeezed("".join(lines)) == squeezed(value)
    assert all(fonts.width(line, fonts.PLAIN, 9) <= room for line in lines)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_fits(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever stands in the fields (any Unicode, any length, blank or empty): in the margins, nothing overlaps."""
    anything = st.text(max_size=400) | st.text(alphabet="WÄ\u0301 ", max_size=2000) | st.just("x" * 5000)
    changes = {name: data.draw(anything) for name in ("operator", "id", "liid", "ending", "overseer", "type")}
    changes["identifiers"] = tuple(data.draw(st.lists(anything, max_size=5)))
    changes["changes"] = tuple(Event(NOW, data.draw(anything), data.draw(anything)) for _ in range(2))
    rule, size = data.draw(st.sampled_from(Rule)), data.draw(st.sampled_from(Size))
    check_layout(certificate(record(**changes), rule, NOW, size), size, tmp_path_factory.mktemp("any"))


def test_a_table_repeats_its_head() -> None:
    """A table over several pages has its head on each, and each row once."""
    grid = Grid((("Name", 2), ("Value", 1)), [(f"row{n}", str(n)) for n in range(200)])
    boxes = words(render(Paper("p", "m", "d", [Text("before"), grid])))
    pages = max(box.page for box in boxes)
    assert pages > 2
    assert [box.page for box in boxes if box.text == "Name"] == list(range(1, pages + 1))
    assert sum(box.text.startswith("row") for box in boxes) == 200
    assert overlaps(boxes) == []


def test_the_overlap_check_can_fail() -> None:
    """Two words in one place are found."""
    boxes = words(render(Paper("p", "m", "d", [Text("first"), Text("second")])))
    moved = [box for box in boxes if box.text == "first"] * 2
    assert overlaps(moved) == [("first", "first")]
