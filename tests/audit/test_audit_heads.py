# SPDX-License-Identifier: Apache-2.0
"""Heads of the chain as printed codes, in the syslog, at several places at once."""

from __future__ import annotations

import pytest
from chains import Kept
from hypothesis import given
from hypothesis import strategies as st

from lictl.audit.anchor import Anchors, Head, SyslogAnchor, code, parse_code
from lictl.errors import UsageError


@given(seq=st.integers(0, 10**12), hash=st.binary(min_size=32, max_size=32).map(bytes.hex))
def test_codes_come_back(seq: int, hash: str) -> None:
    """Also typed in small letters, with O for 0 and I or L for 1."""
    text = code(Head(seq, hash))
    assert parse_code(text) == Head(seq, hash[:20])
    assert parse_code(f" {text.lower()} ") == Head(seq, hash[:20])
    number, *groups, check = text.split("-")
    sloppy = "-".join((number.replace("0", "O"), *(g.replace("1", "l").replace("0", "o") for g in groups), check))
    assert parse_code(sloppy) == Head(seq, hash[:20])


@given(seq=st.integers(1, 10**9), hash=st.binary(min_size=32, max_size=32).map(bytes.hex), data=st.data())
def test_a_code_copied_wrongly_is_refused(seq: int, hash: str, data: st.DataObject) -> None:
    """Every wrong symbol, and every pair of neighbours that changed places."""
    text = code(Head(seq, hash))
    places = [index for index, symbol in enumerate(text[:-2]) if symbol != "-"]
    at = data.draw(st.sampled_from(places))
    symbols = "0123456789" if at < text.index("-") else "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    other = data.draw(st.sampled_from(symbols).filter(lambda symbol: symbol != text[at]))
    with pytest.raises(UsageError):
        parse_code(text[:at] + other + text[at + 1 :])
    if at + 1 in places and text[at] != text[at + 1]:
        with pytest.raises(UsageError):
            parse_code(text[:at] + text[at + 1] + text[at] + text[at + 2 :])


@pytest.mark.parametrize(
    "text",
    ["", "-", "1-2-3", "x-AAAA-AAAA-AAAA-AAAA-0", "9" * 40 + "-AAAA-AAAA-AAAA-AAAA-0", "½-0000-0000-0000-0000-0"],
)
def test_garbage_is_no_code(text: str) -> None:
    """Told as a mistake of who typed it."""
    with pytest.raises(UsageError):
        parse_code(text)


def test_the_syslog_gets_heads_now_and_then() -> None:
    """The code and nothing else; not more often than asked for."""
    sent: list[str] = []
    anchor = SyslogAnchor(3600, lambda _level, text: sent.append(text))
    for seq in (1, 2, 3):
        anchor.write(seq, "ab" * 32)
    assert sent == [f"lictl audit head {code(Head(1, 'ab' * 32))}"]


def test_anchors_write_to_all_and_read_the_first() -> None:
    """One that fails keeps no other from being written."""

    class Broken(Kept):
        def write(self, seq: int, hash: str) -> None:
            raise OSError("gone")

    good = Kept()
    anchors = Anchors(SyslogAnchor(0, lambda *_: None), Broken(), good)
    with pytest.raises(OSError, match="gone"):
        anchors.write(5, "ab" * 32)
    assert anchors.read() == (5, "ab" * 32)
