# SPDX-License-Identifier: Apache-2.0
"""What tshark reads in a file: an independent judge."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def fields(path: Path, names: Sequence[str], *options: str) -> list[dict[str, str]]:
    """One dict a packet; "" where tshark does not see the field."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=\x1f", "-E", "occurrence=f", *options]
    for name in names:
        command += ["-e", name]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [dict(zip(names, line.split("\x1f"), strict=True)) for line in run.stdout.splitlines()]


def capinfos(path: Path) -> str:
    """capinfos' own words; it fails on a damaged file."""
    run = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, timeout=60, check=True)
    return run.stdout


def tcpdump(path: Path) -> list[str]:
    """One line a packet."""
    run = subprocess.run(["tcpdump", "-nn", "-r", str(path)], capture_output=True, text=True, timeout=60, check=True)
    return run.stdout.splitlines()
