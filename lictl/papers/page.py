# SPDX-License-Identifier: Apache-2.0
"""Pages: blocks become rows of one line each, rows become pages, pages become a PDF.

A row is never taller than one line of text, so nothing can be too large for a page, whatever stands in a value.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.pdfgen.canvas import Canvas

from lictl.papers.fonts import BOLD, CODE_POINT, PLAIN, load, printable, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MARGIN: Final = 54.0
"""Points on each side that stay white."""
_SIZE: Final = 9.0
_SMALL: Final = 7.0
_HEADING: Final = 11.0
_TITLE: Final = 15.0
_LEADING: Final = 1.4
_GAP: Final = 10.0
_HEAD: Final = 22.0
_FOOT: Final = 34.0


class Size(StrEnum):
    """Of the sheet."""

    A4 = "a4"
    LETTER = "letter"


_SHEETS: Final = {Size.A4: A4, Size.LETTER: LETTER}


@dataclass(frozen=True, slots=True)
class Title:
    """What the paper is, with a line below it."""

    text: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """Opens a section; stays with what follows."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    small: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """Label, clause (small below it) and value side by side; several values stand below each other."""

    rows: Sequence[tuple[str, str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; its head stands again on each page. `columns` are (head, share of the width)."""

    columns: Sequence[tuple[str, float]]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Sign:
    """Lines to sign on, with what belongs below each; kept together with the words that are signed."""

    words: str
    lines: Sequence[str]


Block = Title | Heading | Text | Fields | Grid | Sign


