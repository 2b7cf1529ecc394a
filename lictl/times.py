# SPDX-License-Identifier: Apache-2.0
"""Time: integers of UTC nanoseconds inside, RFC 3339 with a zone outside."""

from __future__ import annotations

import datetime as dt
import os
import re
import time

_PATTERN = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[Tt ](?P<time>(?P<hour>\d{2}):\d{2}:(?P<second>\d{2}))"
    r"(?:\.(?P<fraction>\d{1,9}))?(?P<zone>[Zz]|[+-]\d{2}:\d{2})?",
    re.ASCII,
)


def now_ns() -> int:
    """UTC now, shifted by ``LICTL_CLOCK_OFFSET_NS`` (tests never step the machine's clock)."""
    return time.time_ns() + int(os.environ.get("LICTL_CLOCK_OFFSET_NS", "0"))


def parse_rfc3339(text: str) -> int:
    """UTC nanoseconds of an RFC 3339 time; its zone must be written.

    A second 60 is refused: UTC has leap seconds, the system clock by which packets are judged has not (it shows the
    second before midnight twice), so nothing can begin or end within one.

    Raises:
        ValueError: with the reason, fit to be shown to the person who wrote the time.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time such as 2026-03-01T12:00:00Z or 2026-03-01T12:00:00+01:00")
    if match["zone"] is None:
        raise ValueError(f"{text!r} has no time zone; write Z for UTC or an offset such as +01:00")
    if match["second"] == "60":
        raise ValueError(
            f"{text!r} has a second 60: no system clock shows leap seconds; "
            "write second 59, or the first second of the minute behind it"
        )
    if match["hour"] == "24":
        raise ValueError(f"{text!r} is not a possible time: hour must be in 0..23")
    zone = "+00:00" if match["zone"] in "Zz" else match["zone"]
    try:
        moment = dt.datetime.fromisoformat(f"{match['date']}T{match['time']}{zone}")
    except ValueError as error:
        raise ValueError(f"{text!r} is not a possible time: {error}") from None
    whole = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    fraction = int((match["fraction"] or "").ljust(9, "0"))
    return (whole.days * 86_400 + whole.seconds) * 1_000_000_000 + fraction


def format_rfc3339(ns: int) -> str:
    """RFC 3339 text in UTC; the fraction has nine digits, or none where it is zero.

    Raises:
        OverflowError: not in the years 1 to 9999.
    """
    seconds, fraction = divmod(ns, 1_000_000_000)
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    tail = f".{fraction:09d}" if fraction else ""
    return f"{moment.replace(tzinfo=None).isoformat()}{tail}Z"
