# SPDX-License-Identifier: Apache-2.0
"""What the fields of an order must be to each other: its authority against its window, mode and signature.

Each check looks at what could be read, so that all that is wrong with a file is said at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lictl.warrants.authorities import Authority, authorities, contradicts
from lictl.warrants.fields import Mode, moment_text, shown
from lictl.warrants.problems import Problem
from lictl.warrants.tables import AuthorityTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def check(
    authority: Mapping[str, Any],
    intercept: Mapping[str, Any],
    deliveries: Sequence[Mapping[str, Any]],
    broken: frozenset[str],
    now_ns: int,
) -> Iterator[Problem]:
    """Everything that is wrong between fields.

    Args:
        authority: the fields of [authority] that could be read, by key.
        intercept: those of [intercept].
        deliveries: those of each [[delivery]].
        broken: ``table.key`` of the fields that are there and could not be read: not to be called missing.
        now_ns: UTC nanoseconds.
    """
    rule = authorities().get(authority.get("kind", ""))
    if rule is not None and not rule.arms:
        yield _no_authority(rule)
    elif rule is not None:
        yield from _authority(rule, authority, broken)
        yield from _allowed(rule, authority, intercept)
    yield from _signature(authority, intercept, now_ns)
    yield from _window(intercept, now_ns)
    yield from _targets(intercept)
    yield from _options(intercept)
    yield from _deliveries(deliveries)


def _a(title: str) -> str:
    return f"{'an' if title[0] in 'aeiouA' else 'a'} {title}"


def _no_authority(rule: Authority) -> Problem:
    reach = "authorises nothing" if rule.instrument == "none" else "reaches stored records only"
    what = f"{_a(rule.title)} ({rule.citation}) {reach}: it is no authority for an intercept"
    return Problem("authority.kind", what, f"get {rule.instead}", unlawful=True)


def _authority(rule: Authority, authority: Mapping[str, Any], broken: frozenset[str]) -> Iterator[Problem]:
    for key in rule.requires:
        if authority.get(key) is None and f"authority.{key}" not in broken:
            yield Problem(
                f"authority.{key}",
                f"is missing, and {_a(rule.title)} ({rule.rule_of(key)}) states it",
                f"write {key} = {_example(rule, key)} as the order has it",
                unlawful=True,
            )
        text = authority.get(key)
        pattern = rule.patterns.get(key)
        if pattern is not None and isinstance(text, str) and not pattern.match.search(text):
            fix = f"write the one of the order, such as {_example(rule, key)}, or another kind"
            yield Problem(f"authority.{key}", f"{shown(text)} {pattern.words}", fix, unlawful=True)
    yield from _citation(rule, authority.get("citation"))


def _example(rule: Authority, key: str) -> str:
    if key == "citation":
        return f'"{rule.citation}"'
    return str((AuthorityTable.model_fields[key].examples or [""])[0])


def _citation(rule: Authority, citation: str | None) -> Iterator[Problem]:
    named = contradicts(rule.kind, citation) if citation else None
    if named is None or citation is None:
        return
    other = authorities()[named]
    what = f"{shown(citation)} is not the law of {_a(rule.title)}"
    if other.arms:
        fix = f'write kind = "{named}", or the citation of the order ({rule.citation})'
    else:
        what += f", but of {_a(other.title)}, which is no authority for an intercept"
        fix = f"get {other.instead}"
    yield Problem("authority.citation", what, fix, unlawful=True)


def _allowed(rule: Authority, authority: Mapping[str, Any], intercept: Mapping[str, Any]) -> Iterator[Problem]:
    mode = intercept.get("mode")
    if mode is not None and mode not in rule.modes:
        allowed = " or ".join(f'mode = "{each}"' for each in sorted(rule.modes))
        yield Problem(
            "intercept.mode",
            f"{_a(rule.title)} ({rule.citation}) does not allow {mode}",
            f"write {allowed}, or get an order that allows {mode}",
            unlawful=True,
        )
    signed, starts, ends = authority.get("signed_at"), intercept.get("starts"), intercept.get("ends")
    if starts is None or ends is None or ends <= starts:
        return
    latest = rule.latest_end(signed, starts)
    if latest is not None and ends > latest:
        yield Problem(
            "intercept.ends",
            f"{_a(rule.title)} lasts at most {rule.longest} ({rule.source}), here until {moment_text(latest)}",
            _shorter(rule, latest),
            unlawful=True,
        )


def _shorter(rule: Authority, latest_ns: int) -> str:
    more = "an extension"
    if rule.becomes is not None:
        more = f'{_a(authorities()[rule.becomes].title)} (kind = "{rule.becomes}")'
    return f"write ends = {moment_text(latest_ns)} or earlier, and get {more} for more"


def _signature(authority: Mapping[str, Any], intercept: Mapping[str, Any], now_ns: int) -> Iterator[Problem]:
    signed, starts = authority.get("signed_at"), intercept.get("starts")
    if signed is None:
        return
    if signed > now_ns:
        fix = "check the date, the zone and this machine's clock"
        yield Problem("authority.signed_at", f"{moment_text(signed)} is in the future", fix, unlawful=True)
    elif starts is not None and starts < signed:
        yield Problem(
            "intercept.starts",
            f"{moment_text(starts)} is before the authority was signed",
            f"write starts = {moment_text(signed)} or later",
            unlawful=True,
        )


def _window(intercept: Mapping[str, Any], now_ns: int) -> Iterator[Problem]:
    starts, ends = intercept.get("starts"), intercept.get("ends")
    if ends is None:
        return
    if starts is not None and ends <= starts:
        what = f"{moment_text(ends)} is not after the start, {moment_text(starts)}"
        yield Problem("intercept.ends", what, "check both times and their zones")
    elif ends <= now_ns:
        what = f"{moment_text(ends)} is in the past: the order has expired"
        yield Problem("intercept.ends", what, "check the date and the zone, or get an extension", unlawful=True)


def _targets(intercept: Mapping[str, Any]) -> Iterator[Problem]:
    first: dict[Any, int] = {}
    for index, target in enumerate(intercept.get("targets", ()), 1):
        if target is not None and first.setdefault(target, index) != index:
            what = f"{target} is target {first[target]} already"
            yield Problem(f"intercept.targets[{index}]", what, "name each target once")


def _options(intercept: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("ports", "length"):
        if intercept.get(key) is not None and intercept.get("mode") == Mode.CONTENT:
            what = "says what header reports hold, and a content order has none"
            yield Problem(f"intercept.{key}", what, 'leave it out, or write mode = "headers"')


def _deliveries(deliveries: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    seen: dict[tuple[str, str | None], int] = {}
    for index, delivery in enumerate(deliveries, 1):
        agency = delivery.get("agency")
        if agency is None:
            continue
        key = agency, delivery.get("format")
        if seen.setdefault(key, index) != index:
            what = f"{agency} receives this already by delivery {seen[key]}"
            yield Problem(f"delivery[{index}]", what, "name each agency once, or another format")
