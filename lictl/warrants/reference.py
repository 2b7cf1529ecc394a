# SPDX-License-Identifier: Apache-2.0
"""The tables of authorities in docs/warrant-file.md, made from the data.

``python -m lictl.warrants.reference docs/warrant-file.md`` writes them into the file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from lictl.warrants.authorities import Authority, shipped
from lictl.warrants.terms import COUNTS_FROM

_ORDERS: Final = re.compile(r"(<!-- authorities: [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
_RECORDS: Final = re.compile(r"(are known so that they are refused by name:\n).*?(<!-- end of stored -->)", re.DOTALL)


def orders_table() -> str:
    """Every kind that can arm an intercept: what, term and how it counts, modes, keys beside the usual six."""
    lines = ["| kind | what | longest term | counts | modes | needed beside `kind` |", "|---|---|---|---|---|---|"]
    for each in shipped().values():
        if each.arms and each.term is not None:
            cells = (_what(each), _term(each), COUNTS_FROM[each.term.counts_from], ", ".join(sorted(each.modes)))
            lines.append(f"| `{each.kind}` | {' | '.join(cells)} | {', '.join(each.requires)} |")
    return "\n".join(lines) + "\n"


def records_table() -> str:
    """Every instrument that never arms one."""
    lines = ["| kind | what | why it is refused |", "|---|---|---|"]
    lines += [f"| `{each.kind}` | {_what(each)} | {each.source} |" for each in shipped().values() if not each.arms]
    return "\n".join(lines) + "\n"


def _what(each: Authority) -> str:
    more = f"; becomes `{each.becomes}`" if each.becomes else ""
    return f"{each.title}, {each.citation}{more}"


def _term(each: Authority) -> str:
    return f"{each.longest}{'' if each.confirmed else ', unconfirmed'}"


def fill(document: str) -> str:
    """The document with both tables as the data have them."""
    document = _ORDERS.sub(lambda found: f"{found[1]}\n{orders_table()}\n{found[2]}", document)
    return _RECORDS.sub(lambda found: f"{found[1]}\n{records_table()}\n{found[2]}", document)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(fill(path.read_text()))
