# SPDX-License-Identifier: Apache-2.0
"""A short run of the fuzz harnesses; `make fuzz` runs them for an hour."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "native" / "fuzz"
SECONDS = os.environ.get("LICTL_FUZZ_SECONDS", "10")

pytestmark = [
    pytest.mark.tree,
    pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang with libFuzzer"),
]


def _make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(FUZZ), f"OUT={folder}", f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def test_short_fuzz_run_finds_nothing(tmp_path: Path) -> None:
    """Parser, matcher, strip and capture files: no invariant breaks, no byte outside the frame is read."""
    done = _make(tmp_path, "-j2", "run", f"SECONDS={SECONDS}")
    assert done.returncode == 0, done.stderr[-4000:]
    runs = [int(count) for count in re.findall(r"Done (\d+) runs", done.stderr)]
    assert len(runs) == 2
    assert runs[0] > 1000
    assert runs[1] > 50
    assert not list(tmp_path.glob("*-crash-*"))


def test_the_harness_notices_a_leak(tmp_path: Path) -> None:
    """With a parser that takes a byte of a checksum for a header field, the seeds alone break a promise."""
    source = FUZZ.parent.parent / "kernel" / "parse.h"
    tree = tmp_path / "tree"
    for folder in ("kernel", "native"):
        shutil.copytree(FUZZ.parent.parent / folder, tree / folder)
    broken = source.read_text().replace("out->tcp_flags = h[13];", "out->tcp_flags = h[13] ^ h[16];")
    assert broken != source.read_text()
    (tree / "kernel" / "parse.h").write_text(broken)
    harness = tree / "native" / "fuzz" / "parse_fuzz.c"
    built = subprocess.run(
        ["clang", "-O1", "-fsanitize=fuzzer,address", harness, tree / "native/filter.c", "-o", tmp_path / "leaky"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    script = Path(__file__).with_name("fuzz_seeds.py")
    subprocess.run([sys.executable, script, tmp_path / "seeds"], check=True, timeout=120)
    found = subprocess.run(
        [tmp_path / "leaky", "-runs=0", f"-artifact_prefix={tmp_path}/", tmp_path / "seeds" / "parse_fuzz"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode != 0
    assert "broken: !memcmp(p, &again" in found.stderr
