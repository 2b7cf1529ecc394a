# SPDX-License-Identifier: Apache-2.0
"""Tables as people see them: 80 columns are enough to read every value."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lictl.cli import audit, output, status
from lictl.cli.order_text import COLUMNS

ORDER = [
    "W-1", "LIID0117", "CASE-0117", "EMERGENCY active", "title-iii-emergency", "content", "2026-11-21T00:00:00Z",
    "2026-12-20T00:00:00Z", "ip:203.0.113.7, ip:2001:db8:7::/56", "county-sheriff",
]  # fmt: skip


def seen(columns: list[str], rows: list[list[object]], width: int, title: str | None = None) -> str:
    """A table on a terminal."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None, highlight=False).print(
        output.table(columns, rows, title=title)
    )
    return out.getvalue()


def test_a_wide_table_is_a_list_on_a_narrow_terminal() -> None:
    """No title and no value is cut into pieces, each row stands by itself, and nothing is wider than the terminal."""
    text = seen(COLUMNS, [ORDER, [*ORDER[:-1], "marshal"]], 80, "Orders")
    lines = [line.rstrip() for line in text.splitlines()]
    for name, value in zip(COLUMNS, ORDER, strict=True):
        assert f"{name:<9}  {value}" in lines
    assert lines[0] == "Orders"
    assert lines.count("") == 1
    assert max(map(len, text.splitlines())) <= 80


def test_with_room_it_is_a_table() -> None:
    """One line a row, under one line of titles."""
    title, row = seen(COLUMNS, [ORDER], 200).splitlines()
    assert title.split() == COLUMNS
    assert "ip:203.0.113.7, ip:2001:db8:7::/56" in row


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_ids_and_times_are_never_cut(width: int) -> None:
    """Whatever the width: what has no spaces stands whole, sentences give way."""
    when = "2026-11-28T06:05:51.744453107Z"
    text = seen(
        ["TIME", "ID", "WHAT"], [[when, "title-iii-emergency", "a sentence of many words that may be " * 3]], width
    )
    assert when in text
    assert "title-iii-emergency" in text


def test_rows_that_go_on_repeat_nothing() -> None:
    """A cell that stands in the row above is left out of the list, an unknown one is a dash, numbers are readable."""
    text = seen(["WARRANT", "MATCHED", "AGENCY"], [["W-1" * 4, 1234567, None], ["", 5, "b" * 12]], 24)
    assert [line.split() for line in text.splitlines() if line.strip()] == [
        ["WARRANT", "W-1W-1W-1W-1"], ["MATCHED", "1,234,567"], ["AGENCY", "-"], ["MATCHED", "5"],
        ["AGENCY", "b" * 12],
    ]  # fmt: skip


def test_no_rows_are_no_broken_titles() -> None:
    """An empty table names its columns in whole words."""
    assert seen(COLUMNS, [], 80).split() == COLUMNS


def test_a_process_id_is_a_name() -> None:
    """It is to be typed, so it has no separators of thousands."""
    assert status.as_name(29155) == "29155"
    assert status.as_name(None) is None


def test_the_chain_is_shown_with_times() -> None:
    """Instants in an entry are written with their zone, not as nanoseconds."""
    entry = {"before": {}, "after": {"ends_ns": 1797724800000000000, "state": "active"}, "sealed": None}
    assert audit.details(entry) == 'after {"ends": "2026-12-20T00:00:00Z", "state": "active"}'
