# SPDX-License-Identifier: Apache-2.0
"""The authorities that an order can rest on, read from the package's ``authorities.toml``."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * NS
_UNITS: Final = {"hours": 3600 * NS, "days": _DAY_NS}
_TENTH_DAY: Final = "start-or-tenth-day"
_US_CODE = re.compile(r"\bu\.?\s?s\.?\s?c(?:\.|ode|\b)", re.IGNORECASE)
_SECTION = re.compile(r"(?<!\d)\d{4}(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Authority:
    """One kind of authority.

    Attributes:
        kind: how a warrant file names it.
        title: for people.
        citation: the statute or rule.
        sections: sections of the US Code that its citation may name.
        longest: its longest term in words; None: the order alone says.
        longest_ns: the same in nanoseconds.
        counts_from: "start", "start-or-tenth-day", or "" where there is no longest term.
        modes: "content", "headers".
        requires: keys of [authority] that must be filled.
        source: where the term stands.
        checked: when that was read.
        confirmed: False where it is shipped unconfirmed.
    """

    kind: str
    title: str
    citation: str
    sections: frozenset[int]
    longest: str | None
    longest_ns: int | None
    counts_from: str
    modes: frozenset[str]
    requires: tuple[str, ...]
    source: str
    checked: dt.date
    confirmed: bool

    def latest_end(self, signed_ns: int | None, starts_ns: int) -> int | None:
        """The last instant (UTC ns) at which a window that starts then may end; None: no longest term.

        The 30 days of 18 USC 2518(5) begin with the first interception or on the tenth day after the order, whichever
        is earlier; the start of the window stands for the first interception, which cannot be earlier.
        """
        if self.longest_ns is None:
            return None
        begins = (
            min(starts_ns, signed_ns + 10 * _DAY_NS)
            if self.counts_from == _TENTH_DAY and signed_ns is not None
            else starts_ns
        )
        return begins + self.longest_ns


@cache
def authorities() -> Mapping[str, Authority]:
    """Every authority by its kind, in the order of the file."""
    text = files("lictl.warrants").joinpath("authorities.toml").read_text("utf-8")
    return {entry["kind"]: _authority(entry) for entry in tomllib.loads(text)["authority"]}


def contradicts(kind: str, citation: str) -> str | None:
    """The kind of authority that a citation of the US Code really names, where it names not one section of `kind`.

    A citation that names no section of any authority here (a state's law, say) contradicts nothing.
    """
    if _US_CODE.search(citation) is None:
        return None
    cited = {int(section) for section in _SECTION.findall(citation)}
    if cited & authorities()[kind].sections:
        return None
    return next((other.kind for other in authorities().values() if cited & other.sections), None)


def _authority(entry: dict[str, Any]) -> Authority:
    longest = entry.get("longest")
    longest_ns = None
    if longest is not None:
        number, unit = longest.split()
        longest_ns = int(number) * _UNITS[unit]
    return Authority(
        kind=entry["kind"],
        title=entry["title"],
        citation=entry["citation"],
        sections=frozenset(entry["sections"]),
        longest=longest,
        longest_ns=longest_ns,
        counts_from=entry["counts_from"] if longest else "",
        modes=frozenset(entry["modes"]),
        requires=tuple(entry["requires"]),
        source=entry["source"],
        checked=entry["checked"],
        confirmed=entry["confirmed"],
    )
