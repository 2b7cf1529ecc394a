# SPDX-License-Identifier: Apache-2.0
"""Proof of readiness: what a drill did, when, on which machine and with which result, as JSON and as a page to sign."""

from __future__ import annotations

import hashlib
import platform
import socket
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from lictl.papers import page
from lictl.papers.certificate import canonical
from lictl.times import format_rfc3339
from lictl.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lictl.lab.demo import Outcome

SCHEMA: Final = "lictl.drill/1"
MARK: Final = "Drill: nobody's communications were intercepted"


def machine() -> dict[str, str]:
    """What the drill ran on, in words that a later drill can be compared with."""
    digest = files("lictl.probe").joinpath("capture.bpf.o.sha256").read_text().split()[0]
    return {
        "host": socket.gethostname(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "lictl": __version__,
        "capture_sha256": digest,
    }


def evidence(site: Mapping[str, str], outcome: Outcome, began_ns: int, ended_ns: int) -> dict[str, Any]:
    """The JSON record of a drill.

    Args:
        site: operator, element and country of the home that is proven ready.
        outcome: what the laboratory found.
        began_ns, ended_ns: UTC nanoseconds.
    """
    return {
        "schema": SCHEMA,
        "site": dict(site),
        "machine": machine(),
        "began": format_rfc3339(began_ns),
        "ended": format_rfc3339(ended_ns),
        "ok": outcome.ok,
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in outcome.checks],
        "orders": [
            {
                "liid": order["liid"],
                "mode": order["mode"],
                "streams": [
                    {
                        "agency": stream["agency"],
                        "format": stream["format"],
                        "matched": stream["matched"],
                        "delivered": stream["delivered"],
                        "lost": sum(stream["lost"].values()),
                    }
                    for stream in order["streams"]
                ],
            }
            for order in outcome.warrants
        ],
        "audit": None,
    }


def brief(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit chain keeps of a drill: its result, and the hash that names its record."""
    checks = plain["checks"]
    return {
        "ok": plain["ok"],
        "began": plain["began"],
        "ended": plain["ended"],
        "checks": len(checks),
        "failed": [check["name"] for check in checks if not check["ok"]],
        "capture_sha256": plain["machine"]["capture_sha256"],
        "record_sha256": hashlib.sha256(canonical(plain)).hexdigest(),
    }


def with_audit(plain: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the number of its audit entry and the hash of the record as that entry names it."""
    return {**plain, "audit": dict(entry)}


def printed(plain: Mapping[str, Any], size: page.Size = page.Size.A4) -> tuple[bytes, bytes]:
    """The record's file and its page; the page bears the SHA-256 of the file."""
    text = canonical(plain)
    digest = hashlib.sha256(text).hexdigest()
    paper = page.Paper(f"Drill of {plain['began']}", MARK, digest, list(_blocks(plain)))
    return text, page.render(paper, size)


def _blocks(plain: Mapping[str, Any]) -> Iterator[page.Block]:
    site, machine_, audit = plain["site"], plain["machine"], plain["audit"]
    result = "every check held" if plain["ok"] else "NOT READY: a check failed"
    yield page.Title("Proof of readiness", f"Drill from {plain['began']} to {plain['ended']}: {result}.")
    yield page.Text(
        "Synthetic orders were added, approved by a second person, armed, delivered to a receiver, and ended, on this "
        "machine, with this kernel and this version, in network namespaces of their own. Their traffic was made for "
        "the drill; no interface of the machine was touched."
    )
    yield page.Heading("Where")
    yield page.Fields(
        [
            ("Site", "", [f"{site['operator']}, element {site['element']}, {site['country']}"]),
            ("Machine", "", [f"{machine_['host']}, {machine_['machine']}, kernel {machine_['kernel']}"]),
            ("Version", "", [f"lictl {machine_['lictl']}"]),
            ("Capture program", "SHA-256", [machine_["capture_sha256"]]),
            ("Audit entry", "in the chain of this site", [f"{audit['seq']}"] if audit else ["none"]),
        ]
    )
    yield page.Heading("Result")
    yield page.Grid(
        (("check", 3.2), ("", 1.0), ("figures, or what was wrong", 4.0)),
        [[check["name"], "held" if check["ok"] else "FAILED", check["detail"]] for check in plain["checks"]],
    )
    yield page.Heading("Packets")
    yield page.Grid(
        (("order", 3.0), ("mode", 1.5), ("to", 2.5), ("matched", 1.5), ("delivered", 1.5), ("lost", 1.0)),
        [
            [order["liid"], order["mode"], f"{stream['agency']} ({stream['format']})", f"{stream['matched']:,}",
             f"{stream['delivered']:,}", f"{stream['lost']:,}"]
            for order in plain["orders"]
            for stream in order["streams"]
        ],
    )  # fmt: skip
    yield page.Sign("I ran this drill.", ["Name and position", "Signature", "Date, time and place"])
