# SPDX-License-Identifier: Apache-2.0
"""Warrant files: what is read, and every refusal in its exact words."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refused_files import PEN, REFUSED
from warrant_texts import NOW_NS

from lictl.errors import LictlError, RefusedError, UnavailableError, UsageError
from lictl.targets.grammar import parse
from lictl.times import parse_rfc3339
from lictl.warrants.model import Mode, UnlawfulWarrantError, WarrantFileError, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("name", REFUSED)
def test_each_wrong_file_is_refused_in_exact_words(name: str, text_with: Callable[..., str]) -> None:
    """All problems of the file are said at once: where, what, and what to do; unlawful files exit 3, wrong ones 2."""
    edits, extra, expected, unlawful = REFUSED[name]
    with pytest.raises(LictlError) as caught:
        load(text_with(edits, extra), NOW_NS)
    error = caught.value
    assert isinstance(error, UnlawfulWarrantError if unlawful else WarrantFileError)
    assert [str(problem) for problem in error.problems] == expected
    assert error.exit_code == (3 if unlawful else 2)


def test_one_problem_is_one_sentence_and_many_are_a_list(text_with: Callable[..., str]) -> None:
    """The text of the error as an operator sees it."""
    with pytest.raises(UsageError) as one:
        load(text_with({"intercept.liid": "7"}), NOW_NS, "order.toml")
    assert str(one.value) == "order.toml: intercept.liid: is a number, not text. write it in quotes."
    with pytest.raises(RefusedError) as two:
        load(text_with({"intercept.liid": "7", "authority.kind": '"x"'}), NOW_NS, "order.toml")
    assert two.value.what.splitlines()[0] == "order.toml has 2 problems:"
    assert two.value.fix.startswith("Put each of these right")
    assert len(two.value.what.splitlines()) == 3


def test_a_good_file_is_read(text_with: Callable[..., str]) -> None:
    """Times become UTC nanoseconds, targets values, and the text is kept as it was."""
    text = text_with(
        {
            "intercept.starts": "2026-03-02T01:00:00.5+01:00",
            "intercept.ends": '"2026-03-29T23:00:00.123456789-01:00"',
            "intercept.targets": '["ip:203.0.113.7/32", "vlan:100.200", "ip:198.51.100.9 ports:1024-2047"]',
            "delivery.format": '"text"',
        },
        "# Ünïcode\n",
    )
    file = load(text, NOW_NS)
    assert file.text == text
    assert file.authority.kind == "title-iii"
    assert file.authority.signed_at == parse_rfc3339("2026-03-01T12:00:00Z")
    assert file.intercept.mode is Mode.CONTENT
    assert file.intercept.starts == parse_rfc3339("2026-03-02T00:00:00.5Z")
    assert file.intercept.ends == parse_rfc3339("2026-03-30T00:00:00.123456789Z")
    assert file.intercept.targets == tuple(
        parse(each) for each in ("ip:203.0.113.7", "vlan:100.200", "ip:198.51.100.9 ports:1024-2047")
    )
    assert [(each.agency, each.format) for each in file.delivery] == [("sheriff", "text")]
    assert "203.0.113.7" not in repr(file)


def test_report_options_of_a_headers_order(file_with: Callable[..., Any]) -> None:
    """Ports and length can be switched off for header reports."""
    order = file_with(PEN | {"intercept.ports": "false", "intercept.length": "true"}).intercept
    assert (order.ports, order.length) == (False, True)


YEAR = "2027-03-02T00:00:00Z"


@pytest.mark.parametrize(
    "edits",
    [
        {"intercept.ends": "2026-04-01T00:00:00Z"},
        {"intercept.starts": "2026-03-20T00:00:00Z", "intercept.ends": "2026-04-10T12:00:00Z"},
        PEN | {"intercept.ends": "2026-05-01T00:00:00Z"},
        {"authority.kind": '"consent"', "authority.citation": '"18 USC 2511(2)(c)"', "authority.court": None},
        {"authority.kind": '"national-warrant"', "authority.citation": '"§ 100a StPO"', "intercept.ends": YEAR},
        {"authority.citation": '"N.Y. CPL 700.15"'},
        {"authority.citation": '"18 U.S.C. 2516, 2518 and 3123"'},
        {"authority.kind": '"title-iii-emergency"', "authority.docket": None, "intercept.ends": "2026-03-04T00:00:00Z",
         "authority.designated_by": '"the Attorney General"', "authority.grounds": '"danger of death"'},
        PEN | {"authority.kind": '"fisa-1842-non-us"', "authority.citation": '"50 USC 1842"', "intercept.ends": YEAR},
        {"authority.kind": '"fisa-1805"', "authority.citation": '"50 USC 1805"'},
    ],
)  # fmt: skip
def test_lawful_files_are_not_refused(edits: dict[str, str], file_with: Callable[..., Any]) -> None:
    """The longest lawful term of each authority, to the nanosecond, and citations that contradict nothing."""
    assert file_with(edits).intercept.liid == "LIID0117"


def test_files_on_disk(tmp_path: Path, text_with: Callable[..., str]) -> None:
    """A path is read and named in errors; what is no file, no UTF-8 or too large is refused without reading on."""
    path = tmp_path / "order.toml"
    path.write_text(text_with({}))
    assert load(path, NOW_NS).intercept.case_id == "CASE-1"
    path.write_bytes(b"\xff\xfe" + b"x" * 10)
    with pytest.raises(WarrantFileError, match=r"order.toml: is not UTF-8 at byte 0\. save it as UTF-8 text\."):
        load(path, NOW_NS)
    with path.open("wb") as file:
        file.truncate(100 << 20)
    before = time.monotonic()
    with pytest.raises(WarrantFileError, match=r"is larger than 1 MiB"):
        load(path, NOW_NS)
    assert time.monotonic() - before < 5
    with pytest.raises(WarrantFileError, match=r"the warrant file: is larger than 1 MiB"):
        load("#" + "ü" * (1 << 19), NOW_NS)
    with pytest.raises(UnavailableError, match=r"is no file"):
        load(tmp_path, NOW_NS)
    with pytest.raises(UnavailableError, match=r"is no file"):
        load(tmp_path / "nothing.toml", NOW_NS)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnavailableError, match=r"is no file"):
        load(tmp_path / "fifo", NOW_NS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 100_000, "is nested too deeply"),
        ("a = " + "{a=" * 100_000, "is nested too deeply"),
        ("a" + ".a" * 200_000 + " = 1", "has a key of more than 32 dotted parts"),
        ("[" + "a." * 200_000 + "a]", "has a key of more than 32 dotted parts"),
        ("a = 1" + "0" * 10_000, "is not TOML"),
        ('a = "\x00"', "is not TOML"),
        ("\ud800 = 1", "is"),
    ],
)
def test_hostile_toml_is_refused_soon(text: str, reason: str) -> None:
    """Nesting, endless keys and numbers cost no stack, no minutes and no traceback."""
    before = time.monotonic()
    with pytest.raises((UsageError, RefusedError), match=reason):
        load(text, NOW_NS)
    assert time.monotonic() - before < 20


VALUES = st.one_of(
    st.sampled_from(
        ['""', "1", "-0.5", "true", "[]", "{}", "inf", "nan", "2026-03-30T00:00:00Z", "2026-03-30", "07:00:00", "[[1]]"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=32), max_size=30).map(
        lambda s: f'"{s}"'
    ),
)
KEYS = st.sampled_from(
    [f"{table}.{key}" for table, keys in {
        "authority": ["kind", "citation", "court", "signed_at", "signed_by", "other"],
        "intercept": ["case_id", "liid", "mode", "starts", "ends", "targets", "ports", "length", "x"],
        "delivery": ["agency", "format", "y"],
    }.items() for key in keys]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, st.none() | VALUES, max_size=8))
def test_any_values_are_read_or_refused(edits: dict[str, str | None]) -> None:
    """Whatever stands in the keys: a WarrantFile or an error for people whose problems all have a place."""
    from warrant_texts import build_text

    try:
        load(build_text(edits), NOW_NS)
    except (WarrantFileError, UnlawfulWarrantError) as error:
        named = [bool(problem.what and problem.fix) for problem in error.problems]
    else:
        named = [True]
    assert named
    assert all(named)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    """Random text is never a warrant and never a traceback."""
    with pytest.raises((UsageError, RefusedError)):
        load(text, NOW_NS)
