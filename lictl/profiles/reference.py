# SPDX-License-Identifier: Apache-2.0
"""The table of profiles in docs/profiles.md: ``python -m lictl.profiles.reference docs/profiles.md`` writes it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from lictl.profiles import profile

_TABLE: Final = re.compile(
    r"(<!-- made by python -m lictl\.profiles\.reference [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL
)


def table() -> str:
    """Each profile: jurisdiction, countries, families, zone, records."""
    lines = ["| profile | jurisdiction | countries | families | zone | subscriber records are kept |", "|" + "---|" * 6]
    for name in profile.SHIPPED:
        each = profile.load(name)
        kept = each.retention.records + ("" if each.retention.confirmed else " (unconfirmed)")
        cells = [
            f"`{each.name}`",
            each.title,
            ", ".join(each.countries),
            ", ".join(each.families),
            each.time_zone,
            kept,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def fill(document: str) -> str:
    """The document with the table as the data have it."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{table()}\n{found[2]}", document)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(fill(path.read_text()))
