# SPDX-License-Identifier: Apache-2.0
"""The reader on rings in states that cannot be brought about from outside, under the sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_drain_states(tmp_path: Path) -> None:
    """Busy, discarded and damaged records, wrap-around and merge; see drain_states.c."""
    program = tmp_path / "drain_states"
    source = Path(__file__).with_name("drain_states.c")
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all", str(source), "-o", str(program)],
        check=True, timeout=120,
    )  # fmt: skip
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
