# SPDX-License-Identifier: Apache-2.0
"""Adds up the JUnit files of a check and closes it with one line: `N passed, N failed, N skipped`.

What failed beside other tests and has run again alone (`*-again.xml`) counts as it went alone.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def counts(path: Path) -> tuple[int, int, int]:
    """Passed, failed (errors included) and skipped of one JUnit file."""
    tests = failed = skipped = 0
    for suite in ET.parse(path).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it a moment ago
        tests += int(suite.get("tests", "0"))
        failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        skipped += int(suite.get("skipped", "0"))
    return tests - failed - skipped, failed, skipped


def main(folder: str, failed_parts: list[str]) -> int:
    """Print one line a part, then the totals. 1 when a part failed, also where no test of it did."""
    total = [0, 0, 0]
    for path in sorted(Path(folder).glob("*.xml")):
        part = counts(path)
        name, _, step = path.stem.rpartition("-")
        if step != "again" and part[1] and path.with_stem(f"{name}-again").exists():
            print(f"{path.stem}: {part[1]} failed beside other tests, and ran again alone")
            part = (part[0], 0, part[2])
        print(f"{path.stem}: {part[0]} passed, {part[1]} failed, {part[2]} skipped")
        total = [a + b for a, b in zip(total, part, strict=True)]
    for name in failed_parts:
        print(f"{name}: FAILED")
        total[1] += name == "lint" or not list(Path(folder).glob(f"{name}-*.xml"))
    line = f"{total[0]} passed, {total[1]} failed, {total[2]} skipped"
    Path(folder, "total").write_text(f"{line}\n")
    print(line)
    return 1 if failed_parts or total[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
