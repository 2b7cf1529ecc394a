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
from fuzz_seeds import ENCODERS

FUZZ = Path(__file__).resolve().parents[2] / "native" / "fuzz"
SECONDS = os.environ.get("LICTL_FUZZ_SECONDS", "6")

pytestmark = [
    pytest.mark.tree,
    pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang with libFuzzer"),
]


def _make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(FUZZ), f"OUT={folder}", f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def test_short_fuzz_run_finds_nothing(tmp_path: Path) -> None:
    """Parser, matcher, strip, capture files, encoders: no promise breaks, nothing out of bounds is touched.

    Each encoder writes something in most scenes: one that is only ever refused is not fuzzed.
    """
    done = _make(tmp_path, "-j2", "run", f"SECONDS={SECONDS}")
    assert done.returncode == 0, done.stderr[-4000:]
    runs = [int(count) for count in re.findall(r"Done (\d+) runs", done.stderr)]
    assert len(runs) == 3
    assert all(count >= least for count, least in zip(runs, (1000, 50, 1000), strict=True)), runs
    assert not list(tmp_path.glob("*-crash-*"))
    shares = [(int(some), int(all_)) for some, all_ in re.findall(r": (\d+) of (\d+) scenes encoded", done.stderr)]
    assert len(shares) == ENCODERS - 1  # the last one is no encoder of records
    assert [share for share in shares if 3 * share[0] < share[1]] == []


def test_every_encoder_has_a_place_in_the_harness() -> None:
    """Whatever writes records is fuzzed: each function of native.h that takes records or flows and a room."""
    declared = (FUZZ.parent / "native.h").read_text()
    encoders = re.findall(
        r"^int64_t (ln_\w+)\(const struct (?:li_rec|ln_flow)\b[^;]*\broom\b[^;]*;", declared, re.MULTILINE
    )
    assert len(encoders) >= 18
    harness = (FUZZ / "encode_fuzz.c").read_text()
    assert [name for name in encoders if f"{name}(" not in harness] == []


def _broken(tmp_path: Path, harness: str, file: str, line: str, instead: str, *sources: str) -> str:
    """What a harness says of its seeds where one line of the code under test is another."""
    tree = tmp_path / "tree"
    for folder in ("kernel", "native"):
        shutil.copytree(FUZZ.parent.parent / folder, tree / folder)
    text = (tree / file).read_text()
    assert line in text
    (tree / file).write_text(text.replace(line, instead))
    command = ["clang", "-O1", "-fsanitize=fuzzer,address", f"native/fuzz/{harness}.c", *sources, "-o", harness]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tree)
    assert built.returncode == 0, built.stderr
    script = Path(__file__).with_name("fuzz_seeds.py")
    subprocess.run([sys.executable, script, tmp_path / "seeds"], check=True, timeout=120)
    found = subprocess.run(
        [tree / harness, "-runs=20000", f"-artifact_prefix={tmp_path}/", tmp_path / "seeds" / harness],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode != 0
    return found.stderr


def test_the_harness_notices_a_leak(tmp_path: Path) -> None:
    """With a parser that takes a byte of a checksum for a header field, the seeds alone break a promise."""
    leak = ("kernel/parse.h", "out->tcp_flags = h[13];", "out->tcp_flags = h[13] ^ h[16];")
    assert "broken: !memcmp(p, &again" in _broken(tmp_path, "parse_fuzz", *leak, "native/filter.c")


def test_the_harness_notices_what_an_encoder_leaves_behind(tmp_path: Path) -> None:
    """An encoder that does not write its padding hands over what lay in the buffer before: found within seconds."""
    stale = ("native/pcapng.c", "put_u32(at + (rec->cap_len & ~3u), 0);", "")
    names = ("atis", "describe", "etsi", "etsi_seal", "etsi_summary", "mirror", "msgpack", "pcap", "pcapng", "x2x3")
    said = _broken(tmp_path, "encode_fuzz", *stale, *(f"native/{name}.c" for name in names))
    assert "broken: !memcmp(whole.data, again.data" in said