@dataclass(frozen=True, slots=True)
class Paper:
    """All that is printed.

    Attributes:
        name: at the head of each page.
        mark: how confidential it is, at the head of each page.
        digest: SHA-256 of the JSON record in hex, at the foot of each page.
        blocks: from top to bottom.
    """

    name: str
    mark: str
    digest: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class _Piece:
    x: float
    text: str
    font: str
    size: float
    grey: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of text over the whole width.

    Attributes:
        height: points.
        pieces: of text, on one baseline.
        line: from x to x at the row's foot.
        keep: stays on the page of the row that follows.
        again: stands above it where it opens a page.
    """

    height: float
    pieces: tuple[_Piece, ...] = ()
    line: tuple[float, float] | None = None
    keep: bool = False
    again: tuple[_Row, ...] = field(default=())


def render(paper: Paper, size: Size = Size.A4) -> bytes:
    """The PDF; the same paper always gives the same bytes."""
    load()
    wide, high = _SHEETS[size]
    room = wide - 2 * MARGIN
    rows = [row for block in paper.blocks for row in _rows(block, room)]
    if any(CODE_POINT.search(piece.text) for row in rows for piece in row.pieces):
        note = "A character written as <U+...> is one that this page cannot show; the JSON record has the text itself."
        rows += _rows(Text(note, small=True), room)
    pages = list(_pages(rows, high - 2 * MARGIN - _HEAD - _FOOT))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(wide, high), invariant=1, pageCompression=1, lang="en", initialFontName=PLAIN)
    canvas.setTitle(printable(paper.name))
    canvas.setSubject(f"SHA-256 of the JSON record: {paper.digest}")
    canvas.setCreator("lictl")
    for number, page in enumerate(pages, 1):
        _draw_frame(canvas, paper, wide, high, f"page {number} of {len(pages)}")
        _draw_rows(canvas, page, high - MARGIN - _HEAD)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


# ---- blocks to rows ----


def _rows(block: Block, room: float) -> Iterator[_Row]:
    match block:
        case Title():
            yield from _lines(block.text, BOLD, _TITLE, room, keep=True)
            if block.below:
                yield from _lines(block.below, PLAIN, _SIZE, room, keep=True)
        case Heading():
            yield _Row(_GAP, keep=True)
            yield from _lines(block.text, BOLD, _HEADING, room, keep=True)
            yield _Row(3, line=(0, room), keep=True)
            yield _Row(2, keep=True)
        case Text():
            yield _Row(2)
            yield from _lines(block.text, PLAIN, _SMALL if block.small else _SIZE, room)
        case Fields():
            for label, clause, values in block.rows:
                yield from _field(label, clause, values, room)
        case Grid():
            yield from _grid(block, room)
        case Sign():
            yield from _sign(block, room)


def _lines(text: str, font: str, size: float, room: float, *, keep: bool = False) -> Iterator[_Row]:
    for line in wrap(printable(text), font, size, room):
        yield _Row(size * _LEADING, (_Piece(0, line, font, size),), keep=keep)


def _field(label: str, clause: str, values: Sequence[str], room: float) -> Iterator[_Row]:
    left, right = 0.34 * room, 0.36 * room
    labels = [_Piece(0, line, BOLD, _SIZE) for line in wrap(printable(label), BOLD, _SIZE, left)]
    if clause:
        labels += [_Piece(0, line, PLAIN, _SMALL, True) for line in wrap(printable(clause), PLAIN, _SMALL, left)]
    shown = [
        _Piece(right, line, PLAIN, _SIZE)
        for value in values
        for line in wrap(printable(value), PLAIN, _SIZE, room - right)
    ]
    again = _Row(_SIZE * _LEADING, (_Piece(0, f"{labels[0].text} (continued)", PLAIN, _SMALL, True),), keep=True)
    pairs = list(zip_longest(labels, shown))
    for index, pair in enumerate(pairs, 1):
        # The label is not parted from the first of its value.
        together = index < max(len(labels), 2) and index < len(pairs)
        pieces = tuple(piece for piece in pair if piece)
        yield _Row(_SIZE * _LEADING, pieces, keep=together, again=(again,) if index > 1 else ())
    yield _Row(4)


def _grid(grid: Grid, room: float) -> Iterator[_Row]:
    total = sum(share for _, share in grid.columns)
    widths = [share / total * room for _, share in grid.columns]
    starts = [sum(widths[:index]) for index in range(len(widths))]
    head = tuple(
        _Row(_SMALL * _LEADING, row.pieces, row.line, True)
        for row in _grid_row([name for name, _ in grid.columns], widths, starts, BOLD, _SMALL)
    )
    head += (_Row(3, line=(0, room), keep=True), _Row(2, keep=True))
    yield from head
    for cells in grid.rows:
        for row in _grid_row(cells, widths, starts, PLAIN, _SMALL + 1):
            yield _Row(row.height, row.pieces, again=head)
        yield _Row(2, again=head)


def _grid_row(
    cells: Sequence[str], widths: Sequence[float], starts: Sequence[float], font: str, size: float
) -> Iterator[_Row]:
    columns = [
        [_Piece(start, line, font, size) for line in wrap(printable(cell), font, size, width - 6)]
        for cell, width, start in zip(cells, widths, starts, strict=True)
    ]
    for pieces in zip_longest(*columns):
        yield _Row(size * _LEADING, tuple(piece for piece in pieces if piece))


def _sign(sign: Sign, room: float) -> Iterator[_Row]:
    yield _Row(_GAP, keep=True)
    yield from _lines(sign.words, PLAIN, _SIZE, room, keep=True)
    for index, words in enumerate(sign.lines):
        yield _Row(30, line=(0, 0.62 * room), keep=True)
        lines = wrap(printable(words), PLAIN, _SMALL, room)
        for number, line in enumerate(lines, 1):
            last = index + 1 == len(sign.lines) and number == len(lines)
            yield _Row(_SMALL * _LEADING, (_Piece(0, line, PLAIN, _SMALL, True),), keep=not last)


# ---- rows to pages ----


def _pages(rows: Iterable[_Row], room: float) -> Iterator[list[_Row]]:
    page: list[_Row] = []
    for group in _groups(rows):
        if page and _height(page) + _height(group) > room:
            yield page
            page = [*group[0].again]
        for row in group:
            if page and _height(page) + row.height > room:
                yield page
                page = [*row.again]
            page.append(row)
    yield page


def _groups(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    group: list[_Row] = []
    for row in rows:
        group.append(row)
        if not row.keep:
            yield group
            group = []
    if group:
        yield group


def _height(rows: Iterable[_Row]) -> float:
    return sum(row.height for row in rows)


# ---- pages to PDF ----


def _draw_frame(canvas: Canvas, paper: Paper, wide: float, high: float, number: str) -> None:
    canvas.setFillGray(0.25)
    canvas.setFont(BOLD, _SMALL)
    canvas.drawString(MARGIN, high - MARGIN - _SMALL, paper.mark)
    canvas.setFont(PLAIN, _SMALL)
    # One line only: the rest of a long name stands in the title.
    name = wrap(printable(paper.name), PLAIN, _SMALL, 0.4 * wide)[0]
    canvas.drawRightString(wide - MARGIN, high - MARGIN - _SMALL, name)
    canvas.setLineWidth(0.5)
    canvas.line(MARGIN, MARGIN + 22, wide - MARGIN, MARGIN + 22)
    canvas.drawString(MARGIN, MARGIN + 12, "SHA-256 of the JSON record that this paper shows:")
    canvas.drawString(MARGIN, MARGIN + 2, paper.digest)
    canvas.drawRightString(wide - MARGIN, MARGIN + 12, number)


def _draw_rows(canvas: Canvas, rows: Iterable[_Row], top: float) -> None:
    y = top
    for row in rows:
        y -= row.height
        for piece in row.pieces:
            canvas.setFillGray(0.35 if piece.grey else 0)
            canvas.setFont(piece.font, piece.size)
            canvas.drawString(MARGIN + piece.x, y + 0.3 * piece.size, piece.text)
        if row.line is not None:
            canvas.setLineWidth(0.5)
            canvas.setStrokeGray(0.3)
            canvas.line(MARGIN + row.line[0], y, MARGIN + row.line[1], y)
