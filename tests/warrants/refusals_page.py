# SPDX-License-Identifier: Apache-2.0
"""docs/refusals.md, made from the refused files: ``python tests/warrants/refusals_page.py > docs/refusals.md``."""

from __future__ import annotations

from refused_files import REFUSED
from warrant_texts import build_text

HEAD = """# What is refused, and in which words

Every warrant file below is refused, with exactly these sentences; a test reads each file and compares. They are made
from this lawful file by the changes shown, at 2026-03-02T08:00:00Z. All that is wrong with a file is said at once.
Exit status 2: the file is written wrongly; 3: it asks for what it may not have. [warrant-file.md](warrant-file.md)
describes the file.

This page is made by `python tests/warrants/refusals_page.py > docs/refusals.md`.

```toml
"""


def page() -> str:
    """The whole document."""
    parts = [HEAD, build_text({}), f"```\n\n{len(REFUSED)} files:\n"]
    for name, (edits, extra, problems, unlawful) in REFUSED.items():
        parts.append(f"\n## {name[0].upper()}{name[1:]}\n\n")
        parts.append("```toml\n" + "".join(_change(key, value) for key, value in edits.items()))
        parts.append(f"# behind it:\n{extra}" if extra else "")
        parts.append(f"```\n\nExit status {3 if unlawful else 2}:\n\n```text\n")
        parts.append("\n".join(problems) + "\n```\n")
    return "".join(parts)


def _change(key: str, value: str | None) -> str:
    table, _, name = key.partition(".")
    if value is None:
        return f"# without {f'{name} of ' if name else ''}[{table}]\n"
    return f"{key} = {value}\n"


if __name__ == "__main__":
    print(page(), end="")
