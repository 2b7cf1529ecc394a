# SPDX-License-Identifier: Apache-2.0
"""The file that tells of an interception without appropriate authorisation (47 CFR 1.20004(a)(1)).

    what = "An entry was put into the kernel's table by hand."
    found = 2026-03-04T09:00:00Z
    found_by = "audit reconcile"
    identifiers = ["ip:203.0.113.7"]
    began = 2026-03-04T08:59:12Z
    ended = 2026-03-04T09:00:00Z
    type = "content"
    reported_to = "Superior Court of Example County, 2026-03-04"
    remedy = "The entry was removed; nothing was delivered."

Only `what`, `found` and `found_by` have to be there.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lictl.errors import UsageError
from lictl.papers.record import Incident
from lictl.times import format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from lictl.papers.record import InterceptRecord

MAX_BYTES: Final = 1 << 18
_TEXTS: Final = ("what", "found_by", "type", "reported_to", "remedy")
_TIMES: Final = ("found", "began", "ended")
_NEEDED: Final = ("what", "found", "found_by")


@dataclass(frozen=True, slots=True)
class Told:
    """What the file says.

    Attributes:
        incident: what happened.
        identifiers: what was intercepted; empty: as the order has it.
        began_ns, ended_ns: UTC nanoseconds; None: as the order has it, or not known.
        type: of interception; empty: as the order has it.
    """

    incident: Incident
    identifiers: tuple[str, ...]
    began_ns: int | None
    ended_ns: int | None
    type: str

    def on(self, record: InterceptRecord) -> InterceptRecord:
        """An interception (of an order, or bare) as this file tells of it."""
        return replace(
            record,
            incident=self.incident,
            identifiers=self.identifiers or record.identifiers,
            enabled_ns=self.began_ns if self.began_ns is not None else record.enabled_ns,
            disabled_ns=self.ended_ns if self.ended_ns is not None else record.disabled_ns,
            type=self.type or record.type,
        )


def read_incident(text: str) -> Told:
    """What an incident file says.

    Raises:
        UsageError: what is wrong with it.
    """
    if not isinstance(text, str) or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise UsageError("The incident file is no text, or too long.", "See docs/papers.md.")
    try:
        plain = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"The incident file is not TOML: {str(error)[:200]}.", "Correct it there.") from None
    known = {*_TEXTS, *_TIMES, "identifiers"}
    for key in plain:
        if key not in known:
            raise UsageError(
                f"The incident file has an unknown key {key[:64]!r}.", f"Known: {', '.join(sorted(known))}."
            )
    for key in _NEEDED:
        if not plain.get(key):
            raise UsageError(f"The incident file lacks {key}.", "See docs/papers.md.")
    texts = {key: _text(key, plain.get(key, "")) for key in _TEXTS}
    times = {key: _time(key, plain[key]) if key in plain else None for key in _TIMES}
    began, ended = times["began"], times["ended"]
    if began is not None and ended is not None and ended < began:
        raise UsageError(
            f"The incident ended at {format_rfc3339(ended)}, before it began ({format_rfc3339(began)}).", "Check both."
        )
    listed = plain.get("identifiers", [])
    if not isinstance(listed, list):
        raise UsageError("identifiers in the incident file is no list.", 'Write identifiers = ["ip:203.0.113.7"].')
    identifiers = tuple(_text("identifiers", each) for each in listed)
    found = times["found"]
    incident = Incident(texts["what"], found if found is not None else 0, texts["found_by"], texts["reported_to"],
                        texts["remedy"])  # fmt: skip
    return Told(incident, identifiers, began, ended, texts["type"])


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} in the incident file is no text.", f'Write {key} = "...".')
    return value


def _time(key: str, value: object) -> int:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise UsageError(f"{key} in the incident file has no time zone.", "Write Z for UTC, or an offset.")
        value = value.isoformat()
    try:
        return parse_rfc3339(value) if isinstance(value, str) else _no_time(key)
    except ValueError as error:
        raise UsageError(f"{key} in the incident file: {error}.", "Write it as 2026-03-04T09:00:00Z.") from None


def _no_time(key: str) -> int:
    raise UsageError(f"{key} in the incident file is no time.", "Write it as 2026-03-04T09:00:00Z.")
