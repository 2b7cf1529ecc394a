# SPDX-License-Identifier: Apache-2.0
"""A lawful warrant file, to be edited into all others."""

from __future__ import annotations

from lictl.times import parse_rfc3339

BASE: dict[str, dict[str, str]] = {
    "authority": {
        "kind": '"title-iii"',
        "citation": '"18 USC 2518"',
        "court": '"D. Example"',
        "docket": '"26-mj-117"',
        "signed_by": '"Judge R. Roe"',
        "signed_at": "2026-03-01T12:00:00Z",
        "presented_by": '"Agent J. Doe"',
        "offence": '"21 USC 841"',
        "predicate": '"18 USC 2516(1)(e)"',
        "subject": '"unknown"',
        "subscriber": '"unknown"',
        "facilities": '"account 4711"',
        "communications": '"messages about the offence"',
        "attributes": '"addressing of account 4711"',
        "authorised_agency": '"DEA"',
        "authorised_by": '"M. Major"',
        "ends_at_first": "false",
    },
    "intercept": {
        "case_id": '"CASE-1"',
        "liid": '"LIID0117"',
        "mode": '"content"',
        "starts": "2026-03-02T00:00:00Z",
        "ends": "2026-03-30T00:00:00Z",
        "targets": '["ip:203.0.113.7"]',
    },
    "delivery": {"agency": '"sheriff"'},
}
NOW_NS = parse_rfc3339("2026-03-02T08:00:00Z")
DAY_NS = 86_400 * 10**9


def build_text(edits: dict[str, str | None], extra: str = "") -> str:
    """The base file with values (TOML text) put in by `table.key`; None takes the key, or the whole table, out."""
    lines = []
    for table, keys in BASE.items():
        if edits.get(table, "") is None:
            continue
        lines.append("[[delivery]]" if table == "delivery" else f"[{table}]")
        own = {key.partition(".")[2]: value for key, value in edits.items() if key.startswith(f"{table}.")}
        lines += [f"{key} = {value}" for key, value in (keys | own).items() if value is not None]
    return "\n".join(lines) + "\n" + extra
