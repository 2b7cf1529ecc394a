# SPDX-License-Identifier: Apache-2.0
"""Prints those development requirements that the tests themselves use, as pyproject.toml bounds them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

TEST_TOOLS = {"asn1tools", "hypothesis", "mypy", "pytest", "pytest-benchmark", "pytest-timeout", "pytest-xdist"}


def main() -> None:
    """Print the requirements on one line, for a shell to split."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    wanted = [r for r in project["optional-dependencies"]["dev"] if re.split(r"[<>=!~ ]", r)[0] in TEST_TOOLS]
    print(*wanted)


if __name__ == "__main__":
    main()
