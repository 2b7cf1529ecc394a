# SPDX-License-Identifier: Apache-2.0
"""The fonts that the pages embed, and the text that they can show.

DejaVu Sans has all of Latin, Greek and Cyrillic. What a page cannot show truly (a script that would have to be shaped
or set from right to left, a sign without glyph, a control character that could move text about) is written as its code
point, never as an empty box: the JSON record has the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import as_file, files
from typing import Final

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

PLAIN: Final = "LictlSans"
BOLD: Final = "LictlSans-Bold"
_FILES: Final = {PLAIN: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf"}
_SPOKEN: Final = frozenset({"LATIN", "GREEK", "CYRILLIC", "COMBINING", "MODIFIER"})
CODE_POINT: Final = re.compile(r"<U\+[0-9A-F]{4,6}>")
"""How a character that cannot be shown is written."""


@cache
def load() -> None:
    """Registers the fonts with reportlab; again does nothing."""
    folder = files("lictl.papers").joinpath("fonts")
    for name, file in _FILES.items():
        with as_file(folder.joinpath(file)) as path:
            pdfmetrics.registerFont(TTFont(name, str(path)))


def width(text: str, font: str, size: float) -> float:
    """Points that a line of text takes."""
    load()
    return float(pdfmetrics.stringWidth(text, font, size))


def printable(text: str) -> str:
    """The text as a page shows it: composed (NFC), one line, blanks as blanks, the rest as code points."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(_shown(character) for character in composed)


@cache
def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    known = ord(character) < 0x10000 and all(ord(character) in glyphs for glyphs in _glyphs())
    letter_of_ours = category[0] not in "LM" or unicodedata.name(character, "").split(" ")[0] in _SPOKEN
    upright = unicodedata.bidirectional(character) not in {"R", "AL", "AN"}
    if category[0] not in "CZ" and known and letter_of_ours and upright:
        return character
    return f"<U+{ord(character):04X}>"


@cache
def _glyphs() -> tuple[frozenset[int], ...]:
    load()
    return tuple(frozenset(pdfmetrics.getFont(name).face.charToGlyph) for name in _FILES)


def wrap(text: str, font: str, size: float, room: float) -> list[str]:
    """Lines of at most `room` points; broken at blanks, a word that is longer than a line anywhere.

    Args:
        text: as :func:`printable` gives it.
        font: :data:`PLAIN` or :data:`BOLD`.
        size: points.
        room: points; wider than any one character.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width(longer, font, size) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while width(line, font, size) > room:
            fits = _fitting(line, font, size, room)
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line] if line or not lines else lines


def _fitting(word: str, font: str, size: float, room: float) -> int:
    """How many characters of a word fit; never parts a letter from its combining marks, and takes at least one."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        if width(word[:middle], font, size) <= room:
            low = middle
        else:
            high = middle - 1
    whole = low
    while whole > 1 and whole < len(word) and unicodedata.combining(word[whole]):
        whole -= 1
    return whole
