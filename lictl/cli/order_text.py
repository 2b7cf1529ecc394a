# SPDX-License-Identifier: Apache-2.0
"""Orders as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from lictl.cli import output

COLUMNS = ["ID", "LIID", "CASE", "STATE", "AUTHORITY", "MODE", "STARTS", "ENDS", "TARGETS", "AGENCIES"]
WITHHELD = "withheld"
GONE = "key destroyed"


def row(order: dict[str, Any]) -> list[object]:
    """A line of the list."""
    condition = order["state"] + (f", {order['waits']}" if order["waits"] else "")
    if order["unable"]:
        condition += ", UNABLE"
    if order["emergency"]:
        condition = f"EMERGENCY {condition}"
    return [
        order["id"], order["liid"], order["case_id"], condition, order["kind"], order["mode"], order["starts"],
        order["ends"], _several(order["targets"]), ", ".join(order["agencies"]),
    ]  # fmt: skip


def shown(order: dict[str, Any]) -> Iterator[RenderableType]:
    """The parts of one order's page."""
    if order["emergency"]:
        yield Text("EMERGENCY: put into force by one person", style="bold red")
    if order["unable"]:
        yield Text("UNABLE: something keeps it from being performed", style="bold red")
    facts = [
        ("order", f"{order['id']}, LIID {order['liid']}, case {order['case_id']}"),
        ("state", order["state"] + (f"; {order['waits']}" if order["waits"] else "")),
        ("authority", order["kind"]),
        ("mode", order["mode"]),
        ("window", f"{order['starts']} to {order['ends']}{_left(order['left'])}"),
        ("first taken", order["first_taken"] or "-"),
        ("ended", order["ended"] or "-"),
        ("closed", order["closed"] or "-"),
        ("targets", _several(order["targets"])),
        ("agencies", ", ".join(order["agencies"])),
    ]
    assistance = (order["authority"] or {}).get("assistance")
    if assistance:
        facts.append(("assistance", assistance))
    yield Text("\n".join(f"{name:<12}{value}" for name, value in facts))
    yield Text()
    yield output.table(
        ["INSTRUMENT", "WHAT", "STATE", "STARTS", "ENDS", "DRAFTED", "SUBMITTED", "APPROVED", "REASON"],
        [
            (i["id"], i["act"], i["state"], i["starts"], i["ends"], _by(i["drafted"]), _by(i["submitted"]),
             _by(i["approved"]), i["reason"])
            for i in order["instruments"]
        ],
    )  # fmt: skip
    if order["inabilities"]:
        yield output.table(
            ["UNABLE SINCE", "REASON", "RESTORED", "WHAT WAS DONE"],
            [
                (_by(each["noted"]), _reason(order, each["reason"]), _by(each["restored"]),
                 _reason(order, each["restored_reason"]) if each["restored"] else "-")
                for each in order["inabilities"]
            ],
        )  # fmt: skip
    if order["file"] is not None:
        yield Text(f"\n{order['file']}")


def _several(values: list[str] | None) -> str:
    return WITHHELD if values is None else ", ".join(values) or GONE


def _reason(order: dict[str, Any], text: str | None) -> str:
    if text is not None:
        return text
    return GONE if order["key_destroyed"] else WITHHELD


def _by(act: dict[str, Any] | None) -> str:
    return "-" if act is None else f"{act['by'] or 'not known'} {act['at']}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    days, rest = divmod(int(seconds), 86400)
    return f" ({days} d {rest // 3600} h {rest % 3600 // 60} min left)"
