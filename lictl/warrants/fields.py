# SPDX-License-Identifier: Apache-2.0
"""The kinds of value in a warrant file: how each is read, and in which words it is refused."""

from __future__ import annotations

import datetime as dt
import difflib
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from lictl.targets.grammar import Target, TargetError, parse
from lictl.times import format_rfc3339, parse_rfc3339
from lictl.warrants.authorities import authorities

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TEXT: Final = 200
MAX_LIID: Final = 25
"""ETSI TS 102 232-1: a LIID has 1 to 25 octets."""

_EARLIEST_NS: Final = parse_rfc3339("2000-01-01T00:00:00Z")
_LATEST_NS: Final = parse_rfc3339("2200-01-01T00:00:00Z")
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
MAX_NAME: Final = 64


class Mode(StrEnum):
    """What an order allows: signalling only, or the communication itself."""

    HEADERS = "headers"
    CONTENT = "content"


def refusal(what: str, fix: str, unlawful: bool = False) -> PydanticCustomError:
    """A validation error in our words; `lictl.warrants.file` turns it into a Problem."""
    return PydanticCustomError("lictl", "{what}", {"what": what, "fix": fix, "unlawful": unlawful})


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean KNOWN? `` for a near miss, else nothing."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {close[0]}? " if close else ""


def shown(text: str) -> str:
    """A word of the file as messages quote it: control characters escaped, at most 60 characters."""
    quoted = repr(text)
    return quoted if len(quoted) <= 60 else quoted[:57] + "..."


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise refusal(f"is {_type_name(value)}, not text", "write it in quotes")
    return value


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return "a date or time"
    return "a list" if isinstance(value, list) else "a table"


def read_text(value: Any) -> str:
    """One line of text for people, 1 to 200 characters, without control or formatting characters."""
    text = _string(value).strip()
    if not text:
        raise refusal("is empty", "write what the order says")
    if len(text) > MAX_TEXT:
        raise refusal(f"has {len(text)} characters, at most {MAX_TEXT} are allowed", "shorten it")
    if any(unicodedata.category(character).startswith("C") for character in text):
        raise refusal("has control characters", "write one line of plain text")
    return text


def read_name(value: Any) -> str:
    """A name that is safe as a file name: 1 to 64 of A-Z a-z 0-9 . _ - and not beginning with a dot or dash."""
    name = _string(value)
    if not 1 <= len(name) <= MAX_NAME or not _NAME_CHARACTERS.issuperset(name) or name[0] in ".-":
        fix = f"write 1 to {MAX_NAME} of A-Z a-z 0-9 . _ - and begin with a letter, digit or _"
        raise refusal(f"{shown(name)} is not a name", fix)
    return name


def read_liid(value: Any) -> str:
    """A lawful interception identifier: 1 to 25 visible ASCII characters (ETSI TS 102 232-1), safe as a file name."""
    liid = _string(value)
    if not 1 <= len(liid) <= MAX_LIID:
        fix = f"write the 1 to {MAX_LIID} characters that the agency gave"
        raise refusal(f"{shown(liid)} has {len(liid)} characters", fix)
    bad = next((character for character in liid if not "!" <= character <= "~" or character in "/\\"), None)
    if bad is not None:
        raise refusal(f"{shown(liid)} has the character {bad!r}", "write visible ASCII without / and \\")
    if liid[0] == ".":
        raise refusal(f"{shown(liid)} begins with a dot", "begin with another character")
    return liid


def read_moment(value: Any) -> int:
    """UTC nanoseconds of a TOML offset date-time, or of RFC 3339 text; the zone must be written."""
    ns = _moment_ns(value)
    if not _EARLIEST_NS <= ns < _LATEST_NS:
        raise refusal("is not between the years 2000 and 2200", "check the year")
    return ns


def _moment_ns(value: Any) -> int:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            fix = f"write {value.isoformat()}Z for UTC, or an offset such as {value.isoformat()}+01:00"
            raise refusal(f"{value.isoformat()} has no time zone", fix)
        return (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1000
    if isinstance(value, dt.date):
        raise refusal(f"{value.isoformat()} is a day, not a time", f"write {value.isoformat()}T00:00:00Z for UTC")
    if not isinstance(value, str):
        raise refusal(f"is {_type_name(value)}, not a time", "write a time such as 2026-03-01T12:00:00Z")
    try:
        return parse_rfc3339(value)
    except ValueError as error:
        what, _, fix = str(error).partition("; ")
        raise refusal(what, fix or "write a time such as 2026-03-01T12:00:00Z") from None
    except OverflowError:
        raise refusal("is not between the years 2000 and 2200", "check the year") from None


def read_target(value: Any) -> Target:
    """One target; TargetError becomes a refusal."""
    try:
        return parse(_string(value))
    except TargetError as error:
        raise refusal(error.what, error.fix, error.forbidden) from None


def read_kind(value: Any) -> str:
    """A kind of authority that lictl knows."""
    kind = _string(value)
    if kind not in authorities():
        fix = f"{did_you_mean(kind, authorities())}`lictl profile show` lists those of this site"
        raise refusal(f"{shown(kind)} is no kind of authority", fix, unlawful=True)
    return kind


def read_mode(value: Any) -> Mode:
    """``headers`` or ``content``."""
    mode = _string(value)
    if mode not in (Mode.HEADERS, Mode.CONTENT):
        raise refusal(f"{shown(mode)} is no mode", f'{did_you_mean(mode, Mode)}write "headers" or "content"')
    return Mode(mode)


def read_flag(value: Any) -> bool:
    """``true`` or ``false``, nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise refusal(f"is {'text' if isinstance(value, str) else _type_name(value)}", "write true or false")
    return value


def moment_text(ns: int) -> str:
    """How messages write a time."""
    return format_rfc3339(ns)


Text: TypeAlias = Annotated[str, PlainValidator(read_text)]
Name: TypeAlias = Annotated[str, PlainValidator(read_name)]
Liid: TypeAlias = Annotated[str, PlainValidator(read_liid)]
Moment: TypeAlias = Annotated[int, PlainValidator(read_moment)]
AuthorityKind: TypeAlias = Annotated[str, PlainValidator(read_kind)]
ModeField: TypeAlias = Annotated[Mode, PlainValidator(read_mode)]
Flag: TypeAlias = Annotated[bool, PlainValidator(read_flag)]
TargetField: TypeAlias = Annotated[Target, PlainValidator(read_target)]
